"""Calls of the array library, written out as loops of a CUDA kernel.

The threads of a block share the elements of every loop, and wait for each other (``__syncthreads()``) only
where a loop touches memory that another thread may have written, or may still read. A call that needs of the
arrays before it nothing but its own element joins their loop: a product, its bias and its activation are one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tinynn.backend import Array
from tinynn.recording import Call

SHARED = 48 * 2**10  # bytes of memory that a block has to itself on every device
LONG, PARTS = 64, 32  # sums of more numbers are divided into parts, if there are less of them

KINDS = {"float32": "float", "float64": "double", "bool": "bool"}
FUNCTIONS = {
    "absolute": "fabs({})",
    "add": "{} + {}",
    "astype": "{}",
    "clip": "smaller(larger({}, {}), {})",
    "divide": "{} / {}",
    "exp": "exp({})",
    "greater": "{} > {}",
    "less": "{} < {}",
    "log": "log({})",
    "log1p": "log1p({})",
    "maximum": "larger({}, {})",
    "minimum": "smaller({}, {})",
    "multiply": "{} * {}",
    "negative": "-{}",
    "sign": "sign({})",
    "sqrt": "sqrt({})",
    "subtract": "{} - {}",
    "tanh": "tanh({})",
}
PRODUCTS = ("dot", "matmul")
REDUCTIONS = {"sum": "a + b", "max": "larger(a, b)", "min": "smaller(a, b)"}

# a block's loops; what a body computes for element i is nobody else's. NaN stays NaN, as in NumPy
PRELUDE = """\
template <class T> __device__ T larger(T a, T b) { return a > b || a != a ? a : b; }
template <class T> __device__ T smaller(T a, T b) { return a < b || a != a ? a : b; }
template <class T> __device__ T sign(T a) { return a != a ? a : T((a > 0) - (a < 0)); }

template <int n, class Body> __device__ void each(Body body) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) body(i);
}

// every part of the length is one thread's; element i is op over all x(i, j)
template <class T, int n, int parts, int length, class X, class Op, class Body>
__device__ void reduce(X x, Op op, Body body) {
    each<n * parts>([=](int i) {
        T value = x(i / parts, i % parts);
        for (int j = i % parts + parts; j < length; j += parts) value = op(value, x(i / parts, j));
        body(i, value);
    });
}

