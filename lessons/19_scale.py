# %% [markdown]
# # Lesson 19: The same code, more hardware
#
# A graphics processor does far more arithmetic in a second than a processor does. And yet a small
# network may train slower there. Three numbers say on which side you are: what a call costs that does
# nothing, how fast arithmetic is, and how fast data come and go. All three can be measured in seconds,
# on any machine.
#
# After this lesson you can
# * measure the overhead of a call and the size from which it does not matter,
# * calculate the time of a training step from calls, arithmetic and bytes, and check the calculation,
# * say where a device overtakes your processor, why there, and why sometimes never,
# * explain why devices love large batches.
#
# It builds on lessons 2 (least squares) and 8 (the network that reads digits). No source text treats
# this, so there is nothing to correct. Times here are those of *your* machine: the texts name no
# number, the tables do. What is calculated and not measured says so.

# %%
import math
import time
from functools import partial
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from tinynn.backend import BackendError, asarray, get_backend, to_numpy
from tinynn.datasets import digits
from tinynn.linalg import least_squares
from tinynn.nn import CrossEntropy, Dense, ReLU, Sequential
from tinynn.optim import Adam
from tinynn.results import ResultsTable
from tinynn.training import Callback, fit

# %% [markdown]
# **Knobs.** Change them and run again. A value after "quick:" is for a fast look. The four numbers of
# the stated device are an *example*, the order of magnitude of a graphics card of the middle class.
# They are used only where no device is found: put in those of the card you think of buying.

# %%
BACKEND = "numpy"  # "cupy" insists on a GPU: without one the lesson stops
BACKENDS = ("numpy", "cupy")  # each that works here is measured, the others are named
SIZES = tuple(10**k for k in range(8))  # numbers in an array: from none to speak of to more than a cache
CACHED = 10**6  # up to here the line is fitted; three such arrays are 12 MB and mostly still in a cache
SIDES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # quick: (1, 4, 16, 64, 256); n of n x n matrices
WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)  # quick: (4, 16, 64, 256); neurons in a hidden layer
BATCH = 32  # that of lesson 8
BATCHES = (1, 2, 8, 32, 128, 512)  # quick: (1, 16, 512); samples in a batch, section 6
SAMPLES = 512  # digits that a timed epoch passes over: a power of 2, so that all batches are full
EPOCHS = 20  # quick: 5; of the two trainings that are compared in section 3
REPEATS = 7  # quick: 3; a time is a median, so that other programs do not count as long as they are few
BLOCK = 1e-3  # s: calls are timed in blocks of at least this length, far above the clock's own cost
DEVICE_LAUNCH = 10.0  # µs from one call to the next, stated, not measured
DEVICE_GFLOPS = 10_000.0  # GFLOP/s in products of float32 matrices, stated, not measured
DEVICE_MEMORY = 500.0  # GB/s between the device and its own memory, stated, not measured
DEVICE_BUS = 10.0  # GB/s between the host's memory and the device's, stated, not measured

# %% [markdown]
# ## 1. What does a call cost that does nothing?
#
# In tinynn, `xp` is the array library: NumPy, or CuPy for a GPU. `xp.add(a, b)` is one line for both. But
# before the first two numbers are added, Python looks up the function, the library checks types and
# shapes, and on a device a *kernel* is launched. Let that take t₀, and let n numbers be added at a rate r:
#
#     t(n) = t₀ + n / r
#
# Half of the time is overhead at the *corner*, n = t₀ r. *Predict:* how much longer than adding 10
# numbers does it take to add 1000? And 10⁷ instead of 1000?
#
# Timing has two traps. A clock costs time itself, so we time blocks of calls. And a device returns
# before it is done: the block ends by fetching one number of the result, which has to wait.

# %%
backends, missing = {}, {}
for name in dict.fromkeys((*BACKENDS, BACKEND)):
    try:
        backends[name] = get_backend(name)
    except BackendError as error:
        if name == BACKEND:
            raise
        missing[name] = str(error)
        print(f"no measurement of {name}: {error}")
