# %% [markdown]
# # Lesson 1: A straight line through noise
#
# The smallest network there is has one input, one output and no activation: a straight line. It is
# enough to meet everything that later lessons take for granted: data sets and mini-batches, a loss,
# gradient descent, measures of quality, and the two ways in which training most often fails.
#
# After this lesson you can
# * train a linear model by mini-batch gradient descent and say what its loss *has* to converge to,
# * read R², MSE and MAE, and say what each of them hides,
# * compute the rate beyond which gradient descent diverges, and cure the divergence by scaling.
#
# It builds on derivatives and means; question 4 needs the eigenvalues of a 2 x 2 matrix. "The source"
# is a solved exercise on linear regression with numbers of its own; the table at the end puts ours
# beside them, and says where the source is wrong. Throughout, M is the number of samples, θ = (w, b)
# are the parameters, η is the learning rate, and X' is X transposed. x and y have no unit.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinynn.backend import asarray, to_numpy
from tinynn.data import DataLoader, Dataset, split
from tinynn.metrics import mean_absolute_error, mean_squared_error, r2_score
from tinynn.nn import Dense, MeanSquaredError, ReLU, Sequential
from tinynn.optim import SGD, Adam, CosineDecay
from tinynn.preprocessing import MinMaxScaler
from tinynn.results import ResultsTable
from tinynn.training import DivergenceError, fit, largest_stable_rate

# %% [markdown]
# **Knobs.** Change them and run again. A value after "quick:" is for a fast look.

# %%
BACKEND = "numpy"  # "cupy" computes on a GPU; for so small a model that is slower
N_SAMPLES = 200  # 160 to train on, 40 to test on: small enough to feel the noise
SLOPE, INTERCEPT = 2.0, 5.0  # the truth that the model is to find
NOISE = (1, 10, 20)  # standard deviations dmax of the noise, in the unit of y
BATCH_SIZE = 16  # a tenth of the training data: noisy steps, but ten of them an epoch
RATE = 0.01  # well below the largest stable rate on [0, 10], see question 4
EPOCHS = 400  # the slowest direction needs 200 at the mean rate, see question 5
N_SEEDS = 20  # quick: 6; independent repetitions that the statistics rest on

# %% [markdown]
# ## 1. What do the data look like?
#
# We draw x evenly from [0, 10] and add normally distributed noise to a straight line:
#
#     y = 2 x + 5 + dmax ε,      ε ~ N(0, 1)
#
# All randomness comes from one generator, so that the same seed gives the same data, bit for bit.


# %%
def make_data(dmax, high=10.0, rng=0):
    rng = np.random.default_rng([rng, dmax])  # its own noise for every dmax
    x = rng.uniform(0, high, (N_SAMPLES, 1))
    y = SLOPE * x + INTERCEPT + dmax * rng.standard_normal((N_SAMPLES, 1))
    return split(Dataset(x, y), (0.8, 0.2), rng=rng)


fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharex=True, layout="constrained", num="data")
for ax, dmax in zip(axes, NOISE, strict=True):
    train, test = make_data(dmax)
    ax.plot(train.X, train.y, ".", label="train")
    ax.plot(test.X, test.y, ".", label="test")
    ax.plot([0, 10], [INTERCEPT, INTERCEPT + 10 * SLOPE], "k", linewidth=1, label="truth 2 x + 5")
    ax.set(xlabel="x", ylabel="y", title=f"dmax = {dmax}")
    ax.legend(fontsize=8)
fig.suptitle("The same line under growing noise: watch the y axis")
plt.show()

# %% [markdown]
# A `Dataset` holds inputs and targets side by side. A `DataLoader` walks through it in mini-batches;
# a walk through all samples is an *epoch*. With 160 samples and batches of 16, how many steps are
# that?

# %%
train, test = make_data(dmax=1)
loader = DataLoader(train, batch_size=BATCH_SIZE, shuffle=True, rng=0)
x_batch, y_batch = next(iter(loader))
print(f"{len(loader)} batches an epoch; the first has x {x_batch.shape} and y {y_batch.shape}")

