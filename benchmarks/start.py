"""What it takes until the first line of a program runs: a fresh Python that imports, and ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from benchmarks.harness import OURS, PEERS, START, Build, Contestant, Workload


@dataclass(frozen=True)
class Import:
    """The modules of tinynn that are imported."""

    modules: tuple[str, ...]


def fresh_python(*modules: str) -> Contestant:
    """Start a Python in which these modules are imported."""
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]

    def run() -> Sequence[float]:
        subprocess.run(command, check=True)
        return []

    return run


def tinynn_import(problem: Import, backend: str) -> Contestant:
    """The modules of the problem."""
    return fresh_python(*problem.modules)


def numpy_import(problem: Import, backend: str) -> Contestant:
    """NumPy, on which all the others stand."""
    return fresh_python("numpy")


def importing(peer: str, module: str) -> Build:
    """The contestant that imports a module of a peer."""

    def build(problem: Import, backend: str) -> Contestant:
        version(PEERS[peer])  # PackageNotFoundError, an ImportError, if it is not installed
        return fresh_python(module)

    return build


def _workload(modules: tuple[str, ...], **peers: str) -> Workload:
    return Workload(
        what=f"a fresh Python that does: import {', '.join(modules)}",
        problems=[Import(modules)],
        unit="start",
        contestants={
            OURS: tinynn_import,
            **{peer: importing(peer, module) for peer, module in peers.items()},
            START: numpy_import,
        },
    )


START_UP = {
    "import": _workload(("tinynn",), torch="torch", jax="jax", sklearn="sklearn", thinc="thinc"),
    "import-training": _workload(
        ("tinynn.nn", "tinynn.training"),
        torch="torch",
        jax="jax.numpy",
        sklearn="sklearn.neural_network",
        thinc="thinc.api",
    ),
}
