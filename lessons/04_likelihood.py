# %% [markdown]
# # Lesson 4: Why squares? What the noise and a prior say about the loss
#
# Lesson 2 minimised a sum of squares, lesson 3 added a penalty λ |w|². Why squares, and which λ?
# Both questions have the same answer: say how the data came about, write down how probable they
# are, and the loss follows. As a bonus the fit comes with error bars.
#
# After this lesson you can
# * derive a loss from the noise and a penalty from a prior, and compute λ from two variances,
# * draw from a multivariate normal distribution, and take its marginals and conditionals,
# * give a fitted line its error band, and say when that band can be believed.
#
# It builds on lesson 2 (design matrix, normal equations, Cholesky) and lesson 3 (ridge). "The
# notes" (S3 in the comments of the library) are the lecture that this lesson follows and, in
# places, corrects. M samples are the rows of X, n is the number of weights w, X' is X transposed,
# N(μ, Σ) a normal distribution with mean μ and covariance Σ. x and y have no unit.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

from tinynn.backend import asarray, to_numpy
from tinynn.linalg import NotPositiveDefiniteError, cholesky, least_squares, solve_lower, solve_upper, svd
from tinynn.linear_model import LinearRegression, Ridge
from tinynn.molecules import pair_distances_gradient
from tinynn.probability import MultivariateNormal
from tinynn.results import ResultsTable

# %% [markdown]
# **Knobs.** Change them and run again. A value after "quick:" is for a fast look.

# %%
BACKEND = "numpy"  # "cupy" computes on a GPU; for so small problems that is slower
M_SAMPLES = 20  # enough for a good line
NOISE = 0.5  # σ, standard deviation of y about the line: large enough to leave doubt about it
PRIOR = 1.0  # τ, standard deviation of a weight before any data: the notes' identity covariance
DRAWS = 100_000  # quick: 20_000; samples behind histograms and fractions: three digits
REPEATS = 20_000  # quick: 4000; data sets behind averages and coverages

# %% [markdown]
# ## 1. How likely is a line?
#
# The notes' smallest example has the points (1, 1) and (3, 2), and the line h(x) = 1/2 + x/2
# through both. Take that line as the truth and add noise to M measurements of it:
#
#     y_m = w · x_m + ε_m,      ε_m ~ N(0, σ²),      x_m = (1, x)
#
# The **likelihood** of w is the density of the data that we saw, if w were true. The noises are
# independent, so the densities multiply:
#
#     p(y | X, w) = Π_m 1/(σ √(2π)) exp(-(y_m - w · x_m)² / (2σ²))
#
# M independent normal numbers side by side are one normal vector, N(Xw, σ² I), and
# `MultivariateNormal` has its logarithm (sections 5 and 6 look inside).

# %%
rng = np.random.default_rng(4)
truth = np.array([0.5, 0.5])
x = np.sort(rng.uniform(0, 4, M_SAMPLES))
X = np.column_stack([np.ones(M_SAMPLES), x])
y = X @ truth + NOISE * rng.standard_normal(M_SAMPLES)


def normal(mean, covariance):
    return MultivariateNormal(asarray(mean, BACKEND), asarray(covariance, BACKEND))


def log_likelihood(w, X, y, sigma=NOISE):
    return normal(X @ w, sigma**2 * np.eye(len(y))).logpdf(asarray(y, BACKEND))


def argmax(f, start=(0.0, 0.0)):
    """Where f is largest, found by climbing: nothing but values of f is used."""
    return minimize(lambda w: -f(w), start, method="BFGS", jac="3-point", options={"gtol": 1e-7}).x


def fit(model, X, y):
    return to_numpy(model.fit(asarray(X, BACKEND), asarray(y, BACKEND)).coef_)


# %% [markdown]
# *Predict:* where is the maximum, and does it move when we are wrong about σ? Take the logarithm:
#
#     ln p(y | X, w) = -M ln(σ √(2π)) - 1/(2σ²) Σ_m (y_m - w · x_m)²
#
# Only the sum depends on w, and it has a minus sign. So whatever σ is,
#
#     argmax_w p(y | X, w) = argmin_w |Xw - y|²
#
# **Maximum likelihood with normal noise is least squares.** The search below knows nothing of
# squares.

# %%
least = fit(LinearRegression(fit_intercept=False), X, y)
likeliest = {sigma: argmax(lambda w, s=sigma: log_likelihood(w, X, y, s)) for sigma in (0.25, 0.5, 1.0)}
print("least squares          ", least)
for sigma, w in likeliest.items():
    print(f"likeliest if σ = {sigma:4}  ", w)
mle_gap = max(abs(w - least).max() for w in likeliest.values())


def on_grid(w0, w1, log_density):
    w0, w1 = np.meshgrid(w0, w1)
    values = to_numpy(log_density(np.column_stack([w0.ravel(), w1.ravel()]))).reshape(w0.shape)
    return w0, w1, values - values.max()


def grid_likelihood(X, y, sigma=NOISE):
    """ln p(y | X, w) of many w: the density is symmetric in y and Xw, so y may be the mean."""
    data = normal(y, sigma**2 * np.eye(len(y)))
    return lambda W: data.logpdf(asarray(W @ X.T, BACKEND))