# %% [markdown]
# ## 2. Where do the parameters live?
#
# The model is y = w x + b. Its two parameters belong to the *layer*: they are there before any data
# pass through, and `forward` only uses them. (The source says that `forward` retrieves them.) A
# network keeps all its parameters in one vector, `model.theta`, and the gradient of the loss in
# `model.grad`.

# %%
model = Sequential(Dense(1, 1), rng=0, backend=BACKEND)
print(model, {name: value.ravel() for name, value in model.parameters().items()})

# %% [markdown]
# Training repeats four lines for every batch: predict, compare, differentiate, step downhill.
#
#     L = 1/M Σ (w x + b - y)²          θ ← θ - η dL/dθ
#
# Here they are, written out; `fit` is the same loop with a progress bar and a guard.

# %%
loss, optimizer = MeanSquaredError(), SGD(RATE)
for x_batch, y_batch in DataLoader(train, BATCH_SIZE, rng=0):
    prediction = model.forward(asarray(x_batch, BACKEND))
    loss.forward(prediction, asarray(y_batch, BACKEND))
    model.backward(loss.backward())
    optimizer.step(model.theta, model.grad)
print("after one epoch:", {name: value.ravel() for name, value in model.parameters().items()})

# %% [markdown]
# ## 3. How good can the fit be?
#
# *Before you run on, predict:* the noise has variance dmax². What is the smallest mean squared error
# that any model can reach on new data? And R², which compares it with the variance of y?
#
# * MSE → dmax², because the best model leaves exactly the noise.
# * MAE → dmax √(2/π), the mean of |ε|.
# * R² = 1 - MSE / var(y) → 33.3 / (33.3 + dmax²), for 2x on [0, 10] has the variance 4 · 100/12 =
#   33.3.
#
# (R² is taken on the training data, as in the source.) None of this mentions gradient descent: a fit
# that misses these numbers is a bad fit, one that beats them on *test* data was lucky. At a constant
# rate the fit would miss them a little, because every batch pulls the parameters elsewhere; so we let
# the rate fall to zero, along a cosine.


# %%
def train_line(train, rate=RATE, epochs=EPOCHS, rng=0):
    model = Sequential(Dense(1, 1), rng=rng, dtype="float64", backend=BACKEND)
    steps = epochs * len(DataLoader(train, BATCH_SIZE))
    fit(
        model, train, loss=MeanSquaredError(), optimizer=SGD(CosineDecay(rate, steps)), epochs=epochs,
        batch_size=BATCH_SIZE, rng=rng, progress=False,
    )  # fmt: skip
    return model


def predict(model, x):
    return to_numpy(model.predict(asarray(x, BACKEND)))


def evaluate(model, train, test):
    (m,), (b,) = (to_numpy(p).ravel() for p in model.parameters().values())
    fits = predict(model, train.X), predict(model, test.X)
    return {
        "m": float(m),
        "b": float(b),
        "R2": r2_score(train.y, fits[0]),
        "MSE train": mean_squared_error(train.y, fits[0]),
        "MSE test": mean_squared_error(test.y, fits[1]),
        "MAE train": mean_absolute_error(train.y, fits[0]),
        "MAE test": mean_absolute_error(test.y, fits[1]),
    }


runs = {dmax: [] for dmax in NOISE}  # one dictionary a seed
fig, axes = plt.subplots(2, 3, figsize=(11, 6), sharex=True, layout="constrained", num="fits")
for column, dmax in zip(axes.T, NOISE, strict=True):
    for seed in range(N_SEEDS):
        train, test = make_data(dmax, rng=seed)
        model = train_line(train, rng=seed)
        runs[dmax].append(evaluate(model, train, test))
    for ax, part, name in zip(column, (train, test), ("train", "test"), strict=True):
        ends = np.array([[0.0], [10.0]])
        ax.plot(part.X, part.y, ".", label=name)
        ax.plot(ends, predict(model, ends), "r", label="fit")
        ax.plot(ends, SLOPE * ends + INTERCEPT, "k--", linewidth=1, label="truth")
        ax.set(xlabel="x", ylabel="y", title=f"dmax = {dmax}, {name} ({len(part)} samples)")
        ax.legend(fontsize=8)
