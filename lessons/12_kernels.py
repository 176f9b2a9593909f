# %% [markdown]
# # Lesson 12: Kernels: a plane in a space that nobody enters
#
# A model that is linear in its weights can still be a curve: embed x in a space of many features, and
# fit a plane there. A kernel does this without forming the features, even if there are infinitely many.
# All that is left to choose is a function k(x, y) that says how similar two molecules are.
#
# After this lesson you can
# * fit one model from the side of its features or from that of the samples, and say which is cheaper,
# * read the Gaussian kernel in two ways, as the overlap of bells and as a polynomial without end,
# * tell which similarities are kernels, and what goes wrong with the others,
# * choose a length scale, and learn a potential and its force from a handful of energies.
#
# It builds on lessons 2 (design matrix, conditioning), 3 (validation) and 4 (ridge, and λ from two
# variances). "The notes" (S3 in the comments of the library) and "the slides" (S4) are the lectures that
# this lesson follows and, in places, corrects. M is the number of samples, E that of features; φ(x) is
# a vector of E features, φ without argument the M x E matrix of all samples, φ' its transpose. Lengths
# are in Å, energies in eV, forces in eV/Å, unless nothing is named.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import quad
from scipy.special import factorial

from tinynn.backend import asarray, to_numpy
from tinynn.kernels import (
    Constant,
    Gaussian,
    GaussianProcessRegressor,
    KernelRidge,
    Laplacian,
    Linear,
    Matern52,
    Polynomial,
)
from tinynn.linalg import NotPositiveDefiniteError, least_squares
from tinynn.linear_model import LinearRegression
from tinynn.model_selection import validation_curve
from tinynn.molecules import Morse
from tinynn.preprocessing import PolynomialFeatures
from tinynn.results import ResultsTable

# %% [markdown]
# **Knobs.** Change them and run again. A value after "quick:" is for a fast look.

# %%
BACKEND = "numpy"  # "cupy" computes on a GPU; for so small problems that is slower
FEATURES = (2, 4, 6, 8, 11, 14, 18)  # quick: (2, 4, 6, 9); numbers in x: they make E = 10 to 1330 products
SAMPLES = (50, 100, 200, 400, 800, 1600)  # quick: (50, 100, 200, 400); below and above E = 165
SETS = 300  # quick: 60; random sets of points on which a function is tried as a kernel
NOISE = 0.1  # σ in eV: a cheap reference method
SIZE = 2.5  # τ in eV: how far from 0 we expect an energy to be, before any data
LENGTHS = np.logspace(-2, 1, 31)  # quick: np.logspace(-2, 1, 13); in Å, about the spacing of the samples
N_DRAWS = 50  # quick: 10; repetitions with new samples: one draw proves nothing

# %% [markdown]
# ## 1. How can a plane be a curve?
#
# Machine learning in chemistry often starts with features, numbers computed from a molecule, and puts a
# standard model on top. There are two other ways. Learn the features: a network is a linear model of what
# its other layers make of the structure (lessons 8, 11, 16). Or let the model ask: a potential energy
# surface has no data until somebody computes them, so it calls quantum chemistry where it needs an
# energy (lesson 15). Such a surface has no closed form and can be as complex as you like, and nearly
# everything about a molecule follows from it. Ours is the smallest: the energy of H2 against its bond
# length r, as a Morse curve.
#
# An **embedding** φ makes E features of x, and f(x) = w·φ(x) stays linear in w. For polynomials of degree
# 4 the notes take φ(x) = (x, x², x³, x⁴). *Predict:* energies have no natural zero. Does the fit change
# if all of them are raised by 10 eV?


# %%
def column(x):
    return asarray(np.asarray(x)[:, None], BACKEND)


def powers(r):
    return np.column_stack([r, r**2, r**3, r**4])


h2 = Morse(D_e=4.75, a=1.94, r_e=0.741)  # eV, 1/Å, Å
r_few = np.linspace(0.5, 2.5, 6)
Phi, y_few = powers(r_few), h2.v(r_few)
misses = {}
for name, one in (("r, r², r³, r⁴", False), ("1, r, r², r³, r⁴", True)):
    for zero in (0, 10):
        fitted = LinearRegression(fit_intercept=one).fit(Phi, y_few + zero).predict(Phi)
        misses[name, zero] = np.sqrt(np.mean((fitted - zero - y_few) ** 2))
        print(f"{name:<17} energies + {zero:2} eV: the fit misses them by {misses[name, zero]:.2f} eV (rms)")

# %% [markdown]
# (x, x², x³, x⁴) knows only polynomials that vanish at x = 0. A 1 belongs into φ(x), or an intercept
# into the model.
#
# What is minimised? The notes print |φ(X) - Y|², where w is missing, and then solve φ'φ w = φ Y. They
# also write Y = φ(X) for the labels. *Predict* the shapes for these M = 6 samples and E = 4 features.

# %%
refused = {}
for name, attempt in (("φ - Y", lambda: Phi - y_few), ("φ Y", lambda: Phi @ y_few)):
    try:
        attempt()
    except ValueError as error:
        refused[name] = type(error).__name__
        print(f"{name:<5} with φ {Phi.shape} and Y {y_few.shape}: {refused[name]}")
