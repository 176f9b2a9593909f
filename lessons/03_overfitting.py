# %% [markdown]
# # Lesson 3: Overfitting, and how to notice
#
# A polynomial of degree 20 fits 25 points better than one of degree 2, and is worthless. This lesson
# shows how to notice that, how to prevent it, and what can be promised about data one has not seen.
#
# After this lesson you can
# * read training, validation and test errors, validation and learning curves, and cross-validate,
# * tame a model that is too flexible with ridge, lasso or elastic net, and leave its intercept alone,
# * split the error of a fit into what its class cannot express and what its data could not tell,
# * say how far an error measured on n samples may be from the true one, and when that says nothing.
#
# It builds on lesson 2 (design matrix, least squares). "The slides" (S4 in the comments of the library)
# and "the notes" (S3) are the two lectures that this lesson follows and, in places, corrects. M is the
# number of samples, n = degree + 1 that of coefficients θ, σ the standard deviation of the noise, X'
# is X transposed. x and y have no unit unless one is named.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binom
from sklearn.pipeline import make_pipeline

from tinynn.backend import asarray, to_numpy
from tinynn.linalg import least_squares, qr
from tinynn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from tinynn.metrics import mean_squared_error
from tinynn.model_selection import (
    KFold,
    cross_val_score,
    learning_curve,
    train_test_split,
    validation_curve,
)
from tinynn.molecules import Morse
from tinynn.preprocessing import PolynomialFeatures, StandardScaler
from tinynn.results import ResultsTable

# %% [markdown]
# **Knobs.** Change them and run again. A value after "quick:" is for a fast look.

# %%
BACKEND = "numpy"  # "cupy" computes on a GPU; for so small problems that is slower
M_SAMPLES = 25  # the number on the slides, for training; as many again to validate
NOISE = 0.1  # σ: small against the curve, large enough to be run after
DEGREES = range(1, 21)  # up to the slides' example of a polynomial too many
LAMBDAS = np.logspace(-9, 1, 21)  # quick: np.logspace(-9, 1, 6); from no penalty to nothing but penalty
N_DRAWS = 100  # quick: 8; repetitions with new data: one draw proves nothing
N_REPEATS = 10  # quick: 1; the same where a repetition takes hundreds of fits
N_DESCRIPTORS = 100  # quick: 40; useless features to choose among: luck grows with their number
N_TRIALS = 200_000  # quick: 20_000; coin-flip experiments: sees probabilities down to 1e-5

# %% [markdown]
# ## 1. Which of two fits is better?
#
# The truth is a parabola again, y = x² + σ ε with ε ~ N(0, 1), on [-1, 1]: lesson 2 with its x
# stretched, which saves digits. A model is a chain of two steps: powers of x, then a linear model.
# *Predict:* which degree has the smaller error on the points it was fitted to, 2 or 20? And on new
# points?


# %%
def draw(rng, M=M_SAMPLES):
    x = rng.uniform(-1, 1, (M, 1))
    y = x[:, 0] ** 2 + NOISE * rng.standard_normal(M)
    return asarray(x, BACKEND), asarray(y, BACKEND)


def polynomial(degree, linear=None):
    return make_pipeline(PolynomialFeatures(degree, include_bias=False), linear or LinearRegression())


def error(model, part):
    return mean_squared_error(part[1], model.predict(part[0]))


def plot_fit(ax, model, *style, **options):
    ax.plot(grid, to_numpy(model.predict(asarray(grid[:, None], BACKEND))), *style, **options)


rng = np.random.default_rng(3)
train, validation, test = draw(rng), draw(rng), draw(rng, 10_000)
grid = np.linspace(-1, 1, 400)
fig, ax = plt.subplots(layout="constrained", num="fits")
ax.plot(*map(to_numpy, train), "ko", label="training")
ax.plot(*map(to_numpy, validation), "kx", label="validation")
print("mean squared error / σ²   training  validation    test")
first = {}
for degree, style in ((2, "C1"), (20, "C3")):
    model = polynomial(degree).fit(*train)
    first[degree] = [error(model, part) / NOISE**2 for part in (train, validation, test)]
    print(f"degree {degree:<2} {first[degree][0]:23.2f} {first[degree][1]:11.3g} {first[degree][2]:7.3g}")
    plot_fit(ax, model, style, label=f"degree {degree}")
ax.set(xlabel="x", ylabel="y", ylim=(-0.5, 1.5), title="Degree 20 passes near every ●, and misses the ×")
ax.legend()
plt.show()

# %% [markdown]
# The training error prefers degree 20, any other points refuse it. An error of σ² = 1 in these units
# is what nobody can beat on new data; a training error *below* σ² is noise learned by heart. So the
# error of the training data cannot choose a model. Validation data can: they were not fitted. And the
# test data, 10 000 here, stand for "everything else".
#
# ## 2. The error against the degree
#
# This is the **validation curve**: errors against whatever makes a model more flexible. Classes are
# nested, for a parabola is a polynomial of degree 20 too. *Predict:* can the training error ever rise?
# Where is each error for degree 1, which is too stiff?

# %%
curves = np.empty((N_DRAWS, 3, len(DEGREES)))  # in units of σ²
for k in range(N_DRAWS):
    rng = np.random.default_rng([3, k])
    parts = draw(rng), draw(rng), draw(rng, 1000)
    for j, degree in enumerate(DEGREES):
        model = polynomial(degree).fit(*parts[0])
        curves[k, :, j] = [error(model, part) / NOISE**2 for part in parts]
typical = np.median(curves, axis=0)
n_coefficients = np.array(DEGREES) + 1

NAMES = ("training", "validation", "test")


def plot_errors(ax, x, errors):
    for name, values, style in zip(NAMES, errors, ("C0o-", "C1s-", "C3^-"), strict=True):
        ax.plot(x, values, style, markersize=4, label=name)
    ax.axhline(1, color="0.7", linewidth=1, zorder=0)


fig, ax = plt.subplots(layout="constrained", num="degree")
plot_errors(ax, DEGREES, typical)
ax.plot(DEGREES, 1 - n_coefficients / M_SAMPLES, "k--", label="1 - n/M")
ax.set(xlabel="degree", ylabel="mean squared error / σ²", yscale="log", ylim=(0.05, 1e4),
       xticks=range(1, 21, 2), title="Left of 2 all are large, right of it they part (medians)")  # fmt: skip