fig.suptitle("Fits on training and test data: the more noise, the more the line scatters about the truth")
plt.show()


def mean_and_spread(dmax, quantity):
    values = [run[quantity] for run in runs[dmax]]
    return np.mean(values), np.std(values, ddof=1)


def law(dmax):
    mae, mse = dmax * np.sqrt(2 / np.pi), float(dmax**2)
    return {"m": SLOPE, "b": INTERCEPT, "R2": 100 / 3 / (100 / 3 + mse),
            "MSE train": mse, "MSE test": mse, "MAE train": mae, "MAE test": mae}  # fmt: skip


print(f"mean over {N_SEEDS} seeds ± its standard error, and the law")
for dmax in NOISE:
    print(f"dmax = {dmax}")
    for quantity, expected in law(dmax).items():
        mean, spread = mean_and_spread(dmax, quantity)
        print(f"  {quantity:<10} {mean:10.4f} ± {spread / np.sqrt(N_SEEDS):.4f}   law {expected:10.4f}")
    scatter = dmax / np.sqrt(100 / 12 * 0.8 * N_SAMPLES)
    measured = mean_and_spread(dmax, "m")[1]
    print(f"  scatter of m {measured:.3f}, expected dmax / (std(x) √M) = {scatter:.3f}")

# %% [markdown]
# The slope stays right on average at every noise; what grows is its scatter from seed to seed, by the
# factor dmax. "The model cannot find the parameters when the noise is high" is said too hastily: it
# finds them with a standard error, and that error is known: dmax / (std(x) √M).
#
# **R² = 0 does not mean that the model predicts nothing**, but that it predicts no better than the
# mean of y. And it can be negative. Can you think of a model that manages that?

# %%
train, test = make_data(dmax=1)
print("R2 of the mean: ", r2_score(test.y, np.full_like(test.y, test.y.mean())))
worse_than_mean = r2_score(test.y, np.zeros_like(test.y))
print("R2 of y = 0:    ", round(worse_than_mean, 3), "<- worse than the mean")

# %% [markdown]
# **Does noise in the labels prevent overfitting?** The source says so. Try it: a network with two
# hidden layers (lesson 8), far larger than needed, is trained on ten points of the line y = 2 x, and
# so is a straight line. Both are tested against the clean truth. *Predict:* which of the two suffers
# more from the noise, and why?


# %%
def errors_against_truth(noise, seed):
    rng = np.random.default_rng(seed)
    x, x_new = rng.uniform(-2, 2, (10, 1)), np.linspace(-2, 2, 200)[:, None]
    labels = SLOPE * x + noise * rng.standard_normal(x.shape)
    network = Sequential(Dense(1, 64), ReLU(), Dense(64, 64), ReLU(), Dense(64, 1), rng=seed, backend=BACKEND)
    history = fit(
        network, (x, labels), loss=MeanSquaredError(), optimizer=Adam(CosineDecay(1e-2, 2000)), epochs=2000,
        batch_size=10, rng=seed, progress=False,
    )  # fmt: skip
    line = np.polyval(np.polyfit(x[:, 0], labels[:, 0], 1), x_new)
    truth = SLOPE * x_new
    return (
        np.mean((labels - SLOPE * x) ** 2),
        history.train_loss[-1],
        mean_squared_error(truth, predict(network, x_new)),
        mean_squared_error(truth, line),
    )


label_noise = {
    noise: np.mean([errors_against_truth(noise, seed) for seed in range(3)], axis=0) for noise in (0.0, 0.6)
}
print("label noise | its mean square | training loss | error against the truth: network, line")
for noise, (drawn, train_loss, network_error, line_error) in label_noise.items():
    print(f"{noise:11} | {drawn:15.3f} | {train_loss:13.3f} | {network_error:.4f}, {line_error:.4f}")

# %% [markdown]
# The training loss of the network is far below the noise: most of the noise has been learned, and is
# carried into the predictions. The line cannot follow it. Noise in the *labels* is what gets
# overfitted; it prevents nothing. (What does act against overfitting is noise in the inputs or in the
# hidden layers, such as dropout, or a penalty on the weights, as in ridge regression.)
#
# ## 4. Why does the loss explode on [0, 100]?
#
# The same line, the same rate, ten times wider x. Watch the loss, step by step, without any guard.