w = np.linalg.solve(Phi.T @ Phi, Phi.T @ y_few)
slope = abs(Phi.T @ (Phi @ w - y_few)).max()
four, y_four = Phi[:4], y_few[:4]  # M = E: now φ Y has a shape that fits
printed_misses, right_misses = (
    abs(four @ np.linalg.solve(four.T @ four, right_side) - y_four).max()
    for right_side in (four @ y_four, four.T @ y_four)
)
print(f"φ'φ w = φ'Y: the derivative of |φ w - Y|² is {slope:.0e}")
print(f"M = E = 4: φ'φ w = φ Y misses its data by {printed_misses:.1f} eV, φ'φ w = φ'Y by {right_misses:.0e}")

# %% [markdown]
# Minimise |φ w - Y|². Its derivative 2φ'(φ w - Y) vanishes where **φ'φ w = φ'Y**.
#
# ## 2. Rows or columns?
#
# φ is the **design matrix**, as in lesson 2. (The notes give that name to φ'φ.) It makes two square ones:
#
# * φφ', M x M, the **Gram matrix**: inner products of its rows, the *samples*;
# * φ'φ, E x E, the **outer matrix** Σ_m φ(x_m) φ(x_m)': inner products of its columns, the *features*.
#
# The notes solve with either, w = (φ'φ)⁻¹φ'Y = φ'(φφ')⁻¹Y. *Predict:* when do both inverses exist? (The
# rank of both is that of φ.) And if we add λI to both, as for ridge?


# %%
def primal(Phi, y, lam):
    return np.linalg.solve(Phi.T @ Phi + lam * np.eye(Phi.shape[1]), Phi.T @ y)


def dual(Phi, y, lam):
    return Phi.T @ np.linalg.solve(Phi @ Phi.T + lam * np.eye(len(Phi)), y)


x_six = np.linspace(-1, 1, 6)
six = h2.v(1.5 + x_six)
print("M  E   rank  φ'φ       φφ'       primal - dual, λ = 1e-3")
invertible, sides = {}, {}
for E in (4, 6, 12):
    Phi = np.vander(x_six, E, increasing=True)
    rank = np.linalg.matrix_rank(Phi)
    invertible[E] = [bool(rank == size) for size in (E, 6)]
    sides[E] = abs(primal(Phi, six, 1e-3) - dual(Phi, six, 1e-3)).max()
    words = ["regular" if regular else "singular" for regular in invertible[E]]
    print(f"6 {E:2} {rank:6}  {words[0]:<9} {words[1]:<9} {sides[E]:.0e}")
outer_gap = abs(Phi.T @ Phi - sum(np.outer(row, row) for row in Phi)).max()
shortest = to_numpy(least_squares(asarray(Phi, BACKEND), asarray(six, BACKEND), "svd").coef)
shortest_gap = abs(dual(Phi, six, 1e-10) - shortest).max()
print(f"φ'φ - Σ φ(x_m) φ(x_m)' = {outer_gap:.0e};  E = 12, λ = 1e-10: dual - shortest w = {shortest_gap:.0e}")

# %% [markdown]
# Both only if M = E, at best: with fewer features the Gram matrix is singular, with more the outer one.
# What holds always is the form for |φ w - Y|² + λ|w|². Multiply out φ'(φφ' + λI) = (φ'φ + λI)φ', and
#
#     w = (φ'φ + λI)⁻¹ φ'Y = φ' (φφ' + λI)⁻¹ Y          for λ > 0
#         primal: E unknowns  dual: M unknowns
#
# For λ → 0 the dual finds the shortest of all w that fit exactly.
#
# A footnote in the notes: one can make sure of the inverse by adding I, but does not like to, because
# inverting is unstable. *Predict:* is it the λI that makes the problem ill-conditioned?

# %%
K_many = to_numpy(Gaussian(0.5)(column(np.linspace(0.5, 2.5, 50))))
conditions = {lam: np.linalg.cond(K_many + lam * np.eye(50)) for lam in (0, 1e-8, 1e-3, 1)}
print("Gram matrix of 50 bond lengths: condition number", {k: f"{c:.0e}" for k, c in conditions.items()})

# %% [markdown]
# It is the cure: no eigenvalue of K + λI is below λ. Its price is a bias, so λ should follow the noise
# (lesson 4), and 1 is nothing special. Nor does anybody need an inverse: Cholesky solves.
#
# ## 3. The kernel trick
#
# The dual does not need φ. With c = (φφ' + λI)⁻¹Y we have w = φ'c, and both the Gram matrix and the
# prediction are made of inner products **k(x, y) = φ(x)·φ(y)**. This function is the **kernel**:
#
#     (K + λI) c = Y,   K_ij = k(x_i, x_j),        f(x) = Σ_m c_m k(x_m, x)
#
# If k is cheap it does not matter how long φ(x) is. (The outer matrix has products of features, not of
# samples: no trick there. But any method that sees samples only in inner products can play it, such as
# the support vectors of lesson 7.) A cheap kernel: multiply z = (1, x) with itself d times, in all ways.
# That makes a vector of 2^d products, z ⊗ z ⊗ ..., and the inner product of two of them is
# (z·z̃)^d = (1 + x x̃)^d. *Predict:* how often does each power of x occur among the 16 products for d = 4?