ax.legend()
plt.show()
rises = float((np.diff(curves[:, 0]) > 1e-9 * curves[:, 0, :-1]).mean())
mean_training = curves[:, 0].mean(axis=0)
print(f"training error rises in {rises:.0%} of all steps to the next degree")
print(f"mean training error at degree 2: {mean_training[1]:.3f}; 1 - n/M = {1 - 3 / M_SAMPLES:.3f}")
chosen = {"training": curves[:, 0].argmin(axis=1), "validation": curves[:, 1].argmin(axis=1)}
reached = {name: np.median(curves[np.arange(N_DRAWS), 2, best]) for name, best in chosen.items()}
for name, best in chosen.items():
    typical_degree = DEGREES[int(np.median(best))]
    print(f"chosen by {name:<10} median degree {typical_degree:2}, test error {reached[name]:.3g} σ²")

# %% [markdown]
# * All errors large and alike: **underfitting**, the class is too small.
# * Training error small, the others large: **overfitting**, the class is too large for these data.
#
# Once the class holds the truth, every coefficient soaks up 1/M of the noise: the training error is
# σ² (1 - n/M) on average. What it takes from the noise, it has to give back on new points, with
# interest. (A high degree explodes near the ends, where 25 validation samples seldom look; so their
# curve lies below that of the test.)
#
# ## 3. A penalty instead of a small degree
#
# One may keep all 20 powers and make large weights costly. This is **ridge regression**, or Tikhonov
# regularisation:
#
#     L = 1/(2M) |X θ - y|² + λ/2 |θ|²
#     dL/dθ = 1/M X'(X θ - y) + λ θ = 0,      θ = (X'X + λ M I)⁻¹ X'y
#
# The estimators follow scikit-learn, which has no 1/M: its alpha is λ M. *Predict:* what happens to
# the solution when every sample is written down twice, at fixed λ? At fixed alpha?

# %%
lam = 0.01
X = to_numpy(PolynomialFeatures(5).fit_transform(train[0]))
y = to_numpy(train[1])


def ridge(X, y, alpha):
    return to_numpy(least_squares(asarray(X, BACKEND), asarray(y, BACKEND), alpha=alpha).coef)


def gradient(theta):
    return X.T @ (X @ theta - y) / M_SAMPLES + lam * theta  # S4 (20)


theta = ridge(X, y, lam * M_SAMPLES)
formula = np.linalg.solve(X.T @ X + lam * M_SAMPLES * np.eye(6), X.T @ y)  # S4 (22)
formula_gap = abs(theta - formula).max()
slopes = abs(gradient(theta)).max(), abs(gradient(ridge(X, y, lam))).max()
print(
    f"library - formula: {formula_gap:.0e}; slope of L at alpha = λ M: {slopes[0]:.0e}, at λ: {slopes[1]:.0e}"
)
XX, yy = np.vstack([X, X]), np.hstack([y, y])
doubled = (
    abs(ridge(XX, yy, lam * 2 * M_SAMPLES) - theta).max(),
    abs(ridge(XX, yy, lam * M_SAMPLES) - theta).max(),
)
print(f"data twice: θ moves by {doubled[0]:.0e} at fixed λ, by {doubled[1]:.3f} at fixed alpha")

# %% [markdown]
# λ belongs to the mean over samples and keeps its meaning when data are added. With fixed alpha the
# penalty fades as the data grow. Now degree 20 for all λ. *Predict:* the two ends of the curve. And is
# the training error still the one to minimise?

