"""Checks of what users pass in: one error message per mistake, before anything is changed.

Every message names the argument, what was seen and what was wanted.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from numbers import Real

import numpy as np

from tinynn.backend import Array, get_array_module


def check_array(
    x: object,
    name: str,
    *,
    ndim: int | Sequence[int] | None = None,
    shape: Sequence[int | None] | None = None,
    dtype: object = None,
    finite: bool = True,
    empty: bool = False,
    objects: bool = False,
    like: Array = None,
) -> Array:
    """`x` as a floating-point array that is safe to compute with.

    Integers and booleans become float64, float32 and float64 are kept, `dtype` overrules both.

    Parameters
    ----------
    x : array_like
    name : str
        What the caller's signature calls it, for the message.
    ndim : int or several, optional
        Allowed numbers of dimensions.
    shape : sequence of int or None, optional
        Wanted shape; None matches any length.
    dtype : dtype, optional
    finite, empty : bool
        Whether NaN and inf are refused, whether arrays without elements are allowed.
    objects : bool
        Whether an array of Python objects that are numbers is let through, as estimators do.
    like : array, optional
        An array of the model; `x` has to come from the same library, a list becomes an array of it.

    Raises
    ------
    TypeError
        Sparse or text data, objects that are no numbers; an array of another library than `like`.
    ValueError
        Complex data, wrong shape, no elements, NaN or inf.
    """
    check_dense(x, name)
    xp = get_array_module(**{name: x}) if like is None else get_array_module(**{name: x}, model=like)
    try:
        a = xp.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: its rows have different lengths") from error
    if a.dtype.kind == "c":
        raise ValueError(f"{name} is complex ({a.dtype}). Complex data not supported: pass real numbers")
    if a.dtype.kind == "O" and objects:
        try:
            a = xp.asarray([float(value) for value in a.ravel()]).reshape(a.shape)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} has dtype object; wanted real numbers, but {error}") from error
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {a.dtype}; wanted real numbers")
    if ndim is not None and a.ndim not in np.atleast_1d(ndim):
        wanted = " or ".join(str(n) for n in np.atleast_1d(ndim))
        raise ValueError(f"{name} has {a.ndim} dimensions (shape {a.shape}); wanted {wanted}")
    if shape is not None and (
        a.ndim != len(shape)
        or any(want is not None and have != want for have, want in zip(a.shape, shape, strict=True))
    ):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} has shape {a.shape}; wanted ({wanted})")
    if not empty and a.size == 0:
        raise ValueError(f"{name} is empty (shape {a.shape}); at least one element is needed")
    if dtype is None:
        dtype = a.dtype if a.dtype in (np.float32, np.float64) else np.float64
    with np.errstate(over="ignore"):  # what is too large for the dtype becomes inf, and is refused as such
        a = a.astype(dtype, copy=False)
    if finite and not xp.isfinite(a).all():
        raise ValueError(
            f"{name} contains {_describe_nonfinite(a)}; every element has to be finite in {a.dtype}"
        )
    return a


def check_dense(x: object, name: str) -> None:
    """Raise TypeError if `x` is a sparse matrix, which NumPy would wrap up as one single object."""
    if hasattr(x, "tocsr"):
        raise TypeError(f"{name} is a sparse matrix; tinynn works on dense arrays: pass {name}.toarray()")


def _describe_nonfinite(a: Array) -> str:
    """Say how many NaN and inf there are and where the first one is."""
    xp = get_array_module(a)
    bad = ~xp.isfinite(a)
    first = tuple(int(i[0]) for i in xp.nonzero(bad)) if a.ndim else ()
    kinds = [f"{int(n)} {kind}" for kind, n in (("NaN", xp.isnan(a).sum()), ("inf", xp.isinf(a).sum())) if n]
    return f"{' and '.join(kinds)}, the first at index {first}"


def check_same_length(**arrays: Array) -> int:
    """The common number of samples M of the named arrays.

    Raises
    ------
    ValueError
        If they differ; names the arrays and their lengths.
    """
    lengths = {name: len(a) for name, a in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise ValueError(f"the number of samples differs: {listed}")
    return next(iter(lengths.values()))


def check_number(
    x: float, name: str, *, low: float = -np.inf, high: float = np.inf, closed: str = "both"
) -> float:
    """`x` as a float within [low, high]; `closed` is "both", "left", "right" or "neither".

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is NaN or outside the interval.
    """
    if getattr(x, "ndim", None) == 0:  # an array's scalar
        x = x.item()  # type: ignore[attr-defined]
    if not isinstance(x, Real):
        raise TypeError(f"{name} must be a number; got {x!r}")
    value = float(x)
    above = value >= low if closed in ("both", "left") else value > low
    below = value <= high if closed in ("both", "right") else value < high
    if not (above and below):
        left, right = "[" if closed in ("both", "left") else "(", "]" if closed in ("both", "right") else ")"
        raise ValueError(f"{name} must lie in {left}{low:g}, {high:g}{right}; got {x!r}")
    return value


def check_integer(x: int, name: str, *, low: int | None = None) -> int:
    """`x` as an int not below `low`.

    Raises
    ------
    TypeError
        If it is not an integer (NumPy integers count, floats and booleans do not).
    ValueError
        If it is too small.
    """
    try:
        value = operator.index(x)
    except TypeError:
        value = None
    if value is None or isinstance(x, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer; got {x!r}")
    if low is not None and value < low:
        raise ValueError(f"{name} must be at least {low}; got {value}")
    return value


def check_labels(y: object, name: str) -> Array:
    """`y` as integer labels (M,); one column (M, 1) counts as a vector, 1.0 and True as 1.

    Raises
    ------
    TypeError
        Sparse or text data, objects that are no numbers.
    ValueError
        Complex data, several columns, no elements, NaN or inf, or a value that is no integer.
    """
    a = check_array(y, name, ndim=(1, 2))
    if a.ndim == 2 and a.shape[1] != 1:
        raise ValueError(
            f"{name} has shape {a.shape}; wanted one label per sample: "
            f"for scores (M, K) of K classes pass {name}.argmax(axis=1)"
        )
    a = a.ravel()
    wrong = a % 1 != 0
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"{name}[{first}] is {float(a[first]):g}; wanted integer labels, no scores or probabilities"
        )
    return a.astype(np.int64)


def check_classes(n_classes: int | None, **labels: Array) -> int:
    """The number of classes K, by default the largest label + 1; all named labels lie in 0 .. K - 1.

    Raises
    ------
    TypeError, ValueError
        If `n_classes` is no positive integer, or a label lies outside; names the first such label.
    """
    if n_classes is None:
        n_classes = max(1, *(int(a.max()) + 1 for a in labels.values()))
    n_classes = check_integer(n_classes, "n_classes", low=1)
    for name, a in labels.items():
        wrong = (a < 0) | (a >= n_classes)
        if wrong.any():
            first = int(wrong.argmax())
            raise ValueError(
                f"{name}[{first}] is {int(a[first])}; "
                f"with {n_classes} classes the labels are 0 to {n_classes - 1}"
            )
    return n_classes