# %%
occurs = np.bincount(sum(np.meshgrid(*[[0, 1]] * 4)).ravel())  # exponent of x: 0 or 1 from each factor
print("1, x, x², x³, x⁴ occur", occurs, "times")


def embed(X, degree, root=True):
    """All products of up to `degree` features, each times the root of how often it occurs."""
    products = PolynomialFeatures(degree).fit(X)
    p = products.powers_
    occurs = factorial(degree) / (factorial(p).prod(axis=1) * factorial(degree - p.sum(axis=1)))
    return products.transform(X) * (np.sqrt(occurs) if root else 1)


X = np.random.default_rng(12).uniform(-1, 1, (30, 1))
expansion = {}
for d in (2, 4, 8):
    K = to_numpy(Polynomial(d)(asarray(X, BACKEND)))
    expansion[d] = [abs(phi @ phi.T - K).max() for phi in (embed(X, d), embed(X, d, root=False))]
    print(f"d = {d}: φ·φ - (1 + xy)^d = {expansion[d][0]:.0e} with √binomial, {expansion[d][1]:.2g} without")

# %% [markdown]
# binomial(d, k) times. A vector of b equal entries a has the length √b a, so *one* entry √b a does for
# all of them: φ_k(x) = **√binomial(d, k) x^k**. The notes have the √2 of d = 2, and lose the roots for
# general d. What they print is the kernel Σ (xy)^k, another one.
#
# With two features it is the slides' (44): (x₁², √2 x₁x₂, x₂²), multiplied with the same of y, is (x·y)².
# But they define K(φ(x), φ(y)) = x·y. *Predict:* what goes into K, x or φ(x), and what comes out?

# %%
a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]])
products = PolynomialFeatures(2).fit(a)
quadratic = [embed(X, 2)[:, products.powers_.sum(axis=1) == 2] for X in (a, b)]  # only x₁², √2 x₁x₂, x₂²
square = Polynomial(degree=2, coef0=0)
into = {"x·y": a @ b.T, "φ(x)·φ(y)": quadratic[0] @ quadratic[1].T, "K(x, y)": square(a, b),
        "K(φ(x), φ(y))": square(*quadratic)}  # fmt: skip
into = {name: round(value.item()) for name, value in into.items()}
print("x = (1, 2), y = (3, 1):", into)

# %% [markdown]
# x goes in, and **K(x, y) = φ(x)·φ(y)** comes out.
#
# **What does it save?** n numbers have E = binomial(n + 3, 3) products of up to three. Up to factors near
# one half the primal costs M E² + E³ operations, the dual with these features M² E + M³, the dual with the
# kernel M² n + M³. *Predict:* where do the first two cross? Is the kernel always the cheapest?

# %%
WAYS = {
    "primal": lambda X, y, X_new: embed(X_new, 3) @ primal(embed(X, 3), y, 1.0),
    "dual, with features": lambda X, y, X_new: embed(X_new, 3) @ dual(embed(X, 3), y, 1.0),
    "dual, with kernel": lambda X, y, X_new: KernelRidge(1.0, kernel=Polynomial(3)).fit(X, y).predict(X_new),
}


def race(M, n):
    """Seconds that each way takes for M samples of n features, the best of three, and their disagreement."""
    X = np.random.default_rng(n).uniform(-1, 1, (M, n)) / np.sqrt(n)
    y, seconds, answers = np.sin(3 * X.sum(axis=1)), [], []
    for way in WAYS.values():
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            answers.append(way(X, y, X[:10] / 2))
            runs.append(time.perf_counter() - start)
        seconds.append(min(runs))
    return seconds, np.ptp(answers, axis=0).max()


M_FIXED, N_FIXED = 400, 8
counts = [embed(np.ones((1, n)), 3).shape[1] for n in FEATURES]
E_FIXED = embed(np.ones((1, N_FIXED)), 3).shape[1]
by_features, gaps_1 = zip(*(race(M_FIXED, n) for n in FEATURES), strict=True)
by_samples, gaps_2 = zip(*(race(M, N_FIXED) for M in SAMPLES), strict=True)
ways_gap = max(gaps_1 + gaps_2)
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", num="costs")
for ax, places, times in ((axes[0], counts, by_features), (axes[1], SAMPLES, by_samples)):
    for name, seconds, style in zip(WAYS, np.transpose(times), ("C0o-", "C1s-", "C2^-"), strict=True):
        ax.loglog(places, 1e3 * seconds, style, label=name)
axes[0].axvline(M_FIXED, color="0.6", linestyle=":", label="E = M")
axes[1].axvline(E_FIXED, color="0.6", linestyle=":", label="M = E")
axes[0].set(xlabel="features E", ylabel="time to fit (ms)", title=f"{M_FIXED} samples, more features")
axes[1].set(xlabel="samples M", ylabel="time to fit (ms)", title=f"{E_FIXED} features, more samples")
for ax in axes:
    ax.legend(fontsize=8)
