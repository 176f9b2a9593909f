"""How much memory is free, asked before a long computation starts rather than found out hours later."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tinynn.backend import Array, get_backend

# Of a group of processes, in Linux's second and first version of these: the folder, its files with the
# limit and the use, and the entry of memory.stat with the part of the use that is idle copies of files on the
# disk, which Linux drops when it needs the room.
CONTAINER = [
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
]


def empty_square(n: int, remedy: str, backend: str = "numpy") -> Array:
    """An uninitialised matrix (n, n) of float64, if there is room for it.

    Parameters
    ----------
    n : int
    remedy : str
        What one can do where there is not.
    backend : str
        "numpy" or "cupy".

    Raises
    ------
    MemoryError
        With n, the bytes wanted and those available; `remedy` ends the message.
    """
    xp = get_backend(backend)
    available = available_bytes(backend)
    message = f"a matrix of {n} x {n} numbers takes {8e-9 * n * n:.2f} GB; {{}}: {remedy}"
    if available is not None and 8 * n * n > available:
        raise MemoryError(message.format(f"{1e-9 * available:.2f} GB are available"))
    try:
        return xp.empty((n, n))
    except MemoryError as error:  # a limit that only the system knows; CuPy's error is one as well
        raise MemoryError(message.format("the system refuses that much")) from error


def available_bytes(backend: str = "numpy") -> int | None:
    """Memory that a new array of this backend could take, at most; None where nothing says so.

    On Linux what the kernel estimates, or what the limit of a container leaves if that is less;
    elsewhere the memory of the machine, whoever else uses it.
    """
    xp = get_backend(backend)
    if hasattr(xp, "cuda"):
        free, _ = xp.cuda.runtime.memGetInfo()
        return int(free) + xp.get_default_memory_pool().free_bytes()  # which CuPy keeps for its next arrays
    limits = [available for source in (_machine, _container) if (available := source()) is not None]
    return min(limits, default=None)


def _machine() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text()
        return 1024 * int(text.partition("MemAvailable:")[2].split()[0])
    except (OSError, IndexError, ValueError):
        if sys.platform == "win32":
            return None
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError):
            return None


def _container() -> int | None:
    for folder, limit, use, idle in CONTAINER:
        try:
            stat = dict(line.split() for line in Path(folder, "memory.stat").read_text().splitlines())
            left = int(Path(folder, limit).read_text()) - int(Path(folder, use).read_text())
            return left + int(stat[idle])
        except (OSError, ValueError, KeyError):  # no such file, or the limit "max"
            continue
    return None