print("measured here:", ", ".join(backends))


def block_time(task, calls):
    start = time.perf_counter()
    for _ in range(calls):
        result = task()
    to_numpy(result.reshape(-1)[:1])  # waits for a device
    return time.perf_counter() - start


def clock(tasks):
    """Seconds of a call of each task: medians, and the tasks take turns."""
    calls = dict.fromkeys(tasks, 1)
    for name, task in tasks.items():
        while min(block_time(task, calls[name]) for _ in range(2)) < BLOCK:  # the first may compile
            calls[name] *= 2
    rounds = [
        [block_time(task, calls[name]) / calls[name] for name, task in tasks.items()] for _ in range(REPEATS)
    ]
    return dict(zip(tasks, np.median(rounds, axis=0).tolist(), strict=True))


def ones(shape, backend):
    return asarray(np.ones(shape, "float32"), backend)


sums = {
    (backend, n): partial(xp.add, ones(n, backend), ones(n, backend), out=ones(n, backend))
    for backend, xp in backends.items()
    for n in SIZES
}
sum_times = clock(sums)
del sums  # and with it the arrays
print(f"\n{'numbers':>9}" + "".join(f"{backend:>14} (µs)   ns a number" for backend in backends))
for n in SIZES:
    row = (sum_times[backend, n] for backend in backends)
    print(f"{n:>9}" + "".join(f"{1e6 * t:>19.2f}{1e9 * t / n:>14.3f}" for t in row))

# %% [markdown]
# Up to about a thousand numbers the time hardly changes: you pay for the call. Then it grows with n: you
# pay for the numbers. The step from 10⁶ to 10⁷ may cost more than its factor of 10. The arrays have left
# the cache, and each number (8 bytes read, 4 written) comes from memory. Adding two numbers is no work
# for a processor; getting them is.
#
# ## 2. Three kinds of work
#
# An elementwise sum touches 12 bytes for one operation. A product of two n x n matrices does 2 n³
# operations on 3 n² numbers: the larger, the more arithmetic for a byte. A transfer does no arithmetic
# at all. With NumPy alone there is nowhere to transfer to; a copy in memory is the least that one could
# cost. With CuPy it crosses the bus from the host to the device.
#
# t₀ and 1/r come from least squares (lesson 2). The times span six powers of ten, so it is the
# *relative* error that should be small: |t₀/t + (1/r) W/t - 1|², a design matrix with the columns 1/t
# and W/t for the work W (additions, operations, bytes). *Predict:* which does more operations in a
# second, the sum or the product, and by which factor? At which n is the corner of the product? (Arrays
# above CACHED numbers are not fitted: they show where memory sets the price.)


# %%
class Line(NamedTuple):
    """t = t0 + work / rate, in seconds."""

    t0: float
    rate: float

    def time(self, work):
        return self.t0 + np.asarray(work) / self.rate

    @property
    def corner(self):
        return self.t0 * self.rate


def fit_line(work, times):
    work, times = np.asarray(work, dtype=float), np.asarray(times)
    t0, slope = least_squares(np.column_stack([1 / times, work / times]), np.ones(len(times))).coef
    return Line(float(t0), float(1 / slope))


def transfer(source, target, backend):
    target[:] = asarray(source, backend)
    return target


products, transfers = {}, {}
for backend, xp in backends.items():
    for n in SIDES:
        A = ones((n, n), backend)
        products[backend, n] = partial(xp.matmul, A, A, out=ones((n, n), backend))
    for n in SIZES:
        transfers[backend, n] = partial(transfer, np.ones(n, "float32"), ones(n, backend), backend)
product_times, transfer_times = clock(products), clock(transfers)
del products, transfers