fig.suptitle("The primal pays for features, the dual for samples, the kernel for no feature at all")
plt.show()
print(f"the three predict the same to {ways_gap:.0e}; M = {M_FIXED}, E = {counts[-1]}:",
      {name: f"{1e3 * s:.0f} ms" for name, s in zip(WAYS, by_features[-1], strict=True)})  # fmt: skip

# %% [markdown]
# The first two cross near M = E. The kernel's time does not know E at all. But with few features and many
# samples the primal wins: with 10⁵ samples the Gram matrix alone takes 80 GB. (And each prediction costs
# the primal E operations, the kernel M n.)
#
# ## 4. How long may φ(x) become?
#
# Infinitely long. The notes embed x as a bell curve, the function exp(-(x - r)²) of r: one entry for
# each real number r. The inner product of functions is the integral of their product,
#
#     φ(x)·φ(y) = ∫ exp(-(x - r)²) exp(-(y - r)²) dr
#
# The more two bells overlap, the larger: a **similarity**. *Predict* it for x = y, and how it falls with
# the distance. (Complete the square: (x - r)² + (y - r)² = 2 (r - (x + y)/2)² + (x - y)²/2.)

# %%
apart = np.linspace(0, 4, 17)
overlap = np.array([quad(lambda r, d=d: np.exp(-((r - d) ** 2) - r**2), -np.inf, np.inf)[0] for d in apart])
gaussian = np.sqrt(np.pi / 2) * to_numpy(Gaussian(1.0)(column(apart), column([0.0])))[:, 0]
for i in (0, 4, 8):
    print(f"|x - y| = {apart[i]:g}: integral {overlap[i]:.10f}, √(π/2) exp(-(x - y)²/2) = {gaussian[i]:.10f}")
squares = to_numpy(Polynomial(2)(column([1.0, 3.0])))
print("(1 + xy)² for x, y in {1, 3}:", squares.tolist())

fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", num="similarity")
r = np.linspace(-2.5, 4, 400)
left, right = np.exp(-(r**2)), np.exp(-((r - 1.5) ** 2))
axes[0].plot(r, left, "C0", label="φ(x), x = 0")
axes[0].plot(r, right, "C1", label="φ(y), y = 1.5")
axes[0].fill_between(r, left * right, color="C2", alpha=0.5, label="product; its area is k(x, y)")
axes[0].set(xlabel="r", ylabel="feature", title="Similar points have bells that overlap", ylim=(0, 1.4))
axes[1].plot(apart, gaussian, "C2", label="√(π/2) exp(-(x - y)²/2)")
axes[1].plot(apart, overlap, "ko", markersize=4, label="numerical integral")
axes[1].set(xlabel="distance |x - y|", ylabel="k(x, y)", title="The overlap is a bell, √2 times as wide")
for ax in axes:
    ax.legend()
plt.show()

# %% [markdown]
# Infinitely many features for one exponential. Bells exp(-(x - r)²/l²) give the **Gaussian kernel**
# exp(-|x - y|²/(2l²)), times l √(π/2); l is its **length scale**. Its maximum, 1, is at x = y, as the
# slides say of a similarity. That is not so for every kernel: for (1 + xy)², 1 is more like 3 than like
# itself. What is at most 1 always is the cosine of the angle between φ(x) and φ(y), k/√(k(x, x) k(y, y)).
#
# An integral is a limit of sums. *Predict:* how many bells on a grid do as well as all of them?

# %%
x_line = np.linspace(0, 5, 60)
K_line = to_numpy(Gaussian(1.0)(column(x_line)))


def bells(x, spacing):
    r = np.arange(-4, 9 + spacing / 2, spacing)
    return np.sqrt(spacing / np.sqrt(np.pi / 2)) * np.exp(-((x[:, None] - r) ** 2))


def powers_without_end(x, terms, g=0.5):
    k = np.arange(terms)
    return np.exp(-g * x[:, None] ** 2) * np.sqrt((2 * g) ** k / factorial(k)) * x[:, None] ** k  # S4 (45)


finite = {}
for name, phi in [("bells", bells(x_line, spacing)) for spacing in (2, 1, 0.5)] + [
    ("powers", powers_without_end(x_line, terms)) for terms in (10, 30, 80)
]:
    finite[name, phi.shape[1]] = abs(phi @ phi.T - K_line).max()
    print(f"{phi.shape[1]:2} {name:<6}: φ·φ - Gaussian kernel = {finite[name, phi.shape[1]]:.0e}")

