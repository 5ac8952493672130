"""Good files, damaged in every way: what a reader may do with them is to read them or to say in a sentence why not."""

import re
from pathlib import Path

#: What stands in the place of a token.
STRANGERS = ("junk", "-5", "nan", "inf", "1e400", "0x10", "999999", "1_0", "2.5.1", "é", ":", "*", "#", "")


def damaged(text):
    """(what was done, the text afterwards), many times."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        yield f"without line {number + 1}", "".join(lines[:number] + lines[number + 1 :])
        yield f"line {number + 1} twice", "".join(lines[: number + 1] + lines[number:])
        yield f"lines {number + 1} and 1 swapped", "".join([line, *lines[1:number], lines[0], *lines[number + 1 :]])
    words = list(re.finditer(r"[^\s:*]+|[:*]", text))
    for count, word in enumerate(words):
        stranger = STRANGERS[count % len(STRANGERS)]
        for new in {stranger, STRANGERS[(5 * count + 3) % len(STRANGERS)]}:
            yield f"{new!r} for {word.group()!r} at {word.start()}", text[: word.start()] + new + text[word.end() :]
        yield f"cut at {word.start()}", text[: word.start()]
        yield f"cut after {word.end()}", text[: word.end()]
    yield "empty", ""
    yield "blank", "\n \n"
    yield "a zero byte", text[:20] + "\0" + text[20:]


def refusals(read, text, path, may_lack_line=r"has no|no T: says|needs|does not|has the"):
    """How many damages are refused; each by a `ValueError` of one line that names the file, and the line if it can."""
    refused = 0
    for done, spoilt in damaged(text):
        Path(path).write_text(spoilt, encoding="utf-8")
        try:
            read(path)
        except ValueError as error:
            said = str(error)
            assert "\n" not in said and said.startswith(str(path)), (done, said)
            assert re.search(r", line \d+: ", said) or re.search(may_lack_line, said), (done, said)
            refused += 1
    for raw in (b"\xff\xfe\x00numStates", bytes(range(256)), b"\x1f\x8b\x08\x00broken"):
        Path(path).write_bytes(raw)
        try:
            read(path)
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
    return refused
