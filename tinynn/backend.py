"""NumPy or CuPy: which library an array belongs to, and the one door between them.

Everything in tinynn asks here for its array library, once per object or public call, and then
writes ``xp.exp``, ``xp.matmul`` ... for both. Arrays cross between host and device only through
`asarray` and `to_numpy`, never silently.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # a numpy.ndarray or a cupy.ndarray; CuPy is optional, so its type cannot be named here

BACKENDS = ("numpy", "cupy")


class BackendError(ImportError):
    """The array library asked for is not installed or finds no device."""


def _find_library(kind: type) -> str | None:
    """Name of the array library whose arrays or scalars have this type, or None."""
    package = kind.__module__.partition(".")[0]
    return package if package in BACKENDS and hasattr(kind, "dtype") else None


_library: Callable[[type], str | None] = functools.cache(_find_library)


def get_array_module(*arrays: Any, **named: Any) -> ModuleType:
    """The array library of the arguments: the module ``numpy`` or ``cupy``.

    Arguments that are no arrays (numbers, lists) fit either library. Pass arrays by keyword to
    have an error name them.

    Raises
    ------
    TypeError
        If NumPy and CuPy arrays are mixed; names one argument of each kind.
    """
    names = {f"argument {i}": x for i, x in enumerate(arrays)} | named
    kinds = {name: kind for name, x in names.items() if (kind := _library(type(x)))}
    first = next(iter(kinds), None)
    for name, kind in kinds.items():
        if first is not None and kind != kinds[first]:
            raise TypeError(
                f"{first} is a {kinds[first]} array but {name} is a {kind} array; "
                "move one with tinynn.backend.asarray(x, backend=...) or to_numpy(x)"
            )
    return get_backend(kinds[first]) if first is not None else np


def get_backend(name: str) -> ModuleType:
    """The array library called `name` ("numpy" or "cupy"), ready to use.

    Raises
    ------
    ValueError
        If there is no such backend.
    BackendError
        If CuPy is missing or finds no CUDA device; says what to install.
    """
    if name == "numpy":
        return np
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}; got {name!r}")
    try:
        xp = importlib.import_module(name)
    except ImportError as error:
        raise BackendError(
            f'backend "{name}" is not installed: pip install "tinynn[gpu]" (CUDA 13), '
            "or the wheel of CuPy 14 or later that fits your CUDA version"
        ) from error
    if name == "cupy":
        try:
            xp.cuda.runtime.getDeviceCount()
        except xp.cuda.runtime.CUDARuntimeError as error:
            raise BackendError(
                f'backend "cupy" is installed but finds no CUDA device ({error}); '
                'install an NVIDIA driver that fits it, or use backend="numpy"'
            ) from error
    return xp


def asarray(x: Any, backend: str = "numpy", dtype: object = None) -> Array:
    """`x` as an array of the given backend and dtype; copied only if something has to change.

    Raises
    ------
    ValueError, BackendError
        As `get_backend`.
    """
    xp = get_backend(backend)
    if _library(type(x)) not in (None, backend):
        x = to_numpy(x)
    return xp.asarray(x, dtype=dtype)


def to_numpy(x: Any) -> np.ndarray:
    """`x` as a NumPy array on the host; a NumPy array is returned as it is."""
    if _library(type(x)) in (None, "numpy"):
        return np.asarray(x)
    return x.get()


class OnBackend:
    """An object that computes with one array library, `xp`; it can be copied and pickled.

    Modules cannot be pickled, so the name of the library stands for it.
    """

    xp: ModuleType = np

    def __getstate__(self) -> dict[str, Any]:
        return {k: v.__name__ if k == "xp" else v for k, v in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "xp" in state:
            self.xp = get_backend(state["xp"])