fig, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained", num="likelihood")
axes[0].plot(x, y, "ko", label=f"{M_SAMPLES} samples")
ends = np.array([0.0, 4.0])
axes[0].plot(ends, least[0] + least[1] * ends, "C3", label="likeliest line")
axes[0].plot(ends, truth[0] + truth[1] * ends, "k--", linewidth=1, label="truth 1/2 + x/2")
axes[0].set(xlabel="x", ylabel="y", title="The data")
grid = on_grid(np.linspace(-0.5, 1.5, 121), np.linspace(0, 1, 121), grid_likelihood(X, y))
axes[1].contourf(*grid, levels=[-8, -4.5, -2, -0.5, 0], cmap="Blues", alpha=0.8)
axes[1].plot(*least, "C3x", markersize=9, markeredgewidth=2, label="least squares")
axes[1].plot(*truth, "k+", markersize=9, label="truth")
axes[1].set(xlabel="intercept w₀", ylabel="slope w₁", xticks=(-0.5, 0, 0.5, 1, 1.5))
axes[1].set_title("ln p, from the top down: -0.5, -2, -4.5, -8")
slopes = np.linspace(0, 1, 201)
for sigma in likeliest:
    profile = grid_likelihood(X, y, sigma)(np.column_stack([np.full(201, least[0]), slopes]))
    axes[2].plot(slopes, np.exp(to_numpy(profile) - float(profile.max())), label=f"σ = {sigma}")
axes[2].axvline(least[1], color="C3", linestyle=":", label="least squares")
axes[2].set(xlabel="slope w₁", ylabel="likelihood / its maximum", title="σ sets the width, not the place")
for ax in axes:
    ax.legend(fontsize=8)
fig.suptitle("The likelihood is largest where the sum of squares is smallest")
plt.show()

# %% [markdown]
# Three remarks on the notes' version.
#
# *The sum.* On the way to the logarithm they lose the Σ, so that one sample m is left. *Predict:*
# which w is the likeliest for a single sample?
#
# *The extremum.* They find it where the derivative vanishes, because the degree is 2. But w₀ w₁
# has degree 2 too, and no extremum at all. What makes ours a maximum is the second derivative,
# -X'X/σ². It is never positive, and negative in all directions if the columns of X are
# independent.
#
# *The order.* They write h = w₀ + Σ w_i x_i as w · x₊, and put the 1 of x₊ behind x. Then w₀ would
# multiply x. Their example cannot show it, because both of its weights are 1/2.

# %%
one = least_squares(X[:1], y[:1], "svd")
one_w, rank_one = to_numpy(one.coef), one.rank
print(f"first sample alone: rank {rank_one} of 2, its term is the same all along a line of w;")
one_logp, best_logp = log_likelihood(one_w, X, y), log_likelihood(least, X, y)
print(f"ln p of all data there {one_logp:.1f}, at the maximum {best_logp:.1f}")
curvatures = np.linalg.eigvalsh(-X.T @ X / NOISE**2)
print("curvatures of ln p:", curvatures, "  those of w₀ w₁:", np.linalg.eigvalsh([[0.0, 1], [1, 0]]))

example_X = np.array([[1.0, 1.0], [1.0, 3.0]])
order_error = {}
for labels in ([1.0, 2.0], [2.0, 8.0]):
    w = fit(LinearRegression(fit_intercept=False), example_X, np.array(labels))
    order_error[labels[1]] = abs(example_X[:, ::-1] @ w - labels).max()
    print(f"labels {labels}: w = {w.round(12)}, with the 1 at the end off by {order_error[labels[1]]:.2f}")
    if labels == [1.0, 2.0]:
        example = w

# %% [markdown]
# The 1 goes to the front. And for a single sample the likeliest w is any line through it.
#
# ## 2. Which steps were allowed?
#
# We replaced p by ln p, and a maximum by a minimum. The notes have a lemma with three rules for
# that:
#
# 1. argmin f = -argmin(-f),
# 2. argmin(c f) = argmin(f + c') = argmin f for c > 0,
# 3. argmin f = argmin(ln f), and the same for argmax.
#
# *Predict:* one is wrong and one lacks a condition. Test them on f(x) = (x - 1)² + a.

# %%
points = np.linspace(-3, 3, 601)


def arg(best, values):
    return round(float(points[best(values)]), 2)


f = (points - 1) ** 2 + 1
print(f"rule 1: argmin f = {arg(np.argmin, f)}, -argmin(-f) = {-arg(np.argmin, -f)}, ", end="")
print(f"argmax(-f) = {arg(np.argmax, -f)}")
print(f"rule 2: argmin 3f = {arg(np.argmin, 3 * f)}, argmin(f + 3) = {arg(np.argmin, f + 3)}; ", end="")
print(f"c < 0: argmin(-3f) = {arg(np.argmin, -3 * f)}")
lemma = {"argmin f": arg(np.argmin, f), "-argmin(-f)": -arg(np.argmin, -f), "argmax(-f)": arg(np.argmax, -f)}
log_argmin = {}
for a in (1, -0.5):
    f = (points - 1) ** 2 + a
    with np.errstate(invalid="ignore"):
        log_argmin[a] = arg(np.nanargmin, np.log(f))
        missing = np.isnan(np.log(f)).sum()
    print(f"rule 3, a = {a:4}: argmin f = {arg(np.argmin, f)}, argmin ln f = {log_argmin[a]}; ", end="")
    print(f"ln f is missing at {missing} of {len(points)} points")

# %% [markdown]
# Rule 1 has to read argmin f = argmax(-f): turning the graph upside down does not move it
# sideways. (-argmin(-f) turns up at another place altogether, here the far end with its sign
# changed.) Rule 3 needs f > 0: where the minimum was, there is no logarithm. A density with normal
# noise is positive everywhere, so we were allowed.
#
# We were not only allowed to take logarithms, we have to. *Predict:* 2000 samples, each with a
# density near 0.5. What is the product on a computer?

# %%
X_many = np.column_stack([np.ones(2000), rng.uniform(0, 4, 2000)])
y_many = X_many @ truth + NOISE * rng.standard_normal(2000)


def densities(w, sigma=NOISE):
    return np.exp(-((y_many - X_many @ w) ** 2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))


