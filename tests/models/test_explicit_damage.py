"""Files that are damaged in every way give one sentence that names the file, and the line if there is one.

Damage is done to good files systematically: each kind to each file, at the beginning, in the middle and at the end.
"""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrl.models import read_drn, read_prism

pytestmark = pytest.mark.fast

PRISM = {
    ".tra": "# Transitions (MDP)\n3 5 6\n0 0 1 0.5 go\n0 0 2 0.5 go\n0 1 0 1 stay\n1 0 2 1 go\n1 1 1 1 stay\n"
    "2 0 2 1 go\n",
    ".srew": '# Reward structure "steps"\n# State rewards\n3 2\n0 1\n1 2.5\n',
    ".trew": '# Reward structure "steps"\n# Transition rewards\n3 5 2\n0 0 2 10\n1 0 2 -0.5\n',
    ".lab": '# Labels\n0="init" 1="deadlock" 2="goal"\n0: 0\n2: 2\n',
}
STORM = {
    ".tra": "mdp\n0 0 1 0.5\n0 0 2 0.5\n0 1 0 1\n1 0 2 1\n1 1 1 1\n2 0 2 1\n",
    ".state.rew": "0 1\n1 2.5\n",
    ".trans.rew": "0 0 2 10\n1 0 2 -0.5\n",
    ".lab": "#DECLARATION\ninit goal\n#END\n0 init\n2 goal\n",
}
DRN = {
    ".drn": "// Exported by hand\n@type: MDP\n@value_type: double\n@parameters\n\n@reward_models\nsteps cost\n"
    "@nr_states\n3\n@nr_choices\n5\n@model\nstate 0 [0, 1] init\n\taction go [1, 0]\n\t\t1 : 0.5\n\t\t2 : 0.5\n"
    "\taction stay [0, 2]\n\t\t0 : 1\nstate 1 [0, 2.5]\n\taction go [0, 0]\n\t\t2 : 1\n\taction stay [0, 0]\n"
    "\t\t1 : 1\nstate 2 [0, 0] goal\n\taction go [0, 0]\n\t\t2 : 1\n",
}


def lines_of_content(text):
    """The positions of lines that say something that can be wrong."""
    return [k for k, line in enumerate(text.split("\n")) if line.strip() and not line.startswith(("# ", "//"))]


def with_line(text, number, change):
    lines = text.split("\n")
    changed = change(lines[number])
    lines[number : number + 1] = [] if changed is None else [changed]
    return "\n".join(lines)


def token(place, change):
    """Change one token of a line; places beyond its end change the last one."""

    def changed(line):
        found = list(re.finditer(r"[^\s,\[\]:]+", line))
        at = found[min(place, len(found) - 1)]
        return line[: at.start()] + change(at.group()) + line[at.end() :]

    return changed


