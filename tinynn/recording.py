"""A computation on arrays, recorded while it runs once, then repeated with nothing between its calls.

What CUDA graphs do for a GPU, for both array libraries. While a `Recording` is made, `Traced` arrays stand
for the real ones. Whatever NumPy function, method or operator is used on them computes as always, and is
noted down with the arrays it read and the one it wrote. To repeat it all with other numbers, write them into
the arrays and call `Recording.replay`: the same calls, into the same memory, without attributes to look up,
shapes to check or arrays to allocate. What no recording could repeat (a value used as a Python number, an
array from somewhere else) is an error.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinynn.backend import Array, get_array_module


def repeatable(part: Any) -> bool:
    """Whether a layer, loss or rule does nothing but calls of the array library, as far as can be known.

    A class or a method of somebody's own may print, count or draw, and no recording would do so again.
    """
    own = type(part).__module__.partition(".")[0] == "tinynn"
    methods = {name for name, x in vars(part).items() if callable(x) and not name.startswith("_")}
    replaced = any(callable(getattr(type(part), name, None)) for name in methods)
    return own and getattr(part, "recordable", True) and not replaced


class Call(NamedTuple):
    """One call of the array library: out = function(*arrays_and_numbers, **options)."""

    name: str  # of NumPy's function, "add.reduce" for a ufunc's method
    arguments: tuple[Any, ...]
    out: Array
    options: dict[str, Any]


class Recording:
    """The calls that were made on the `Traced` arrays of one computation.

    Attributes
    ----------
    calls : list of Call
        In their order.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._run: list[Callable[[], Any]] = []

    def replay(self) -> None:
        """Make all calls once more."""
        for call in self._run:
            call()

    def trace(self, array: Array) -> Traced:
        """Stands for `array` in what is to be recorded."""
        if isinstance(array, np.generic):
            raise TypeError(f"a scalar, {array!r}, is a copy: a recording would not see it change")
        return Traced(array, self)

    def record(
        self,
        function: Any,
        arguments: Sequence[Any],
        out: Traced | None,
        options: dict[str, Any],
        method: str = "",
    ) -> Traced:
        """Make the call with the real arrays, note it down, and return what it wrote."""
        if not (isinstance(function, np.ufunc) or function in FUNCTIONS) or options.keys() - OPTIONS:
            raise TypeError(f"{function.__name__} with {options} cannot be recorded")
        flat = [x for some in (*arguments, out) for x in (some if isinstance(some, list) else [some])]
        traced = [x.array for x in flat if isinstance(x, Traced)]
        xp = get_array_module(*traced)
        dtype = options.get("dtype") or np.result_type(*{x.dtype for x in traced})
        real = [_real(x, xp, dtype) for x in arguments]
        name = function.__name__ + method
        call = getattr(xp, function.__name__)
        if method or (function in REDUCTIONS and xp is np):
            options = {"axis": None if function in REDUCTIONS else 0} | options
            call = REDUCTIONS.get(function, call).reduce  # np.sum itself is a slow way to np.add.reduce
        result = call(*real, **options) if out is None else call(*real, **options, out=out.array)
        result = xp.asarray(result)  # NumPy returns arrays without dimensions as scalars
        self.calls.append(Call(name, tuple(real), result, options))
        self._run.append(_ready(call, real, options, result))
        return Traced(result, self)

    def convert(self, array: Array, dtype: object) -> Traced:
        """Record ``array.astype(dtype)``."""
        result = array.astype(dtype, casting="same_kind")
        self.calls.append(Call("astype", (array,), result, {}))
        self._run.append(functools.partial(get_array_module(array).copyto, result, array))
        return Traced(result, self)


def _ready(
    call: Callable[..., Any], arguments: list[Any], options: dict[str, Any], out: Array
) -> Callable[[], Any]:
    """The call with all its arguments, by position where NumPy allows: names cost half as much again."""
    if call is np.dot:  # whose method does not ask whether other libraries want to answer
        return functools.partial(arguments[0].dot, arguments[1], out)
    if isinstance(call, np.ufunc) and not options and call not in (np.maximum, np.minimum):
        return functools.partial(call, *arguments, out)
    if call in (np.add.reduce, np.maximum.reduce):
        return functools.partial(call, *arguments, options["axis"], None, out, options.get("keepdims", False))
    return functools.partial(call, *arguments, **options, out=out)


def _real(x: Any, xp: ModuleType, dtype: np.dtype) -> Any:
    """An argument as the array library takes it; a Python number as NumPy would take it in every call."""
    if isinstance(x, Traced):
        return x.array
    if isinstance(x, list):
        return [_real(one, xp, dtype) for one in x]
    if isinstance(x, np.number):
        return xp.asarray(x)
    if isinstance(x, (int, float)) and dtype.kind == "f":
        return xp.asarray(x, dtype)
    if isinstance(x, str):  # einsum's
        return x
    raise TypeError(f"a recording needs arrays that are part of it and numbers; got {type(x).__name__} {x!r}")


# what writes its result where it is told to
FUNCTIONS = (np.dot, np.matmul, np.sum, np.max, np.min, np.clip, np.einsum, np.concatenate)
OPTIONS = {"axis", "keepdims", "dtype"}
REDUCTIONS = {np.sum: np.add, np.max: np.maximum, np.min: np.minimum}
CONSTANTS = (np.zeros_like, np.ones_like, np.full_like)


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """An array whose uses are recorded: operators and NumPy's functions work, numbers do not get out."""

    def __init__(self, array: Array, recording: Recording) -> None:
        self.array, self.recording = array, recording

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (None,), **options: Any
    ) -> Any:
        if method not in ("__call__", "reduce"):
            raise TypeError(f"{ufunc.__name__}.{method} cannot be recorded")
        return self.recording.record(ufunc, inputs, out[0], options, ".reduce" * (method == "reduce"))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if function in CONSTANTS:  # computed now, once for all
            make = getattr(get_array_module(self.array), function.__name__)
            return Traced(make(args[0].array, *args[1:], **kwargs), self.recording)
        out = kwargs.pop("out", None)
        return self.recording.record(function, args, out, kwargs)

    def _view(self, result: Array) -> Traced:
        if not get_array_module(result).may_share_memory(result, self.array):
            raise TypeError("a copy that a recording would not repeat")
        return Traced(result, self.recording)

    def __getitem__(self, index: Any) -> Traced:
        return self._view(self.array[index])

    def reshape(self, *shape: Any) -> Traced:
        """The same memory in another shape."""
        return self._view(self.array.reshape(*shape))

    @property
    def T(self) -> Traced:
        """The same memory, transposed."""
        return self._view(self.array.T)

    @property
    def mT(self) -> Traced:
        """The same memory, each matrix of a stack transposed."""
        return self._view(self.array.mT)

    def astype(self, dtype: object) -> Traced:
        """Another dtype, recorded."""
        return self.recording.convert(self.array, dtype)

    def sum(self, **options: Any) -> Traced:
        """As np.sum, recorded."""
        return np.sum(self, **options)

    def max(self, **options: Any) -> Traced:
        """As np.max, recorded."""
        return np.max(self, **options)

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("the numbers of an array cannot be read while a computation is recorded")

    __float__ = __bool__ = __int__ = __index__ = __array__

    @property
    def shape(self) -> tuple[int, ...]:
        """As of the array it stands for."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """As of the array it stands for."""
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype:
        """As of the array it stands for."""
        return self.array.dtype