products = [float(np.prod(densities(w))) for w in (truth, np.zeros(2))]
logs = [float(np.log(densities(w)).sum()) for w in (truth, truth + 0.1)]
print(f"product of the densities: {products[0]} at the truth, {products[1]} at w = 0")
print(f"sum of their logarithms:  {logs[0]:.1f} at the truth, {logs[1]:.1f} at the truth + 0.1")
largest_density = float(densities(truth, sigma=0.05).max())
print(f"largest density if σ = 0.05: {largest_density:.2f}")

# %% [markdown]
# The product is too small for a floating-point number: all w seem equally good. And the last line
# is a reminder that a density is no probability. It can be above 1, and it has a unit, that of
# 1/y.
#
# ## 3. What if the noise is unknown, or not normal?
#
# **σ unknown.** Then σ is one more parameter, and the derivative of ln p by σ vanishes at
#
#     σ̂² = |Xw - y|² / M
#
# *Predict:* w was chosen to make the residual small. Is σ̂² too large or too small on average? And
# what is it for the notes' example, two points and a line through both?

# %%
Y = X @ truth + NOISE * rng.standard_normal((REPEATS, M_SAMPLES))  # one data set a row
per_label = fit(LinearRegression(fit_intercept=False), X, np.eye(M_SAMPLES))  # w is linear in y
W = Y @ per_label
squares = ((Y - W @ X.T) ** 2).sum(axis=1)
counts = {"M": M_SAMPLES, "M - n": M_SAMPLES - 2}
variance_ratio = {name: squares.mean() / count / NOISE**2 for name, count in counts.items()}
for name, value in variance_ratio.items():
    print(f"|Xw - y|² / ({name}) is on average {value:.3f} σ²")
example_logs = [log_likelihood(example, example_X, np.array([1.0, 2.0]), s) for s in (1, 1e-2, 1e-4, 1e-6)]
print("two points, ln p at σ = 1, 1e-2, 1e-4, 1e-6:", np.round(example_logs, 1), "<- no maximum")

# %% [markdown]
# Too small, by the factor (M - n)/M: each fitted weight uses up one sample. With M = n nothing is
# left, and the likelihood grows without bound as σ → 0. Maximum likelihood believes what it is
# told.
#
# **Another noise, another loss.** -ln p is the loss, so noise with the density exp(-|ε|/b)/(2b)
# (it is called Laplace's) asks for the sum of |y_m - w · x_m|. Take the simplest model, a
# constant: squares lead to the mean, absolute values to the median. *Predict:* which is the better
# one for which noise?

# %%
noises = {
    "normal": rng.standard_normal((REPEATS, M_SAMPLES)),
    "Laplace": rng.laplace(scale=np.sqrt(0.5), size=(REPEATS, M_SAMPLES)),  # variance 1 as well
}
scatter = {name: (noise.mean(axis=1).std(), np.median(noise, axis=1).std()) for name, noise in noises.items()}
for name, (of_mean, of_median) in scatter.items():
    print(f"{name:<8} noise: the mean scatters by {of_mean:.3f}, the median by {of_median:.3f}")

# %% [markdown]
# Each estimator wins on its own noise. So the choice of a loss *is* a statement about the noise.
#
# The notes say that minimising the empirical risk makes little sense once labels are noisy, and
# that likelihood is the wiser choice. Their own corollary, and section 1, answer that: with the
# squared loss and normal noise the two are the same w. They also say that *every* empirical risk
# has a probabilistic counterpart. It needs exp(-loss) to be a density up to a factor, so its
# integral must be finite. *Predict:* is it, for the loss that counts errors larger than 1/2?

# %%
losses = {
    "r²": lambda r: r**2,
    "|r|": abs,
    "1 if |r| > 1/2, else 0": lambda r: 1.0 * (abs(r) > 0.5),
}
areas = {}
for name, loss in losses.items():
    for reach in (10, 100, 1000):
        r = np.linspace(-reach, reach, 200 * reach + 1)
        areas[name, reach] = np.trapezoid(np.exp(-loss(r)), r)
    print(f"integral of exp(-loss) up to ±10, ±100, ±1000, loss {name:<22}:",
          *(f"{areas[name, reach]:7.2f}" for reach in (10, 100, 1000)))  # fmt: skip

# %% [markdown]
# A loss that levels off belongs to no noise at all.
#
# ## 4. Where does ridge come from?
#
# Before any data we may know something about w: large weights are implausible. Say w ~ N(0, τ² I),
# the **prior**. Bayes' rule joins it with the likelihood:
#
#     p(w | X, y) = p(y | X, w) p(w) / p(y | X)          posterior ∝ likelihood × prior
#
# The posterior's maximum is called **MAP**, maximum a posteriori. *Predict:* with three samples
# only, does the prior pull the maximum much? In which direction? Take the logarithm again:
#
#     ln p(w | X, y) = -|Xw - y|² / (2σ²) - |w|² / (2τ²) + terms without w
#
# and multiply by -2σ²:
#
#     argmax_w p(w | X, y) = argmin_w |Xw - y|² + λ |w|²,      λ = σ²/τ²
#
# **MAP with a normal prior is ridge, and λ is the variance of the noise over that of the prior.**
# Its derivative 2X'(Xw - y) + 2λw vanishes where (X'X + λI) w = X'y.

# %%
X_few, y_few = X[:3], y[:3]  # those with the smallest x
n_few = len(y_few)
lam = NOISE**2 / PRIOR**2  # λ


def log_prior(w, tau=PRIOR):
    return normal(np.zeros(2), tau**2 * np.eye(2)).logpdf(asarray(w, BACKEND))


def ridge(X, y, alpha):
    return fit(Ridge(alpha, fit_intercept=False), X, y)


few_mle = argmax(lambda w: log_likelihood(w, X_few, y_few))
few_map = argmax(lambda w: log_likelihood(w, X_few, y_few) + log_prior(w))
few_least, few_ridge = fit(LinearRegression(fit_intercept=False), X_few, y_few), ridge(X_few, y_few, lam)
print("likeliest      ", few_mle, "  least squares", few_least)
print("most probable  ", few_map, f"  ridge, λ = {lam:.2f}", few_ridge)

