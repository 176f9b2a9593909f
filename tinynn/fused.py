"""All steps of an epoch in one launch: a CUDA kernel that is generated from the calls of a recorded step.

To start a kernel takes the GPU's driver microseconds, longer than a small network's arithmetic. So the calls
that a `Recording` has noted down are written out as loops, one after another, in one kernel (`tinynn.loops`).
A block of threads trains one network from its first batch to its last; a stack of K networks has K blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.loops import PRELUDE, PRODUCTS, Generator, Loop, NotFused, Operand
from tinynn.recording import Call

THREADS = 512  # of a block
STEPS = 1000  # of one launch: a GPU that draws the screen too has to be free again after a second or two
# What is larger is left to cuBLAS, which uses the whole GPU for it
WORK = 10**7  # multiplications in the products of a step; an estimate
SIZE = 10**5  # elements of an array; an estimate
ARGUMENTS = 500  # pointers that a kernel takes


def generate(
    calls: Sequence[Call], data: Sequence[Array], batch: Sequence[Array], coefficients: Array, loss: Array
) -> tuple[str, list[Array]]:
    """The kernel of a recorded step, whose parts have the names of `TrainingStep`, and the arrays it takes.

    Raises
    ------
    NotFused
        If there is a call that it cannot express.
    """
    n, networks = len(coefficients), coefficients.shape[1:2]
    K, B = math.prod(networks), batch[0].shape[-2]
    generator = Generator(networks, coefficients.dtype)
    kind = generator.kind
    for i in range(n):
        now = coefficients[i, ...]
        source = Operand(f"(table + (step * {n} + {i}) * {K})", kind, (0,) * len(networks), (0, 0))
        target = generator.operand(now, now.shape)
        generator.elementwise(generator.own(now.shape), "{}", [source], target)
    for x, some in zip(data, batch, strict=True):
        if x.ndim != 2 or x.dtype != coefficients.dtype:
            raise NotFused(f"data of shape {x.shape}, {x.dtype}")
        width, name = x.shape[1], generator.pointer(x)
        down, right = (stride // x.itemsize for stride in x.strides)
        element = f"{name}[rows[step * {B} + i / {width}] * {down} + i % {width} * {right}]"
        generator.loops.append(Loop((B, width)))
        generator.loops[-1].store(generator.operand(some, some.shape), element)
    for call in calls:
        generator.add(call)
    target = Operand(f"(losses + step * {K})", kind, (), (0, 0))
    generator.elementwise((), "{}", [generator.operand(loss, loss.shape)], target)
    pointers = {name: f"{kind}* {name}" for (_, kind, _), name in generator.names.items()}
    text = [
        PRELUDE,
        f'extern "C" __global__ void __launch_bounds__({THREADS}) steps(\n',
        "".join(f"    {pointer},\n" for pointer in pointers.values()),
        f"    const long long* rows, const {kind}* table, {kind}* losses, int count)\n{{\n",
        f"__shared__ {kind} shared[{generator.room // coefficients.itemsize}];\n" if generator.room else "",
        "const long long network = blockIdx.x;\n",
        *(f"{name} += network * {step};\n" for (_, _, step), name in generator.names.items() if step),
        f"rows += network * count * {B};\ntable += network;\nlosses += network;\n",
        "for (int step = 0; step < count; ++step) {\n",
        *generator.body(),
        "}\n}\n",
    ]
    return "".join(text), generator.arrays


class FusedSteps:
    """A recorded step, for many batches at once.

    Parameters
    ----------
    text, arrays
        As `generate` returns them.
    networks : int
    """

    def __init__(self, text: str, arrays: list[Array], networks: int) -> None:
        self.arrays, self.networks = arrays, networks
        self.xp = get_array_module(*arrays)
        self.kernel = self.xp.RawKernel(text, "steps")

    def __call__(self, batches: Sequence[Array], table: Array, losses: Array) -> None:
        """Do the steps with the rows of all batches, and a row of the table each; fills `losses`."""
        xp = self.xp
        for start in range(0, len(batches), STEPS):
            now = slice(start, start + STEPS)
            rows, coefficients = xp.concatenate(batches[now], axis=-1), table[now]
            arrays = map(xp.ascontiguousarray, (rows, coefficients))
            count = np.int32(len(coefficients))
            self.kernel((self.networks,), (THREADS,), (*self.arrays, *arrays, losses[now], count))


def fuse(
    calls: Sequence[Call], data: Sequence[Array], batch: Sequence[Array], coefficients: Array, loss: Array
) -> FusedSteps | None:
    """The steps that `generate` describes, if the library can compile kernels and the network is small."""
    if not hasattr(get_array_module(coefficients), "RawKernel"):
        return None
    K = math.prod(coefficients.shape[1:2])
    work = sum(call.out.size * call.arguments[0].shape[-1] for call in calls if call.name in PRODUCTS)
    size = max(x.size for call in calls for x in (*call.arguments, call.out))
    if work > K * WORK or size > K * SIZE:
        return None
    try:
        text, arrays = generate(calls, data, batch, coefficients, loss)
    except NotFused:
        return None
    return FusedSteps(text, arrays, K) if len(arrays) <= ARGUMENTS else None