kinds = {  # times, sizes, the work at a size, the unit of work, what a size is
    "sum": (sum_times, SIZES, lambda n: n, "additions", "numbers"),
    "product": (product_times, SIDES, lambda n: 2 * n**3, "operations", "side n"),
    "transfer": (transfer_times, SIZES, lambda n: 4 * n, "bytes", "numbers"),
}
lines = {}
print(f"{'':<24}{'t₀ (µs)':>9}{'rate r (10⁹/s)':>18}{'corner t₀ r':>16}")
for backend in backends:
    for kind, (times, sizes, work, unit, _) in kinds.items():
        fitted = [n for n in sizes if n <= CACHED]
        line = fit_line([work(n) for n in fitted], [times[backend, n] for n in fitted])
        lines[backend, kind] = line
        print(f"{backend + ', ' + kind:<24}{1e6 * line.t0:>9.2f}{line.rate / 1e9:>18.2f}"
              f"{line.corner:>16.0f} {unit}")  # fmt: skip
product_corners = {backend: (lines[backend, "product"].corner / 2) ** (1 / 3) for backend in backends}
for backend, side in product_corners.items():
    print(f"{backend}: the corner of the product is at n = {side:.0f}, {side**2:.0f} numbers a matrix")

fig, axes = plt.subplots(1, 3, figsize=(13, 4.2), sharey=True, layout="constrained", num="operations")
for ax, (kind, (times, sizes, work, _, size)) in zip(axes, kinds.items(), strict=True):
    grid = np.geomspace(sizes[0], sizes[-1], 200)
    for i, backend in enumerate(backends):
        line = lines[backend, kind]
        ax.loglog(sizes, [times[backend, n] for n in sizes], f"C{i}o", label=f"{backend}, measured")
        ax.loglog(grid, line.time(work(grid)), f"C{i}", linewidth=1, label="t₀ + work / r")
        corner = grid[np.argmin(abs(work(grid) - line.corner))]
        ax.axvline(corner, color=f"C{i}", linestyle=":", label=f"corner, {corner:.0f}")
    ax.set_xlabel({"numbers": "numbers in an array", "side n": "side n of the matrices"}[size])
    ax.legend(fontsize=8, loc="upper left")
axes[0].set(ylabel="time of a call (s)", title="Sum of two arrays: one operation a number")
axes[1].set_title("Product: 2 n³ operations on 3 n² numbers")
axes[2].set_title("Transfer: no operation" if len(backends) > 1 else "Transfer (here a copy in memory)")
fig.suptitle("First you pay for the call, then for the work")
plt.show()

# %% [markdown]
# The same processor does many times as many operations a second in a product as in a sum: each number
# that was fetched is used n times, and fetching is what costs. That is why devices are built for
# products, and why the operations a second on a data sheet are those of products.
#
# So a machine is described by few numbers: the launch t₀, the rate of arithmetic, the bandwidth of its
# memory (from the largest sum: 12 bytes a number), and that of the bus if data have to cross one.


# %%
class Machine(NamedTuple):
    launch: float  # s
    arithmetic: float  # operations/s in a matrix product
    memory: float  # bytes/s
    bus: float  # bytes/s


machines = {
    backend: Machine(
        lines[backend, "sum"].t0,
        lines[backend, "product"].rate,
        12 * SIZES[-1] / (sum_times[backend, SIZES[-1]] - lines[backend, "sum"].t0),
        4 * SIZES[-1] / transfer_times[backend, SIZES[-1]],
    )
    for backend in backends
}
found = len(machines) > 1
device = list(machines)[-1] if found else "stated device"
if not found:
    machines[device] = Machine(
        DEVICE_LAUNCH * 1e-6, DEVICE_GFLOPS * 1e9, DEVICE_MEMORY * 1e9, DEVICE_BUS * 1e9
    )
