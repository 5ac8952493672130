"""What was saved is loaded again, bit for bit; files are whole, whoever writes them; errors name the file."""

import dataclasses
import errno
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import verbs
from scipy import stats
from test_workers import ESTIMATE, LEARNT, OBJECTS, SOLVED

import distrl
from distrl import (
    MRP,
    CategoricalFixedPoint,
    EmpiricalMDP,
    Estimate,
    LearningRun,
    Solution,
    _files,
    estimate,
    evaluate,
    learn,
    load,
    save,
)

SAVED = [name for name, (thing, _) in OBJECTS.items() if type(thing).__module__.split(".")[1] != "operators"]
SAVED = [name for name in SAVED if name != "a learner"]


def again(thing, folder):
    path = folder / "thing.npz"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(thing, path)
    return load(path)


@pytest.mark.parametrize("name", SAVED)
def test_what_was_saved_is_what_is_loaded(name, tmp_path):
    thing, reading = OBJECTS[name]
    fresh = again(thing, tmp_path)
    assert type(fresh) is type(thing) and repr(fresh) == repr(thing)
    assert reading(fresh) == reading(thing)
    assert reading(again(fresh, tmp_path)) == reading(thing)  # and the copy of the copy


@pytest.mark.parametrize("name", SOLVED)
def test_a_loaded_solution_has_every_part(name, tmp_path):
    solution = SOLVED[name]
    fresh = again(solution, tmp_path)
    assert isinstance(fresh, Solution) and fresh.method == solution.method
    for field in ("status", "iterations", "residual", "clipped_mass", "elapsed", "tol", "solver", "reason"):
        assert getattr(fresh, field) == getattr(solution, field)
    for part in vars(solution.certificate) if solution.certificate else ():
        mine, theirs = getattr(solution.certificate, part), getattr(fresh.certificate, part)
        assert np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs
    assert fresh.summary() == solution.summary()
    for column, values in solution.table().items():
        np.testing.assert_array_equal(fresh.table()[column], values)
    np.testing.assert_array_equal(fresh.interval("mean"), solution.interval("mean"))
    np.testing.assert_array_equal(fresh.mdp.outcomes.probs, solution.mdp.outcomes.probs)
    assert fresh.model.n_states == solution.model.n_states
    for mine, theirs in zip(solution.returns.arrays().values(), fresh.returns.arrays().values(), strict=True):
        assert mine.flags.writeable == theirs.flags.writeable  # kernels are compiled for one or the other


def test_a_loaded_estimate_gives_the_same_intervals_by_every_method(tmp_path):
    for found in (ESTIMATE, estimate(verbs.MDP, verbs.METHODS["fixed point"], "uniform", 30, rng=4)):
        fresh = again(found, tmp_path)
        assert isinstance(fresh, Estimate)
        for functional, at, method in (
            ("mean", None, "delta"),
            ("cvar", 0.1, "delta"),
            ("quantile", 0.4, "bootstrap"),
            ("ks", None, "delta"),
        ):
            ends = [each.interval(functional, at, method=method, resamples=9, rng=1) for each in (found, fresh)]
            np.testing.assert_array_equal(ends[0], ends[1])
        np.testing.assert_array_equal(fresh.enclosure("mean"), found.enclosure("mean"))


def test_a_loaded_run_is_resumed_as_if_it_had_never_stopped(tmp_path):
    for method in verbs.LEARNERS.values():
        whole = learn(verbs.LAWS, method, updates=50, replications=3, records=5, rng=7)
        half = learn(verbs.LAWS, method, updates=30, replications=3, records=3, rng=7)
        fresh = again(half, tmp_path)
        assert isinstance(fresh, LearningRun)
        resumed = learn(verbs.LAWS, method, updates=20, records=2, resume=fresh)
        np.testing.assert_array_equal(resumed.values, whole.values)
        np.testing.assert_array_equal(resumed.updates, whole.updates)


def test_a_log_keeps_its_samples_and_what_is_unknown(tmp_path):
    log = EmpiricalMDP([(0, 0, 1.0, 1, False), (1, 0, 2.0, 1, True)], 0.9, states=3, unvisited="unknown")
    fresh = again(log, tmp_path)
    np.testing.assert_array_equal(fresh.samples.counts, log.samples.counts)
    np.testing.assert_array_equal(fresh.unknown, log.unknown)
    assert fresh.redrawn(np.random.default_rng(0)).n_states == 3


def test_more_samples_can_be_added_to_a_loaded_estimate(tmp_path):
    source = ESTIMATE.empirical.drawn_from
    fresh = again(ESTIMATE, tmp_path).empirical
    further = [each.drawn_from.sample(5, rng=1, to=each) for each in (ESTIMATE.empirical, fresh)]
    np.testing.assert_array_equal(further[0].samples.counts, further[1].samples.counts)
    assert fresh.drawn_from is not source


