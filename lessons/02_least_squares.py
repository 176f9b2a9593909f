# %% [markdown]
# # Lesson 2: Least squares, and how many digits to believe
#
# A polynomial through 25 points: the best one is the solution of a linear system, and there are
# nine ways to solve it. On paper they give the same answer. On a computer some lose one digit where
# others lose two, some refuse, some crawl. Here they all solve the same problems, next to the exact
# answer.
#
# After this lesson you can
# * write a fit as a design matrix, derive the normal equations and solve them by LU, Cholesky, QR,
#   the singular value decomposition, Newton's method and gradient descent,
# * choose a rate for gradient descent, and distrust the rule that stops it,
# * predict from a condition number how many digits of a coefficient are right.
#
# It builds on lesson 1 (loss, gradient descent, the bound on the rate). "The slides" (S4 in the
# comments of the library) and "the notes" (S3) are the two lectures that this lesson follows and,
# in places, corrects. M is the number of samples, n = degree + 1 that of coefficients θ, X' is X
# transposed, eps = 2.2e-16 the spacing of floating-point numbers at 1. x and y have no unit.

# %%
import time
from contextlib import suppress
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np

from tinynn.backend import asarray, to_numpy
from tinynn.datasets import NIST, DatasetError, nist
from tinynn.linalg import (
    METHODS,
    ConvergenceError,
    FactorizationError,
    cholesky,
    least_squares,
    lu,
    qr,
    solve_lower,
    solve_upper,
    svd,
)
from tinynn.results import ResultsTable

# %% [markdown]
# **Knobs.** Change them and run again. A value after "quick:" is for a fast look.

# %%
BACKEND = "numpy"  # "cupy" computes on a GPU; for so small problems that is slower
M_SAMPLES = 25  # the number on the slides
NOISE = 0.1  # standard deviation of y about the truth: visible, and small against the curve
DEGREES = range(1, 21)  # up to the slides' example of a polynomial too many
MAX_STEPS = 5000  # quick: 1000; gradient descent needs more from degree 3 or 4 on, whatever we allow
SIZES = (64, 128, 256, 384)  # quick: (32, 64, 128); columns n in the timings, four times as many rows
REPEATS = 3  # timings are the best of so many: other programs only ever make them longer

# %% [markdown]
# ## 1. What is a design matrix?
#
# The data scatter about a parabola. A line y = a x is not enough, but a polynomial is still
# *linear* in its coefficients. Its powers of x are features, one a column, one sample a row:
#
#     X = [1  x  x²  ...],      ŷ = X θ,      L = 1/(2M) |X θ - y|²
#
# Such an X is called a Vandermonde matrix.

# %%
rng = np.random.default_rng(2)
x = np.sort(rng.uniform(0, 1, M_SAMPLES))
y = 1 - 4 * x + 4 * x**2 + NOISE * rng.standard_normal(M_SAMPLES)


def design(x, degree):
    return np.vander(x, degree + 1, increasing=True)  # S4 (4)


def loss(X, theta):
    return np.sum((X @ theta - y) ** 2) / (2 * len(X))  # S4 (7)


def solve(X, y, method, **options):
    return least_squares(asarray(X, BACKEND), asarray(y, BACKEND), method, **options)


fig, ax = plt.subplots(layout="constrained", num="fits")
grid = np.linspace(x[0], x[-1], 400)
ax.plot(x, y, "ko", label=f"{M_SAMPLES} samples")
for degree, style in ((1, "C0--"), (2, "C1"), (20, "C3:")):
    theta = to_numpy(solve(design(x, degree), y, "pivoted_qr").coef)
    ax.plot(grid, design(grid, degree) @ theta, style, label=f"degree {degree}")
ax.set(xlabel="x", ylabel="y", ylim=(y.min() - 0.5, y.max() + 0.5), title="Too stiff, right, too flexible")
ax.legend()
plt.show()