w0, w1 = np.linspace(-3, 3, 151), np.linspace(-3, 4, 151)
parts = {"prior": log_prior, "likelihood": grid_likelihood(X_few, y_few)}
parts["posterior"] = lambda W: parts["prior"](W) + parts["likelihood"](W)
fig, axes = plt.subplots(1, 3, figsize=(13, 4), sharex=True, sharey=True, layout="constrained", num="prior")
for ax, (name, log_density) in zip(axes, parts.items(), strict=True):
    ax.contourf(*on_grid(w0, w1, log_density), levels=[-8, -4.5, -2, -0.5, 0], cmap="Blues", alpha=0.8)
    ax.plot(0, 0, "ks", markersize=5, label="mean of the prior")
    ax.plot(*few_least, "C3x", markersize=9, markeredgewidth=2, label="least squares")
    ax.plot(*few_ridge, "C1o", markersize=6, label=f"ridge, λ = σ²/τ² = {lam:.2f}")
    ax.set(xlabel="intercept w₀", title=name)
axes[0].set(ylabel="slope w₁")
axes[2].legend(fontsize=8, loc="upper right")
fig.suptitle(f"Prior × likelihood → posterior, {n_few} samples: its top is ridge (steps of ln p as above)")
plt.show()

# %% [markdown]
# The notes call the result of this the maximum *likelihood* estimator. It is not: the likelihood
# of a given w does not change when we add a prior, and its maximum stays where it was.

# %%
fall = log_likelihood(few_least, X_few, y_few) - log_likelihood(few_ridge, X_few, y_few)
shift = float(np.linalg.norm(few_map - few_mle))
print(f"from the likeliest w to the most probable one: |Δw| = {shift:.2f}, ln likelihood falls by {fall:.2f}")

# %% [markdown]
# **Which λ?** An exam in the notes has a prior with identity covariance, and says that it is
# proportional to exp(-|w|²). The loss that goes with it there is |Xw - y|² + |w|², with λ = 1.
# *Predict* λ for four pairs (σ, τ), and for a prior exp(-|w|²). We can measure it, since at the
# maximum the derivative vanishes:
#
#     X'(y - Xw) = λ w


# %%
def measured_lambda(w, X=X_few, y=y_few):
    return float(w @ X.T @ (y - X @ w) / (w @ w))


lambdas = {}
for sigma, tau in ((0.5, 1.0), (0.5, 0.5), (1.0, 1.0), (1.0, 2.0)):
    w = argmax(lambda w, s=sigma, t=tau: log_likelihood(w, X_few, y_few, s) + log_prior(w, t))
    lambdas[sigma, tau] = measured_lambda(w)
    print(f"σ = {sigma}, τ = {tau}: λ = {lambdas[sigma, tau]:.5f}, σ²/τ² = {sigma**2 / tau**2:.5f}")
lambda_gap = max(abs(value / (s / t) ** 2 - 1) for (s, t), value in lambdas.items())
printed = {}
for sigma in (0.5, 1.0):
    printed[sigma] = measured_lambda(argmax(lambda w, s=sigma: log_likelihood(w, X_few, y_few, s) - w @ w))
    print(f"σ = {sigma}, prior exp(-|w|²): λ = {printed[sigma]:.5f}")
W = rng.standard_normal((100, 2))
offset = -(W**2).sum(axis=1) - to_numpy(log_prior(W, np.sqrt(0.5)))
prior_spread = float(np.ptp(offset))
print(f"exp(-|w|²) and the density of N(0, I/2): their ratio is constant to {prior_spread:.0e}")

# %% [markdown]
# N(0, I) is exp(-|w|²/2), and gives λ = σ²; the 1 of the notes' loss needs σ = 1 on top. With
# exp(-|w|²), which is N(0, I/2), it would be 2σ². At σ = 1 that is 2, so the notes' prior does not
# even belong to the notes' loss.
#
# **How to solve it.** They write the system as (XX' + I) w = X'y. *Predict:* what are the shapes?
# Then solve the right system three ways: Cholesky (one forward, one backward substitution), the
# singular values X = U S V', which they call much harder, and a form in which XX' is right.

# %%
try:
    np.linalg.solve(X_few @ X_few.T + np.eye(n_few), X_few.T @ y_few)
except ValueError as error:
    shape_error = f"XX' is {n_few} x {n_few}, X'y has 2 entries"
    print(f"{shape_error}: {type(error).__name__}")
L = cholesky(X_few.T @ X_few + lam * np.eye(2))
U, s, Vt = svd(X_few)
three_ways = {
    "Cholesky of X'X + λI": solve_upper(L.T, solve_lower(L, X_few.T @ y_few)),
    "V s/(s² + λ) U'y": Vt.T @ (s / (s**2 + lam) * (U.T @ y_few)),
    "X'(XX' + λI)⁻¹ y": X_few.T @ np.linalg.solve(X_few @ X_few.T + lam * np.eye(n_few), y_few),
}
for name, w in three_ways.items():
    print(f"{name:<22}", w)
ways_gap = max(abs(w - few_ridge).max() for w in three_ways.values())
X_square, y_square = X[[0, -1]], y[[0, -1]]
w = np.linalg.solve(X_square @ X_square.T + np.eye(2), X_square.T @ y_square)
wrong_gap = float(np.linalg.norm(w - ridge(X_square, y_square, 1.0)))
print(f"two samples, where the shapes fit: XX' leads {wrong_gap:.2f} away from the minimum")
print(f"s² = {s**2} shrink by s²/(s² + λ) = {s**2 / (s**2 + lam)}")