print(f"{'':<16}{'launch (µs)':>12}{'GFLOP/s':>12}{'memory (GB/s)':>16}{'bus or copy (GB/s)':>20}")
for name, machine in machines.items():
    origin = "measured" if name in backends else "stated in the knobs, not measured"
    print(f"{name:<16}{1e6 * machine.launch:>12.2f}" + "{:>12.0f}{:>16.1f}{:>20.1f}".format(
        *(1e-9 * x for x in machine[1:])), f"  {origin}")  # fmt: skip

# %% [markdown]
# ## 3. Is it really the same code?
#
# This function trains the classifier of lesson 8, with a second hidden layer. It does not know what it
# runs on. The initial weights and the order of the batches are drawn on the host, so they are the same
# everywhere. *Predict:* will the losses agree to the last bit?

# %%
X, y = digits().X, digits().y


def train(backend, dtype="float32", width=32, epochs=EPOCHS, batch=BATCH, callbacks=()):
    network = Sequential(
        Dense(64, width), ReLU(), Dense(width, width), ReLU(), Dense(width, 10),
        rng=0, dtype=dtype, backend=backend,
    )  # fmt: skip
    history = fit(
        network, (X[:SAMPLES], y[:SAMPLES]), loss=CrossEntropy(), optimizer=Adam(1e-3), epochs=epochs,
        batch_size=batch, callbacks=callbacks, rng=0, progress=False,
    )  # fmt: skip
    return network, np.array(history.train_loss)


reference = train("numpy", "float64")[1]
losses = {("numpy", "float32"): train("numpy")[1]}
for backend in backends:
    losses |= {
        (backend, dtype): train(backend, dtype)[1] for dtype in ("float32", "float64") if backend != "numpy"
    }
parity = {case: float(abs(loss / reference - 1).max()) for case, loss in losses.items()}
print(f"numpy, float64: loss {reference[0]:.6f} in the first epoch, {reference[-1]:.6f} in epoch {EPOCHS}")
for (backend, dtype), difference in parity.items():
    print(f"{backend}, {dtype}: differs from it by at most {difference:.1e} (relative)")

# %% [markdown]
# Not to the last bit. float32 rounds in the seventh digit, a device adds in another order than a processor,
# and training amplifies what small differences it is given. What has to agree is what you would report.
#
# ## 4. How long does a training step take?
#
# A step is a list of calls. Count them, for two hidden layers of w neurons and P parameters:
#
#     take the batch           2    features, labels
#     forward                  8    3 products, 3 biases, 2 activations
#     loss and derivative     12    softmax, its logarithm and their mean in 10, (p - y)/M in 2
#     backward                14    3 products for dW, 3 for db, 2 for dA; 2 slopes in 3 calls each
#     Adam                    10    each over all P parameters
#
# 46 launches, whatever w is. The arithmetic is in the products: 2 operations for every weight and
# sample in the forward pass, 4 in the backward pass (dW, and dA for the layer before). The bytes are
# Adam's: ten passes over all parameters, 12 bytes for each of them. So
#
#     t = 46 launch + 6 · batch · P / arithmetic + 120 P / memory
#
# *Predict:* with your three numbers above, how long does a step take for w = 4? From which w on does the
# rest outweigh the launches, and which part of the rest: arithmetic or memory?

# %%
LAUNCHES = 2 + 8 + 12 + 14 + 10


def parameters(width):
    return 65 * width + (width + 1) * width + 10 * (width + 1)


def parts(machine, width, batch):
    """Seconds for launches, arithmetic and memory in one training step."""
    P = parameters(np.asarray(width, dtype=float))
    return (
        LAUNCHES * machine.launch + 0 * P,
        6 * np.asarray(batch) * P / machine.arithmetic,
        120 * P / machine.memory,
    )


def calculate(machine, width, batch=BATCH):
    return sum(parts(machine, width, batch))


class EpochClock(Callback):
    def __init__(self):
        self.ticks = []

    def on_epoch_end(self, training):
        self.ticks.append(time.perf_counter())