# %%
wide_train, wide_test = make_data(dmax=1, high=100.0)
model, optimizer, losses = Sequential(Dense(1, 1), rng=0, backend=BACKEND), SGD(RATE), []
with np.errstate(over="ignore", invalid="ignore"):
    for _ in range(3):
        for x_batch, y_batch in DataLoader(wide_train, BATCH_SIZE, rng=0):
            x_batch, y_batch = (asarray(a, BACKEND, dtype="float32") for a in (x_batch, y_batch))
            losses.append(float(loss.compute(model.forward(x_batch), y_batch)))
            model.backward(loss.backward())
            optimizer.step(model.theta, model.grad)
print("loss by step:", " ".join(f"{value:.0e}" for value in losses))
first_inf, first_nan = np.argmax(np.isinf(losses)) + 1, np.argmax(np.isnan(losses)) + 1

# %% [markdown]
# First every step makes it thousands of times larger, then it is inf, and inf - inf is nan for ever.
#
# The reason is a number one can compute beforehand. The loss is a parabola in θ = (w, b) with the
# second derivative, the *Hessian*, H = 2/M X'X, where X has the columns x and 1. Along an eigenvector
# of H with eigenvalue λ a step multiplies the distance from the minimum by 1 - η λ. It shrinks only
# if η < 2/λ, so all of them shrink only if
#
#     η < 2 / λ_max(2/M X'X)
#
# *Predict:* x becomes ten times wider. What happens to λ_max, and so to the bound?

# %%
bounds = {
    high: [largest_stable_rate(make_data(1, high, rng=seed)[0].X) for seed in range(N_SEEDS)]
    for high in (10, 100)
}
for high, values in bounds.items():
    print(
        f"largest stable rate on [0, {high}]: {np.mean(values):.2g} ± {np.std(values):.1g}   (we use {RATE})"
    )
bound, wide_bound = largest_stable_rate(train.X), largest_stable_rate(wide_train.X)
print(f"for the data of this section: {bound:.3g} and {wide_bound:.3g}")

# %% [markdown]
# A hundred times smaller, for λ goes with x². Is the bound sharp? Full-batch gradient descent two
# percent below and two percent above it:


# %%
def descend(rate, steps=400):
    model, optimizer = Sequential(Dense(1, 1), rng=0, dtype="float64", backend=BACKEND), SGD(rate)
    X, y = asarray(wide_train.X, BACKEND), asarray(wide_train.y, BACKEND)
    losses = []
    for _ in range(steps):
        losses.append(float(loss.compute(model.forward(X), y)))
        model.backward(loss.backward())
        optimizer.step(model.theta, model.grad)
    return losses


fig, ax = plt.subplots(layout="constrained", num="stability")
for ratio in (0.5, 0.98, 1.02):
    ax.plot(descend(ratio * wide_bound), label=f"η = {ratio} × bound")
ax.set(
    xlabel="step",
    ylabel="MSE (unit of y squared)",
    yscale="log",
    title="Two percent decide: η = 2/λ_max is sharp (the floor: b is not learned yet)",
)
ax.legend()
plt.show()
below, above = descend(0.98 * wide_bound), descend(1.02 * wide_bound)

# %% [markdown]
# `fit` stops as soon as the loss or its gradient is no longer finite, and says what to do.

# %%
try:
    train_line(wide_train)
except DivergenceError as error:
    divergence = error
    print(error)

# %% [markdown]
# ## 5. Is a small rate the cure?
#
# At a third of the bound the training is stable. Is it good? *Predict:* R² is close to 1. Is the MSE
# close to dmax² = 1?

# %%
small_rate = wide_bound / 3
slow_runs = []
for seed in range(N_SEEDS):
    parts = make_data(1, 100.0, rng=seed)
    slow_runs.append(evaluate(train_line(parts[0], rate=small_rate, rng=seed), *parts))