# %% [markdown]
# The singular values are no harder, and they show what ridge does: a direction of w that the data
# determine well (large s) stays, one they hardly see shrinks towards the prior. The third form
# solves for one number a *sample*; lesson 12 builds on it.
#
# **The penalty in practice.** Three remarks in the notes are about the penalty in a program: do not
# forget it, add |w|² to the mean squared error, and find w by feeding the model a vector of ones.
# *Predict:* what is λ if the first term is a mean and not a sum? What does a linear model answer
# to a vector of ones?

# %%
mean_lambda = measured_lambda(argmax(lambda w: -np.mean((X @ w - y) ** 2) - w @ w), X, y)
print(f"mean of squares + |w|²: λ = {mean_lambda:.3f}, M = {M_SAMPLES}")
model = Ridge(lam, fit_intercept=False).fit(asarray(X_few, BACKEND), asarray(y_few, BACKEND))
answer_ones = to_numpy(model.predict(asarray(np.ones((1, 2)), BACKEND)))
answer_eye = to_numpy(model.predict(asarray(np.eye(2), BACKEND)))
print(f"weights {few_ridge}, |w|² = {few_ridge @ few_ridge:.4f}")
print(f"answer to ones {answer_ones}, squared {answer_ones @ answer_ones:.4f}")
print(f"answer to the rows of I {answer_eye}, sum of squares {answer_eye @ answer_eye:.4f}")
ones_error = abs(float(answer_ones @ answer_ones / (few_ridge @ few_ridge)) - 1)
eye_error = abs(float(answer_eye @ answer_eye / (few_ridge @ few_ridge)) - 1)

print("\n                |Xw - y|²  + λ|w|²   mean square on 2000 new samples")
table = {}
for name, w in (("least squares", few_least), ("ridge", few_ridge)):
    fit_term = float(np.sum((X_few @ w - y_few) ** 2))
    table[name] = fit_term, fit_term + lam * float(w @ w), float(np.mean((X_many @ w - y_many) ** 2))
    print(f"{name:<16}{table[name][0]:8.4f}{table[name][1]:10.4f}{table[name][2]:12.4f}")

# %% [markdown]
# With the mean, a factor 1 in front of |w|² means λ = M: say which of the two you use. Ones return
# the *sum* of the weights, which is no help unless there is only one; the identity returns each.
# And the penalty belongs to what is *minimised* (second column, ridge wins), as the notes say. The
# error on new data is measured without it.
#
# ## 5. What does a multivariate normal look like?
#
# Both the data given w, and w given the data, are normal vectors. Their density in k dimensions,
#
#     p(x) = exp(-(x - μ)'Σ⁻¹(x - μ) / 2) / √((2π)^k det Σ),
#
# looks as if it wanted an inverse and a determinant. With the Cholesky factor, Σ = L L', it needs
# neither: z = L⁻¹(x - μ) is one forward substitution, the exponent is -|z|²/2, √det Σ is the
# product of the diagonal of L. And backwards, **x = μ + L z with independent z ~ N(0, 1) is a
# sample**, for its covariance is L I L' = Σ.
#
# *Predict:* in one dimension 68 %, 95 % and 99.7 % of the samples lie within 1, 2 and 3 standard
# deviations. And how many in two dimensions, within the ellipses |z| = 1, 2, 3?

# %%
mu, Sigma = np.array([1.0, 2.0]), np.array([[1.0, 0.4], [0.4, 0.25]])  # deviations 1 and 0.5, correlation 0.8
L = cholesky(Sigma)
print("L =", L.round(12).tolist())
z = rng.standard_normal((DRAWS, 2))
draws = mu + z @ L.T
print("mean", draws.mean(axis=0).round(3), "covariance", np.cov(draws.T).round(3).tolist())
radius = np.linalg.norm(solve_lower(L, (draws - mu).T), axis=0)
inside = {r: float(np.mean(radius < r)) for r in (1, 2, 3)}
for r, fraction in inside.items():
    print(f"within |z| = {r}: {fraction:.4f}, 1 - exp(-{r}²/2) = {1 - np.exp(-(r**2) / 2):.4f}")
at = mu + np.array([0.3, -0.2])
exponent = -(at - mu) @ np.linalg.inv(Sigma) @ (at - mu) / 2
formula = np.exp(exponent) / np.sqrt((2 * np.pi) ** 2 * np.linalg.det(Sigma))
density_gap = abs(normal(mu, Sigma).pdf(asarray(at, BACKEND)) / formula - 1)
sample_gap = float(abs(np.cov(draws.T) - Sigma).max())
print(f"density by the formula {formula:.6f}, the library's differs by {density_gap:.0e}")

angle = np.linspace(0, 2 * np.pi, 200)
circle = np.column_stack([np.cos(angle), np.sin(angle)])
fig, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", num="cholesky")
axes[0].plot(*z[:2000].T, ".", markersize=2, color="0.5", label="2000 samples")
axes[1].plot(*draws[:2000].T, ".", markersize=2, color="0.5", label="2000 samples")
for r, color in ((1, "C0"), (2, "C1"), (3, "C3")):
    axes[0].plot(*(r * circle).T, color, label=f"|z| = {r}: {inside[r]:.1%} inside")
    axes[1].plot(*(mu + r * circle @ L.T).T, color, label=f"μ + L z, |z| = {r}")
axes[0].set(xlabel="z₁", ylabel="z₂", aspect="equal", title="z ~ N(0, I)")
axes[1].set(xlabel="x₁", ylabel="x₂", aspect="equal", title="x = μ + L z ~ N(μ, Σ)")
axes[0].set(xlim=(-5, 5), ylim=(-4, 5.5))
axes[1].set(xlim=(-3.5, 5.5), ylim=(-1.5, 6.5))
for ax in axes:
    ax.legend(fontsize=8, loc="upper left")
fig.suptitle("L turns circles into the ellipses of equal density")
plt.show()

