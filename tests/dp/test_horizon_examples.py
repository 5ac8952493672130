"""The examples of docs/horizon.md, docs/control.md and the README run, and print what they say."""

import doctest
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["docs/horizon.md", "docs/control.md", "README.md"])
def test_examples_print_what_they_say(name, tmp_path):
    text = (TOP / name).read_text(encoding="utf-8").replace("```python", "").replace("```", "")
    copy = tmp_path / Path(name).name
    copy.write_text(text, encoding="utf-8")
    found = doctest.testfile(str(copy), module_relative=False)
    assert found.attempted > 0 and found.failed == 0