# %% [markdown]
# Degree 20 runs after the noise (found with pivoted QR; plain QR refuses, section 5); lesson 3 is
# about that. Here we only ask whether a method finds *the* minimum, wise or not.
#
# Why the square? The slides first write down the plain mean of the error. *Predict:* how small can
# that be for a model that ignores x altogether?

# %%
X = design(x, 2)
flat = np.array([y.mean(), 0, 0])
mean_error = np.mean(X @ flat - y)
print(f"constant model: mean error {mean_error:.1e}, loss {loss(X, flat):.4f}")

# %% [markdown]
# ## 2. Where is the minimum?
#
# Where the derivative vanishes. With |X θ - y|² = θ'X'X θ - 2 y'X θ + y'y we need the derivative of
# x'Bx. The notes' table says 2 B x. *Predict:* for which B is that true? Then compare with
# difference quotients.

# %%
B, v = rng.standard_normal((3, 3)), rng.standard_normal(3)


def numerical_gradient(f, v, step=1e-6):
    steps = step * np.eye(len(v))
    return np.array([(f(v + d) - f(v - d)) / (2 * step) for d in steps])  # S4 (16)


measured = numerical_gradient(lambda v: v @ B @ v, v)
form_error, printed_form_error = abs(measured - (B + B.T) @ v).max(), abs(measured - 2 * B @ v).max()
print(f"(B + B') x is off by {form_error:.0e}, 2 B x by {printed_form_error:.2f}")

start = rng.standard_normal(3)
gradient = X.T @ (X @ start - y) / M_SAMPLES  # S4 (17)
gradient_error = abs(gradient - numerical_gradient(lambda t: loss(X, t), start)).max()
print(f"1/M X'(X θ - y) is off by {gradient_error:.0e}")

# %% [markdown]
# (B + B')x always; 2 B x for a symmetric B, such as X'X. Setting dL/dθ = 1/M X'(X θ - y) to zero
# gives the **normal equations**
#
#     X'X θ = X'y,      θ = (X'X)⁻¹ X'y = X⁺ y
#
# The notes' smallest example: x = 1, 3 and y = 1, 2 have the line h(x) = 1/2 + x/2. (Its
# translation term, called a there, is the b of their a x + b.)

# %%
example = to_numpy(solve(design(np.array([1.0, 3.0]), 1), np.array([1.0, 2.0]), "qr").coef)
print("intercept and slope:", example)

# %% [markdown]
# ## 3. Four factorisations by hand
#
# Nobody inverts X'X. A factorisation turns the system into triangular ones, which are solved by
# substitution, row after row:
#
# * LU: X'X = P'L U, any square matrix. Forward through L, backward through U.
# * Cholesky: X'X = L L', half the work. *One forward* through L, *one backward* through L'. (The
#   notes say two forward ones; and what they factor is X'X, not X.)
# * QR: X = Q R. Then R θ = Q'y, one backward; X'X is never formed.
# * SVD: X = U S V', so θ = V S⁻¹ U'y.

# %%
A, b = X.T @ X, X.T @ y
p, L, U = lu(A)
by_hand = {"LU": solve_upper(U, solve_lower(L, b[p]))}
C = cholesky(A)
by_hand["Cholesky"] = solve_upper(C.T, solve_lower(C, b))
two_forward = solve_lower(np.tril(C.T), solve_lower(C, b))  # all that forward substitution sees of C'
Q, R = qr(X)
by_hand["QR"] = solve_upper(R, Q.T @ y)  # S4 (25)
W, s, Vt = svd(X)
by_hand["SVD"] = Vt.T @ ((W.T @ y) / s)
by_hand["one Newton step"] = start - np.linalg.solve(A / M_SAMPLES, gradient)
for name, theta in by_hand.items():
    print(f"{name:<16}", theta)
spread = max(abs(theta - by_hand["QR"]).max() for theta in by_hand.values())
forward_error = abs(two_forward - by_hand["QR"]).max()
print(f"largest difference {spread:.0e}; two forward substitutions would be off by {forward_error:.1f}")