# %% [markdown]
# 27, on an interval of five length scales. In one dimension nobody would need the kernel; a grid in the
# 36 internal coordinates of butane has 27³⁶ bells, and the kernel is still one exponential.
#
# The "powers" are another embedding with the *same* kernel: φ is not unique. The slides ask what to
# think about (x·y)^k for k → ∞. Alone it goes to 0 or to infinity. But all of them together, with
# weights 1/k!, make an exponential function, and with g = 1/(2l²)
#
#     exp(-g|x - y|²) = exp(-g|x|²) exp(-g|y|²) Σ_k (2g x·y)^k / k!
#
# is a polynomial kernel of infinite degree, with the features exp(-g x²) √((2g)^k/k!) x^k in one
# dimension. They are a list, one for each k. So the infinity is a countable one, and not that of the
# real numbers, as the notes have it: a bell has that many values, but the list determines them all.
#
# ## 5. Which functions are kernels?
#
# For the notes any function of two arguments is a kernel. When is it an inner product? Take numbers a_i
# and points x_i. If k(x, y) = φ(x)·φ(y),
#
#     Σ_ij a_i a_j k(x_i, x_j) = |Σ_i a_i φ(x_i)|² ≥ 0
#
# so each Gram matrix is symmetric with no eigenvalue below 0: **positive semidefinite**. (The notes say
# positive definite; x·y itself is not.) The converse holds too: for K = V Λ V' with Λ ≥ 0 the rows of
# V √Λ are features with these inner products. One negative eigenvalue refutes a kernel; points without
# one prove nothing. *Predict:* which of these are kernels? "(45)" is the slides' series for the Gaussian,
# Σ (-g|x - y|²)^k / k!, beside the one above. Two others are in use as similarities.


# %%
def squared_distance(X):
    return ((X[:, None] - X) ** 2).sum(axis=2)


def exponential(t, terms):
    return sum(t**k / factorial(k) for k in range(terms))


def envelope(X):
    return np.exp(-(X**2).sum(axis=1) / 2)


CANDIDATES = {  # length scale 1
    "x·y": Linear(),
    "(1 + x·y)³": Polynomial(3),
    "Gaussian": Gaussian(1.0),
    "Laplacian": Laplacian(1.0),
    "Gaussian + x·y": Gaussian(1.0) + Linear(),
    "Gaussian · (1 + x·y)³": Gaussian(1.0) * Polynomial(3),
    "(45) corrected, 4 terms": lambda X: np.outer(envelope(X), envelope(X)) * exponential(X @ X.T, 4),
    "(45) as printed, 4 terms": lambda X: exponential(-squared_distance(X) / 2, 4),
    "(45) as printed, 5 terms": lambda X: exponential(-squared_distance(X) / 2, 5),
    "1 if |x - y| < 1, else 0": lambda X: 1.0 * (squared_distance(X) < 1),
    "Gaussian, 0 from |x - y| = 2 on": lambda X: Gaussian(1.0)(X) * (squared_distance(X) < 4),
    "tanh(x·y - 1)": lambda X: np.tanh(X @ X.T - 1),
    "Gaussian - ½ (l = 0.5)": lambda X: Gaussian(1.0)(X) - Gaussian(0.5)(X) / 2,
}
smallest, refuted = {}, {}
for name, function in CANDIDATES.items():
    rng = np.random.default_rng(5)
    spectra = np.array([np.linalg.eigvalsh(function(rng.normal(size=(12, 2)))) for _ in range(SETS)])
    smallest[name] = spectra[:, 0] / abs(spectra).max(axis=1)
    refuted[name] = np.mean(smallest[name] < -1e-12)  # more than rounding
    print(f"{name:<32} smallest / largest {smallest[name].min():8.1e}, {refuted[name]:4.0%} refute it")

fig, ax = plt.subplots(figsize=(9, 4.6), layout="constrained", num="eigenvalues")
for i, (name, values) in enumerate(smallest.items()):
    ax.plot(values, np.full(SETS, i), "C3." if refuted[name] else "C2.", alpha=0.3)
for style, label in (("C2.", "no set refutes it"), ("C3.", "refuted")):
    ax.plot([], [], style, label=label)
ax.axvline(0, color="0.6", linewidth=1)
ax.set_xscale("symlog", linthresh=1e-6)
ax.set_yticks(range(len(smallest)), smallest)
ax.invert_yaxis()
ax.set(xlabel="smallest eigenvalue / largest in size", title=f"{SETS} sets of 12 points: one below 0 refutes")
ax.legend(loc="lower right")
plt.show()
X = np.random.default_rng(0).normal(size=(12, 2))
s, V = np.linalg.eigh(Gaussian(1.0)(X))
converse = abs((V * np.sqrt(s)) @ (V * np.sqrt(s)).T - Gaussian(1.0)(X)).max()
zeros = int((abs(np.linalg.eigvalsh(Linear()(X))) < 1e-12).sum())
print(f"Gaussian: V √Λ has its inner products to {converse:.0e};  x·y: {zeros} of 12 eigenvalues are 0")

# %% [markdown]
# Sums and products of kernels are kernels, differences need not be. (45) as printed is true, for it is
# the series of the exponential function, but its terms are no kernels: -|x - y|² is 0 on the diagonal,
# so its eigenvalues add up to 0, and some are negative. The two others are tanh, borrowed from neural
# networks, and a Gaussian cut off to save time. Few sets refute nothing, so one is easily fooled. Does
# it matter? *Predict* |w|² = c'Kc for an eigenvector c whose eigenvalue is negative.

