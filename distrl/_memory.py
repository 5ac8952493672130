"""Whether arrays fit before they are allocated."""

import os
from pathlib import Path
from typing import NamedTuple

#: What the kernel says of the machine, of the control groups of this process, and where these are.
MEMINFO, OWN_GROUPS, GROUPS = Path("/proc/meminfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


class _Names(NamedTuple):
    """Files of a control group, and the entry of `statistics` that can be given back."""

    limits: tuple[str, ...]
    usage: str
    statistics: str
    reclaimable: str


_UNIFIED = _Names(("memory.max", "memory.high"), "memory.current", "memory.stat", "inactive_file")
_OLDER = _Names(("memory.limit_in_bytes",), "memory.usage_in_bytes", "memory.stat", "total_inactive_file")


def available_memory() -> float:
    """Bytes that can be allocated without swapping; inf where the platform does not say.

    The least of what is free on the machine and what the process's control groups (a container's limit, a batch job's)
    leave it; the file cache that a group can give back counts as free.
    """
    return min(_free_on_the_machine(), *(_left_in(folder, names) for folder, names in _own_groups()), float("inf"))


def _free_on_the_machine() -> float:
    try:
        for line in MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * float(line.split()[1])
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _own_groups() -> list[tuple[Path, _Names]]:
    """Folders of the process's control groups and of all that hold them: a limit of any of them holds.

    Within a container the path is often one of the host's, which is not there; the hierarchy's top is the group then.
    """
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[tuple[Path, _Names]] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, names = GROUPS, _UNIFIED
        elif "memory" in controllers.split(","):
            top, names = GROUPS / "memory", _OLDER
        else:
            continue
        group = top / path.lstrip("/")
        found += [(folder, names) for folder in (group, *group.parents) if folder == top or top in folder.parents]
    return found


def _left_in(folder: Path, names: _Names) -> float:
    limit = min(_number(folder / name) for name in names.limits)
    if limit == float("inf"):
        return limit
    used = _number(folder / names.usage)
    used = 0.0 if used == float("inf") else used
    try:
        for line in (folder / names.statistics).read_text(encoding="ascii").splitlines():
            if line.split()[0] == names.reclaimable:
                used -= float(line.split()[1])
    except OSError:
        pass
    return max(limit - max(used, 0.0), 0.0)


def _number(file: Path) -> float:
    """What a file of one number says; inf for "max" and where there is none."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return float("inf")
    return float("inf") if text == "max" else float(text)


def check_memory(states: int, atoms: int, arrays: float, mend: str) -> None:
    """Refuse `arrays` float64 arrays of (states, atoms) that do not fit.

    Raises
    ------
    ValueError
        Naming the sizes and what to do (`mend`).
    """
    needed, there = 8.0 * states * atoms * arrays, available_memory()
    if needed > there:
        raise ValueError(
            f"{states} states on {atoms} atoms need about {needed / 1e9:.3g} GB ({arrays:g} arrays of float64), "
            f"but {there / 1e9:.3g} GB are available; {mend}"
        )
