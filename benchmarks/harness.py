"""Times that can be compared: contestants run in turns, and the ratio is taken turn by turn.

Whatever slows the machine down for a while then slows all contestants down.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tqdm import tqdm

from tinynn.backend import asarray, get_backend, to_numpy

OURS = "tinynn"
PEERS = {  # as they are called here, and as the distributions are called that bring them
    "torch": "torch",
    "jax": "jax",
    "sklearn": "scikit-learn",
    "thinc": "thinc",
    "scipy": "scipy",
    "numpy": "numpy",
}
# No contestants: what their times are held against.
PRODUCTS, BYTES, TRANSFERS, START = LIMITS = (
    "matrix products",  # of the same sizes, into arrays made beforehand
    "bytes alone",  # what the work has to read and to write, copied
    "transfers",  # what the work has to start from, moved to the device and back
    "import numpy",  # a fresh Python that imports NumPy
)
ROUNDS = 9
PAUSE = 0.1  # seconds until the idle threads of the last contestant's BLAS no longer spin

Contestant = Callable[[], Sequence[float]]  # does the work once, returns its losses
Build = Callable[[Any, str], Contestant]  # from a problem and the name of a backend


@dataclass(frozen=True)
class Target:
    """The ratio of tinynn's time to a contestant's that we want to stay below.

    Attributes
    ----------
    contestant : str
    ratio : float
    size : int, optional
        The size it is meant for; by default every size.
    backend : str
        The backend it is meant for.
    """

    contestant: str
    ratio: float
    size: int | None = None
    backend: str = "numpy"

    def meant_for(self, contestants: Collection[str], size: int | None, backend: str) -> bool:
        """Whether it applies to one of these contestants, at this size, on this backend."""
        return self.contestant in contestants and self.size in (None, size) and self.backend == backend


@dataclass(frozen=True)
class Workload:
    """What is timed.

    Attributes
    ----------
    what : str
        In words.
    problems : sequence of dataclasses
        From which the contestants are built: one, or several of rising size. On a device, the
        arrays that `problem.data()` returns, if it has that method, are what TRANSFERS moves.
    unit : str
        What a time is given for.
    contestants : {name: function of (problem, backend)}
        Each returns a function that does the work once. A name is OURS, one of LIMITS, or begins
        with a peer: "jax", "jax (scan)".
    size : str, optional
        The attribute of the problems that is their size, a number.
    units : function of a problem
        How many of `unit` one run has.
    targets : sequence of Target
    on_request : bool
        Whether it runs only if it is named, because it needs much time or room. Then it also warms
        up only once.
    rounds : int
        How often each contestant runs.
    """

    what: str
    problems: Sequence[Any]
    unit: str
    contestants: Mapping[str, Build]
    size: str | None = None
    units: Callable[[Any], int] = lambda problem: 1
    targets: Sequence[Target] = ()
    on_request: bool = False
    rounds: int = ROUNDS


def peer_of(contestant: str) -> str | None:
    """The peer to which a contestant belongs: jax for "jax (scan)"; None for OURS and LIMITS."""
    name = contestant.partition(" (")[0]
    return name if name in PEERS else None


def measure(
    workload: Workload,
    peers: Collection[str] = tuple(PEERS),
    backend: str = "numpy",
    rounds: int | None = None,
) -> dict[str, Any]:
    """Run the contestants in turns, size by size; returns the record that is printed and kept as JSON.

    Peers that are not installed are left out; the record says which.

    Raises
    ------
    ValueError
        If the contestants do not do the same work: their losses differ.
    """
    xp = get_backend(backend)
    sizes: list[dict[str, Any]] = []
    peers_met: set[str] = set()
    missing: dict[str, str] = {}
    for problem in workload.problems:
        runs, absent = enter(workload, problem, peers, backend)
        check_same_losses({name: run() for name, run in runs.items()})
        size = getattr(problem, workload.size) if workload.size else None
        label = None if size is None else f"{workload.size} = {size}"
        turns = tqdm(range(rounds or workload.rounds), desc=label, unit="round", leave=False, disable=None)
        seconds = {
            name: times / workload.units(problem)
            for name, times in take_turns(runs, turns, xp, warm_up=not workload.on_request).items()
        }
        sizes.append(
            {
                "size": size,
                "problem": asdict(problem),
                "seconds": {n: summary(times) | {"rounds": rounded(times)} for n, times in seconds.items()},
                "ratios": {n: summary(seconds[OURS] / times) for n, times in seconds.items() if n != OURS},
                "targets": {
                    t.contestant: t.ratio for t in workload.targets if t.meant_for(runs, size, backend)
                },
            }
        )
        peers_met |= {peer for name in runs if (peer := peer_of(name))}
        missing |= absent
        del runs  # makes room for the next size
    return {
        "what": workload.what,
        "size": workload.size,
        "unit": workload.unit,
        "backend": backend,
        "sizes": sizes,
        "missing": missing,
        "machine": machine(backend, peers_met),
    }


def enter(
    workload: Workload, problem: Any, peers: Collection[str], backend: str
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """The contestants that can take part, and the reasons why peers cannot."""
    builds = dict(workload.contestants)
    if backend != "numpy" and hasattr(problem, "data"):
        builds[TRANSFERS] = transfers
    runs, missing = {}, {}
    for name, build in builds.items():
        peer = peer_of(name)
        if peer is None:
            runs[name] = build(problem, backend)
        elif peer in peers:
            try:
                runs[name] = build(problem, backend)
            except ImportError as error:
                missing[peer] = str(error)
    return runs, missing


def take_turns(
    runs: Mapping[str, Contestant], turns: Iterable[int], xp: ModuleType, warm_up: bool
) -> dict[str, np.ndarray]:
    """Seconds of each contestant in each turn.

    Warming up before each reading of the clock gives everybody caches and memory of their own. It
    matters: a virtual machine that takes back memory after a second makes whoever comes next pay.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in turns:
        for name, run in runs.items():
            time.sleep(PAUSE)
            if warm_up:
                run()
            start = clock(xp)
            run()
            seconds[name].append(clock(xp) - start)
    return {name: np.array(times) for name, times in seconds.items()}


