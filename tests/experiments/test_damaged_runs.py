"""Folders of runs that are oddly named or damaged: a sentence and an exit status. Reports print tags as text."""

import json
import re
import sqlite3
from html.parser import HTMLParser

import numpy as np
import pytest
from typer.testing import CliRunner

from experiments import pages, protocol
from experiments.__main__ import app
from experiments.files import write_text
from experiments.protocol import Cell, Check, Experiment, Report
from experiments.store import Store, is_running, stored_keys

CELLS = [Cell(f"cell-{k}", {"k": k}) for k in range(3)]


def solve(cell, seed):
    return {"k": np.array(cell.arguments["k"])}


def report(results, directory):
    write_text(directory / "report.md", "# Toy\n")
    return Report([["cells"], [str(len(results))]], [Check("all", len(results) == len(CELLS), "")])


TOY = Experiment(__name__, "three numbers", dict.fromkeys(protocol.SIZES, 1.0), lambda size: CELLS, solve, report)


@pytest.fixture
def command(monkeypatch):
    """The command on the toy: exit status and what it says."""
    monkeypatch.setattr(protocol, "names", lambda: ["toy"])
    monkeypatch.setattr(protocol, "find", lambda name: TOY)

    def call(*words):
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return call


@pytest.mark.parametrize("name", ["a#b", "a?mode=rw", "a%20b", "a b", "å"])
def test_an_output_folder_may_have_any_name(name, command, tmp_path, monkeypatch):
    out = tmp_path / name
    assert command("run", "toy", "--out", out)[0] == 0
    assert command("status", "--out", out) == (0, f"{'toy':15} quick 3/3, default 3/3, full 3/3\n")
    assert command("report", "toy", "--out", out)[0] == 0
    monkeypatch.chdir(tmp_path)
    assert "3/3" in command("status", "--out", name)[1]
    assert command("clean", "toy", "--all", "--out", out) == (0, "toy: 3 cell(s) deleted\n")
    assert [path.name for path in tmp_path.iterdir()] == [name]


MANIFESTS = {
    "no JSON": "{",
    "no object": "[]",
    "no arguments": "{}",
    "arguments that are none": '{"arguments": 3}',
    "no seed": '{"arguments": {"size": "quick"}}',
    "no such size": '{"arguments": {"size": "huge", "seed": 0}}',
    "a size that is no text": '{"arguments": {"size": ["quick"], "seed": 0}}',
    "a seed that is none": '{"arguments": {"size": "quick", "seed": -1}}',
    "nested without end": "[" * 100_000,
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_damaged_manifest_is_a_sentence_and_a_run_mends_it(what, command, tmp_path):
    assert command("run", "toy", "--quick", "--out", tmp_path)[0] == 0
    path = tmp_path / "toy" / "manifest.json"
    path.write_text(MANIFESTS[what])
    for verb in ("report", "plot"):
        status, said = command(verb, "toy", "--out", tmp_path)
        assert status == 2 and re.search(r"manifest\.json is damaged .* writes it again", said), said
    assert command("run", "toy", "--quick", "--out", tmp_path)[0] == 0
    assert json.loads(path.read_text())["arguments"] == {"size": "quick", "seed": 0}


def test_a_manifest_that_is_no_text_or_no_file(command, tmp_path):
    (tmp_path / "toy").mkdir()
    path = tmp_path / "toy" / "manifest.json"
    path.write_bytes(b"\xff\xfe\x00")
    assert "is damaged" in command("report", "toy", "--out", tmp_path)[1]
    path.unlink()
    assert "holds no finished run" in command("report", "toy", "--out", tmp_path)[1]
    path.mkdir()
    assert command("report", "toy", "--out", tmp_path)[0] == 2


def test_a_damaged_lock_is_a_sentence_and_no_running_process(command, tmp_path):
    assert command("run", "toy", "--out", tmp_path)[0] == 0
    lock = tmp_path / "toy" / "lock.sqlite"
    lock.write_bytes(b"not a database" * 100)
    for words in (["run", "toy"], ["report", "toy"], ["clean", "toy"], ["status"]):
        status, said = command(*words, "--out", tmp_path)
        assert status == 2 and "cannot be taken" in said and "delete the file" in said, words
    lock.unlink()
    assert command("run", "toy", "--out", tmp_path)[0] == 0


def test_a_lock_that_is_held_is_a_running_process(command, tmp_path):
    with Store(tmp_path / "toy"):
        assert is_running(tmp_path / "toy")
        assert command("status", "--out", tmp_path)[1].endswith("(running)\n")
        status, said = command("run", "toy", "--out", tmp_path)
        assert status == 2 and "another process is running" in said
    assert not is_running(tmp_path / "toy")


def test_status_does_not_count_cells_that_a_run_would_solve_again(command, tmp_path):
    assert command("run", "toy", "--out", tmp_path)[0] == 0
    path = tmp_path / "toy" / "cells.sqlite"
    with sqlite3.connect(path) as cells:
        cells.execute("update cells set result = x'00' where cell = 'cell-1'")
        cells.execute("update cells set result = substr(result, 1, 40) where cell = 'cell-2'")
    assert len(stored_keys(tmp_path / "toy")) == 1
    assert "quick 1/3" in command("status", "--out", tmp_path)[1]
    path.write_bytes(b"not a database" * 100)
    status, said = command("status", "--out", tmp_path)
    assert status == 2 and "cells.sqlite could not be read" in said and "start again" in said


def test_a_store_without_its_table_is_a_sentence(tmp_path):
    with Store(tmp_path) as store:
        with sqlite3.connect(store.path) as cells:
            cells.execute("drop table cells")
        for ask in (
            lambda: store.get("key"),
            lambda: store.seconds({"one": "key"}),
            lambda: store.others("code"),
            lambda: store.forget(["key"]),
            lambda: store.forget_others("code"),
        ):
            with pytest.raises(OSError, match=r"cells\.sqlite could not be"):
                ask()


class Tags(HTMLParser):
    """The tags of a page, their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_a_report_prints_tags_as_text(tmp_path):
    """In a title, a paragraph, a cell and the manifest: what a browser sees of them is what stands there."""
    hostile = '<script>alert("1")</script><img src="x.png" onerror=alert(2)>'
    table = pages.markdown_table(["design", "width"], [[f"a|b {hostile}", "1\n2"]])
    (tmp_path / "report.md").write_text(
        f"# Toy {hostile}\n\n{hostile}\n\n{hostile} [a](javascript:alert(3))\n\n{table}"
    )
    pages.write_html(tmp_path / "report.md", {"cells": {hostile: "</pre>" + hostile}})
    seen = Tags((tmp_path / "report.html").read_text())
    tags = [tag for tag, _ in seen.found]
    assert not {"script", "img", "a"} & set(tags)
    assert not any(name.startswith("on") for _, attributes in seen.found for name in attributes)
    assert tags.count("td") == 2 and f"a|b {hostile}" in seen.text and "1 2" in seen.text
    assert seen.text.count(hostile) >= 5