# %%
K_box, y_box = CANDIDATES["1 if |x - y| < 1, else 0"](X), X[:, 0]
s, V = np.linalg.eigh(K_box)
negative_length = float(V[:, 0] @ K_box @ V[:, 0])
print(f"|w|² = c'Kc = {negative_length:.2f}")
solved, step = {}, 0.0
for lam in (0.01, 2 * abs(s[0])):
    try:
        c = KernelRidge(lam, kernel="precomputed").fit(K_box, y_box).dual_coef_
    except NotPositiveDefiniteError as error:
        solved[lam] = False
        print(f"λ = {lam:.2f}: {error}")
    else:
        solved[lam] = True
        before, after = (np.sum((K_box @ d - y_box) ** 2) + lam * d @ K_box @ d for d in (c, c + V[:, 0]))
        step = float(after - before)
        print(f"λ = {lam:.2f}: solved, but a step along that eigenvector changes the loss by {step:.2f}")

# %% [markdown]
# Below zero: the penalty rewards large weights. The equations may have a solution, but it is no minimum.
#
# ## 6. How far does a sample reach?
#
# Back to H2: 15 energies with noise, kernel ridge with a Gaussian kernel. From lesson 4, λ = σ²/τ².
# *Predict* the fit, its training and its validation error, for a length scale of 0.03, 0.4 and 10 Å.

# %%
lam = NOISE**2 / SIZE**2


def draw(rng, M=15):
    r = np.sort(rng.uniform(0.5, 2.5, M))
    return column(r), asarray(h2.v(r) + NOISE * rng.standard_normal(M), BACKEND)


def rms(model, part):
    return float(np.sqrt(np.mean(to_numpy(model.predict(part[0]) - part[1]) ** 2)))


errors = np.empty((N_DRAWS, 2, len(LENGTHS)))
for k in range(N_DRAWS):
    rng = np.random.default_rng([12, k])
    parts = draw(rng), draw(rng)
    for j, length in enumerate(LENGTHS):
        model = KernelRidge(lam, kernel=Gaussian(length)).fit(*parts[0])
        errors[k, :, j] = [rms(model, part) for part in parts]
typical = np.median(errors, axis=0)
best = float(LENGTHS[typical[1].argmin()])
print(f"validation error smallest at l = {best:.2g} Å ({typical[1].min():.2f} eV), "
      f"training error at {LENGTHS[typical[0].argmin()]:.2g} Å")  # fmt: skip

train = draw(np.random.default_rng([12, 0]))
grid = np.linspace(0.4, 3, 500)
fig, axes = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained", num="length_scale")
axes[0].plot(grid, h2.v(grid), "k--", linewidth=1, label="truth")
axes[0].plot(*map(to_numpy, train), "ko", markersize=5, label="15 energies")
for length, style, name in ((0.03, "C3", "too short"), (best, "C2", "right"), (10, "C0", "too long")):
    model = KernelRidge(lam, kernel=Gaussian(length)).fit(*train)
    axes[0].plot(grid, to_numpy(model.predict(column(grid))), style, label=f"{name}: l = {length:.2g} Å")
axes[0].set(xlabel="bond length r (Å)", ylabel="energy (eV)", ylim=(-6, 2))
axes[0].set_title("Too short: spikes. Too long: no bend")
axes[0].legend(fontsize=8)
axes[1].loglog(LENGTHS, typical[0], "C0o-", markersize=4, label="training")
axes[1].loglog(LENGTHS, typical[1], "C1s-", markersize=4, label="validation")
axes[1].axhline(NOISE, color="0.6", linestyle=":", label="noise σ")
axes[1].set(xlabel="length scale l (Å)", ylabel="rms error (eV)", title=f"Medians of {N_DRAWS} draws")
axes[1].legend()
plt.show()

# %% [markdown]
# Too short, and each sample speaks for itself: between them the fit knows nothing and returns to 0.
# The training error likes that. Too long, and all bond lengths are alike: a bend needs large weights,
# which λ forbids. The length scale is the sphere of influence of a sample. It has the unit of x, and is
# chosen by validation, like λ.
#
# ## 7. The force, from energies alone
#
# f is a sum of kernels, so its derivative is the sum of theirs, and the force is
#
#     F(r) = -df/dr = -Σ_m c_m dk(r, r_m)/dr
#
# Nine energies, now without noise; each kernel gets its length scale by leaving one out (lesson 3).
# *Predict:* the Laplacian exp(-|x - y|/l) has a kink at x = y. What will its force look like? And what
# do the models say at r = 0.2 Å, where there are no samples?

# %%
r_nine = np.linspace(0.5, 2.5, 9)
inside = (grid >= 0.5) & (grid <= 2.5)
search = {"param_name": "kernel__length_scale", "param_range": np.logspace(-1, 1, 21), "cv": 9,
          "scoring": "neg_mean_squared_error"}  # fmt: skip