BY_LINE = {
    "missing": lambda line: None,
    "twice": lambda line: f"{line}\n{line}",
    "cut": lambda line: line[: max(len(line) // 2, 1)],
    "without its last token": lambda line: line.rsplit(maxsplit=1)[0] if " " in line else "?",
    "with one more token": lambda line: f"{line} 1 2 3",
    "of other bytes": lambda line: "\x00\x01\x02",
    "of text": lambda line: "lorem ipsum dolor",
    "of question marks": lambda line: "? ? ?",
    "reversed": lambda line: " ".join(reversed(line.split())),
    "negative": token(0, lambda old: "-1"),
    "negative in the middle": token(1, lambda old: "-1"),
    "negative at the end": token(9, lambda old: "-1"),
    "out of range": token(0, lambda old: "77"),
    "out of range in the middle": token(1, lambda old: "77"),
    "far out of range": token(0, lambda old: "99999999999999999999"),
    "fractional": token(0, lambda old: "0.5"),
    "no number at the end": token(9, lambda old: "NaN"),
    "infinite at the end": token(9, lambda old: "inf"),
    "hexadecimal at the end": token(9, lambda old: "0x1"),
    "two points at the end": token(9, lambda old: "1.2.3"),
    "two signs at the end": token(9, lambda old: "--1"),
    "an interval at the end": token(9, lambda old: "[0.1,0.2]"),
    "a division by zero": token(9, lambda old: "1/0"),
    "an exponent alone": token(9, lambda old: "e5"),
    "too large": token(9, lambda old: "1e999"),
    "commas": lambda line: line.replace(" ", ","),
    "full-width digits": lambda line: line.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}),
}
WHOLE = {
    "empty": lambda data: b"",
    "blank": lambda data: b"\n\n  \n",
    "cut in the middle": lambda data: data[: len(data) // 2],
    "cut near the end": lambda data: data[:-4],
    "binary": lambda data: bytes(range(256)),
    "zeros": lambda data: bytes(100),
    "latin": lambda data: data + "für".encode("latin-1"),
    "utf-16": lambda data: data.decode().encode("utf-16"),
    "a page": lambda data: b"<!DOCTYPE html><html><body>404</body></html>\n",
    "a pointer": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    "one line": lambda data: data.replace(b"\n", b" "),
    "backwards": lambda data: b"\n".join(reversed(data.split(b"\n"))),
    "another file": lambda data: b"1,2,3\n4,5,6\n",
}


def cases():
    """(form, file, kind, where it is damaged)."""
    found = []
    for form, files in (("prism", PRISM), ("storm", STORM), ("drn", DRN)):
        for suffix, text in files.items():
            there = lines_of_content(text)
            found += [(form, suffix, kind, number) for kind in BY_LINE for number in there]
            found += [(form, suffix, kind, None) for kind in WHOLE]
    return found


def put(folder, form, suffix=None, data=None):
    files = {"prism": PRISM, "storm": STORM, "drn": DRN}[form]
    for name, text in files.items():
        (folder / f"m{name}").write_bytes(text.encode() if name != suffix else data)
    return folder / ("m.drn" if form == "drn" else "m")


def read(form, path):
    if form == "drn":
        return read_drn(path, 0.9, "cost", deadlocks="refuse")
    return read_prism(path, 0.9, deadlocks="refuse")


def damaged(form, suffix, kind, number):
    text = {"prism": PRISM, "storm": STORM, "drn": DRN}[form][suffix]
    if number is None:
        return WHOLE[kind](text.encode())
    return with_line(text, number, BY_LINE[kind]).encode()


@pytest.mark.parametrize("form", ["prism", "storm", "drn"])
def test_the_files_are_good_before_they_are_damaged(tmp_path, form):
    model = read(form, put(tmp_path, form))
    assert model.n_states == 3 and model.labels["goal"].tolist() == [False, False, True]
    pays = {"prism": [11.0, 1.0], "storm": [11.0, 1.0], "drn": [1.0, 3.0]}[form]
    assert model.outcomes.rewards[model.outcomes.sources < 2].max() == max(pays)


@pytest.mark.parametrize("form", ["prism", "storm", "drn"])
def test_damage_is_one_sentence_that_names_the_place(tmp_path, form):
    """A reader may take what is still a model; it never fails in another way, nor without naming the file."""
    refused, taken, foreign = 0, [], []
    for number, (_, suffix, kind, where) in enumerate(case for case in cases() if case[0] == form):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = put(folder, form, suffix, damaged(form, suffix, kind, where))
        try:
            model = read(form, path)
        except ValueError as error:
            refused += 1
            sentence = str(error)
            if str(folder) not in sentence or "\n" in sentence or len(sentence) > 600:
                foreign.append((suffix, kind, where, sentence))
        except Exception as error:
            foreign.append((suffix, kind, where, repr(error)))
        else:
            taken.append((suffix, kind, where))
            assert np.isfinite(model.outcomes.rewards).all()
    assert not foreign, foreign
    assert refused >= 50
    # what is taken is another good file: an entry less or more where nothing counts them, or other good numbers
    assert len(taken) < refused / 3, taken


def unlike(form, suffix, kind, number):
    """Whether the damaged line itself is wrong, so that the sentence has to name it."""
    always = {"of text", "of question marks", "negative in the middle", "fractional", "hexadecimal at the end"}
    always |= {"two points at the end", "two signs at the end", "no number at the end", "full-width digits"}
    first = lines_of_content({"prism": PRISM, "storm": STORM, "drn": DRN}[form][suffix])[0]
    if (form, suffix, kind) == ("prism", ".tra", "no number at the end"):
        return False  # the last token is a name there
    return kind in always and suffix in (".tra", ".srew", ".trew", ".state.rew", ".trans.rew") and number > first


@pytest.mark.parametrize("form", ["prism", "storm"])
def test_the_line_that_is_wrong_is_named(tmp_path, form):
    count = 0
    for number, (_, suffix, kind, where) in enumerate(case for case in cases() if case[0] == form):
        if where is None or not unlike(form, suffix, kind, where):
            continue
        if kind == "negative in the middle" and suffix in (".srew", ".state.rew"):
            continue  # a reward may be negative
        folder = tmp_path / str(number)
        folder.mkdir()
        path = put(folder, form, suffix, damaged(form, suffix, kind, where))
        with pytest.raises(ValueError, match=f"m{suffix}, line {where + 1}: expected"):
            read(form, path)
        count += 1
    assert count >= 50


def test_the_line_of_a_drn_file_that_is_wrong_is_named(tmp_path):
    text, count = DRN[".drn"], 0
    start = text.split("\n").index("@model")
    for kind in ("of text", "of question marks", "far out of range", "fractional", "commas", "full-width digits"):
        for where in lines_of_content(text):
            line = text.split("\n")[where]
            if where <= start or (kind in ("far out of range", "fractional") and not line.startswith("\t\t")):
                continue
            path = put(tmp_path, "drn", ".drn", damaged("drn", ".drn", kind, where))
            changed = BY_LINE[kind](line)
            if changed == line:
                continue
            with pytest.raises(ValueError, match=rf"m\.drn, line {where + 1}: expected 'state number"):
                read("drn", path)
            count += 1
    assert count >= 50


PIECES = st.text('0123456789 .-\n\t:="#e/[],!', max_size=4) | st.sampled_from(
    ["state ", "action ", "// distrl {", "1e999", "1/3", "\n\n", "$x", "é", "\ufeff", "dtmc\n"]
)


@settings(max_examples=60)
@given(st.data())
def test_any_damage_gives_a_model_or_a_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damage")
    form = data.draw(st.sampled_from(["storm", "drn"]))
    files = {"storm": STORM, "drn": DRN}[form]
    suffix = data.draw(st.sampled_from(sorted(files)))
    text = files[suffix]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(PIECES) + text[at + data.draw(st.integers(0, 9)) :]
    try:
        model = read(form, put(folder, form, suffix, text.encode()))
    except ValueError as error:
        assert str(folder) in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(model.outcomes.rewards).all()


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    (tmp_path / "folder.drn").mkdir()
    for path, sentence in (("none.drn", "does not exist"), ("folder.drn", "cannot be read")):
        with pytest.raises(ValueError, match=rf"{path} {sentence}"):
            read_drn(tmp_path / path, 0.9)
    for path in (3, None, b"m.drn"):
        with pytest.raises(TypeError, match="path must be"):
            read_drn(path, 0.9)
        with pytest.raises(TypeError, match="path must be"):
            read_prism(path, 0.9)
