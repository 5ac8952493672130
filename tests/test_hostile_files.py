"""Archives that somebody made to do harm: refused in a sentence, before what they state is read."""

import io
import json
import re
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MRP
from distrl.models import law_storage

pytestmark = pytest.mark.fast


def fields_of(thing, path):
    distrl.save(thing, path)
    with np.load(path) as archive:
        return dict(archive)


def model_file(path, **changes):
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [stats.norm(0, 1), 1.0], 0.9)
    np.savez_compressed(path, **{**fields_of(model, path), **changes})
    return path


def record_file(path, record):
    np.savez_compressed(
        path, format=np.array("distrl result"), version=np.array(1), record=np.array(record), probs=np.zeros(3)
    )
    return path


NESTED = {
    "laws": lambda path, deep: model_file(path, laws=np.array("[" * deep + "]" * deep)),
    "names": lambda path, deep: model_file(path, states=np.array(f"[0, {'[' * deep}1{']' * deep}]")),
    "a record that is no record": lambda path, deep: record_file(path, "[" * deep + "]" * deep),
    "a record of lists": lambda path, deep: record_file(path, '{"list": [' * deep + "1" + "]}" * deep),
}


@pytest.mark.parametrize("what", NESTED)
def test_lists_in_lists_without_end_are_a_sentence(what, tmp_path):
    """However deep: too deep for the parser, or only for what reads after it."""
    for deep in (300, 450, 600, 900, 980, 100_000):
        try:
            distrl.load(NESTED[what](tmp_path / "file.npz", deep))
        except ValueError as error:
            assert re.search(r"file\.npz does not hold a valid", str(error)) and "\n" not in str(error)
            said = str(error)
    assert "recursion" in said  # of the deepest


def header(shape, dtype="<f8", version=1):
    text = io.BytesIO()
    writer = np.lib.format.write_array_header_1_0 if version == 1 else np.lib.format.write_array_header_2_0
    writer(text, {"descr": dtype, "fortran_order": False, "shape": shape})
    return text.getvalue()


@pytest.mark.parametrize("version", [1, 2])
def test_an_array_that_says_more_than_there_is_is_not_made_room_for(version, tmp_path):
    path = tmp_path / "file.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("probs.npy", header((10**9,), version=version))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"file\.npz is damaged.* says that it has 8000000000 bytes, and has \d+"):
        distrl.load(path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_a_small_file_that_unpacks_to_a_quarter_of_a_gigabyte_is_refused_unread_where_it_does_not_fit(
    tmp_path, monkeypatch
):
    path = tmp_path / "file.npz"
    size = 2**28
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("junk.npy", "w") as file:
        file.write(header((size // 8,)))
        for _ in range(64):
            file.write(bytes(size // 64))
    assert path.stat().st_size < 5e5
    monkeypatch.setattr("distrl._files.available_memory", lambda: 0.9 * size)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"file\.npz .* need about 0\.268 GB, and 0\.242 GB are available"):
        distrl.load(path)
    assert tracemalloc.get_traced_memory()[1] < 5e6 + path.stat().st_size
    tracemalloc.stop()


def test_text_counts_with_what_it_takes_to_parse_it(tmp_path, monkeypatch):
    path = record_file(tmp_path / "file.npz", " " * 10**6)
    monkeypatch.setattr("distrl._files.available_memory", lambda: 2e7)  # 4 MB of text
    with pytest.raises(ValueError, match="GB are available"):
        distrl.load(path)


@pytest.mark.parametrize("pool", [10**12, 0, "many"])
def test_a_seed_makes_no_room_for_a_pool_that_nobody_has(pool, tmp_path):
    seed = {"entropy": 1, "spawn_key": {"tuple": []}, "pool_size": pool, "n_children_spawned": 0}
    path = record_file(tmp_path / "file.npz", json.dumps({"number": 1, "seed": seed}))
    with pytest.raises(ValueError, match=r"file\.npz does not hold a valid result"):
        distrl.load(path)


def test_a_law_that_would_take_hours_is_refused_within_seconds(tmp_path):
    """The quantile function of this one does not come back: its CDF is asked first."""
    slow = json.dumps([{"name": "ksone", "args": [1e5], "kwds": {}}])
    started = time.process_time()
    with pytest.raises(ValueError, match=r"file\.npz .*law 0: ksone.* takes .* ms"):
        distrl.load(model_file(tmp_path / "file.npz", laws=np.array(slow)))
    assert time.process_time() - started < 20.0


def test_laws_that_are_slow_together_are_refused(tmp_path, monkeypatch):
    """In a model, and in a record that holds models and laws: of all of them together."""
    read = law_storage.frozen_law
    monkeypatch.setattr(law_storage, "_PATIENCE", 0.02)

    def slowly(entry, what):
        end = time.thread_time() + 0.015
        while time.thread_time() < end:
            pass
        return read(entry, what)

    monkeypatch.setattr(law_storage, "frozen_law", slowly)
    laws = [stats.norm(k, 1) for k in range(4)]
    few, many = (MRP(np.eye(n), laws[:n], 0.9) for n in (2, 4))
    distrl.save(few, tmp_path / "few.npz")
    assert distrl.load(tmp_path / "few.npz").n_states == 2
    distrl.save(many, tmp_path / "many.npz")
    with pytest.raises(ValueError, match=r"many\.npz .*law 2: the laws before it took"):
        distrl.load(tmp_path / "many.npz")
    distrl.save(distrl.GenerativeModel(many), tmp_path / "source.npz")
    with pytest.raises(ValueError, match=r"source\.npz .*law 2: the laws before it took"):
        distrl.load(tmp_path / "source.npz")