// (m, n) = (m, length) (length, n); four elements at a time, so that each number loaded serves two of them
template <class T, int m, int n, int length, class A, class B, class Body>
__device__ void product(A a, B b, Body body) {
    constexpr int M = (m + 1) / 2, N = (n + 1) / 2, P = m > 1 ? 2 : 1, Q = n > 1 ? 2 : 1;
    each<M * N>([=](int tile) {
        int row[P], column[Q];
        T sums[P][Q] = {};
        for (int p = 0; p < P; ++p) row[p] = tile / N + p * M;
        for (int q = 0; q < Q; ++q) column[q] = tile % N + q * N;
        const bool below = m % 2 == 0 || row[P - 1] < m, right = n % 2 == 0 || column[Q - 1] < n;
        if (!below) row[P - 1] = 0;  // of an odd number the last one is computed in vain
        if (!right) column[Q - 1] = 0;
        #pragma unroll 8
        for (int k = 0; k < length; ++k) {
            T x[P], y[Q];
            for (int p = 0; p < P; ++p) x[p] = a(row[p], k);
            for (int q = 0; q < Q; ++q) y[q] = b(k, column[q]);
            for (int p = 0; p < P; ++p)
                for (int q = 0; q < Q; ++q) sums[p][q] += x[p] * y[q];
        }
        for (int p = 0; p < P; ++p)
            for (int q = 0; q < Q; ++q)
                if ((p == 0 || below) && (q == 0 || right)) body(row[p] * n + column[q], sums[p][q]);
    });
}
"""


class NotFused(Exception):
    """A call that no kernel is written for."""


class Operand(NamedTuple):
    """What one network reads or writes in a call, for the shape it has there."""

    name: str  # a pointer, in C
    kind: str
    strides: tuple[int, ...]  # in elements
    span: tuple[int, int]  # the bytes from the first to behind the last


def index(axes: Sequence[tuple[int, int]], i: str = "i") -> str:
    """Where in memory the element with number i is, in C, for axes of (size, stride)."""
    terms = []
    long = [(size, stride) for size, stride in axes if size > 1]
    steps = [math.prod(size for size, _ in long[k + 1 :]) for k in range(len(long))]
    if [stride for _, stride in long] == steps:
        return i if long else "0"
    for k, ((size, stride), step) in enumerate(zip(long, steps, strict=True)):
        if stride:
            number = (f"{i} / {step}" if step > 1 else i) + (f" % {size}" if k else "")
            terms.append(f"{number} * {stride}")
    return " + ".join(terms) or "0"


def touch(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> bool:
    """Whether spans overlap."""
    return any(a < end and start < b for a, b in some for start, end in others)


class Loop:
    """The threads of a block share the elements of one shape; each does all calls for its own ones."""

    def __init__(
        self, shape: tuple[int, ...], head: str = "each<{n}>([=](int i)", reads: Sequence[Operand] = ()
    ) -> None:
        self.shape, self.head = shape, head.replace("{n}", str(math.prod(shape)))
        self.foreign = [x.span for x in reads]  # of elements of other threads too
        self.variables: dict[Operand, str] = {}  # where the values of its own elements are
        self.written: dict[Operand, None] = {}
        self.lines: list[str] = []

    def admits(self, shape: tuple[int, ...], inputs: Sequence[Operand], out: Operand) -> bool:
        """Whether a call needs, and changes, no elements but those of its own thread."""
        new = [x.span for x in inputs if x not in self.variables]
        return (
            shape == self.shape
            and not touch(new, [x.span for x in self.written])
            and not touch([out.span], self.foreign + [x.span for x in self.variables if x != out])
        )

    def load(self, x: Operand) -> str:
        """The variable in which the element of x is."""
        if x not in self.variables:
            self._variable(x, self._element(x))
        return self.variables[x]

    def store(self, x: Operand, value: str) -> None:
        """Set the element of x; memory sees it when the loop is done with the element."""
        self._variable(x, value)
        self.written[x] = None

    def _variable(self, x: Operand, value: str) -> None:
        name = f"v{len(self.lines)}"
        self.lines.append(f"const {x.kind} {name} = {value};")
        self.variables[x] = name

    def _element(self, x: Operand) -> str:
        return f"{x.name}[{index(list(zip(self.shape, x.strides, strict=True)))}]"

    def code(self) -> str:
        """The loop in C."""
        stores = [f"{self._element(x)} = {self.variables[x]};" for x in self.written]
        return "".join([f"{self.head} {{\n", *(f"    {x}\n" for x in self.lines + stores), "});\n"])


class Generator:
    """Calls, translated one by one into loops.

    Parameters
    ----------
    networks : () or (K,)
        The first axis of all arrays but constants.
    dtype : numpy.dtype
        Of the network.
    """

    def __init__(self, networks: tuple[int, ...], dtype: np.dtype) -> None:
        self.networks, self.dtype, self.kind = networks, dtype, self._kind(dtype)
        self.loops: list[Loop] = []
        self.names: dict[tuple[int, str, int], str] = {}  # address, kind, elements from network to network
        self.arrays: list[Array] = []
        self.top = self.room = 0  # where the next bytes of shared memory are free, and how many are in use

    def _kind(self, dtype: np.dtype) -> str:
        if dtype.name not in KINDS:
            raise NotFused(f"dtype {dtype}")
        return KINDS[dtype.name]

    def operand(self, x: Array, shape: tuple[int, ...]) -> Operand:
        """`x` as it takes part in a call on arrays of this shape, in which it may be repeated."""
        strides = [0] * (len(shape) - x.ndim)
        strides += [0 if n == 1 else s // x.itemsize for n, s in zip(x.shape, x.strides, strict=True)]
        stack = len(self.networks)
        if shape[:stack] != self.networks or min(strides, default=0) < 0:
            raise NotFused(f"shape {shape} with strides {strides}")
        own, start = tuple(strides[stack:]), _address(x)
        last = sum((n - 1) * s for n, s in zip(self.own(shape), own, strict=True))
        name = self.pointer(x, sum(strides[:stack]))
        return Operand(name, self._kind(x.dtype), own, (start, start + (last + 1) * x.itemsize))

    def pointer(self, x: Array, step: int = 0) -> str:
        """The name of the argument that points to x, of which the next network's is `step` elements on."""
        key = _address(x), self._kind(x.dtype), step
        if key not in self.names:
            self.names[key] = f"a{len(self.names)}"
            self.arrays.append(x)
        return self.names[key]

    def shared(self, strides: tuple[int, ...], elements: int) -> Operand:
        """Room for so many elements in the shared memory, in a ring; its addresses start at zero."""
        size = elements * self.dtype.itemsize
        start = self.top if self.top + size <= SHARED else 0
        self.top = start + size
        self.room = max(self.room, self.top)
        return Operand(f"(shared + {start // self.dtype.itemsize})", self.kind, strides, (start, self.top))

    def own(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that one network has of it."""
        return shape[len(self.networks) :]

    def elementwise(
        self, shape: tuple[int, ...], formula: str, inputs: Sequence[Operand], out: Operand
    ) -> None:
        """Compute `out` of this shape from the inputs, in the last loop if that can be."""
        if touch([out.span], [x.span for x in inputs if x != out]):
            raise NotFused("a call that overwrites what it still has to read")
        if not (self.loops and self.loops[-1].admits(shape, inputs, out)):
            self.loops.append(Loop(shape))
        loop = self.loops[-1]
        values = [loop.load(x) if x.kind == self.kind else f"{self.kind}({loop.load(x)})" for x in inputs]
        loop.store(out, formula.format(*values))

    def add(self, call: Call) -> None:
        """Translate one call."""
        x, out, options = call.arguments, call.out, dict(call.options)
        computed = np.result_type(*{a.dtype for a in x}) if call.name != "astype" else out.dtype
        dtype = options.pop("dtype", None) or computed
        if dtype != self.dtype:
            raise NotFused(f"{call.name} in {dtype}")
        if call.name in PRODUCTS and not options:
            self.product(x[0], x[1], out)
        elif call.name in REDUCTIONS and options.keys() <= {"axis", "keepdims"}:
            self.reduce(REDUCTIONS[call.name], x[0], out, options.get("axis"))
        elif call.name in FUNCTIONS and not options:
            inputs = [self.operand(a, out.shape) for a in x]
            target = self.operand(out, out.shape)
            self.elementwise(self.own(out.shape), FUNCTIONS[call.name], inputs, target)
        else:
            raise NotFused(f"{call.name} with {options}")

    def product(self, A: Array, B: Array, out: Array) -> None:
        """Out = A B."""
        m, k, n = *self.own(A.shape), out.shape[-1]
        capacity = SHARED // self.dtype.itemsize
        a, b = self.operand(A, A.shape), self.operand(B, B.shape)
        if b.strides[1] > 1 and n > 1 and k <= capacity:
            # Neighbouring threads take neighbouring columns. Where those are far apart in memory, B is copied
            # into shared memory first, row by row of B'; rows of odd length there spread over all its banks.
            columns = min(n, max(w for w in range(1, n + 1) if k * (w | 1) <= capacity))
            if columns < n:
                for start in range(0, n, columns):
                    some = np.s_[..., start : start + columns]
                    self.product(A, B[some], out[some])
                return
            row = n | 1
            staged = self.shared((1, row), k * row)
            self.elementwise((n, k), "{}", [b._replace(strides=b.strides[::-1])], staged)
            b = staged._replace(strides=(row, 1))
        head = (
            f"product<{self.kind}, {m}, {n}, {k}>("
            f"[=](int i, int j) {{ return {a.name}[i * {a.strides[0]} + j * {a.strides[1]}]; }}, "
            f"[=](int i, int j) {{ return {b.name}[i * {b.strides[0]} + j * {b.strides[1]}]; }}, "
            f"[=](int i, {self.kind} value)"
        )
        self.loops.append(Loop((m, n), head, [a, b]))
        self.loops[-1].store(self.operand(out, out.shape), "value")

    def reduce(self, op: str, X: Array, out: Array, axis: int | tuple[int, ...] | None) -> None:
        """Out = op over all elements of X along the axes."""
        stack, x = len(self.networks), self.operand(X, X.shape)
        over = range(X.ndim) if axis is None else np.atleast_1d(axis) % X.ndim
        if min(over, default=0) < stack:
            raise NotFused("a reduction over networks")
        axes = list(zip(X.shape[stack:], x.strides, strict=True))
        rest = [own for i, own in enumerate(axes, stack) if i not in over]
        gone = [own for i, own in enumerate(axes, stack) if i in over]
        n, length = (math.prod(size for size, _ in some) for some in (rest, gone))
        where = f"{index(rest, 'i')} + {index(gone, 'j')}"
        if n < LONG < length:
            parts = self.shared((1,), n * PARTS)
            self._reduce(op, (n * PARTS,), (n, PARTS, length), x, where, parts)
            x, length, where = parts, PARTS, f"i * {PARTS} + j"
        self._reduce(op, self.own(out.shape), (n, 1, length), x, where, self.operand(out, out.shape))

    def _reduce(
        self, op: str, shape: tuple[int, ...], sizes: tuple[int, ...], x: Operand, where: str, out: Operand
    ) -> None:
        T, (n, parts, length) = self.kind, sizes
        head = (
            f"reduce<{T}, {n}, {parts}, {length}>([=](int i, int j) {{ return {x.name}[{where}]; }}, "
            f"[=]({T} a, {T} b) {{ return {op}; }}, [=](int i, {T} value)"
        )
        self.loops.append(Loop(shape, head, [x]))
        self.loops[-1].store(out, "value")

    def body(self) -> Iterator[str]:
        """The loops, with barriers where one must not begin before all threads have ended those before."""
        reads: list[tuple[int, int]] = []
        writes: list[tuple[int, int]] = []
        for loop in self.loops:
            read = loop.foreign + [x.span for x in loop.variables]
            write = [x.span for x in loop.written]
            if touch(write, reads + writes) or touch(read, writes):
                yield "__syncthreads();\n"
                reads, writes = [], []
            reads, writes = reads + read, writes + write
            yield loop.code()
        yield "__syncthreads();\n"


def _address(x: Array) -> int:
    return getattr(x.data, "ptr", None) or x.ctypes.data
