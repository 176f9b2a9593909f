"""A stand-in for CuPy on machines without a GPU: an array library that refuses to mix with NumPy.

Its arrays keep their numbers in a hidden NumPy array and offer what CuPy's offer, no more. They are
no numpy.ndarray, and every way in which NumPy could touch them raises a TypeError, as does every
NumPy array handed to a function or an operator here. Only `asarray` and `array` let numbers in, only
`ndarray.get`, `item`, `tolist` and what Python makes of one element (float, bool, ...) let them out.
Code that runs on this library calls no NumPy function on an array of its backend, and none that CuPy lacks.

What differs from NumPy is as in CuPy 14, whose source was read for it:

- Elements and reductions are arrays without dimensions, not scalars. An element is a view: it changes when
  its array does.
- The factorisations of cuSOLVER return numbers without meaning where NumPy's raise LinAlgError, unless
  `cupyx.errstate` asks for errors.
- Shapes and other sizes are numbers of Python; an array of the library is none.
- A product writes into C-contiguous memory of its own dtype only.
- Some of NumPy's keywords are missing.

A GPU is waited for whenever numbers leave it, and numbers that enter cross a slow bus: `crossings` counts
both.
"""

import warnings
from collections import Counter
from types import SimpleNamespace

import numpy as np
import scipy.linalg
from numpy import bool_, float32, float64, inf, int32, int64, nan, newaxis, pi  # noqa: F401

crossings = Counter()  # by the way that was taken


class ndarray:
    """Numbers that NumPy must not see."""

    __array_ufunc__ = None  # NumPy's ufuncs and operators refuse the array
    __hash__ = None

    def __init__(self, host):
        if host.dtype.kind not in "biufc":
            raise ValueError(f"unsupported dtype {host.dtype}")
        self._host = host

    def __array__(self, *args, **kwargs):
        raise TypeError("NumPy wants to convert a strict array; only .get() does that")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} is called on a strict array")

    def get(self):
        return self._leaving("get").copy()

    def item(self):
        return self._leaving("item").item()

    def tolist(self):
        return self._leaving("tolist").tolist()

    def _leaving(self, way):
        crossings[way] += 1
        return self._host

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        index = _index(index)
        # what an ellipsis has indexed is a view, not a scalar of NumPy
        return ndarray(self._host[index if any(i is ... for i in index) else (*index, ...)])

    def __setitem__(self, index, value):
        _refuse_lists("assignment", value)
        self._host[_index(index)] = _host(value)

    def __bool__(self):
        return bool(self._leaving("bool"))

    def __float__(self):
        return float(self._leaving("float"))

    def __int__(self):
        return int(self._leaving("int"))

    def __repr__(self):
        return f"strict_array.{self._leaving('repr')!r}"

    def __format__(self, spec):
        return format(self._leaving("format"), spec)


def _host(x):
    """The numbers in x, where x may stand in a function's arguments or in an index."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError(f"a NumPy array of shape {x.shape} meets a strict array; asarray moves it")
    if isinstance(x, (list, tuple)):
        return type(x)(map(_host, x))
    return x


def _index(index):
    return tuple(map(_host, index if isinstance(index, tuple) else (index,)))


def _device(result):
    if isinstance(result, (np.ndarray, np.generic)):
        return ndarray(np.asarray(result))
    return tuple(map(_device, result)) if isinstance(result, tuple) else result


def _refuse_lists(name, *values):
    for value in values:
        if isinstance(value, (list, tuple)):
            raise TypeError(f"{name} wants an array or a number, not a {type(value).__name__}")


def _function(function):
    """The NumPy function for strict arrays, with the keywords that CuPy knows."""

    def call(*args, out=None, **kwargs):
        for keyword in NUMPY_ONLY.intersection(kwargs):
            raise TypeError(f"CuPy's {function.__name__} takes no {keyword}")
        args, kwargs = [_host(x) for x in args], {name: _host(x) for name, x in kwargs.items()}
        if out is None:
            return _device(function(*args, **kwargs))
        function(*args, **kwargs, out=_host(out))
        return out

    call.__name__ = call.__qualname__ = function.__name__
    return call


def _of_arrays(function):
    """A function that takes an array first, and no list for it."""
    call = _function(function)

    def checked(*args, **kwargs):
        _refuse_lists(function.__name__, *args[:1])
        return call(*args, **kwargs)

    return checked


def _of_sizes(function):
    """A function of Python's numbers; as those stand for places in memory, CuPy takes no array for them."""
    call = _function(function)

    def checked(size, *args, **kwargs):
        if any(isinstance(n, ndarray) for n in (size if isinstance(size, (list, tuple)) else [size])):
            raise TypeError(f"{function.__name__} wants sizes, not arrays: int(n) gets a number from the GPU")
        return call(size, *args, **kwargs)

    return checked