# %% [markdown]
# Newton's method steps by the inverse Hessian times the gradient. The loss is a parabola in θ and
# its Hessian is X'X/M everywhere, so one step from anywhere ends at the minimum.
#
# The slides say of Q that Q = Q', Q'Q = QQ' = I and Q² = I. *Predict:* which of these hold for the
# thin Q above, which for a square Q? QR multiplies Householder reflections, and a mirror is its own
# inverse. Is a product of mirrors a mirror?

# %%


def distance(A, B):
    return abs(A - B).max()


mirror = np.eye(4) - 2 * np.outer(u := np.array([1, 2, 2, 4]) / 5, u)
square = qr(rng.standard_normal((4, 4)))[0]
print("distance from         Q = Q'      Q'Q = I     QQ' = I     Q² = I")
for name, H in (("one reflection", mirror), ("square Q", square)):
    gaps = [distance(H, H.T), *(distance(G, np.eye(4)) for G in (H.T @ H, H @ H.T, H @ H))]
    print(f"{name:<15}", *(f"{gap:11.1e}" for gap in gaps))
thin_gaps = distance(Q.T @ Q, np.eye(3)), distance(Q @ Q.T, np.eye(M_SAMPLES))
print(f"{'thin Q, 25 x 3':<15}   not square {thin_gaps[0]:11.1e} {thin_gaps[1]:11.1e}   not square")
symmetry_gap, square_gap = distance(square, square.T), distance(square @ square, np.eye(4))

# %% [markdown]
# Only one reflection is all of that. What least squares needs is Q'Q = I, and that always holds.
#
# **Columns that depend on each other** leave (X'X)⁻¹ without meaning. The pseudoinverse X⁺ = V S⁺
# U' has one all the same: of the many minima it takes the shortest θ. The other methods refuse and
# say what would work.

# %%
twins = np.column_stack([X, X[:, 2]])  # x² twice
shortest = solve(twins, y, "svd")
print("rank", shortest.rank, "and θ =", to_numpy(shortest.coef), "<- shares the coefficient evenly")
refusals = 0
for method in ("normal", "cholesky", "qr"):
    try:
        solve(twins, y, method)
    except FactorizationError as error:
        refusals += 1
        print(f"{type(error).__name__}: {error}")

# %% [markdown]
# ## 4. Which rate does gradient descent need?
#
# Gradient descent *subtracts*: θ ← θ - η dL/dθ. (The notes add, which climbs.) The slides call it
# cheap, with no guaranteed minimum. For least squares there is a guarantee: the loss is a bowl, and
# as in lesson 1 every step multiplies the error along an eigenvector of X'X/M by 1 - η λ. So
#
#     it converges to the minimum for every η < 2/λ_max(X'X/M)
#
# *Predict:* which of η λ_max = 0.02, 1, 1.98, 2.02 converge, and which is the fastest?

# %%
largest = np.linalg.eigvalsh(A / M_SAMPLES)[-1]
minimum = loss(X, by_hand["QR"])


def descend(X, rate, steps=3000):
    theta, path = np.zeros(X.shape[1]), []
    for _ in range(steps):
        path.append(theta)
        theta = theta - rate * X.T @ (X @ theta - y) / len(X)  # S4 (16), S4 (17)
    return np.array(path)


fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", num="gradient_descent")
line = design(x, 1)
line_largest = np.linalg.eigvalsh(line.T @ line / M_SAMPLES)[-1]
bottom = to_numpy(solve(line, y, "qr").coef)
t0, t1 = np.meshgrid(np.linspace(-0.6, 1.6, 80), np.linspace(-1.2, 0.7, 80))
bowl = np.mean((t0[..., None] + t1[..., None] * x - y) ** 2, axis=-1) / 2
axes[0].contour(t0, t1, bowl, levels=20, colors="0.8")
for ratio, style, name in ((0.02, "C0.-", "B, small"), (2.02, "C3.-", "C, large"), (1, "C2.-", "A, right")):
    path = descend(line, ratio / line_largest, 40)
    axes[0].plot(*path.T, style, label=f"{name}: η = {ratio}/λ_max")
