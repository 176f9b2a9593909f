"""A stand-in for CuPy on machines without a GPU: an array library that refuses to mix with NumPy.

Its arrays keep their numbers in a hidden NumPy array and offer what CuPy's offer, no more. They are
no numpy.ndarray, and every way in which NumPy could touch them raises a TypeError, as does every
NumPy array handed to a function or an operator here. Only `asarray` and `array` let numbers in, only
`ndarray.get`, `item` and `tolist` let them out. Code that runs on this library calls no NumPy
function on an array of its backend, and none that CuPy lacks.

Reductions return arrays without dimensions, as CuPy's do, not scalars.
"""

from types import SimpleNamespace

import numpy as np
from numpy import bool_, float32, float64, inf, int32, int64, nan, newaxis, pi  # noqa: F401


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
        return self._host.copy()

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (_device(row) for row in self._host)

    def __getitem__(self, index):
        return _device(self._host[_host(index)])

    def __setitem__(self, index, value):
        self._host[_host(index)] = _host(value)

    def __bool__(self):
        return bool(self._host)

    def __float__(self):
        return float(self._host)

    def __int__(self):
        return int(self._host)

    def __repr__(self):
        return f"strict_array.{self._host!r}"

    def __format__(self, spec):
        return format(self._host, spec)


def _host(x):
    """The numbers in x, where x may stand in a function's arguments or in an index."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray) and x.ndim:
        raise TypeError(f"a NumPy array of shape {x.shape} meets a strict array; asarray moves it")
    if isinstance(x, (list, tuple)):
        return type(x)(map(_host, x))
    return x


def _device(result):
    if isinstance(result, (np.ndarray, np.generic)):
        return ndarray(np.asarray(result))
    return tuple(map(_device, result)) if isinstance(result, tuple) else result


def _function(function, sequences=False):
    """The NumPy function for strict arrays; where CuPy takes no list for an array, neither does it."""

    def call(*args, out=None, **kwargs):
        if args and isinstance(args[0], (list, tuple)) and not sequences:
            raise TypeError(f"{function.__name__} wants an array, not a {type(args[0]).__name__}")
        if out is None:
            return _device(function(*map(_host, args), **{name: _host(x) for name, x in kwargs.items()}))
        function(*map(_host, args), **{name: _host(x) for name, x in kwargs.items()}, out=_host(out))
        return out

    call.__name__ = call.__qualname__ = function.__name__
    return call


def _method(name):
    def call(self, *args, **kwargs):
        result = _function(getattr(self._host, name), sequences=True)(*args, **kwargs)
        return self if isinstance(result, ndarray) and result._host is self._host else result

    return call


def _in_place(name):
    def call(self, other):
        getattr(self._host, name)(_host(other))
        return self

    return call


def _operator(name):
    def call(self, *others):
        if any(isinstance(other, (list, tuple)) for other in others):
            raise TypeError(f"{name} wants an array or a number, not a list")
        result = getattr(self._host, name)(*map(_host, others))
        return result if result is NotImplemented else _device(result)

    return call


_ARITHMETIC = "add sub mul truediv floordiv mod pow matmul and or xor"
_COMPARISONS_AND_UNARY = "eq ne lt le gt ge neg pos abs invert"
_METHODS = """
    all any argmax argmin argsort astype clip copy cumprod cumsum diagonal dot fill flatten item max mean
    min nonzero prod ravel repeat reshape round searchsorted sort squeeze std sum swapaxes take tolist trace
    transpose var
"""
_ATTRIBUTES = "dtype shape ndim size itemsize nbytes flags"
_FUNCTIONS = """
    abs absolute add all allclose amax amin any arccos arcsin arctan arctan2 argmax argmin argsort argwhere
    around array_equal ascontiguousarray atleast_1d atleast_2d average bincount broadcast_to cbrt ceil clip
    copy copysign corrcoef cos cosh count_nonzero cov cross cumprod cumsum diag diagonal diff digitize divide
    dot empty_like equal exp exp2 expand_dims expm1 flatnonzero flip floor floor_divide full_like greater
    greater_equal histogram hypot inner interp invert isclose isfinite isin isinf isnan kron less less_equal
    linspace log
    log10 log1p log2 logical_and logical_not logical_or matmul max maximum mean median min minimum mod
    moveaxis multiply nan_to_num nanmax nanmean nanmin nansum negative nonzero not_equal ones_like outer
    percentile power prod quantile ravel reciprocal remainder repeat reshape roll rollaxis rot90 round
    searchsorted shape sign sin sinc sinh size sort sqrt square squeeze std subtract sum swapaxes take
    take_along_axis tan tanh tensordot tile trace transpose tril triu true_divide unique var vdot where
    zeros_like
"""
_LINALG = "cholesky det eigh eigvalsh inv lstsq norm pinv qr slogdet solve svd"
_SEQUENCES = """
    arange column_stack concatenate einsum empty eye full hstack identity indices ix_ meshgrid ones
    stack tri tril_indices triu_indices vstack zeros
"""
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

linalg = SimpleNamespace(**{name: _function(getattr(np.linalg, name)) for name in _LINALG.split()})
_API = {name: _function(getattr(np, name)) for name in _FUNCTIONS.split()}
_API |= {name: _function(getattr(np, name), sequences=True) for name in _SEQUENCES.split()}


def __getattr__(name):  # not globals, where any, sum ... would hide Python's own
    if name in _API:
        return _API[name]
    raise AttributeError(f"strict_array has no {name}; if CuPy has it, add it to the list")


def array(x, dtype=None, copy=True):
    """A strict array of numbers from anywhere, as a copy."""
    return ndarray(np.array(x._host if isinstance(x, ndarray) else x, dtype=dtype))


def asarray(x, dtype=None):
    """As `array`, but an array that has the dtype already is returned itself."""
    if isinstance(x, ndarray) and dtype in (None, x.dtype):
        return x
    return array(x, dtype)