slow = {name: float(np.mean([run[name] for run in slow_runs])) for name in slow_runs[0]}
print("  ".join(f"{name} {value:.4f}" for name, value in slow.items()))

# %% [markdown]
# R² = 0.998 looks perfect, and the MSE is five to six times too large: b has hardly moved. The rate
# is bounded by the largest eigenvalue of H, but b is learned along the smallest, and their ratio, the
# condition number, is in the thousands. R² hides it, because on this wide interval the variance of y
# is 3333.
#
# Nothing diverges; the remaining error is training not finished. How long would it take? Along the
# smallest eigenvalue the error shrinks like exp(-η λ_min t), so t = ln(1000) / (η λ_min) steps for
# three digits; here with η at 0.4 of the bound 2/λ_max.

# %%
for high, part in ((10, train), (100, wide_train)):
    X = np.column_stack([part.X, np.ones(len(part))])
    eigenvalues = np.linalg.eigvalsh(2 / len(X) * X.T @ X)
    steps = np.log(1e3) / (0.4 * 2 / eigenvalues[1] * eigenvalues[0])
    epochs = steps / (len(X) / BATCH_SIZE)
    print(f"x in [0, {high}]: condition number {eigenvalues[1] / eigenvalues[0]:6.0f}, "
          f"about {epochs:5.0f} epochs to learn b to 0.1 %")  # fmt: skip

# %% [markdown]
# ## 6. Does scaling cure it?
#
# Min-max scaling maps the interval of the training data to [0, 1] and remembers how to map back. x
# and y each get a scaler of their own (one for both would put y outside of [0, 1]), and both are
# fitted to the *training* part: the test part stands for data that do not exist yet.

# %%
x_scaler, y_scaler = MinMaxScaler(), MinMaxScaler()
scaled_train = Dataset(x_scaler.fit_transform(wide_train.X), y_scaler.fit_transform(wide_train.y))
scaled_test = Dataset(x_scaler.transform(wide_test.X), y_scaler.transform(wide_test.y))
restored = x_scaler.inverse_transform(scaled_train.X), y_scaler.inverse_transform(scaled_train.y)
print(
    "largest error after scaling and back:",
    max(abs(restored[0] - wide_train.X).max(), abs(restored[1] - wide_train.y).max()),
)

one_for_both = MinMaxScaler().fit(wide_train.X).transform(wide_train.y)
print(
    f"largest y: {scaled_train.y.max():.2f} with a scaler of its own, {one_for_both.max():.2f} with that of x"
)

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", num="scaling")
axes[0].plot(scaled_train.X, scaled_train.y, ".", label="train")
axes[0].plot(scaled_test.X, scaled_test.y, ".", label="test")
axes[0].set(xlabel="x scaled", ylabel="y scaled", title="Scaled to [0, 1]")
axes[1].plot(wide_train.X, wide_train.y, "o", mfc="none", label="original")
axes[1].plot(*restored, ".", label="scaled and back")
axes[1].set(xlabel="x", ylabel="y", title="The inverse restores every point")
for ax in axes:
    ax.legend()
plt.show()

# %% [markdown]
# The bound is now a comfortable number near 0.75, whatever the unit of x was. We take a third of it.

# %%
scaled_bound = largest_stable_rate(scaled_train.X)
model = train_line(scaled_train, rate=scaled_bound / 3)


def predict_unscaled(x):
    return y_scaler.inverse_transform(predict(model, x_scaler.transform(x)))


fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", num="scaled_fit")
cured = {}
for ax, part, name in zip(axes, (wide_train, wide_test), ("train", "test"), strict=True):
    prediction = predict_unscaled(part.X)
    cured[f"MSE {name}"] = mean_squared_error(part.y, prediction)
    cured[f"MAE {name}"] = mean_absolute_error(part.y, prediction)
    cured["R2"] = cured.get("R2", r2_score(part.y, prediction))
    ax.plot(part.y, prediction, ".", label=name)
    ax.plot([0, 210], [0, 210], "k", linewidth=1, label="perfect")
    ax.set(xlabel="y", ylabel="prediction", title=f"{name}: MSE {cured[f'MSE {name}']:.2f}")
    ax.legend()