def test_models_of_the_first_version_are_read():
    model = load(pathlib.Path(__file__).parent / "models" / "version1.npz")
    assert OBJECTS["a model"][1](model) == OBJECTS["a model"][1](verbs.LAWS)


def test_numbers_that_json_does_not_have(tmp_path):
    strange = dataclasses.replace(SOLVED["fixed point"], tol=np.inf, residual=np.nan)
    fresh = again(strange, tmp_path)
    assert fresh.tol == np.inf and np.isnan(fresh.residual)


# -- files that are none


class Own(stats.rv_continuous):
    def _cdf(self, x):
        return np.clip(x, 0.0, 1.0)


def test_a_law_of_the_users_own_is_no_reason_to_lose_a_result(tmp_path):
    solution = evaluate(MRP([[1.0]], [Own(a=0.0, b=1.0, name="own")()], 0.5), CategoricalFixedPoint(21))
    with pytest.warns(UserWarning, match=r"own\.npz gets arrays only.*cannot be saved"):
        solution.save(tmp_path / "own.npz")
    with np.load(tmp_path / "own.npz") as archive:
        np.testing.assert_array_equal(archive["probs"], solution.returns.probs)
    with pytest.raises(ValueError, match=r"own\.npz .*without its model"):
        load(tmp_path / "own.npz")


def saved_fields(folder, **changes):
    path = folder / "solution.npz"
    SOLVED["fixed point"].save(path)
    with np.load(path) as archive:
        fields = {**dict(archive), **changes}
    np.savez(path, **{name: value for name, value in fields.items() if value is not None})
    return path


def swapped(folder, old, new):
    path = saved_fields(folder)
    with np.load(path) as archive:
        record = str(archive["record"])
    assert old in record
    return saved_fields(folder, record=np.array(record.replace(old, new)))