def measure_steps(cases):
    """Seconds of a step for each (backend, width, batch): medians over epochs, the cases take turns."""
    seen = {case: [] for case in cases}
    for _ in range(REPEATS):
        for backend, width, batch in cases:
            watch = EpochClock()
            train(backend, width=width, epochs=3, batch=batch, callbacks=[watch])
            seen[backend, width, batch] += (np.diff(watch.ticks) * batch / SAMPLES).tolist()
    return {case: float(np.median(times)) for case, times in seen.items()}


steps = measure_steps([(backend, width, BATCH) for backend in backends for width in WIDTHS])
ratios, step_lines = {}, {}
for backend in backends:
    measured = np.array([steps[backend, width, BATCH] for width in WIDTHS])
    ratios[backend] = measured / calculate(machines[backend], np.array(WIDTHS))
    step_lines[backend] = fit_line([parameters(width) for width in WIDTHS], measured)
    print(
        f"{backend}, µs a step   launches  arithmetic   memory   together   measured   measured / calculated"
    )
    for width, t, ratio in zip(WIDTHS, measured, ratios[backend], strict=True):
        pieces = [1e6 * float(part) for part in parts(machines[backend], width, BATCH)]
        print(f"  w = {width:<4}" + "{:>18.1f}{:>12.1f}{:>9.1f}{:>11.1f}".format(*pieces, sum(pieces))
              + f"{1e6 * t:>11.1f}{ratio:>15.2f}")  # fmt: skip
grid = np.unique(np.geomspace(1, 1e5, 4000).round())


def width_of(corner):
    """The width of a network with so many parameters."""
    return float(np.interp(corner, parameters(grid), grid))


for backend, line in step_lines.items():
    print(f"{backend}: t₀ = {1e6 * line.t0:.0f} µs a step, {line.rate / 1e6:.0f} million parameters/s, "
          f"corner at {line.corner:.0f} parameters, w = {width_of(line.corner):.0f}")  # fmt: skip

# %% [markdown]
# Three numbers from arrays of ones, and nothing fitted to a training: the last column says how far that
# carries. Where it is above 1, what is missing is Python's own work between the calls, and products
# that cost more than a sum to call. Where it is below 1, the parameters still fit into a cache, and Adam
# is faster than memory.
#
# (On a device the last column may be far below 1. Where a network is small, `fit` does not launch its calls
# one by one: it writes the steps of an epoch into one kernel, `tinynn.fused`, and pays one launch for a
# thousand steps. The formula is for calls that are launched.)
#
# Note which part is the largest for wide networks. With a small batch it need not be the arithmetic: Adam
# passes over P numbers ten times however few samples there were (exercise 3).
#
# ## 5. Where do the curves cross?
#
# A device has the larger t₀ and the larger rates. It loses for small n, wins for large n, and two lines
# cross at
#
#     t₀ + n/r = t₀' + n/r',        n* = (t₀' - t₀) / (1/r - 1/r')
#
# *Predict:* which of these are worth a device: a sum of two arrays that are already there; the same if
# they must cross the bus and the result must come back; a product of matrices, with and without the bus?
#
# The host's times are those measured above. So are the device's, if there is one. If not, they are
# calculated from the knobs, and the printed lines, the figure and the table say so.


# %%
def crossing(x, host, device):
    """From which x on the device is ahead, between the points on logarithmic axes; inf if it never is."""
    lead = np.log(np.asarray(host) / np.asarray(device))
    behind = np.flatnonzero(lead <= 0)
    if not len(behind):
        return float(x[0])
    i = behind[-1]
    if i == len(x) - 1:
        return math.inf
    share = lead[i] / (lead[i] - lead[i + 1])
    return float(x[i] * (x[i + 1] / x[i]) ** share)


def shown(where, sizes):
    return f"not up to {sizes[-1]:.0f}" if math.isinf(where) else f"{where:.0f}"


def measured(times, backend, sizes):
    return np.array([times[backend, size] for size in sizes])


