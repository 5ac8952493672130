"""What memory there is: the machine's, and what control groups leave of it, read from files of the test's own."""

import pytest

from distrl import MRP, CategoricalFixedPoint, _memory, evaluate

pytestmark = pytest.mark.fast

MIB = 2**20


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Write files as the kernel would: kernel(own_groups, {path under /sys/fs/cgroup: text}), 1000 MiB free."""

    def write(own, files):
        meminfo, groups, top = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "sys"
        meminfo.write_text(f"MemTotal: 9 kB\nMemAvailable:   {1000 * 1024} kB\n")
        if own is not None:
            groups.write_text(own)
        for name, text in files.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(text)
        monkeypatch.setattr(_memory, "MEMINFO", meminfo)
        monkeypatch.setattr(_memory, "OWN_GROUPS", groups)
        monkeypatch.setattr(_memory, "GROUPS", top)
        return _memory.available_memory() / MIB

    return write


def unified(folder="", limit="max", high=None, used=0, cache=0):
    files = {
        f"{folder}memory.max": f"{limit}\n",
        f"{folder}memory.current": f"{used * MIB}\n",
        f"{folder}memory.stat": f"anon 7\ninactive_file {cache * MIB}\nactive_file 9\n",
    }
    return files | ({f"{folder}memory.high": f"{high}\n"} if high is not None else {})


def test_without_a_limit_the_machine_decides(kernel):
    assert kernel("0::/\n", unified()) == 1000
    assert kernel(None, {}) == 1000
    assert kernel("0::/user.slice\n1:cpu,cpuacct:/x\n", {}) == 1000


def test_a_containers_limit_counts_less_what_it_uses_and_cannot_give_back(kernel):
    assert kernel("0::/\n", unified(limit=600 * MIB, used=350, cache=100)) == 350
    assert kernel("0::/\n", unified(limit=600 * MIB, high=400 * MIB, used=100)) == 300
    assert kernel("0::/\n", unified(limit=600 * MIB, high="max", used=700)) == 0
    assert kernel("0::/\n", unified(limit=6000 * MIB)) == 1000  # the machine has less


def test_a_limit_of_any_group_above_counts(kernel):
    files = unified("a/b/", limit=900 * MIB) | unified("a/", limit=500 * MIB, used=100) | unified("", limit="max")
    assert kernel("0::/a/b\n", files) == 400


def test_a_path_of_the_host_that_is_not_there_falls_back_to_the_top(kernel):
    assert kernel("0::/docker/0123abcd\n", unified(limit=200 * MIB)) == 200


def test_the_older_hierarchy_is_read_too(kernel):
    files = {
        "memory/job/memory.limit_in_bytes": f"{300 * MIB}\n",
        "memory/job/memory.usage_in_bytes": f"{200 * MIB}\n",
        "memory/job/memory.stat": f"inactive_file 1\ntotal_inactive_file {50 * MIB}\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    assert kernel("11:devices:/job\n9:memory:/job\n", files) == 150


def test_a_model_that_fits_the_machine_but_not_the_container_is_refused(kernel):
    kernel("0::/\n", unified(limit=10 * MIB))
    with pytest.raises(ValueError, match=r"are available; use fewer atoms"):
        evaluate(MRP([[0.5, 0.5], [0.5, 0.5]], [0.0, 1.0], 0.9), CategoricalFixedPoint(100_001))
