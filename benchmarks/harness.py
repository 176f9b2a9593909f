"""Times that can be compared: contestants run in turns, and the ratio is taken turn by turn.

Whatever slows the machine down for a while then slows all contestants down.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tinynn.backend import get_backend

OURS = "tinynn"
PRODUCTS, BYTES = LIMITS = ("matrix products", "reading")  # no contestants: bounds on what they could reach
ROUNDS = 9
PAUSE = 0.1  # seconds until the idle threads of the last contestant's BLAS no longer spin

Contestant = Callable[[], Sequence[float]]  # does the work once, returns its losses


@dataclass(frozen=True)
class Workload:
    """What is timed.

    Attributes
    ----------
    what : str
        In words.
    problem : dataclass
        The sizes, from which the contestants are built.
    unit, units : str, int
        What a time is given for, and how many of them one run has.
    contestants : {name: function of (problem, backend)}
        Each returns a function that does the work once.
    targets : {peer: ratio}
        tinynn's time over the peer's that we want to stay below.
    on_request : bool
        Whether it runs only if it is named, because it needs much time or room.
    """

    what: str
    problem: Any
    unit: str
    units: int
    contestants: Mapping[str, Callable[[Any, str], Contestant]]
    targets: Mapping[str, float]
    on_request: bool = False


def measure(
    workload: Workload, peers: Collection[str] = ("torch",), backend: str = "numpy", rounds: int = ROUNDS
) -> dict[str, Any]:
    """Run the contestants in turns; returns the record that `describe` prints and JSON keeps.

    Raises
    ------
    ValueError
        If the contestants do not do the same work: their losses differ.
    """
    runs: dict[str, Contestant] = {}
    missing = {}
    for name, build in workload.contestants.items():
        if name in (OURS, *LIMITS, *peers):
            try:
                runs[name] = build(workload.problem, backend)
            except ImportError as error:
                if name not in peers:
                    raise
                missing[name] = str(error)
    check_same_losses({name: run() for name, run in runs.items()})  # warms up as well
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            run()
            seconds[name].append((time.perf_counter() - start) / workload.units)
    ours = np.array(seconds[OURS])
    return {
        "what": workload.what,
        "problem": asdict(workload.problem),
        "unit": workload.unit,
        "backend": backend,
        "seconds": {name: summary(np.array(times)) for name, times in seconds.items()},
        "ratios": {name: summary(ours / times) for name, times in seconds.items() if name != OURS},
        "targets": {name: ratio for name, ratio in workload.targets.items() if name in runs},
        "missing": missing,
        "machine": machine(runs, backend),
    }


def check_same_losses(losses: Mapping[str, Sequence[float]]) -> None:
    """Make sure that contestants with losses have the same ones, up to what float32 rounds.

    Raises
    ------
    ValueError
        If they differ; shows them.
    """
    for name, theirs in losses.items():
        if len(theirs) and not np.allclose(losses[OURS], theirs, rtol=1e-3):
            raise ValueError(
                f"{name} does not do the work of {OURS}: its losses are {theirs}, not {losses[OURS]}"
            )


def summary(values: np.ndarray) -> dict[str, Any]:
    """Median and quartiles of the rounds, and the rounds themselves."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return {"low": low, "median": median, "high": high, "rounds": values.tolist()}


def machine(contestants: Collection[str], backend: str) -> dict[str, Any]:
    """Date, versions, processor, and the numbers of threads as they come by default."""
    versions = {"python": platform.python_version(), backend: get_backend(backend).__version__}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions | {name: version(name) for name in contestants if name not in LIMITS},
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads(),
    }


def processor() -> str:
    """Name of the processor, as Linux tells it, or the little that Python knows."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def threads() -> dict[str, int]:
    """Threads of each library of linear algebra in this process, as far as they can be asked."""
    found = {}
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        pass
    else:
        found = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
    if torch := sys.modules.get("torch"):
        found["torch"] = torch.get_num_threads()
    return found


def describe(record: Mapping[str, Any]) -> str:
    """The record in words, a line for every time and every ratio."""
    about = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    counts = ", ".join(f"{name} {n}" for name, n in about["threads"].items()) or "unknown"
    lines = [
        record["what"],
        f"  {versions}",
        f"  {about['processor']}, {about['cores']} cores; threads: {counts}",
    ]
    for name, seconds in record["seconds"].items():
        scale, unit = (1e6, "µs") if seconds["median"] < 1e-3 else (1e3, "ms")
        low, median, high = (scale * x for x in (seconds["low"], seconds["median"], seconds["high"]))
        lines.append(f"  {name:<24} {median:8.1f} {unit} / {record['unit']}   ({low:.1f} to {high:.1f})")
    for name, ratio in record["ratios"].items():
        low, median, high = ratio["low"], ratio["median"], ratio["high"]
        line = f"  {OURS + ' / ' + name:<24} {median:8.3f}   ({low:.3f} to {high:.3f})"
        if name in record["targets"]:
            target = record["targets"][name]
            line += f"   target {target:.2f}: {'met' if median <= target else 'missed'}"
        lines.append(line)
    lines += [
        f'  {name} left out: {why}; pip install "tinynn[bench]"' for name, why in record["missing"].items()
    ]
    return "\n".join(lines)