def _of_sequences(function):
    """A function that joins arrays, none of which may be a list."""
    call = _function(function)

    def checked(arrays, *args, **kwargs):
        _refuse_lists(f"{function.__name__}, for each of those it joins,", *arrays)
        return call(arrays, *args, **kwargs)

    return checked


def _unchecked(function):
    """A function that does not notice its failure, unless it is told to look."""
    call = _of_arrays(function)

    def checked(*args):
        try:
            return call(*args)
        except np.linalg.LinAlgError:
            if errstate.linalg == "raise":
                raise
            return args[-1].copy()  # of the right shape, at least

    return checked


def _method(name):
    def call(self, *args, **kwargs):
        result = _function(getattr(self._host, name))(*args, **kwargs)
        return self if isinstance(result, ndarray) and result._host is self._host else result

    return call


def _in_place(name):
    def call(self, other):
        _refuse_lists(name, other)
        getattr(self._host, name)(_host(other))
        return self

    return call


def _operator(name):
    def call(self, *others):
        _refuse_lists(name, *others)
        result = getattr(self._host, name)(*map(_host, others))
        return result if result is NotImplemented else _device(result)

    return call


NUMPY_ONLY = {"correction", "device", "initial", "kind", "like", "stable", "subok", "where"}
_ARITHMETIC = "add sub mul truediv floordiv mod pow matmul and or xor"
_COMPARISONS_AND_UNARY = "eq ne lt le gt ge neg pos abs invert"
_METHODS = """
    all any argmax argmin argsort astype clip copy cumprod cumsum diagonal fill flatten max mean min
    nonzero prod ravel repeat reshape round searchsorted sort squeeze std sum swapaxes take trace transpose
    var
"""
_ATTRIBUTES = "dtype shape ndim size itemsize nbytes flags"
_FUNCTIONS = """
    copyto may_share_memory
    abs absolute add all allclose amax amin any arccos arcsin arctan arctan2 argmax argmin argsort argwhere
    around array_equal ascontiguousarray atleast_1d atleast_2d average bincount broadcast_to cbrt ceil clip
    copy copysign corrcoef cos cosh count_nonzero cov cross cumprod cumsum diag diagonal diff digitize divide
    empty_like equal exp exp2 expand_dims expm1 flatnonzero flip floor floor_divide full_like greater
    greater_equal histogram hypot inner interp invert isclose isfinite isin isinf isnan kron less less_equal
    linspace log
    log10 log1p log2 logical_and logical_not logical_or matmul max maximum mean median min minimum mod
    moveaxis multiply nan_to_num nanmax nanmean nanmin nansum negative nonzero not_equal ones_like outer
    percentile power prod quantile ravel reciprocal remainder repeat reshape roll rollaxis rot90 round
    searchsorted shape sign sin sinc sinh size sort sqrt square squeeze std subtract sum swapaxes take
    take_along_axis tan tanh tensordot tile trace transpose tril triu true_divide unique var vdot where
    zeros_like
"""
_LINALG = "det eigh eigvalsh lstsq norm pinv qr slogdet svd"
_UNCHECKED = "cholesky inv solve"
_SIZES = "arange empty eye full identity indices linspace ones tri tril_indices triu_indices zeros"
_SEQUENCES = "column_stack concatenate hstack stack vstack"
_ANYTHING = "einsum ix_ meshgrid"
for _name in _ARITHMETIC.split():
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(ndarray, f"__r{_name}__", _operator(f"__r{_name}__"))
    setattr(ndarray, f"__i{_name}__", _in_place(f"__i{_name}__"))