host, other = machines["numpy"], machines[device]
n, side, width = (np.array(sizes, dtype=float) for sizes in (SIZES, SIDES, WIDTHS))
step_times = {(backend, width): t for (backend, width, _), t in steps.items()}
if found:
    origin, with_bus, both_calculated = "both measured", "both measured, bus calculated", "both calculated"
    sum_there, product_there, step_there = (
        measured(times, device, sizes)
        for times, sizes in ((sum_times, SIZES), (product_times, SIDES), (step_times, WIDTHS))
    )
else:
    origin = with_bus = both_calculated = "calculated from stated numbers, not measured"
    sum_there = other.launch + 12 * n / other.memory
    product_there = other.launch + 2 * side**3 / other.arithmetic + 12 * side**2 / other.memory
    step_there = calculate(other, width)
sum_here, product_here = measured(sum_times, "numpy", SIZES), measured(product_times, "numpy", SIDES)
step_here = measured(step_times, "numpy", WIDTHS)
comparisons = {  # what is compared: the sizes, seconds here, seconds there, where the last come from
    "sum (numbers)": (n, sum_here, sum_there, origin),
    "sum, across the bus": (n, sum_here, sum_there + 12 * n / other.bus, with_bus),
    "product (side n)": (side, product_here, product_there, origin),
    "product, across the bus": (
        side, product_here, product_there + 12 * side**2 / other.bus, with_bus
    ),
    "training step (width w)": (width, step_here, step_there, origin),
    "training step, both calculated": (grid, calculate(host, grid), calculate(other, grid), both_calculated),
}  # fmt: skip
crossings = {what: crossing(*curves) for what, (*curves, _) in comparisons.items()}
print(f"from where on {device} is ahead of numpy:")
for what, (sizes, _, _, source) in comparisons.items():
    print(f"  {what:<32}{shown(crossings[what], sizes):>20}   {source}")
crossed = crossings["training step (width w)"]
if not math.isinf(crossed):
    print(f"{device} at w = {crossed:.0f}, calculated, in µs:",
          "launches {:.0f}, arithmetic {:.0f}, memory {:.0f}".format(
        *(1e6 * float(part) for part in parts(other, crossed, BATCH))))  # fmt: skip
for name, reason in missing.items():
    print(f"the measured curve of {name} is missing: {reason}")

fig, ax = plt.subplots(figsize=(8, 5), layout="constrained", num="steps")
span = np.geomspace(WIDTHS[0], WIDTHS[-1], 200)
for i, (name, machine) in enumerate(machines.items()):
    style, source = ("", "its three numbers") if name in backends else ("--", "stated numbers, not measured")
    ax.loglog(span, calculate(machine, span), f"C{i}{style}", label=f"{name}, calculated from {source}")
    if name in backends:
        ax.loglog(WIDTHS, measured(step_times, name, WIDTHS), f"C{i}o", label=f"{name}, measured")
if WIDTHS[0] < crossed < WIDTHS[-1]:
    how = "both measured" if found else "points against dashes, not measured"
    ax.axvline(crossed, color="k", linestyle=":", label=f"crossing at w = {crossed:.0f}: {how}")
ax.set(xlabel="width w of the hidden layers (neurons)", ylabel="time of a training step (s)",
       title="Narrow networks pay for launches, wide ones for work")  # fmt: skip
ax.legend(fontsize=9)
plt.show()

# %% [markdown]
# The sum across the bus cannot pay off where the bus is slower than the host's own memory, for no n:
# bytes cross it in order to save a pass over the same bytes. A product can pay off, only later: n²
# numbers cross, n³ operations are saved. So data go to the device *once* and stay. `fit` does that before
# its first step, and `asarray` and `to_numpy` are the only doors, so that nothing crosses unseen.
#
# The three parts of the device's time at the crossing say what moves it. Where the launches are the
# largest, the device waits for Python, and nothing but fewer or cheaper launches brings the crossing down
# to narrower networks: a faster card does not.
#
# ## 6. Why does a device want large batches?
#
# The launches are paid for a step, not for a sample. A batch of B shares them:
#
#     t/B = 46 launch / B + ...
#
# *Predict:* by which factor is a sample cheaper in a batch of 512 than alone? Is it the same factor in
# training and in prediction?