# %%
ridge_curves = np.empty((N_DRAWS // 2, 3, len(LAMBDAS)))
for k in range(len(ridge_curves)):
    rng = np.random.default_rng([3, k])
    parts = draw(rng), draw(rng), draw(rng, 1000)
    for j, lam in enumerate(LAMBDAS):
        model = polynomial(20, Ridge(lam * M_SAMPLES)).fit(*parts[0])
        ridge_curves[k, :, j] = [error(model, part) / NOISE**2 for part in parts]
ridge_typical = np.median(ridge_curves, axis=0)
best_lambda = LAMBDAS[ridge_typical[1].argmin()]

fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", num="ridge")
plot_errors(axes[0], LAMBDAS, ridge_typical)
axes[0].set(xlabel="λ", ylabel="mean squared error / σ²", xscale="log", yscale="log",
            title=f"Overfitting left, underfitting right (median of {len(ridge_curves)} draws)")  # fmt: skip
axes[0].legend()
axes[1].plot(*map(to_numpy, train), "ko", label="training")
for lam, style in ((1e-9, "C3:"), (best_lambda, "C2"), (10, "C0--")):
    plot_fit(axes[1], polynomial(20, Ridge(lam * M_SAMPLES)).fit(*train), style, label=f"λ = {lam:g}")
axes[1].set(xlabel="x", ylabel="y", ylim=(-0.5, 1.5), title="All three have degree 20")
axes[1].legend(loc="upper center")
plt.show()
tamed = ridge_typical[2, ridge_typical[1].argmin()]
print(f"best λ {best_lambda:.1g}: test error {tamed:.2f} σ², against {typical[2, 1]:.2f} of degree 2 "
      f"and {typical[2, -1]:.1g} of degree 20 without penalty")  # fmt: skip

# %% [markdown]
# The same picture as before, mirrored: λ is a continuous degree, and has to be chosen by validation as
# the degree had. It takes degree 20 from billions of σ² to below 1.5. Degree 2 stays better, for it was
# told more: which weights are zero, not only that all are small.
#
# ## 4. Who pays for the intercept?
#
# θ₀ is a weight as well. If it is penalised, as in the formula above, the fit is drawn to zero and not
# to the mean of y. The slides say: for a y that is the constant μ, the minimum of the loss is |θ₀|,
# reached only if all other weights are zero. *Predict:* with X = 1 the loss is 1/2 (θ₀ - μ)² + λ/2
# θ₀². What are θ₀ and the minimum?

# %%
mu = 3.0
raw = np.column_stack([X[:, 1], X[:, 2]])
designs = {
    "columns centred": np.column_stack([np.ones(M_SAMPLES), raw - raw.mean(axis=0)]),
    "columns as they are": np.column_stack([np.ones(M_SAMPLES), raw]),
}
constant = {}
print("   λ  slides' |θ₀|  λμ²/(2(1+λ))   minimum:", "   ".join(designs))
for lam in (0.01, 0.1, 1.0, 10.0):
    predicted = lam * mu**2 / (2 * (1 + lam))
    for name, D in designs.items():
        theta = ridge(D, np.full(M_SAMPLES, mu), lam * M_SAMPLES)
        minimum = np.mean((D @ theta - mu) ** 2) / 2 + lam / 2 * theta @ theta  # S4 (18)
        constant[lam, name] = abs(theta[0]), minimum, predicted, abs(theta[1:]).max()
    slides = constant[lam, "columns centred"][0]
    minima = [constant[lam, name][1] for name in designs]
    print(f"{lam:5} {slides:12.4f} {predicted:13.4f} {minima[0]:23.4f} {minima[1]:17.4f}")
centred_gap = max(abs(v[1] - v[2]) for (_, name), v in constant.items() if name == "columns centred")
other_weight = constant[1.0, "columns as they are"][3]
print(f"λ = 1, columns as they are: the largest other weight is {other_weight:.2f}, and helps out")

# %% [markdown]
# θ₀ = μ/(1 + λ), and the minimum is λμ²/(2(1 + λ)): not |θ₀|. That the other weights vanish holds if
# the columns are orthogonal to the column of ones, that is centred; else they help out, for sharing
# a weight is cheaper, and the minimum is lower still.
#
# The slides know two remedies: leave θ₀ out of the penalty, or centre y ("simply"), as if they were one.
# *Predict:* x² has the mean 1/3. Is a centred y enough?

# %%
lam = 0.1
alpha = lam * M_SAMPLES
free = Ridge(alpha).fit(asarray(raw, BACKEND), asarray(y, BACKEND))
free = to_numpy(free.predict(asarray(raw, BACKEND)))
y_mean, raw_mean = y.mean(), raw.mean(axis=0)
ones = designs["columns as they are"]
only_y = y_mean + ones @ ridge(ones, y - y_mean, alpha)
no_ones = y_mean + raw @ ridge(raw, y - y_mean, alpha)
both = y_mean + (raw - raw_mean) @ ridge(raw - raw_mean, y - y_mean, alpha)
shifted = ones @ (ridge(ones, y + 100, alpha) - ridge(ones, y, alpha)) - 100
centring_gap = [abs(fit - free).max() for fit in (only_y, no_ones, both)]
print(f"y + 100, θ₀ penalised: the predictions follow with errors up to {abs(shifted).max():.1f}")
print("largest difference from the fit with a free intercept, in σ:")
print(f"y centred {centring_gap[0] / NOISE:.2f}, and no column of ones {centring_gap[1] / NOISE:.2f}, "
      f"X and y centred {centring_gap[2] / NOISE:.0e}")  # fmt: skip

# %% [markdown]
# Centring y replaces a free intercept *only if the columns of X are centred too*. `Ridge` does both.
#
# ## 5. Too few data to set some aside?
#
# **k-fold cross-validation** cuts the data into k folds; each is predicted by a model fitted on the
# others, and the k errors are averaged. Every sample validates once, and most train every time.
# *Predict:* 50 samples, degree 2. The error is estimated by 10 samples set aside, or by 5 folds of
# 10. By which factor is the second less noisy?

# %%
scores = {"cv": 5, "scoring": "neg_mean_squared_error"}  # scores: the larger the better, hence the sign
estimates = []
for k in range(N_DRAWS):
    x_all, y_all = draw(np.random.default_rng([4, k]), 2 * M_SAMPLES)
    x_in, x_out, y_in, y_out = train_test_split(x_all, y_all, test_size=10, random_state=0)
    one_split = error(polynomial(2).fit(x_in, y_in), (x_out, y_out))
    estimates.append((one_split, -cross_val_score(polynomial(2), x_all, y_all, **scores).mean()))
spread = np.std(estimates, axis=0) / NOISE**2
print(f"spread of the estimate: one split {spread[0]:.2f} σ², 5 folds {spread[1]:.2f} σ²; "
      f"ratio {spread[0] / spread[1]:.2f}, √5 = {np.sqrt(5):.2f}")  # fmt: skip

# %% [markdown]
# Five times as many samples validate, so √5; nearly, because the five models share most of their data.
#
# Folds should look like the rest of the data. *Predict:* the samples are sorted by x, and the folds
# are taken in order. What is the first fold to the model that never saw it?

# %%
x_all, y_all = draw(np.random.default_rng(5), 2 * M_SAMPLES)
order = x_all[:, 0].argsort()
x_sorted, y_sorted = x_all[order], y_all[order]
folds = {"in order": KFold(5), "shuffled": KFold(5, shuffle=True, random_state=0)}
cross = {}
for name, cv in folds.items():
    values = validation_curve(
        polynomial(1), x_sorted, y_sorted, param_name="polynomialfeatures__degree", param_range=DEGREES,
        cv=cv, scoring=scores["scoring"],
    )[1]  # fmt: skip
    cross[name] = -values

fig, ax = plt.subplots(layout="constrained", num="cross_validation")
for name, style in (("in order", "C3s-"), ("shuffled", "C2o-")):
    values = cross[name] / NOISE**2
    ax.fill_between(DEGREES, values.min(axis=1), values.max(axis=1), color=style[:2], alpha=0.15)
    ax.plot(DEGREES, values.mean(axis=1), style, label=f"folds {name}: mean and range")
ax.plot(DEGREES, typical[2], "k--", label=f"test error, {M_SAMPLES} training samples")
ax.set(xlabel="degree", ylabel="mean squared error / σ²", yscale="log", ylim=(0.1, 1e8),
       xticks=range(1, 21, 2), title="Sorted data, folds in order: the ends are extrapolated")  # fmt: skip
ax.legend()
plt.show()
picked = {name: DEGREES[values.mean(axis=1).argmin()] for name, values in cross.items()}
misled = cross["in order"][5].mean() / cross["shuffled"][5].mean()
print(f"degree chosen: {picked}; at degree 6 folds in order give {misled:.0f} times the error")

# %% [markdown]
# The model is asked beyond the data it has seen. Only the class that holds the truth and nothing more
# survives that: degree 2. Shuffle, unless extrapolation is what you want to test.
#
# **What has chosen cannot judge.** Thirty molecules, a property, and many descriptors of which *none*
# has anything to do with it. Take the descriptor with the smallest cross-validated error. *Predict:*
# is that error below the variance of the property? And on new molecules?

# %%
winners = []
for k in range(N_REPEATS):
    rng = np.random.default_rng([6, k])
    descriptors = asarray(rng.standard_normal((1030, N_DESCRIPTORS)), BACKEND)
    labels = asarray(rng.standard_normal(1030), BACKEND)
    columns = [descriptors[:, [j]] for j in range(N_DESCRIPTORS)]
    estimated = [-cross_val_score(LinearRegression(), c[:30], labels[:30], **scores).mean() for c in columns]
    best = columns[int(np.argmin(estimated))]
    model = LinearRegression().fit(best[:30], labels[:30])
    winners.append((min(estimated), error(model, (best[30:], labels[30:]))))
winner_estimated, winner_true = np.mean(winners, axis=0)
print(f"best of {N_DESCRIPTORS}, {N_REPEATS} repetitions: error {winner_estimated:.2f} by cross-validation, "
      f"{winner_true:.2f} on 1000 new molecules; variance 1")  # fmt: skip

# %% [markdown]
# The best of many estimates is the luckiest. Its own score is part of the choice; an honest number
# needs data that took no part in it. Section 8 says how fast luck grows with the number of candidates.
#
# ## 6. Would more data help?
#
# The **learning curve** plots both errors against M for one model. *Predict:* degrees 1, 2 and 20.
# Whose two curves meet, and at which height?

# %%
x_many, y_many = draw(np.random.default_rng(7), 1000)
sizes = (25, 35, 50, 70, 100, 200, 400, 800)
fig, axes = plt.subplots(1, 3, figsize=(12, 3.8), sharey=True, layout="constrained", num="learning_curve")
learned = {}
for ax, degree in zip(axes, (1, 2, 20), strict=True):
    sizes, *both_errors = learning_curve(polynomial(degree), x_many, y_many, train_sizes=sizes, shuffle=True,
                                         random_state=0, **scores)  # fmt: skip
    learned[degree] = [np.median(-e, axis=1) / NOISE**2 for e in both_errors]
    for name, values, style in zip(
        ("training", "validation"), learned[degree], ("C0o-", "C1s-"), strict=True
    ):
        ax.plot(sizes, values, style, markersize=4, label=name)
    if degree > 1:
        ax.plot(sizes, 1 - (degree + 1) / sizes, "k--", linewidth=1, label="1 - n/M")
        ax.plot(sizes, 1 + (degree + 1) / sizes, "k:", linewidth=1, label="1 + n/M")
    ax.set(xlabel="training samples M", xscale="log", yscale="log", ylim=(0.1, 100), title=f"degree {degree}")
    ax.set_xticks((25, 50, 100, 200, 400, 800), (25, 50, 100, 200, 400, 800), minor=False)
    ax.tick_params(axis="x", which="minor", labelbottom=False)
    ax.legend(fontsize=8)
axes[0].set_ylabel("mean squared error / σ²")
fig.suptitle("Too stiff: they meet high up. Right: they meet soon. Too flexible: they meet late")
plt.show()
for degree, (fitted, unseen) in learned.items():
    print(f"degree {degree:2}: M = {sizes[0]}: {fitted[0]:.2f} and {unseen[0]:.3g}, "
          f"M = {sizes[-1]}: {fitted[-1]:.3f} and {unseen[-1]:.3f}")  # fmt: skip

# %% [markdown]
# More data cure overfitting and never underfitting. For a class that holds the truth the gap closes
# as 2 σ² n/M, once M is well above n. So look at the gap before you pay for more reference energies.
# (At M = 800 the gap is below the scatter of 200 validation samples, about √(2/200) = 10 %.)
#
# ## 7. What is the error made of?
#
# Call the truth f. The **true risk** of a fit h is L(h) = E (h(x) - f(x))², the **empirical risk** its
# mean over the samples. The expectation needs a distribution of x; the notes first integrate over the
# whole real line. *Predict:* what is that integral for two polynomials that differ?

# %%
line_risks = []
for end in (1, 10, 100):
    x_line = np.linspace(-end, end, 200_001)
    line_risks.append(np.trapezoid((0.01 * x_line**2) ** 2, x_line))
    print(f"h = 1.01 x², f = x²: integral of (h - f)² from -{end} to {end}: {line_risks[-1]:.1e}")

# %% [markdown]
# Infinite, however close they are. So weigh with the distribution of the x that will be asked for. For
# the fit h_S from a sample S in a class H, in two parts:
#
#     L(h_S) = min_H L + (L(h_S) - min_H L)
#
# The first is the **approximation error**: what the class cannot express. The second, in brackets, is
# the **estimation error**: what the sample could not tell. The notes set the first name under the
# bracket, and say that it decreases as H grows. *Predict:* which part falls, which rises? Here the
# truth is no polynomial but the energy of a bond, a Morse curve of depth 1 eV, at distances from 0.5 to
# 2.5 Å, with a noise of 0.05 eV in the samples. (Degree 2 is a parabola too, but fitted to the whole
# range; the harmonic approximation fits the minimum only.)

# %%
bond = Morse(D_e=1.0, a=1.5, r_e=1.0)
u, weight = np.polynomial.legendre.leggauss(100)  # u = r / Å - 1.5, so that powers of u stay below 1
weight = weight / 2  # u is uniform on [-1, 1]
energy = bond.v(u + 1.5)
LARGEST = 12  # degree: beyond, 30 samples have nothing to say
approximation, estimation, cross_terms = [], {30: [], 3000: []}, []
for degree in range(1, LARGEST + 1):
    P = np.vander(u, degree + 1, increasing=True)
    root = np.sqrt(weight)
    best = P @ to_numpy(least_squares(P * root[:, None], energy * root, "pivoted_qr").coef)
    approximation.append(weight @ (best - energy) ** 2)
    for M, rows in estimation.items():
        rows.append([])
        for k in range(N_DRAWS // 2):
            rng = np.random.default_rng([8, M, k])
            x_bond = rng.uniform(-1, 1, M)
            e_bond = bond.v(x_bond + 1.5) + NOISE / 2 * rng.standard_normal(M)
            model = polynomial(degree).fit(asarray(x_bond[:, None], BACKEND), asarray(e_bond, BACKEND))
            h = to_numpy(model.predict(asarray(u[:, None], BACKEND)))
            risk = weight @ (h - energy) ** 2
            rows[-1].append(risk - approximation[-1])
            cross_terms.append(abs(rows[-1][-1] - weight @ (h - best) ** 2) / risk)
approximation = np.array(approximation)
estimation = {M: np.median(rows, axis=1) for M, rows in estimation.items()}

fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained", num="risk")
best_degree = {}
for ax, (M, values) in zip(axes, estimation.items(), strict=True):
    total = approximation + values
    best_degree[M] = int(total.argmin()) + 1
    ax.plot(range(1, LARGEST + 1), approximation, "C0o-", label="approximation error, min L over the class")
    ax.plot(range(1, LARGEST + 1), values, "C3^-", label="estimation error, L(h_S) - min L")
    ax.plot(range(1, LARGEST + 1), total, "k--", label="their sum, the true risk")
    ax.set(xlabel="degree", yscale="log", ylim=(1e-8, 10), title=f"M = {M}: best at degree {best_degree[M]}")
    ax.legend(fontsize=8)
axes[0].set_ylabel("risk (eV²)")
fig.suptitle("A larger class lowers the first error and, from its minimum on, raises the second")
plt.show()
lowest = {M: int(values.argmin()) for M, values in estimation.items()}
for M, values in estimation.items():
    print(f"M = {M}: estimation error at degree 1 {values[0]:.1e}, lowest {values[lowest[M]]:.1e} at degree "
          f"{lowest[M] + 1}, degree {LARGEST} {values[-1]:.1e} eV²")  # fmt: skip
print(f"approximation error from {approximation[0]:.1e} to {approximation[-1]:.1e} eV²")
print(f"estimation error = |h_S - best of H|², up to {max(cross_terms):.0e} of the risk")

# %% [markdown]
# The first falls, the bracket does not: it is the estimation error. It rises with the degree where all
# the class lacks is data, but not from the start. To a class that is too small, the rest of f looks
# like noise, and is fitted like noise. And the best degree grows with the data: the question "how
# flexible?" has no answer without M. (The parts add up like squares in a right triangle: the bracket is
# the squared distance of h_S from the best member of the class.)
#
# ## 8. How far is the empirical risk from the true one?
#
# In this section n counts samples, as in the notes. A mean of independent numbers in [a, b] is rarely
# far from its expectation μ. **Hoeffding's inequality:**
#
#     P(|mean of n - μ| > ε) ≤ 2 exp(-2 n ε² / (b - a)²)
#
# The notes have lost the 2 in the exponent. What they print is true, but weaker. *Predict:* toss n
# fair coins (a = 0, b = 1). Do the measured frequencies leave room for an exponent of 3?

# %%
EPS = 0.1  # heads in less than 40 or more than 60 per cent
tosses = np.array([20, 50, 100, 150, 200, 300, 400, 500])
rng = np.random.default_rng(9)
heads = rng.binomial(tosses, 0.5, (N_TRIALS, len(tosses)))
frequency = (abs(heads - tosses / 2) > tosses * EPS + 1e-9).mean(axis=0)
many = np.array([20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000])
log_tail = binom.logcdf(np.ceil(many * (0.5 - EPS) - 1e-9) - 1, many, 0.5)  # one of two equal tails
sharpest = -log_tail / (many * EPS**2)

fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", num="hoeffding")
seen_at_all = frequency > 0
axes[0].plot(tosses[seen_at_all], frequency[seen_at_all], "ko", label="measured frequency")
for c, style, name in ((1, "C1--", ", as in the notes"), (2, "C2", ", Hoeffding"), (3, "C3:", ", no bound")):
    axes[0].plot(tosses, 2 * np.exp(-c * tosses * EPS**2), style, label=f"2 exp(-{c} n ε²){name}")
axes[0].set(xlabel="coins n", ylabel=f"P(|mean - 1/2| > {EPS})", yscale="log", ylim=(1e-6, 3),
            title="Measured: below exponent 2, and in the end above 3")  # fmt: skip
axes[1].semilogx(many * EPS**2, sharpest, "ko-", label="largest c that this n allows, exact")
axes[1].axhline(2, color="C2", label="c = 2, Hoeffding")
axes[1].axhline(1, color="C1", linestyle="--", label="c = 1, as in the notes")
axes[1].set(xlabel="n ε²", ylabel="c in 2 exp(-c n ε²)", ylim=(0, 5),
            title="No constant above 2 holds for all n and ε")  # fmt: skip
for ax in axes:
    ax.legend()
plt.show()
within = bool(np.all(frequency <= 2 * np.exp(-2 * tosses * EPS**2)))
too_sharp = bool(np.any(frequency > 2 * np.exp(-3 * tosses * EPS**2)))
print(
    f"Hoeffding holds for all n: {within}; exponent 3 is broken: {too_sharp}; c falls to {sharpest[-1]:.3f}"
)
needed = {c: int(np.ceil(np.log(2 / 0.05) / (c * EPS**2))) for c in (2, 1)}
print(f"samples that promise ±{EPS} with 95 %: {needed[2]}; with the notes' exponent {needed[1]}")

# %% [markdown]
# So 2 is the best constant, and without it one pays for twice the samples. (c tends to 2 + 4/3 ε² here,
# and to 2 for small ε.)
#
# The inequality speaks of *one* hypothesis, fixed before the data came. *Predict:* a class of |H|
# classifiers that all toss coins, so that each has the true risk 1/2. We keep the one with the fewest
# errors on 50 samples. What is its empirical risk? For it to be off by more than ε, one of |H| must
# be, so the probabilities add up at worst:
#
#     P(some h in H is off by more than ε) ≤ 2 |H| exp(-2 n ε²)

# %%
N_COINS = 50
class_sizes = 10 ** np.arange(5)
best_risk = []
for size in class_sizes:
    best_risk.append(rng.binomial(N_COINS, 0.5, (200, size)).min(axis=1) / N_COINS)
best_risk = np.array(best_risk)
with_95 = 0.5 - np.sqrt(np.log(2 * class_sizes / 0.05) / (2 * N_COINS))
fig, ax = plt.subplots(layout="constrained", num="many_hypotheses")
ax.errorbar(class_sizes, best_risk.mean(axis=1), best_risk.std(axis=1), fmt="ko-", capsize=3,
            label="empirical risk of the winner, ± spread")  # fmt: skip
ax.plot(class_sizes, with_95, "C2", label="not below this with 95 %, for the whole class")
ax.axhline(with_95[0], color="C1", linestyle="--", label="the same for one hypothesis")
ax.axhline(0.5, color="C3", label="true risk of every hypothesis")
ax.set(xlabel="hypotheses |H|", ylabel=f"share of errors on {N_COINS} samples", xscale="log", ylim=(0, 0.75),
       title="The more there are to choose from, the less the winner's score says")  # fmt: skip
ax.legend()
plt.show()
broken = (best_risk < with_95[0]).mean(axis=1), (best_risk < with_95[:, None]).mean(axis=1)
print(f"winner of {class_sizes[-1]}: empirical risk {best_risk[-1].mean():.2f}, true risk 0.5")
print(
    f"winners below the limit for one hypothesis: {broken[0][-1]:.0%}; for the class: {broken[1].max():.0%}"
)

# %% [markdown]
# The price of choosing grows with ln |H| only. That is why a validation set can stand tens of
# candidates, and why section 5's winner fooled its folds. (Polynomials are infinitely many; for them
# the number of coefficients takes the place of ln |H|. And squared errors of a Gaussian have no b, so
# Hoeffding wants them clipped.)
#
# ## 9. The simplest that fits
#
# **Occam's razor** decides between hypotheses that fit equally well: take the simplest. Six points of
# a cubic, without noise. *Predict:* which degrees fit them exactly? And is the true risk the same?

# %%


def cubic(x):
    return x**3 - x / 2


knots = np.array([-0.95, -0.6, -0.2, 0.25, 0.5, 0.9])
occam = {}
print("degree  empirical risk  true risk")
for degree in (2, 3, 4, 5, 6, 8, 12):
    model = polynomial(degree).fit(asarray(knots[:, None], BACKEND), asarray(cubic(knots), BACKEND))
    at_knots, everywhere = (to_numpy(model.predict(asarray(x[:, None], BACKEND))) for x in (knots, u))
    occam[degree] = np.mean((at_knots - cubic(knots)) ** 2), weight @ (everywhere - cubic(u)) ** 2
    print(f"{degree:6} {occam[degree][0]:15.0e} {occam[degree][1]:10.0e}")
bump = weight @ np.prod(u[:, None] - knots, axis=1) ** 2
print(f"and f + 10 Π (x - x_m), of degree 6: empirical risk 0, true risk {100 * bump:.2f}")

# %% [markdown]
# From degree 3 on the empirical risk cannot tell them apart. Degrees 3 to 5 are the same polynomial;
# from 6 on, with more coefficients than points, there are infinitely many, and even the one with the
# smallest weights is wrong between the points. The razor takes 3.
#
# With noise there are no ties. **Structural risk minimisation** puts the razor into the objective:
#
#     minimise  1/M |X θ - y|² + c(h),      c the price of complexity
#
# Ridge is the case c = λ|θ|² (all times 1/2). Another price: fitting takes σ² n/M off the training
# error (section 2) and adds about as much to the test error (section 6). So charge twice: c = 2 σ² n/M.
# *Predict:* does this choose as well as a validation set, which costs 25 more samples?

# %%
structural = curves[:, 0] + 2 * n_coefficients / M_SAMPLES  # in units of σ²
chosen["training + 2σ² n/M"] = structural.argmin(axis=1)
fig, ax = plt.subplots(layout="constrained", num="structural_risk")
ax.plot(DEGREES, curves[:, 0].mean(axis=0), "C0o-", label="training error")
ax.plot(DEGREES, 2 * n_coefficients / M_SAMPLES, "0.5", linestyle="--", label="price 2σ² n/M")
ax.plot(DEGREES, structural.mean(axis=0), "C4D-", label="their sum, the structural risk")
ax.set(xlabel="degree", ylabel="mean squared error / σ²", ylim=(0, 4), xticks=range(1, 21, 2),
       title="With its price the training error has a minimum")  # fmt: skip
ax.legend()
plt.show()
reached = {name: np.median(curves[np.arange(N_DRAWS), 2, best]) for name, best in chosen.items()}
for name, best in chosen.items():
    right = np.mean(best == 1)
    print(f"by {name:<18} degree 2 in {right:4.0%} of the draws, median test error {reached[name]:.3g} σ²")

# %% [markdown]
# As good, and the validation samples could have gone into the training. But it needs σ, and a model
# linear in its weights. Validation needs nothing.
#
# ## 10. What if one sample were missing?
#
# A learner is **stable** if its predictions hardly change when one sample is removed. The notes say that
# stability and generalisation go hand in hand. *Predict:* along λ, do the change and the gap between
# test and training error go together? Is the most stable fit the best?

# %%
stability = []
for k in range(N_REPEATS):
    x_s, y_s = draw(np.random.default_rng([10, k]))
    part_test = draw(np.random.default_rng([11, k]), 1000)
    rows = []
    for lam in LAMBDAS:
        whole = polynomial(20, Ridge(lam * M_SAMPLES)).fit(x_s, y_s)
        reference = whole.predict(part_test[0])
        change = 0.0
        for rest, _ in KFold(M_SAMPLES).split(x_s):
            rest = asarray(rest, BACKEND)
            model = polynomial(20, Ridge(lam * (M_SAMPLES - 1))).fit(x_s[rest], y_s[rest])
            change += mean_squared_error(reference, model.predict(part_test[0])) / M_SAMPLES
        on_test = error(whole, part_test)
        rows.append((change, on_test - error(whole, (x_s, y_s)), on_test))
    stability.append(rows)
change, gap, on_test = np.median(stability, axis=0).T / NOISE**2
fig, ax = plt.subplots(layout="constrained", num="stability")
ax.plot(LAMBDAS, change, "C0o-", label="change if one sample is removed")
ax.plot(LAMBDAS, gap.clip(1e-3), "C3^-", label="test error - training error")
ax.plot(LAMBDAS, on_test, "k--", label="test error")
ax.set(xlabel="λ", ylabel="mean square / σ²", xscale="log", yscale="log",
       title="Unstable fits have the gap; the most stable one is not the best")  # fmt: skip
ax.legend()
plt.show()
order_agreement = np.corrcoef(change.argsort().argsort(), gap.argsort().argsort())[0, 1]
steadiest, best = int(change.argmin()), int(on_test.argmin())
print(f"rank correlation of change and gap: {order_agreement:.2f}")
for name, j in (("most stable", steadiest), ("best", best), ("strongest penalty", -1)):
    print(f"{name:<17} λ = {LAMBDAS[j]:.0e}: change {change[j]:.3f} σ², test error {on_test[j]:.1f} σ²")

# %% [markdown]
# Hand in hand, mostly; but stability speaks of the gap, not of the error. The strongest penalty gives
# almost a constant, which one sample moves little, and which is wrong.
#
# ## 11. Weights that are exactly zero
#
# **Lasso** charges |θ_j| instead of θ_j², **elastic net** both:
#
#     1/(2M) |X θ + b - y|² + λ (r |θ|₁ + (1 - r)/2 |θ|²),      r = 1: lasso, r = 0: ridge
#
# (Here scikit-learn's alpha *is* λ.) If the columns are orthogonal, X'X = M I, every weight can be solved
# for alone: with z its least-squares value, ridge gives z/(1 + λ), lasso sign(z) max(|z| - λ, 0).
# *Predict:* which of them can be zero?

# %%
rng = np.random.default_rng(12)
orthogonal = to_numpy(qr(asarray(rng.standard_normal((200, 41)), BACKEND))[0]) * np.sqrt(200)
z = np.linspace(-2, 2, 41)
O, y_ortho = asarray(orthogonal, BACKEND), asarray(orthogonal @ z, BACKEND)
lam = 0.5
shrunk = {
    "ridge": Ridge(lam * 200, fit_intercept=False),
    "lasso": Lasso(lam, fit_intercept=False, tol=1e-12),
    "elastic net, r = 1/2": ElasticNet(lam, l1_ratio=0.5, fit_intercept=False, tol=1e-12),
}
shrunk = {name: to_numpy(model.fit(O, y_ortho).coef_) for name, model in shrunk.items()}
soft_gap = abs(shrunk["lasso"] - np.sign(z) * np.maximum(abs(z) - lam, 0)).max()

x_l, y_l = draw(np.random.default_rng(13), 2 * M_SAMPLES)
powers = make_pipeline(PolynomialFeatures(20, include_bias=False), StandardScaler()).fit(x_l)
X_l = powers.transform(x_l)
strongest = float(abs(X_l.T @ (y_l - y_l.mean())).max()) / len(X_l)
strengths = strongest * np.logspace(0, -2.5, 26)
paths = {
    "ridge": [Ridge(lam * len(X_l)).fit(X_l, y_l) for lam in strengths],
    "lasso": [Lasso(lam, max_iter=100_000).fit(X_l, y_l) for lam in strengths],
    "elastic net": [ElasticNet(lam, l1_ratio=0.5, max_iter=100_000).fit(X_l, y_l) for lam in strengths],
}
paths = {name: np.array([to_numpy(model.coef_) for model in models]) for name, models in paths.items()}

fig, axes = plt.subplots(1, 4, figsize=(15, 4), layout="constrained", num="lasso")
axes[0].plot(z, z, "0.7", label="least squares")
for (name, values), style in zip(shrunk.items(), ("C0", "C3", "C4--"), strict=True):
    axes[0].plot(z, values, style, label=name)
axes[0].set(xlabel="least-squares weight z", ylabel="weight", title="Orthogonal columns, λ = 0.5")
axes[0].legend(fontsize=8)
zeros = {}
for ax, (name, path) in zip(axes[1:], paths.items(), strict=True):
    zeros[name] = (path == 0).sum(axis=1)
    for j in reversed(range(20)):
        label = {0: "x", 1: "x²", 3: "x⁴", 5: "x⁶"}.get(j)
        ax.plot(strengths, path[:, j], "0.8" if label is None else f"C{j}", label=label)
    ax.set(xlabel="λ", xscale="log", ylim=(-0.15, 0.5))
    ax.set_title(f"{name}: {zeros[name].min()} to {zeros[name].max()} of 20 are 0")
    ax.legend(fontsize=8, loc="upper right")
axes[1].set_ylabel("weight of the scaled power")
plt.show()
entered = [DEGREES[j] for j in np.flatnonzero(paths["lasso"][1])]
print(f"lasso on orthogonal columns - formula: {soft_gap:.0e}")
print(f"all lasso weights are 0 from λ = max |x_j'y|/M = {strongest:.3f} on; the first power in: {entered}")

# %% [markdown]
# A slope of ridge is smaller everywhere, but passes through zero only at zero. The lasso has a flat
# piece: a feature that cannot lower the error by λ for each unit of weight is not worth its price. The
# first power it takes is the right one. So the lasso also *selects*, which ridge never does.
#
# *Predict:* one column is there twice. Which weights will the three give to the twins? Then let
# cross-validation choose λ for each (the scaler belongs into the folds too). Who wins?

# %%
twins = X_l[:, [1, 1]]  # x² twice
shared = {
    "ridge": Ridge(0.05 * len(X_l)).fit(twins, y_l),
    "lasso": Lasso(0.05).fit(twins, y_l),
    "elastic net": ElasticNet(0.05, tol=1e-12).fit(twins, y_l),
}
shared = {name: to_numpy(model.coef_) for name, model in shared.items()}
contestants = {  # and by what to multiply λ to get alpha
    "ridge": (Ridge(), 0.8 * len(X_l)),  # 4 of 5 folds train
    "lasso": (Lasso(max_iter=100_000), 1),
    "elastic net": (ElasticNet(max_iter=100_000), 1),
}


def weak(rng, M):
    X = rng.standard_normal((M, 20))
    y = NOISE * (X.sum(axis=1) / np.sqrt(20) + rng.standard_normal(M))
    return asarray(X, BACKEND), asarray(y, BACKEND)


def compete(draw_data, *features):
    """Median test error / σ² and number of weights of each contestant, with λ chosen in 5 folds."""
    outcome = {name: [] for name in contestants}
    for k in range(N_REPEATS):
        rng = np.random.default_rng([14, k])
        (x_in, y_in), part_test = draw_data(rng, 2 * M_SAMPLES), draw_data(rng, 1000)
        for name, (model, factor) in contestants.items():
            chain = make_pipeline(*features, StandardScaler(), model)
            alpha, alphas = f"{type(model).__name__.lower()}__alpha", factor * np.logspace(-3, 0.5, 11)
            values = validation_curve(chain, x_in, y_in, param_name=alpha, param_range=alphas, **scores)[1]
            chain.set_params(**{alpha: alphas[values.mean(axis=1).argmax()]}).fit(x_in, y_in)
            n_weights = np.count_nonzero(to_numpy(model.coef_))
            outcome[name].append((error(chain, part_test) / NOISE**2, n_weights))
    return {name: np.median(rows, axis=0) for name, rows in outcome.items()}


contests = {
    "20 powers, one true": compete(draw, PolynomialFeatures(20, include_bias=False)),
    "20 weak features": compete(weak),
}
for name, weights in shared.items():
    print(f"{name:<12} gives the twins", weights.round(3))
for world, outcome in contests.items():
    print(f"{world}: test error / σ² (weights)", end="")
    print(*(f"  {name} {values[0]:.2f} ({values[1]:.0f})" for name, values in outcome.items()))

# %% [markdown]
# The lasso leaves one twin out, whichever comes second. Ridge and elastic net share evenly. A penalty
# is a bet on the truth: |θ_j| bets that few weights matter, and wins on the powers; θ_j² bets that many
# matter a little, and wins on the weak features. Elastic net hedges.
#
# ## Results

# %%
results = ResultsTable("Lesson 3: overfitting")
results.add(
    "degree 20 / 2: training error", first[20][0] / first[2][0], at_most=0.5, note="so it cannot choose"
)
results.add("degree 20 / 2: validation error", first[20][1] / first[2][1], at_least=10, note="so this can")
results.add("training error rises with the degree, share of steps", rises, at_most=0, note="nested classes")
results.add("mean training error, degree 2 / σ²(1 - n/M)", mean_training[1] / (1 - 3 / M_SAMPLES),
            at_least=0.9, at_most=1.1)  # fmt: skip
results.add("library - (X'X + λ M I)⁻¹ X'y", formula_gap, at_most=1e-10)
results.add(
    "data twice: change of θ at fixed λ", doubled[0], at_most=1e-10, note=f"at fixed alpha {doubled[1]:.2f}"
)
results.add("degree 20, best λ: test error / σ²", tamed, at_most=1.5, note=f"degree 2: {typical[2, 1]:.2f}")
results.add("ridge, y = μ = 3, λ = 1, centred: minimum of the loss", constant[1.0, "columns centred"][1],
            seed="|θ₀| = 1.5", corrected=True, at_least=2.2499, at_most=2.2501,
            note=f"λμ²/(2(1 + λ)), off by {centred_gap:.0e}")  # fmt: skip
results.add("same, columns as they are", constant[1.0, "columns as they are"][1],
            seed="all other θ = 0", corrected=True, at_most=2.24,
            note=f"lower; another is {other_weight:.2f}")  # fmt: skip
results.add("only y centred: off a free intercept by / σ", centring_gap[0] / NOISE,
            seed="the same", corrected=True, at_least=0.01,
            note=f"X too: {centring_gap[2] / NOISE:.0e}")  # fmt: skip
results.add(
    "noise of the estimate, one split / 5 folds", spread[0] / spread[1], at_least=1.5, note="√5 = 2.24"
)
results.add("sorted data, degree 6: error, folds in order / shuffled", misled, at_least=5)
results.add(
    "best useless descriptor: error by cross-validation", winner_estimated, at_most=0.95, note="variance 1"
)
results.add("best useless descriptor: error on new molecules", winner_true, at_least=1)
for degree, (fitted, unseen) in learned.items():
    results.add(f"degree {degree}: validation - training error, M = {sizes[-1]}", unseen[-1] - fitted[-1],
                at_most=0.3, note=f"in σ²; height {unseen[-1]:.2f}")  # fmt: skip
results.add("integral of (h - f)² to ±100 / to ±10", line_risks[-1] / line_risks[-2], seed="a finite risk",
            corrected=True, at_least=1e4,
            note="grows without end: weigh with the distribution of x")  # fmt: skip
results.add("min L over the class, degree 1 / 6", approximation[0] / approximation[5], at_least=1000,
            note="approximation error, falls")  # fmt: skip
results.add("L(h_S) - min L, M = 30, degree 12 / 5", estimation[30][11] / estimation[30][4],
            seed="approximation error, falls", corrected=True, at_least=2,
            note="estimation error, rises")  # fmt: skip
results.add("best degree for 3000 samples - for 30", best_degree[3000] - best_degree[30], at_least=1)
results.add("largest c in 2 exp(-c n ε²), n = 20 000", sharpest[-1], seed=1, corrected=True,
            at_least=2, at_most=2.1, note="2; the 1 is true but weak")  # fmt: skip
results.add("Hoeffding's bound holds at all n", float(within), at_least=1,
            note=f"exponent 3 broken: {too_sharp}")  # fmt: skip
results.add(
    "best of 10 000 coin tossers: empirical risk", best_risk[-1].mean(), at_most=0.35, note="true risk 0.5"
)
results.add("its bound for the whole class is broken by", broken[1].max(), at_most=0.05)
results.add(
    "Occam: true risk of degree 12, empirical risk 0", occam[12][1], at_least=1e-8, note="degree 3: 0"
)
results.add("degree by structural risk: test error / that by validation",
            reached["training + 2σ² n/M"] / reached["validation"], at_most=1.1)  # fmt: skip
results.add(
    "rank correlation of instability and gap", order_agreement, at_least=0.5, note="along λ, degree 20"
)
results.add("lasso, orthogonal columns - soft threshold", soft_gap, at_most=1e-8)
results.add("ridge: weights of 20 that are 0, most on its path", zeros["ridge"].max(), at_most=0)
for name in ("lasso", "elastic net"):
    results.add(f"{name}: weights of 20 that are 0, least on its path", zeros[name].min(), at_least=1)
sparse, dense = (contests[world] for world in contests)
results.add("one true power: test error, ridge / lasso", sparse["ridge"][0] / sparse["lasso"][0], at_least=1,
            note=f"the lasso keeps {sparse['lasso'][1]:.0f} weights of 20")  # fmt: skip
results.add("20 weak features: test error, lasso / ridge", dense["lasso"][0] / dense["ridge"][0], at_least=1,
            note=f"the lasso keeps {dense['lasso'][1]:.0f} weights of 20")  # fmt: skip
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *Less noise.* Set `NOISE = 0.01`. Predict which way the best degree in section 7 moves, for 30 and
#    for 3000 samples, and why; then run it. (Both rise, one by two.)
# 2. *Leave one out, for free.* For least squares with the design matrix X, column of ones included, the
#    error on a sample left out is its residual divided by 1 - h, with h its entry on the diagonal of
#    X (X'X)⁻¹ X'. Compute the mean square for degree 3 on `train` and compare it with
#    `cross_val_score(polynomial(3), *train, cv=KFold(25), ...)`: ten digits agree.
# 3. *Elastic net is a lasso.* Write √(λ(1 - r)M) I under X and zeros under y (lesson 2 knows this for
#    ridge). Which alpha makes `Lasso(alpha, fit_intercept=False)` on these M + n rows agree with
#    `ElasticNet(λ, l1_ratio=r, fit_intercept=False)` on the M? Check with tol=1e-12.