# %% [markdown]
# Only 39 % within |z| = 1: the more dimensions, the emptier the middle (lesson 5).
#
# **How many numbers is that?** The notes count k means and k² covariances, and mention symmetry.
# So k (k + 1)/2 of them are free, and even these not entirely: for a density Σ has to be positive
# definite, a condition that the notes' definition lacks. *Predict:* are these two fine as a Σ?

# %%
refused = {}
for name, candidate in (
    ("correlation 2", np.array([[1.0, 2.0], [2.0, 1.0]])),
    ("x₂ = 2 x₁", np.array([[1.0, 2.0], [2.0, 4.0]])),
):
    try:
        normal(np.zeros(2), candidate)
    except NotPositiveDefiniteError as error:
        refused[name] = str(error)
        print(f"{name:<14} {error}")
free = {k: int(np.tri(k).sum()) for k in (1, 2, 3, 4)}  # as many as L has: Σ = L L'
print("dimension: free entries of Σ", free)

# %% [markdown]
# The first is no covariance of anything; the second lies on a line, has no area, and so no
# density.
#
# A chemist meets that second case in every molecule. Near a minimum the energy is a parabola in the
# displacements, and Boltzmann's exp(-U/kT) is a multivariate normal:
#
#     U = ½ ΔR' H ΔR,      ΔR ~ N(0, kT H⁻¹)
#
# Take butane, C4H10: the notes count "14 molecules" in it and a surface over R^42. *Predict:* how
# many of the 42 directions does H really hold? We tie all pairs of atoms by springs of strength 1.
# Where the atoms are does not matter.

# %%
n_atoms = 4 + 10
R = rng.standard_normal((n_atoms, 3))
J = to_numpy(pair_distances_gradient(asarray(R, BACKEND))).reshape(-1, 3 * n_atoms)
stiffness = np.linalg.eigvalsh(J.T @ J)  # H of U = ½ Σ (r_ij - r_ij⁰)² at its minimum
internal = int((stiffness > 1e-9 * stiffness[-1]).sum())
print(f"{n_atoms} atoms, {3 * n_atoms} coordinates, {internal} directions are stiff")
butane = normal(np.zeros(internal), np.diag(1 / stiffness[-internal:]))
shaken = to_numpy(butane.sample(2000, rng=0))
energy = float(np.mean(shaken**2 @ stiffness[-internal:])) / 2
energy_error = np.sqrt(internal / 2 / 2000)
print(f"mean of U over 2000 samples of the stiff ones: {energy:.2f} kT, ± {energy_error:.2f}")

# %% [markdown]
# 14 *atoms*, 42 coordinates, and 6 directions that only move or turn the molecule as a whole:
# nothing holds them, H⁻¹ does not exist, and only the 36 others have a density. Each of these has
# kT/2 on average, as equipartition says.
#
# ## 6. What do we learn about one part from another?
#
# Split x into parts a and b. The notes say that a part alone (**marginal**) and a part given the
# other (**conditional**) are normal again. With which parameters?
#
#     marginal       x_a ~ N(μ_a, Σ_aa)
#     conditional    x_a | x_b ~ N(μ_a + Σ_ab Σ_bb⁻¹ (x_b - μ_b),  Σ_aa - Σ_ab Σ_bb⁻¹ Σ_ba)
#
# *Predict:* in our example we learn x₂ = 2.5, one standard deviation above its mean. With the
# correlation 0.8, where is x₁ then, and how well do we know it? What changes if x₂ = 3?

# %%
joint = normal(mu, Sigma)
marginal, conditional = joint.marginal([0]), joint.conditional([1], [2.5])
slice_width = 0.02
chosen = draws[abs(draws[:, 1] - 2.5) < slice_width, 0]
moments = {
    "x₁": (float(marginal.mean[0]), float(marginal.covariance[0, 0]) ** 0.5, draws[:, 0]),
    "x₁ given x₂ = 2.5": (float(conditional.mean[0]), float(conditional.covariance[0, 0]) ** 0.5, chosen),
}
deviations = {}
for name, (mean, deviation, sampled) in moments.items():
    deviations[name] = abs(sampled.mean() - mean) / (deviation / np.sqrt(len(sampled)))
    print(f"{name:<18} formula {mean:.3f} ± {deviation:.3f}, ", end="")
    print(f"{len(sampled)} samples {sampled.mean():.3f} ± {sampled.std():.3f}")
further = joint.conditional([1], [3.0])
further_deviation = float(further.covariance[0, 0]) ** 0.5
print(f"x₁ given x₂ = 3.0  formula {float(further.mean[0]):.3f} ± {further_deviation:.3f}")

fig, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained", num="parts")
axes[0].plot(*draws[:5000].T, ".", markersize=2, color="0.6", label="5000 samples")
axes[0].axhspan(2.5 - slice_width, 2.5 + slice_width, color="C3", label="x₂ = 2.5 ± 0.02")
axes[0].set(xlabel="x₁", ylabel="x₂", title="Together")
line = np.linspace(-3, 5, 300)
pictures = (("x₁", marginal, "C0"), ("x₁ given x₂ = 2.5", conditional, "C3"))
for ax, (name, part, color) in zip(axes[1:], pictures, strict=True):
    sampled = moments[name][2]
    ax.hist(sampled, bins=30, density=True, color=color, alpha=0.4, label=f"{len(sampled)} samples")
    ax.plot(line, to_numpy(part.pdf(asarray(line[:, None], BACKEND))), color=color, label="formula")
    ax.set(xlabel="x₁", ylabel="density", xlim=(-3, 5), ylim=(0, 1))
axes[1].set_title("x₁ alone: all samples, x₂ forgotten")
axes[2].set_title("x₁ given x₂: the samples of the slice")
for ax in axes:
    ax.legend(fontsize=8, loc="upper left")
fig.suptitle("The marginal is a projection, the conditional a slice")
plt.show()

