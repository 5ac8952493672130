"""Whether arrays fit before they are allocated."""

import os


def available_memory() -> float:
    """Bytes that can be allocated without swapping; inf where the platform does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * float(line.split()[1])
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")


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