wide = np.linspace(0.15, 3, 600)
fig, axes = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained", num="force")
axes[0].plot(wide, h2.v(wide), "k--", label="truth")
axes[1].plot(wide, -h2.dv(wide), "k--", label="truth")
axes[0].plot(r_nine, h2.v(r_nine), "ko", label="9 energies: all that is known")
force_errors, at_contact, derivative_gap = {}, {}, 0.0
for kind, style in ((Gaussian, "C2"), (Matern52, "C0"), (Laplacian, "C3")):
    name = kind.__name__
    model = KernelRidge(1e-8, kernel=kind(1.0))
    scores = validation_curve(model, column(r_nine), asarray(h2.v(r_nine), BACKEND), **search)[1]
    model.set_params(kernel__length_scale=float(search["param_range"][scores.mean(axis=1).argmax()]))
    model.fit(column(r_nine), asarray(h2.v(r_nine), BACKEND))

    def energy(r, model=model):
        return to_numpy(model.predict(column(r)))

    def force(r, model=model):
        return -to_numpy(model.kernel.dx(column(r), model.X_fit_)[:, :, 0] @ model.dual_coef_)

    axes[0].plot(wide, energy(wide), style, label=f"{name}, l = {model.kernel.length_scale:.2g} Å")
    axes[1].plot(wide, force(wide), style, label=name)
    difference = -(energy(grid + 1e-5) - energy(grid - 1e-5)) / 2e-5
    derivative_gap = max(derivative_gap, np.median(abs(difference - force(grid))))  # not at a kink
    force_errors[name] = [
        abs(energy(grid) - h2.v(grid))[inside].mean(),
        abs(force(grid) + h2.dv(grid))[inside].mean(),
    ]
    at_contact[name] = energy([0.2, 9.0])
    print(f"{name:<9} mean error inside: energy {force_errors[name][0]:.3f} eV, "
          f"force {force_errors[name][1]:.2f} eV/Å; "
          f"energy at 0.2 Å {at_contact[name][0]:5.2f}, at 9 Å {at_contact[name][1]:z.2f} eV")  # fmt: skip
print(f"truth: at 0.2 Å {h2.v(np.array(0.2)):.1f} eV;  dx - difference quotient: {derivative_gap:.0e}")
for ax, limits in ((axes[0], (-6, 5)), (axes[1], (-8, 25))):
    ax.axvspan(0.15, 0.5, color="0.93")
    ax.axvspan(2.5, 3, color="0.93", label="no samples")
    ax.set(xlabel="bond length r (Å)", ylim=limits, xlim=(0.15, 3))
    ax.legend(fontsize=8)
axes[0].set(ylabel="energy (eV)", title="Near the samples a potential, elsewhere 0")
axes[1].set(ylabel="force (eV/Å)", title="The force shows how smooth a kernel is")
plt.show()

# %% [markdown]
# A smoother kernel suits a smooth potential; the Laplacian's force jumps at each sample. At 0.5 Å, on the
# steep wall, even the Gaussian's force is more than a third too small: energies 0.25 Å apart say too
# little there (lesson 14 learns from forces). Far from all samples k is 0, and so is f. At 9 Å that is
# right by luck, for our zero is two free atoms. At 0.2 Å it is a disaster: the wall is missing, and
# whoever can break the bond can also push the atoms through each other.
#
# ## 8. Can the model say where it knows nothing?
#
# Take k(x, y) as the covariance of f(x) and f(y): the energies at any points are a normal vector with
# mean 0 (a mean function could stand there), and lesson 4's conditional gives mean and variance
# of f(x), given the data. This is a **Gaussian process**. *Predict:* what is its mean?

# %%
some = (train[0][::3], train[1][::3])
kernel = Constant(SIZE**2, "fixed") * Gaussian(best, "fixed")
process = GaussianProcessRegressor(kernel, alpha=NOISE**2).fit(*some)
mean, deviation = map(to_numpy, process.predict(column(grid), return_std=True))
ridge = KernelRidge(lam, kernel=Gaussian(best)).fit(*some)
mean_gap = abs(mean - to_numpy(ridge.predict(column(grid)))).max()
fig, ax = plt.subplots(layout="constrained", num="process")
low, high = mean - 2 * deviation, mean + 2 * deviation
ax.fill_between(grid, low, high, color="lightsteelblue", label="± 2 deviations")
ax.plot(grid, mean, "C0", label="mean: kernel ridge")
ax.plot(grid, h2.v(grid), "k--", linewidth=1, label="truth")
ax.plot(*map(to_numpy, some), "ko", label=f"{len(some[1])} energies")
ax.set(xlabel="bond length r (Å)", ylabel="energy (eV)", title="The band is wide where no sample is near")
ax.legend()
plt.show()
held = np.mean((low < h2.v(grid)) & (h2.v(grid) < high))
print(f"mean - kernel ridge: {mean_gap:.0e} eV; the band holds the truth on {held:.0%} of the grid")

# %% [markdown]
# Kernel ridge, and now with a band. Where the truth leaves it, on the left, the wall is steeper than
# the length scale allows: as in lesson 4, a band is as good as its assumptions. Lesson 15 learns these
# from the data, and lets the band decide where to call quantum chemistry.
#
# ## Results