axes[0].plot(*bottom, "k*", markersize=12, label="minimum")
axes[0].set(xlabel="θ₀", ylabel="θ₁", title="Degree 1, 40 steps: C leaps from wall to wall")
axes[0].legend(fontsize=8)
ends = {}
for ratio, style in ((0.02, "C0"), (1, "C2"), (1.98, "C1"), (2.02, "C3")):
    excess = np.array([loss(X, theta) - minimum for theta in descend(X, ratio / largest)])
    ends[ratio] = excess[-1]
    axes[1].plot(excess.clip(1e-18), style, label=f"η = {ratio}/λ_max")
axes[1].set(xlabel="step", ylabel="loss above its minimum", yscale="log", ylim=(1e-10, 1e8),
            title="Degree 2: below 2/λ_max all go down, above none")  # fmt: skip
axes[1].legend(fontsize=8)
plt.show()
climb = loss(X, descend(X, -1 / largest, 50)[-1])
print(f"loss after 50 steps uphill, θ + dL/dθ/λ_max: {climb:.1e}; the minimum is {minimum:.4f}")

# %% [markdown]
# Along the largest eigenvalue 1/λ_max is perfect, but the others wait: every increase of η helps
# them, almost up to the bound. (The best is η = 2/(λ_max + λ_min).)
#
# **When to stop?** The slides stop when the loss changes by no more than a threshold. *Predict:*
# which rate stops closer to the minimum, the right one or one that is a hundred times too small?

# %%
stopped = {}
for name, ratio in (("right", 1), ("too small", 0.01)):
    fit = solve(X, y, "gradient_descent", learning_rate=ratio / largest, loss_tol=1e-6)
    stopped[name] = loss(X, to_numpy(fit.coef)) - minimum
    print(f"{name:<10} stops after {fit.iterations:5d} steps, {stopped[name]:.1e} above the minimum")

# %% [markdown]
# The small rate changes the loss little, and the rule takes slow for done. Better ask for a small
# *gradient*, relative to that at the start, which does not depend on the rate.
#
# **Stochastic gradient descent** takes the gradient of a few samples: cheaper, and right on average
# only. At a fixed rate it ends up in a cloud around the minimum. The library's `sgd` takes off what
# a batch got wrong at the start of the epoch (variance reduction), and the cloud contracts.

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained", num="sgd")
clouds = {}
for ax, degree in zip(axes, (1, 2), strict=True):
    X = design(x, degree)
    lowest = loss(X, to_numpy(solve(X, y, "qr").coef))
    for name, reduce in (("plain", False), ("variance reduction", True)):
        losses = []
        with suppress(ConvergenceError):  # as expected: the tolerance is mostly out of reach
            solve(X, y, "sgd", batch_size=5, variance_reduction=reduce, max_iter=1000, rng=0,
                  callback=lambda theta, value, seen=losses: seen.append(value))  # fmt: skip
        excess = (np.array(losses) - lowest).clip(1e-18)
        clouds[degree, name] = excess[-100:].mean()
        ax.plot(excess, label=name)
    ax.set(xlabel="epoch", ylabel="loss above its minimum", yscale="log", ylim=(1e-18, 1))
    ax.legend(fontsize=8)
axes[0].set_title("Degree 1: noise sets a floor, unless it is taken off")
axes[1].set_title("Degree 2: too slow to get to any floor")
plt.show()

# %% [markdown]
# Variance reduction removes the noise, not the slowness: for degree 2 both curves fall alike,
# because the condition number decides and neither has come down to the floor within 1000 epochs.
#
# ## 5. The observatory: all methods, degree 1 to 20
#
# To count digits we need the right answer. Fractions have no rounding errors: here is Gaussian
# elimination on the normal equations in exact arithmetic. The leading part of an eliminated system
# is the eliminated leading part, so one elimination serves all degrees.