# %%
WIDTH = 64
batch_steps = measure_steps([(backend, WIDTH, batch) for backend in backends for batch in BATCHES])
predictions = {}
for backend in backends:
    network = train(backend, width=WIDTH, epochs=1)[0]
    for batch in BATCHES:
        predictions[backend, batch] = partial(network.predict, asarray(X[:batch], backend, "float32"))
predict_times = clock(predictions)
gains = {}
for backend in backends:
    print(f"{backend}, µs a sample   training   prediction")
    each = [(batch_steps[backend, WIDTH, batch], predict_times[backend, batch]) for batch in BATCHES]
    samples = np.array(each) / np.array(BATCHES)[:, None]
    for batch, row in zip(BATCHES, samples, strict=True):
        print(f"  B = {batch:<5}" + "{:>22.2f}{:>13.2f}".format(*(1e6 * row)))
    gains[backend] = samples[0] / samples[-1]
    print(f"  a sample alone costs {gains[backend][0]:.0f} and {gains[backend][1]:.0f} times as much")

train_times = {(backend, batch): t for (backend, _, batch), t in batch_steps.items()}
batches = np.array(BATCHES, dtype=float)
batch_there = measured(train_times, device, BATCHES) if found else calculate(other, WIDTH, batches)
batch_crossing = crossing(batches, measured(train_times, "numpy", BATCHES), batch_there)
print(f"batch from which {device} is ahead at w = {WIDTH}: {shown(batch_crossing, BATCHES)}, {origin}")

span = np.geomspace(BATCHES[0], BATCHES[-1], 200)
fig, ax = plt.subplots(figsize=(8, 5), layout="constrained", num="batches")
for i, (name, machine) in enumerate(machines.items()):
    style, source = ("", "its three numbers") if name in backends else ("--", "stated numbers, not measured")
    calculated = calculate(machine, WIDTH, span) / span
    ax.loglog(span, calculated, f"C{i}{style}", label=f"{name}, training, calculated from {source}")
    if name in backends:
        for times, marker, what in ((train_times, "o", "training"), (predict_times, "^", "prediction")):
            values = measured(times, name, BATCHES) / BATCHES
            ax.loglog(BATCHES, values, f"C{i}{marker}", mfc="none", label=f"{name}, {what}, measured")
ax.set(xlabel="batch B (samples)", ylabel="time a sample (s)",
       title="A launch is shared by all samples of its batch")  # fmt: skip
ax.legend(fontsize=9)
plt.show()

# %% [markdown]
# It is the first line of section 1 once more, divided by B. The factor stays below 512, because a sample
# has work of its own; where the points of training lie above the line, it is the work on activations and
# loss that we did not count. And a larger batch is not a gift: an epoch then has fewer steps, so
# samples become cheap, *learning* need not. An ensemble shares launches without that price. K networks
# of the same shape are one stack of matrices, K x n x n, and a product of stacks is one call. That is how
# `tinynn.training.fit_many` trains K networks.

# %%
MEMBERS, SMALL = 256, 8


def one_by_one(xp, stack, out):
    for k in range(MEMBERS):
        xp.matmul(stack[k], stack[k], out=out[k])
    return out


ensemble = {}
for backend, xp in backends.items():
    stack, out = (ones((MEMBERS, SMALL, SMALL), backend) for _ in range(2))
    ensemble[backend, "one by one"] = partial(one_by_one, xp, stack, out)
    ensemble[backend, "at once"] = partial(xp.matmul, stack, stack, out=out)