# %%
results = ResultsTable("Lesson 12: kernels")
for i in (0, 4, 8):
    closed_form = np.sqrt(np.pi / 2) * np.exp(-(apart[i] ** 2) / 2)
    results.add(f"bells {apart[i]:g} apart: integral", overlap[i], seed=closed_form, tolerance=1e-9,
                note="√(π/2) exp(-(x - y)²/2)")  # fmt: skip
results.add("27 bells: φ·φ - Gaussian kernel", finite["bells", 27], at_most=1e-6)
growth = misses["r, r², r³, r⁴", 10] / misses["r, r², r³, r⁴", 0]
results.add("(x, x², x³, x⁴): misses × by energies + 10 eV", growth, seed="degree 4", corrected=True,
            at_least=1.5, note="a 1 is missing in φ")  # fmt: skip
results.add("kernel regression minimises", "|φ w - Y|²", seed="|φ - Y|²",
            corrected=len(refused) == 2 and slope < 1e-9,
            note=f"no w, and shapes that do not fit: {refused['φ - Y']}")  # fmt: skip
results.add("normal equations", "φ'φ w = φ'Y", seed="φ'φ w = φ Y",
            corrected=right_misses < 1e-9 < 1 < printed_misses,
            note=f"{refused['φ Y']}; where shapes fit, off by {printed_misses:.1f} eV")  # fmt: skip
results.add("design matrix", "φ", seed="φ'φ", corrected=outer_gap < 1e-12,
            note="φ'φ: outer matrix, φφ': Gram matrix")  # fmt: skip
results.add("primal = dual", "for λ > 0", seed="always",
            corrected=invertible == {4: [True, False], 6: [True, True], 12: [False, True]},
            note="λ = 0: φφ' singular for E < M, φ'φ for E > M")  # fmt: skip
results.add("primal - dual, λ = 1e-3", max(sides.values()), at_most=1e-9, note="E = 4, 6, 12; M = 6")
results.add("condition number, λ = 1e-3 / λ = 0", conditions[1e-3] / conditions[0], seed="unstable",
            corrected=True, at_most=1e-6, note="λI cures it")  # fmt: skip
results.add("(1 + xy)^8: error of √binomial(8, k) x^k", expansion[8][0], seed="x^k", corrected=True,
            at_most=1e-11, note=f"without the roots {expansion[8][1]:.2g}")  # fmt: skip
results.add("K(x, y) for (1, 2), (3, 1)", into["K(x, y)"], seed=into["x·y"], corrected=True,
            at_least=25, at_most=25,
            note=f"φ(x)·φ(y); the slides: K(φ(x), φ(y)) = x·y, which is {into['K(φ(x), φ(y))']}")  # fmt: skip
results.add("three ways to fit agree to", ways_gap, at_most=1e-9)
ratio = by_features[-1][0] / by_features[-1][2]
results.add(f"time of primal / kernel, E = {counts[-1]}, M = {M_FIXED}", ratio)
printed = refuted["(45) as printed, 4 terms"]
results.add("(45), 4 terms: sets that refute it", refuted["(45) corrected, 4 terms"], corrected=True,
            at_most=0, seed="(-g|x - y|²)^k", note=f"(2g x·y)^k; printed: {printed:.0%}")  # fmt: skip
results.add("features of the Gaussian kernel", "a countable list", seed="uncountable",
            corrected=finite["powers", 80] < 1e-12,
            note=f"80 powers: φ·φ - k = {finite['powers', 80]:.0e}")  # fmt: skip
results.add("kernels are", "positive semidefinite", seed="positive definite", corrected=zeros == 10,
            note=f"x·y on 12 points of a plane: {zeros} eigenvalues are 0")  # fmt: skip
results.add("length scale of least validation error (Å)", best, note=f"error {typical[1].min():.2f} eV")
for name, (e, f) in force_errors.items():
    results.add(f"force from 9 energies, {name}: mean error (eV/Å)", f, note=f"energy {e:.3f} eV")
results.add("force: dx - difference quotient", derivative_gap, at_most=1e-4)
results.add("mean of the Gaussian process - kernel ridge (eV)", mean_gap, at_most=1e-8)
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *Distances without coordinates.* Derive |φ(x) - φ(y)|² = k(x, x) - 2k(x, y) + k(y, y), and check it
#    with `embed` and `Polynomial(3)`. How far apart can two points be under the Gaussian kernel?
# 2. *Another zero.* Raise all energies of section 6 by 10 eV, leave λ and l as they are, and look at the
#    fit beyond the samples. Where does it go, and why? Cure it in two ways: subtract the mean before the
#    fit; or add the kernel `Constant(...)`. Which feature is that? How large should its number be?
# 3. *A kernel of your own.* Show that min(x, y) is a kernel for x, y > 0: which functions φ(x) of r have the
#    integral of their product equal to it? (Try steps.) Test it on random points, pass it to `KernelRidge` as
#    a function of two samples, and fit the nine energies. What is f between two samples, and what the force?