fig.suptitle("Trained on scaled data: what is left is the noise, MSE near 1")
plt.show()
print(f"stable below {scaled_bound:.2f};", "  ".join(f"{name} {value:.4f}" for name, value in cured.items()))

# %% [markdown]
# The MSE is the variance of the noise again: the same data, the same number of epochs, another unit.
#
# ## Results
#
# The source's numbers come from one draw of the noise each, ours are means over seeds, so the two
# differ by about the spread of a single run.

# %%
SOURCE = {
    1: (1.95417, 5.05866, 0.97191, 1.0142, 0.8314, 0.8114, 0.7315),
    10: (1.45395, 6.42236, 0.19578, 100.28, 91.32, 8.182, 7.201),
    20: (2.03537, 3.41627, 0.06730, 420.10, 482.88, 16.161, 17.965),
}
results = ResultsTable("Lesson 1: linear regression, mean over seeds beside the source's single draw")
for dmax, numbers in SOURCE.items():
    for quantity, seed in zip(law(dmax), numbers, strict=True):
        mean, spread = mean_and_spread(dmax, quantity)
        error = spread * np.sqrt(1 + 1 / N_SEEDS)
        results.add(f"{quantity}, dmax {dmax}", mean, seed=seed, standard_error=error,
                    note=f"law: {law(dmax)[quantity]:.4g}")  # fmt: skip
SOURCE_SMALL_RATE = {
    "R2": 0.99812, "MSE train": 6.2022, "MSE test": 6.0931, "MAE train": 2.0814, "MAE test": 1.9914,
}  # fmt: skip
for quantity, seed in SOURCE_SMALL_RATE.items():
    criterion = {"tolerance": 1e-3} if quantity == "R2" else {"factor": 1.5}
    results.add(f"{quantity}, [0, 100], small rate", slow[quantity], seed=seed, **criterion,
                note="b not learned; depends on the source's epochs, unknown")  # fmt: skip
results.add("MSE test, [0, 100], scaled", cured["MSE test"], note="the noise alone is 1")
results.add("R2, [0, 100], scaled", cured["R2"], note="the source: almost 1")
for high, seed in ((10, 0.03), (100, 3e-4)):
    results.add(f"largest stable rate, [0, {high}]", np.mean(bounds[high]), seed=seed, tolerance=0.1,
                note="2 / λ_max(2/M X'X)")  # fmt: skip
ends = f"{below[-1]:.1e} / {above[-1]:.1e}"
results.add("loss after 400 steps at 0.98 / 1.02 × bound", ends, note="the bound is sharp")
results.add("old rate on [0, 100]: steps of inf, nan", f"{first_inf}, {first_nan}", seed="inf, then nan",
            corrected=True, note=f"fit stops in epoch {divergence.epoch}, with the stable rate")  # fmt: skip
network, line = label_noise[0.6][2:]
results.add("noisy labels: error of network / line", network / line, seed="prevents overfitting",
            corrected=True, note=f"error of the network without noise {label_noise[0.0][2]:.0e}")  # fmt: skip
results.add(
    "R2 of predicting y = 0", worse_than_mean, seed="0 to 1", corrected=True, note="R2 can be negative"
)
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *Predict, then measure.* What are MSE, MAE and R² for dmax = 5? Write the three numbers down,
#    then run `evaluate(train_line(d[0]), *d)` with `d = make_data(5)`; a single run scatters by about
#    10 %.
# 2. *Another scaler.* With `StandardScaler` instead of `MinMaxScaler` the columns x and 1 become
#    orthogonal. What are the eigenvalues of 2/M X'X then, what is the bound, what the condition
#    number? Check with `largest_stable_rate`: the answer does not depend on the data.
# 3. *Batches of one.* Every batch has a Hessian 2/B X_b'X_b of its own. Show that with batches of a
#    single sample the rate has to stay below 1 / (x² + 1) for the largest x to be safe at every step,
#    so near 0.0099 on [0, 10]. Then call `fit` with batch_size=1, a constant `SGD(rate)` and 50
#    epochs, and find by bisection from which rate on it raises DivergenceError (near 0.023). Why so
#    far above?