WRONG = {
    "a later version": (lambda f: saved_fields(f, version=np.array(9)), "format version 9.*update distrl"),
    "no version": (lambda f: saved_fields(f, version=None), "no field 'version'"),
    "no record": (lambda f: saved_fields(f, record=None), "no field 'record'"),
    "no laws": (lambda f: saved_fields(f, probs=None), "no field 'probs'"),
    "a record that is no JSON": (lambda f: saved_fields(f, record=np.array("{")), "does not hold a valid result"),
    "a class of a later version": (lambda f: swapped(f, '"Solution"', '"Foresight"'), "does not know"),
    "a class from elsewhere": (lambda f: swapped(f, '"Certificate"', '"Popen"'), "does not know"),
    "a field of a later version": (lambda f: swapped(f, '"tol"', '"tolerance"'), "does not hold a valid result"),
    "an option that is refused": (lambda f: swapped(f, '"solver": "auto"', '"solver": "magic"'), "solver must be"),
    "a status that is none": (lambda f: swapped(f, '"CONVERGED"', '"PERFECT"'), "'PERFECT'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_named_with_what_is_wrong(name, tmp_path):
    make, sentence = WRONG[name]
    path = make(tmp_path)
    with pytest.raises(ValueError, match=rf"solution\.npz.*{sentence}"):
        load(path)


@pytest.mark.parametrize("name", ["the solution of fixed point", "an estimate", "a run", "a model"])
def test_a_damaged_file_is_never_taken_for_a_result(name, tmp_path):
    thing, reading = OBJECTS[name]
    path = tmp_path / "thing.npz"
    save(thing, path)
    content = path.read_bytes()
    expected = reading(thing)
    for keep in (0, 1, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:keep])
        with pytest.raises(ValueError, match=r"thing\.npz"):
            load(path)
    for place in range(0, len(content), max(len(content) // 40, 1)):
        changed = bytearray(content)
        changed[place] ^= 255
        path.write_bytes(changed)
        try:
            fresh = load(path)
        except ValueError as error:
            assert "thing.npz" in str(error)
        else:  # a byte that stands for nothing, such as a date
            assert reading(fresh) == expected


# -- writers


def write(path, seed, times):
    model = distrl.environments.garnet(6, 2, 2, discount=0.9, rng=seed)
    solution = evaluate(model, CategoricalFixedPoint(11), policy="uniform")
    for _ in range(times):
        solution.save(path)
        if path.suffix == ".npz":
            assert load(path).returns.probs.shape == (6, 11)


@pytest.mark.slow
def test_of_two_processes_that_write_one_file_the_last_one_wins(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(tmp_path / "one.npz", seed, 15)) for seed in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(300)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == ["one.npz"]


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_threads_that_write_one_file(suffix, tmp_path):
    path = tmp_path / f"one{suffix}"
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(write, path, seed, 10) for seed in range(8)]:
            future.result(timeout=300)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def writing(path):
    return {
        "a solution": lambda: SOLVED["fixed point"].save(path.with_suffix(".npz")),
        "a table": lambda: SOLVED["fixed point"].save(path.with_suffix(".csv")),
        "a run": lambda: LEARNT.save(path.with_suffix(".npz")),
        "a model": lambda: save(verbs.LAWS, path),
        "an empirical model": lambda: save(ESTIMATE.empirical, path),
        "a PRISM file": lambda: distrl.write_prism(MRP([[0.5, 0.5], [0.5, 0.5]], [1.0, 2.0], 0.9), path),
    }


@pytest.mark.parametrize("what", writing(pathlib.Path()))
def test_where_nothing_can_be_written_the_sentence_names_the_file(what, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(ValueError, match=rf"{folder.name}/name.*cannot be written"):
            writing(folder / "name")[what]()
    writing(tmp_path / "name")[what]()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for number in (errno.ENOSPC, errno.EROFS, errno.EACCES):

        def refuse(*_, number=number):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("distrl._files.os.fsync", refuse)
        with pytest.raises(ValueError, match=rf"name.*cannot be written: {os.strerror(number)}"):
            writing(tmp_path / "name")[what]()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before  # whole, and no scraps


def test_what_is_no_path_is_said_so(tmp_path):
    for path in (3, None, b"x.npz"):
        for call in (
            lambda p=path: save(verbs.LAWS, p),
            lambda p=path: SOLVED["fixed point"].save(p),
            lambda p=path: load(p),
        ):
            with pytest.raises(TypeError, match="path must be"):
                call()
    with pytest.raises(ValueError, match="does not exist"):
        load(tmp_path / "nothing.npz")
    with pytest.raises(TypeError, match="distrl saves"):
        save({"a": 1}, tmp_path / "x.npz")


def test_a_link_stays_a_link_and_long_names_are_no_trouble(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.npz"
    link.symlink_to(tmp_path / "there" / "file.npz")
    SOLVED["fixed point"].save(link)
    assert link.is_symlink() and isinstance(load(tmp_path / "there" / "file.npz"), Solution)
    path = tmp_path / ("n" * 240 + ".npz")
    SOLVED["fixed point"].save(path)
    assert isinstance(load(path), Solution)


def test_an_error_half_way_leaves_the_older_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("older")

    def half():
        with _files.replacing(path) as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert path.read_text() == "older" and len(list(tmp_path.iterdir())) == 1


GONE = """
import os, pathlib, sys, tempfile
folder = pathlib.Path(tempfile.mkdtemp(dir=sys.argv[1]))
os.chdir(folder)
folder.rmdir()
import verbs, distrl
expected = verbs.all_jobs()
target = pathlib.Path(sys.argv[1]) / "solution.npz"
solution = distrl.evaluate(verbs.MDP, verbs.METHODS["fixed point"], policy="uniform")
solution.save(target)
assert verbs.of_solution(distrl.load(target)) == verbs.of_solution(solution)
for call in (lambda: solution.save("relative.npz"), lambda: distrl.load("relative.npz")):
    try:
        call()
    except ValueError as error:
        assert "relative.npz" in str(error) and "working folder" in str(error), error
    else:
        raise AssertionError
print("done")
"""


@pytest.mark.slow
def test_everything_works_in_a_working_folder_that_was_deleted(tmp_path):
    root = pathlib.Path(__file__).resolve().parent
    environment = {**os.environ, "PYTHONPATH": f"{root.parent}{os.pathsep}{root}"}
    command = [sys.executable, "-c", GONE, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "done", done.stderr


def test_a_path_means_what_it_meant_when_it_was_given(tmp_path, monkeypatch):
    """The working folder changes while a result is computed or written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    with _files.replacing(_files.path_of("file.txt")) as partial:
        os.chdir(tmp_path / "other")
        partial.write_text("content")
    assert (tmp_path / "file.txt").read_text() == "content"


def test_the_record_is_readable_without_distrl(tmp_path):
    """JSON beside plain arrays: another program can read it."""
    with np.load(saved_fields(tmp_path), allow_pickle=False) as archive:
        record = json.loads(str(archive["record"]))
        assert record["class"] == "Solution" and record["fields"]["method"]["class"] == "CategoricalFixedPoint"
        assert {"probs", "atoms", "values", "w1_bound"} <= set(archive.files)