# %% [markdown]
# x₁ moves by the correlation times its deviation, so by 0.8, and its deviation shrinks by the
# factor √(1 - 0.8²), so to 0.6. The *value* of x₂ moves the mean only; how much we learn is
# settled by what we look at.
#
# ## 7. How sure is the fit?
#
# All that is left is to notice that w and y *together* are a normal vector. With w ~ N(0, τ² I)
# and y = Xw + noise, Cov(w, y) = τ² X' and Cov(y) = τ² XX' + σ² I. Ridge with its error bars is
# nothing but "w given y". *Predict:* what are the mean and the covariance?


# %%
def posterior(X, y, tau=PRIOR):
    M, n = X.shape
    wy, yy = tau**2 * X.T, tau**2 * X @ X.T + NOISE**2 * np.eye(M)
    joint = np.block([[tau**2 * np.eye(n), wy], [wy.T, yy]])
    return normal(np.zeros(n + M), joint).conditional(range(n, n + M), asarray(y, BACKEND))


few, all_data = posterior(X_few, y_few), posterior(X, y)
mean_gap = float(abs(to_numpy(few.mean) - few_ridge).max())
formula = NOISE**2 * np.linalg.inv(X_few.T @ X_few + lam * np.eye(2))
covariance_gap = float(abs(to_numpy(few.covariance) - formula).max())
print(f"mean - ridge: {mean_gap:.0e};  covariance - σ²(X'X + λI)⁻¹: {covariance_gap:.0e}")

grid_x = np.linspace(-1, 6, 200)
G = np.column_stack([np.ones(200), grid_x])
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), sharex=True, sharey=True, layout="constrained", num="band")
for ax, p, xs, ys in ((axes[0], few, X_few[:, 1], y_few), (axes[1], all_data, x, y)):
    center = G @ to_numpy(p.mean)
    variance = np.einsum("ij,jk,ik->i", G, to_numpy(p.covariance), G)  # of w · x, at each x
    for extra, color, name in ((NOISE**2, "0.88", "a new sample"), (0, "lightsteelblue", "the line")):
        width = 2 * np.sqrt(variance + extra)
        label = f"{name}, ± 2 deviations"
        ax.fill_between(grid_x, center - width, center + width, color=color, label=label)
    for w in to_numpy(p.sample(12, rng=1)):
        ax.plot(grid_x, G @ w, "C0", linewidth=0.5)
    ax.plot(grid_x, center, "C1", label="mean: ridge")
    ax.plot(grid_x, G @ truth, "k--", linewidth=1, label="truth")
    ax.plot(xs, ys, "ko", markersize=4, label=f"{len(ys)} samples")
    ax.set(xlabel="x", ylabel="y", ylim=(-4, 8))
    ax.set_title(f"{len(ys)} samples, and 12 lines drawn from the posterior")
axes[0].legend(fontsize=8, loc="upper left")
fig.suptitle("Where there are no data the lines disagree; more data leave only the noise")
plt.show()

# %% [markdown]
# **Can the band be believed?** Put it to the test: draw w from the prior, draw data, compute the
# interval mean ± 1.96 deviations of the line at x = 3, and count how often it holds the truth.
# *Predict:* 95 %? And if the fit assumes a prior that is ten times too narrow, or too wide?

# %%
W_true = PRIOR * rng.standard_normal((REPEATS, 2))
Y = W_true @ X_few.T + NOISE * rng.standard_normal((REPEATS, n_few))
g = np.array([1.0, 3.0])
coverage = {}
for tau in (0.1 * PRIOR, PRIOR, 10 * PRIOR):
    W = Y @ ridge(X_few, np.eye(n_few), NOISE**2 / tau**2)
    deviation = np.sqrt(g @ to_numpy(posterior(X_few, y_few, tau).covariance) @ g)  # the same for all y
    held = abs((W - W_true) @ g) < 1.96 * deviation
    coverage[tau] = float(held.mean())
    error = np.mean(((W - W_true) @ g) ** 2) ** 0.5
    print(f"prior τ = {tau:4}: interval ± {1.96 * deviation:.2f}, ", end="")
    print(f"holds the truth in {coverage[tau]:.1%}, error {error:.2f}")

# %% [markdown]
# With the right prior it is the 95 % it claims to be. One that is too wide makes the error larger,
# and the interval with it: vague, but honest. One that is too narrow is sure, and wrong. The band
# shows what *follows* from the assumptions, not whether they hold. Lesson 15 lets a model of this
# kind decide where it needs data.
#
# ## Results

# %%
results = ResultsTable("Lesson 4: likelihood")
results.add("example 9.2: intercept", example[0], seed=0.5, tolerance=1e-12)
results.add("example 9.2: slope", example[1], seed=0.5, tolerance=1e-12)
results.add("maximum likelihood - least squares", mle_gap, at_most=1e-5, note="for three σ")
results.add("maximum a posteriori - ridge", abs(few_map - few_ridge).max(), at_most=1e-5, note="λ = σ²/τ²")
results.add("λ measured / (σ²/τ²) - 1", lambda_gap, at_most=1e-4, note="largest of four pairs (σ, τ)")
results.add("ridge with a normal prior is", "MAP", seed="MLE", corrected=True,
            note=f"|Δw| {shift:.2f}, ln likelihood falls by {fall:.2f}")  # fmt: skip
results.add("prior N(0, I), σ = 0.5: λ", lambdas[0.5, 1.0], seed=1, corrected=True,
            at_least=0.2499, at_most=0.2501, note="λ = σ²; 1 needs σ = 1")  # fmt: skip
results.add("density of N(0, I) is proportional to", "exp(-|w|²/2)", seed="exp(-|w|²)", corrected=True,
            note=f"that is N(0, I/2): λ = {printed[1.0]:.2f} at σ = 1")  # fmt: skip