# %%
def exact_solutions(X, y, sizes):
    columns = [[Fraction(v) for v in column] for column in np.column_stack([X, y]).T.tolist()]
    n = len(columns) - 1
    rows = [[sum(map(Fraction.__mul__, a, b)) for b in columns] for a in columns[:n]]
    for k in range(n):
        for i in range(k + 1, n):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    solutions = []
    for size in sizes:
        theta = [Fraction(0)] * size
        for k in reversed(range(size)):
            known = sum(rows[k][j] * theta[j] for j in range(k + 1, size))
            theta[k] = (rows[k][n] - known) / rows[k][k]
        solutions.append(np.array(theta, dtype=float))
    return solutions


exact = exact_solutions(design(x, DEGREES[-1]), y, [degree + 1 for degree in DEGREES])

# %% [markdown]
# *Predict:* the columns 1, x, x², ... look more and more alike on [0, 1]. Which methods notice
# first? Will the residual show it?

# %%
LIMITS = {"gradient_descent": {"max_iter": MAX_STEPS}, "sgd": {"max_iter": MAX_STEPS // 10, "rng": 0}}
seen = {method: [] for method in METHODS}  # degree, condition, residual, size of θ, digits, finished
refused = {}
for degree, truth in zip(DEGREES, exact, strict=True):
    X = design(x, degree)
    kappa = np.linalg.cond(X / np.linalg.norm(X, axis=0))
    for method in METHODS:
        finished = True
        try:
            theta = to_numpy(solve(X, y, method, **LIMITS.get(method, {})).coef)
        except FactorizationError as error:
            refused.setdefault(method, (degree, str(error).split(";")[0]))
            continue
        except ConvergenceError as error:
            finished, theta = False, to_numpy(error.coef)[:, 0]
        error = np.linalg.norm(theta - truth) / np.linalg.norm(truth)
        digits = float(np.clip(-np.log10(max(error, 1e-16)), 0, 16))
        residual = np.linalg.norm(X @ theta - y)
        seen[method].append((degree, kappa, residual, np.linalg.norm(theta), digits, finished))
seen = {method: np.array(rows, dtype=float) for method, rows in seen.items()}
for method, (degree, reason) in refused.items():
    print(f"{method} first refuses at degree {degree}: {reason}")


STYLES = dict(zip(METHODS, zip(plt.get_cmap("tab10").colors, range(20, 2, -2), strict=False), strict=True))


def plot_methods(ax, column):
    for method, (color, size) in STYLES.items():  # ever smaller circles, so that none hides another
        rows = seen[method]
        done = rows[:, 5] == 1
        ax.plot(rows[:, 0], rows[:, column], color=color, linewidth=1)
        ax.plot(rows[done, 0], rows[done, column], "o", color=color, markersize=size / 2, label=method)
        ax.plot(rows[~done, 0], rows[~done, column], "o", mfc="none", color=color, markersize=size / 2)


fig, axes = plt.subplots(1, 3, figsize=(13, 4.2), sharex=True, layout="constrained", num="observatory")
names = ("residual |Xθ - y|", "|θ|", "correct digits of θ")
for ax, column, name in zip(axes, (2, 3, 4), names, strict=True):
    plot_methods(ax, column)
    ax.set(xlabel="degree", ylabel=name, xticks=range(0, 21, 5))
axes[0].set_title("Residual: the direct methods agree")
axes[1].set(yscale="log", title="|θ| explodes, unless stopped early")
axes[2].set_title("Digits: a line for each kind of method")
axes[2].legend(fontsize=7)
fig.suptitle("Open circles: out of steps. A line that ends: the method refused")
plt.show()

# %% [markdown]
# A small residual says nothing about the digits of θ: they are lost in directions to which X is
# nearly blind. How blind is measured by the **condition number** κ = s_max / s_min, with the
# columns scaled to equal length. *Predict:* X'X has the condition number κ². How many digits are
# lost by the methods that form it, how many by those that do not?

# %%
fig, ax = plt.subplots(layout="constrained", num="condition")
lost = {}
for method, (color, size) in STYLES.items():
    rows = seen[method][seen[method][:, 5] == 1]
    digits_lost = 16 - rows[:, 4]
    lost[method] = (np.log10(rows[:, 1]), digits_lost)
    ax.plot(rows[:, 1], digits_lost, "o-", color=color, markersize=size / 2, linewidth=0.7, label=method)
kappas = np.array([1, 1e16])
ax.plot(kappas, np.log10(kappas), "k", label="log₁₀ κ")
ax.plot(kappas, 2 * np.log10(kappas), "k--", label="2 log₁₀ κ")
ax.set(xlabel="condition number κ (columns scaled)", ylabel="digits lost, of 16", xscale="log",
       ylim=(0, 16.5), title="No method is exact: one log κ is lost by QR and SVD, two by X'X")  # fmt: skip
ax.legend(fontsize=8)
plt.show()


def slope(method):
    """Digits lost for each digit of κ, while some are left."""
    log_kappa, digits_lost = lost[method]
    left = digits_lost < 15
    return np.polyfit(log_kappa[left], digits_lost[left], 1)[0]


slopes = {method: slope(method) for method in ("normal", "cholesky", "qr", "pivoted_qr", "svd")}
print("digits lost for each digit of κ:", {method: f"{value:.2f}" for method, value in slopes.items()})
last_digits = seen["qr"][-1]
digits_at_6 = {method: seen[method][5, 4] for method in ("cholesky", "newton")}
print("correct digits at degree 6:", {method: f"{value:.1f}" for method, value in digits_at_6.items()})
print(f"QR, degree {last_digits[0]:.0f}: κ = {last_digits[1]:.0e}, {last_digits[4]:.1f} correct digits")

# %% [markdown]
# "Up to machine precision", as the slides have it, holds for none. Normal equations and Cholesky
# lose twice the digits and refuse as κ² nears 1/eps. (Where y is far from X θ, QR and SVD too
# have a part with κ², times the residual: compare Wampler 5 below.) Later QR refuses as well.
#
# Newton's method factors the same matrix as Cholesky and refuses where it does, but until then it is
# as good as QR: its second step repairs what rounding spoilt in the first, since its gradient comes
# from X and not from X'X. And a warning: the iterative methods stop at a small gradient, and a small
# gradient is no proof of a right θ, any more than a small residual is.
#
# ## 6. What does it cost?
#
# The slides' counts, in operations for X with m rows and n columns: LU 2/3 n³, Cholesky 1/3 n³, QR
# 2mn² - 2/3 n³, SVD 2mn² + 11n³. *Predict:* the first two are for X'X. With m = 4n, what does it
# cost to form that, and which of the four should be the fastest?

# %%
COUNTS = {
    "normal": lambda m, n: 2 / 3 * n**3,
    "cholesky": lambda m, n: 1 / 3 * n**3,
    "qr": lambda m, n: 2 * m * n**2 - 2 / 3 * n**3,
    "svd": lambda m, n: 2 * m * n**2 + 11 * n**3,
}
BY_HAND = {"normal": lu, "cholesky": cholesky, "qr": qr, "svd": svd}


def best_time(function):
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


seconds = {}
for n in SIZES:
    X_large = asarray(rng.standard_normal((4 * n, n)), BACKEND)
    y_large = asarray(rng.standard_normal(4 * n), BACKEND)
    gram = X_large.T @ X_large
    for method, factor in BY_HAND.items():
        matrix = gram if method in ("normal", "cholesky") else X_large
        seconds["hand", method, n] = best_time(lambda f=factor, a=matrix: to_numpy(f(a)[-1]))
        seconds["all", method, n] = best_time(
            lambda method=method, X=X_large, y=y_large: to_numpy(least_squares(X, y, method).coef)
        )

fig, axes = plt.subplots(1, 2, figsize=(11, 4), sharex=True, sharey=True, layout="constrained", num="costs")
titles = ("Factorisation alone, by hand", "least_squares with LAPACK, all steps")
for ax, kind, title in zip(axes, ("hand", "all"), titles, strict=True):
    for method, count in COUNTS.items():
        flops = [count(4 * n, n) for n in SIZES]
        ax.loglog(flops, [seconds[kind, method, n] for n in SIZES], "o-", label=method)
    flops = np.array([1e4, 1e10])
    for rate, style in ((1e9, "k:"), (1e10, "k--")):
        ax.plot(flops, flops / rate, style, linewidth=1, label=f"{rate:.0e} operations a second")
    ax.set(xlabel="operations, by the slides' count", ylabel="time (s)", title=title)
    ax.legend(fontsize=8)
fig.suptitle("Were the count all, the methods would lie on one line; m = 4n")
plt.show()
n = SIZES[-1]
forming = best_time(lambda: to_numpy(X_large.T @ X_large))
forming_share = 4 * n**3 / (4 * n**3 + COUNTS["cholesky"](4 * n, n))
print(f"n = {n}: X'X alone takes {forming:.1e} s, all of cholesky {seconds['all', 'cholesky', n]:.1e} s")

# %% [markdown]
# The counts leave out mn² for forming X'X (with its symmetry used), twelve times the Cholesky
# decomposition itself at m = 4n; for more rows it is all that counts. And an operation is not an
# operation: those inside matrix products run fast, those on single columns slowly. Our SVD lies far
# above the others because it is another method: one-sided rotations, 9 n³ a sweep and several
# sweeps, slower and more accurate than the one that the slides count.
#
# ## 7. Examination day: the NIST reference sets
#
# The National Institute of Standards and Technology keeps small problems with certified
# coefficients, made to expose bad solvers. Score: correct digits of the worst coefficient.

# %%
CHECKED = ("normal", "cholesky", "qr", "pivoted_qr", "svd", "newton")
LAPACK_QR = {"norris": 12.1, "pontius": 12.7, "noint1": 15, "noint2": 15, "longley": 10.9,
             "filip": 7.4, "wampler1": 9.4,
             "wampler2": 13.0, "wampler3": 9.1, "wampler4": 7.8, "wampler5": 5.8}  # fmt: skip
scores = {}
for name in NIST:
    try:
        problem = nist(name)
    except DatasetError as error:
        print(f"{name} is left out: {error}")
        continue
    scores[name] = []
    for method in CHECKED:
        try:
            theta = to_numpy(solve(problem.design, problem.y, method).coef)
            scores[name].append(problem.correct_digits(theta))
        except (FactorizationError, ConvergenceError) as error:
            scores[name].append(np.nan)
            print(f"{name}, {method}: {type(error).__name__}")

table = np.array(list(scores.values()))
fig, ax = plt.subplots(figsize=(7, 5), layout="constrained", num="nist")
image = ax.imshow(table, vmin=0, vmax=15, aspect="auto", cmap="viridis")
for (i, j), digits in np.ndenumerate(table):
    text = "refuses" if np.isnan(digits) else f"{digits:.1f}"
    ax.text(j, i, text, ha="center", va="center", color="w" if digits < 9 else "k", fontsize=9)
ax.set(xlabel="method", ylabel="reference set", title="Correct digits of the worst coefficient, of 15")
ax.set_xticks(range(len(CHECKED)), CHECKED)
ax.set_yticks(range(len(scores)), scores)
fig.colorbar(image, label="correct digits")
plt.show()

# %% [markdown]
# Wherever digits are scarce, the method should say so and not answer: "refuses" is a good mark.
#
# ## Results

# %%
results = ResultsTable("Lesson 2: least squares")
results.add("example 9.2: intercept", example[0], seed=0.5, tolerance=1e-12)
results.add("example 9.2: slope", example[1], seed=0.5, tolerance=1e-12)
results.add("by hand: LU, Cholesky, QR, SVD, Newton agree to", spread, at_most=1e-10)
results.add("gradient of the loss - difference quotient", gradient_error, at_most=1e-8)
results.add("mean error of a constant model", mean_error, seed="measures the fit", corrected=True,
            note=f"its loss is {loss(design(x, 2), flat) / minimum:.0f} times the minimum")  # fmt: skip
results.add("d/dx x'Bx", "(B + B')x", seed="2 B x", corrected=True,
            note=f"off by {form_error:.0e}; 2 B x by {printed_form_error:.2f}")  # fmt: skip
results.add("Q of QR: distance from Q = Q'", symmetry_gap, seed="Q = Q'", corrected=True,
            note="one Householder reflection only")  # fmt: skip
results.add("Q of QR: distance from Q² = I", square_gap, seed="Q² = I", corrected=True,
            note=f"thin Q has Q'Q = I to {thin_gaps[0]:.0e}, QQ' is off by {thin_gaps[1]:.2f}")  # fmt: skip
results.add("Cholesky factors, and substitutes", "X'X, forward, backward",
            seed="X, forward twice", corrected=True,
            note=f"forward twice: off by {forward_error:.1f}")  # fmt: skip
results.add("dependent columns: methods that refuse", refusals, at_least=3, note="svd: the shortest θ")
results.add("gradient descent, η = 1.98/λ_max: loss above minimum", ends[1.98], seed="no guaranteed minimum",
            corrected=True, note=f"converges for η < 2/λ_max; at 2.02/λ_max: {ends[2.02]:.0e}")  # fmt: skip
results.add("step of gradient descent", "θ - η dL/dθ", seed="θ + η dL/dθ", corrected=True,
            note=f"uphill the loss is {climb:.0e} after 50 steps")  # fmt: skip
results.add("stopping rule: too small rate / right rate", stopped["too small"] / stopped["right"],
            at_least=3, note="loss left above the minimum; slow is not done")  # fmt: skip
for degree, note in ((1, "the cloud contracts"), (2, "no floor yet: the condition number decides")):
    ratio = clouds[degree, "plain"] / clouds[degree, "variance reduction"]
    criterion = {"at_least": 100} if degree == 1 else {}
    results.add(f"sgd, degree {degree}: loss left, plain / variance reduction", ratio, **criterion, note=note)
for method, value in slopes.items():
    low, high = (1.5, 2.5) if method in ("normal", "cholesky") else (0.5, 1.5)
    results.add(f"digits lost for each digit of κ, {method}", value, at_least=low, at_most=high)
results.add("Newton at degree 6: digits more than Cholesky", digits_at_6["newton"] - digits_at_6["cholesky"],
            at_least=2, note="the second step repairs the first")  # fmt: skip
results.add(f"digits of QR at degree {last_digits[0]:.0f}, its last", last_digits[4],
            seed="machine precision", corrected=True, note=f"κ = {last_digits[1]:.0e}")  # fmt: skip
results.add("degree from which Cholesky refuses", refused["cholesky"][0], note="κ² nears 1/eps")
results.add("operations in X'X, share of Cholesky's", forming_share, seed="left out", corrected=True,
            note="m n² at m = 4n")  # fmt: skip
for name, digits in scores.items():
    results.add(f"NIST {name}, digits of QR", digits[CHECKED.index("qr")], at_least=LAPACK_QR[name] - 0.5,
                note=f"LAPACK's QR, measured elsewhere: {LAPACK_QR[name]}")  # fmt: skip
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *Centre and scale.* Replace x by 2x - 1, which spans [-1, 1]. Predict, then measure the
#    condition number at degree 20 (columns scaled). It falls by at least six powers of ten: from
#    which degree on does Cholesky refuse now?
# 2. *Another basis.* `np.polynomial.legendre.legvander(2 * x - 1, 5)` spans the same polynomials as
#    `design(x, 5)`. Show that the fitted values agree to 1e-10, and that κ is below 10.
# 3. *Steps.* At the rate 1/λ_max the slowest part of the error shrinks by 1 - 1/κ² a step, with κ²
#    = λ_max/λ_min of X'X, columns as they are. How many steps does gradient descent need for four
#    more digits? Check with `solve(design(x, 2), y, "gradient_descent", tol=t).iterations` for t =
#    1e-4 and 1e-8: the difference of the two is κ² ln(10⁴).
