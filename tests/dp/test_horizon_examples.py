"""The examples of docs/horizon.md and docs/control.md run, and print what they say."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", ["horizon.md", "control.md"])
def test_examples_print_what_they_say(name, tmp_path):
    text = (DOCS / name).read_text(encoding="utf-8").replace("```python", "").replace("```", "")
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = doctest.testfile(str(tmp_path / name), module_relative=False)
    assert found.attempted > 0 and found.failed == 0