results.add("system of ridge", "(X'X + I) w = X'y", seed="(XX' + I) w = X'y", corrected=True,
            note=f"{shape_error}; where shapes fit: off by {wrong_gap:.2f}")  # fmt: skip
results.add("ridge by Cholesky, SVD, X'(XX' + λI)⁻¹y agree to", ways_gap, seed="SVD: much harder",
            corrected=True, at_most=1e-12, note="one factor s/(s² + λ)")  # fmt: skip
results.add("mean of squares + |w|²: λ", mean_lambda, seed=1, corrected=True,
            at_least=0.999 * M_SAMPLES, at_most=1.001 * M_SAMPLES, note=f"λ = M = {M_SAMPLES}")  # fmt: skip
results.add("|w|² from the answer to ones: relative error", ones_error, seed="the coefficients",
            corrected=True, at_least=0.1, note=f"from the answers to I: {eye_error:.0e}")  # fmt: skip
results.add("argmin f", lemma["argmax(-f)"], seed="-argmin(-f)", corrected=True,
            at_least=1, at_most=1, note=f"argmax(-f); -argmin(-f) = {lemma['-argmin(-f)']:.0f}")  # fmt: skip
results.add("argmin ln f for f = (x - 1)² - 0.5", log_argmin[-0.5], seed="argmin f", corrected=True,
            at_most=0.5, note=f"argmin f = 1; f > 0 is needed, with + 1: {log_argmin[1]:.0f}")  # fmt: skip
results.add("ln p by one sample, without the Σ: rank", rank_one, seed="the argmax", corrected=True,
            at_most=1, note="needs rank 2")  # fmt: skip
results.add("extremum: largest curvature of ln p", curvatures[-1], seed="degree 2", corrected=True,
            at_most=-1, note="w₀ w₁ has degree 2 and none")  # fmt: skip
results.add("labels 2, 8: error with the 1 at the end", order_error[8.0], seed="w₀ + Σ w_i x_i",
            corrected=True, at_least=1,
            note=f"1 goes to the front; hidden by 9.2: {order_error[2.0]:.0e}")  # fmt: skip
results.add("|Xw - y|²/M over σ²", variance_ratio["M"], note=f"(M - n)/M = {1 - 2 / M_SAMPLES:.2f}")
results.add("least squares, noisy labels: ERM - MLE", mle_gap, seed="ERM makes little sense", corrected=True,
            at_most=1e-6, note="the same w")  # fmt: skip
results.add("counting loss: ∫ exp(-loss) to ±1000 / ±100", areas["1 if |r| > 1/2, else 0", 1000]
            / areas["1 if |r| > 1/2, else 0", 100], seed="every loss has a noise", corrected=True,
            at_least=9, note="must converge")  # fmt: skip
for name, winner in (("normal", "mean"), ("Laplace", "median")):
    of_mean, of_median = scatter[name]
    results.add(f"{name} noise: scatter of median / mean", of_median / of_mean,
                note=f"the {winner} is better")  # fmt: skip
results.add("density - formula, relative", density_gap, at_most=1e-12)
results.add("covariance of the samples μ + L z - Σ", sample_gap, at_most=0.03, note=f"{DRAWS} samples")
results.add("fraction within |z| = 1, k = 2", inside[1], note=f"1 - exp(-1/2) = {1 - np.exp(-0.5):.4f}")
results.add("free covariances, k = 4", free[4], seed=16, corrected=True, at_least=10, at_most=10,
            note="k (k + 1)/2, by symmetry")  # fmt: skip
results.add("Σ without a density that are refused", len(refused), seed="no condition", corrected=True,
            at_least=2, note="positive definite is needed")  # fmt: skip
results.add("C4H10: atoms", n_atoms, seed="14 molecules", corrected=True, note="4 C, 10 H")
results.add("C4H10: coordinates", 3 * n_atoms, seed=42, tolerance=0)
results.add(
    "C4H10: internal coordinates", internal, at_least=36, at_most=36, note="the rank of H, 3 · 14 - 6"
)
results.add("C4H10: mean of U in kT", energy, at_least=18 - 3 * energy_error, at_most=18 + 3 * energy_error,
            note="equipartition: 36/2")  # fmt: skip
for name, deviation in deviations.items():
    results.add(f"mean of {name}, in standard errors", deviation, at_most=3,
                note="samples against the formula")  # fmt: skip
results.add("x₁ given x₂: deviation over that of x₁", moments["x₁ given x₂ = 2.5"][1] / moments["x₁"][1],
            note="√(1 - 0.8²)")  # fmt: skip
results.add("w given y - ridge", mean_gap, at_most=1e-10, note=f"covariance: {covariance_gap:.0e}")
results.add("95 % band holds the truth", coverage[PRIOR], at_least=0.94, at_most=0.96, note="the right prior")
results.add("the same, prior ten times too narrow", coverage[0.1 * PRIOR], note="sure, and wrong")
results.add("the same, prior ten times too wide", coverage[10 * PRIOR], note="wider, and honest")
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *Same λ.* Double NOISE and PRIOR in the formulas: what happens to the most probable w, what to
#    its covariance? Check with `ridge` and with σ² (X'X + λI)⁻¹; the latter becomes four times as
#    large.
# 2. *Piece by piece.* The posterior of yesterday is the prior of today. Start with N(0, τ² I),
#    condition on the first ten samples of (X, y), take the result as the prior for the other ten
#    (its mean is no longer zero, so that of y is X times it). Show that mean and covariance are
#    those of `posterior(X, y)` to 1e-12.
# 3. *Normal parts do not make a normal whole.* Draw x₁ ~ N(0, 1) and x₂ = ±x₁ with a random sign.
#    Show that both marginals are normal (compare their fourth moments with 3), that the covariance
#    is zero, and that x₂ given x₁ = 2 is nonetheless not N(0, 1), which is what `conditional`
#    would say. Where does the argument of section 6 break?