for _name in _COMPARISONS_AND_UNARY.split():
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in _METHODS.split():
    setattr(ndarray, _name, _method(_name))
for _name in _ATTRIBUTES.split():
    setattr(ndarray, _name, property(lambda self, name=_name: getattr(self._host, name)))
ndarray.T = property(lambda self: ndarray(self._host.T))
ndarray.mT = property(lambda self: ndarray(self._host.mT))
ndarray.base = property(lambda self: self._host.base)
ndarray.dot = lambda self, b, out=None: dot(self, b, out)

linalg = SimpleNamespace(
    **{name: _of_arrays(getattr(np.linalg, name)) for name in _LINALG.split()},
    **{name: _unchecked(getattr(np.linalg, name)) for name in _UNCHECKED.split()},
)
_API = {
    name: wrap(getattr(np, name))
    for wrap, names in (
        (_of_arrays, _FUNCTIONS),
        (_of_sizes, _SIZES),
        (_of_sequences, _SEQUENCES),
        (_function, _ANYTHING),
    )
    for name in names.split()
}


def __getattr__(name):  # not globals, where any, sum ... would hide Python's own
    if name in _API:
        return _API[name]
    raise AttributeError(f"strict_array has no {name}; if CuPy has it, add it to the list")


def array(x, dtype=None, copy=True):
    """A strict array of numbers from anywhere, as a copy."""
    if not isinstance(x, ndarray):
        crossings["array"] += 1
    return ndarray(np.array(x._host if isinstance(x, ndarray) else x, dtype=dtype))


def asarray(x, dtype=None):
    """As `array`, but an array that has the dtype already is returned itself."""
    if isinstance(x, ndarray) and dtype in (None, x.dtype):
        return x
    return array(x, dtype)


def dot(a, b, out=None):
    """The product, into memory of its own kind."""
    if out is not None:
        if out.dtype != np.result_type(a.dtype, b.dtype):
            raise ValueError(f"dot of {a.dtype} and {b.dtype} does not fit into {out.dtype}")
        if not out.flags.c_contiguous:
            raise ValueError("dot writes into C-contiguous arrays only")
    return _of_arrays(np.dot)(a, b, out=out)


# The package cupyx, of which tinynn uses these


class errstate:
    """Whether `linalg.cholesky` and others look for their failure: ``with errstate(linalg="raise")``."""

    linalg = "ignore"

    def __init__(self, *, linalg):
        self.wanted = linalg

    def __enter__(self):
        self.before, errstate.linalg = errstate.linalg, self.wanted

    def __exit__(self, *error):
        errstate.linalg = self.before


def _solve_triangular(a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=False):
    b = b.astype(a.dtype)  # not what both have in common
    if 0 in b.shape:
        return b
    try:
        x = scipy.linalg.solve_triangular(
            _host(a), _host(b), trans, lower, unit_diagonal, check_finite=check_finite
        )
    except np.linalg.LinAlgError:  # cuBLAS divides by zero
        return ndarray(np.full(b.shape, np.inf, b.dtype))
    return ndarray(np.asfortranarray(x))


def _lu_factor(a, overwrite_a=False, check_finite=True):
    (getrf,) = scipy.linalg.get_lapack_funcs(("getrf",), (_host(a),))
    LU, swaps, info = getrf(_host(a))
    if info > 0:
        warnings.warn(
            f"Diagonal number {info} is exactly zero. Singular matrix.", RuntimeWarning, stacklevel=2
        )
    return ndarray(LU), ndarray(swaps)


_scipy_linalg = SimpleNamespace(lu_factor=_lu_factor, solve_triangular=_solve_triangular)
_scipy = SimpleNamespace(linalg=_scipy_linalg)
cupyx = {  # as sys.modules lists it
    "cupyx": SimpleNamespace(errstate=errstate, scipy=_scipy),
    "cupyx.scipy": _scipy,
    "cupyx.scipy.linalg": _scipy_linalg,
}