ensemble_times = clock(ensemble)
ensemble_gains = {
    backend: ensemble_times[backend, "one by one"] / ensemble_times[backend, "at once"]
    for backend in backends
}
for backend, gain in ensemble_gains.items():
    print(f"{backend}: {MEMBERS} products of {SMALL} x {SMALL}, one by one / at once: {gain:.1f}")

# %% [markdown]
# That is all this part has to say: one machine, one device, data that fit into its memory. Data that do
# not fit, and more than one machine, raise the same questions with a slower bus; they are not treated
# here.
#
# ## Results

# %%
results = ResultsTable(f"Lesson 19: scale; measured on this machine: {', '.join(backends)}")
hundredfold = sum_times["numpy", 1000] / sum_times["numpy", 10]
results.add("time of a call, 1000 / 10 numbers", hundredfold, at_most=5, note="you pay for the call")
largest = sum_times["numpy", SIZES[-1]] / sum_times["numpy", 1000]
results.add(f"time of a call, {SIZES[-1]} / 1000 numbers", largest, at_least=100,
            note="you pay for the numbers")  # fmt: skip
for backend in backends:
    for kind, unit in (("sum", "additions"), ("product", "operations"), ("transfer", "bytes")):
        line = lines[backend, kind]
        copy = ", a copy in memory" * (kind == "transfer" and backend == "numpy")
        rate = f"rate {line.rate / 1e9:.3g}·10⁹ {unit}/s{copy}"
        results.add(f"{backend}, {kind}: t₀ (µs)", 1e6 * line.t0, note=rate)
        results.add(f"{backend}, {kind}: corner ({unit})", line.corner)
    line = step_lines[backend]
    rate = f"rate {line.rate:.2g} parameters/s"
    results.add(f"{backend}, training step: t₀ (µs)", 1e6 * line.t0, note=rate)
    results.add(f"{backend}, training step: corner (width w)", width_of(line.corner))
    for i in (0, -1):
        bounds = {"at_least": 0.1, "at_most": 10} if backend == "numpy" else {}
        results.add(f"{backend}, step, w = {WIDTHS[i]}: measured / calculated", ratios[backend][i],
                    **bounds, note="the order of magnitude, if every call is a launch")  # fmt: skip
faster = lines["numpy", "product"].rate / lines["numpy", "sum"].rate
results.add("operations a second, product / sum", faster, at_least=3, note="each number is used n times")
for (backend, dtype), difference in parity.items():
    quantity = f"losses of {backend} {dtype} / numpy float64, - 1"
    results.add(quantity, difference, at_most=0.01, note="the largest")
for what, (sizes, _, _, source) in comparisons.items():
    results.add(f"{device} ahead from: {what}", shown(crossings[what], sizes), note=source)
results.add(f"{device} ahead from: batch at w = {WIDTH}", shown(batch_crossing, BATCHES), note=origin)
for backend in backends:
    for what, gain in zip(("training", "prediction"), gains[backend], strict=True):
        results.add(f"{backend}, {what}: a sample alone / in a batch of {BATCHES[-1]}", gain, at_least=5)
    quantity = f"{backend}: {MEMBERS} small products one by one / at once"
    results.add(quantity, ensemble_gains[backend], at_least=1.5)
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *A dearer operation.* Replace `xp.add` in section 1 by `xp.arctan2`. Predict in which direction the
#    corner moves, and whether t₀ does. Check: the corner falls by more than a factor of 2.
# 2. *Move the crossing.* For wide networks (P near w²), and a host whose own launches are negligible,
#    show from section 4 that the crossing of the training step moves as √launch of the device. Check
#    with `DEVICE_LAUNCH = 40.0`: "both calculated" about doubles. With 1.0 it falls by much more than
#    √10. Which two assumptions fail there?
# 3. *The balance of a device.* For which batch B does arithmetic take as long as memory in the formula of
#    section 4? Show that it depends on the machine through one number, arithmetic / memory, and compute it
#    for all machines in the table. What does it say about batches of 32 on the device? Check with `parts`.