def transfers(problem: Any, backend: str) -> Contestant:
    """The arrays of the problem, to the device and back."""
    arrays = problem.data()

    def run() -> Sequence[float]:
        for array in arrays:
            to_numpy(asarray(array, backend))
        return []

    return run


def clock(xp: ModuleType) -> float:
    """Seconds, read when the device has done all that it was asked for.

    `cupyx.profiler.benchmark` does not fit: it repeats one function, where contestants have to take
    turns, and its events see CuPy's stream alone. The device waits for the streams of every library.
    """
    if hasattr(xp, "cuda"):
        xp.cuda.runtime.deviceSynchronize()
    return time.perf_counter()


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


def probe(values: Any) -> list[float]:
    """A few numbers of a result, in which contestants have to agree."""
    return to_numpy(values).ravel()[:: max(1, values.size // 5)].tolist()


def summary(values: np.ndarray) -> dict[str, float]:
    """Median and quartiles of the rounds."""
    return dict(zip(("low", "median", "high"), rounded(np.quantile(values, [0.25, 0.5, 0.75])), strict=True))


def rounded(values: np.ndarray) -> list[float]:
    """Five digits; no clock gives more."""
    return [float(f"{value:.5g}") for value in values]


def machine(backend: str, peers: Collection[str]) -> dict[str, Any]:
    """Date, versions, processor, and the numbers of threads as they come by default."""
    xp = get_backend(backend)
    versions = {"python": platform.python_version(), backend: xp.__version__, OURS: version(OURS)}
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions | {peer: version(PEERS[peer]) for peer in sorted(peers)},
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads(),
    }
    return about | ({"device": device(xp)} if hasattr(xp, "cuda") else {})


def device(xp: ModuleType) -> str:
    """Name of the GPU, and the version of CUDA that drives it."""
    name = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
    cuda = xp.cuda.runtime.runtimeGetVersion()  # 13010 is 13.1
    return f"{name}, CUDA {cuda // 1000}.{cuda % 1000 // 10}"


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
