# %% [markdown]
# # Lesson 5: Many dimensions: a curse, a blessing, and how to have fewer
#
# A molecule is described by hundreds of numbers, so it is a point in a space of hundreds of
# dimensions. Our intuition comes from three. In this lesson we measure what is different there:
# balls lose their volume, near and far become the same, planes separate whatever they are asked to.
# Then we go back to few dimensions, by chance or by choice, and look at what gets lost.
#
# After this lesson you can
# * say where the volume of a cube is, and why distances in many dimensions are all alike,
# * count the labelings of M points that a plane can produce, and tell from M and n alone when a
#   perfect fit proves nothing,
# * choose the number of directions of a random projection (Johnson and Lindenstrauss),
# * find principal components, read a scree plot, and know when variance is not information.
#
# It builds on lesson 2 (rank, the singular value decomposition). "The notes" are the lecture notes
# that this lesson follows (S3 in the comments of the library) and, in places, corrects. M is the
# number of samples, n that of features. n is the dimension: the samples are points in a space of n
# dimensions, and more samples do not change that. Only the wines of section 8 have units.

# %%
from itertools import product
from math import comb, gamma, log, pi

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linprog
from scipy.spatial.distance import cdist, pdist
from sklearn.datasets import load_wine

from tinynn.backend import asarray, to_numpy
from tinynn.data import Dataset, split
from tinynn.datasets import digits
from tinynn.decomposition import PCA, GaussianRandomProjection, johnson_lindenstrauss_min_dim
from tinynn.linear_model import LogisticRegression
from tinynn.metrics import accuracy
from tinynn.preprocessing import PolynomialFeatures, StandardScaler
from tinynn.probability import MultivariateNormal
from tinynn.results import ResultsTable

# %% [markdown]
# **Knobs.** Change them and run again. A value after "quick:" is for a fast look.

# %%
BACKEND = "numpy"  # "cupy" computes projections and components on a GPU
POINTS = 200_000  # quick: 20_000; random points in the cube: a share of 1 % is then good to 2 % of it
TRIALS = 300  # quick: 30; labelings for each measured fraction: its standard error is below 3 %
LARGEST = 8  # quick: 5; up to so many points all 2^M labelings are tried
PROJECTED = 1000  # quick: 200; samples M of the random projections: 499,500 distances to keep
MAPS = 10  # quick: 2; random maps to ask how many of them keep all distances
SEEDS = (0, 1, 2, 3, 4)  # quick: (0,); independent splits into 70 % to train and 30 % to test

# %% [markdown]
# ## 1. Where is the volume of a ball?
#
# The unit ball is the set of all points with |x| ≤ 1. Its volume in n dimensions is
#
#     V_n = π^(n/2) / Γ(n/2 + 1),      V_1 = 2,  V_2 = π,  V_3 = 4π/3
#
# The notes say that it decreases with n. *Predict:* does it, judging from these three? We ask the
# formula, and we ask random points: thrown into the cube [-1, 1]^n, which just encloses the ball,
# how many land in the ball? The cube's volume is 2^n.

# %%
rng = np.random.default_rng(5)


def ball_volume(n, radius=1.0):
    return pi ** (n / 2) / gamma(n / 2 + 1) * radius**n  # S3 6.1


dimensions = np.arange(1, 21)
volume = np.array([ball_volume(n) for n in dimensions])
share = volume / 2.0**dimensions
hits = np.array([(np.linalg.norm(rng.uniform(-1, 1, (POINTS, n)), axis=1) <= 1).sum() for n in dimensions])
measured = hits / POINTS
error = np.sqrt(share * (1 - share) / POINTS)

fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", num="ball")
few = dimensions <= 12  # beyond, 2^n times a handful of hits is no measurement
axes[0].plot(dimensions, volume, "C0-", label="formula")
axes[0].errorbar(dimensions[few], (measured * 2.0**dimensions)[few], 2 * (error * 2.0**dimensions)[few],
                 fmt="C1o", markersize=4, label="random points, ± 2 standard errors")  # fmt: skip
axes[0].set(
    xlabel="dimension n", ylabel="volume of the unit ball (length unit to the n)", xticks=range(0, 21, 5)
)
axes[0].set_title("The volume rises up to n = 5, and falls after")
axes[0].legend()
axes[1].plot(dimensions, share, "C0-", label="formula")
axes[1].plot(dimensions[hits > 0], measured[hits > 0], "C1o", markersize=4, label=f"{POINTS} random points")
axes[1].axhline(1 / POINTS, color="0.6", linestyle=":", label="one hit")
axes[1].set(xlabel="dimension n", ylabel="share of the enclosing cube", yscale="log", xticks=range(0, 21, 5))
axes[1].set_title("Its share of the cube around it only falls")
axes[1].legend()
plt.show()
peak = int(dimensions[volume.argmax()])
worst_share = float((abs(measured - share)[few & (dimensions > 1)] / error[few & (dimensions > 1)]).max())
print(f"largest volume: n = {peak}, V = {volume.max():.3f}")
print(f"random points and formula differ by at most {worst_share:.1f} standard errors (n = 2 to 12)")
print(f"n = 20: {hits[-1]} hits among {POINTS} points; one takes about {1 / share[-1]:.0e}")

# %% [markdown]
# It rises up to n = 5, and falls after. But is the peak a property of space? A volume in five
# dimensions and one in six have different units, like a length and an area, and cannot be compared.
# *Predict:* where is the peak if lengths are measured in a unit half as long, so that the radius is
# 2? And does the share of the cube depend on the unit?

# %%
peaks = {r: max(range(1, 60), key=lambda n, r=r: ball_volume(n, r)) for r in (0.5, 1.0, 2.0)}
beyond_unit_cube = max(n for n in range(1, 60) if ball_volume(n) > 1)
print("radius: dimension of the largest volume", peaks)
print(f"the unit ball is larger than a cube of *side 1* up to n = {beyond_unit_cube}")
for n in (2, 10, 100):
    print(f"n = {n:3d}: {1 - 0.9**n:.3f} of a ball lies in the outer 10 % of its radius")

# %% [markdown]
# The peak moves with the unit; a share has none. That is why one compares the ball with the cube of
# side 2 that encloses it, not with the unit cube of the notes, of side 1, into which it does not
# fit. Nearly all of a cube is in its 2^n corners, and nearly all of a ball is just under its
# surface. No sample is near the middle; everybody is an exception.
#
# ## 2. Who is my neighbour?
#
# Methods that ask the nearest sample need that some are near and others far. For features that are
# independent and standard normal, |x - y|² is a sum of n independent terms. Its mean grows as n, its
# standard deviation as √n, so
#
#     standard deviation of |x - y| / mean of |x - y|  ≈  1/√(2n)
#
# *Predict:* with 1000 features, how much farther than the nearest sample is the farthest? And
# where will the digits lie, 64 grey values each: as spread as 64 independent features?

# %%
data = digits()
pixels = data.X[:400]


def relative_spread(distances):
    return distances.std() / distances.mean()


fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", num="distances")
spreads = {}
for n in (2, 10, 100, 1000):
    X = rng.standard_normal((400, n))
    distances = pdist(X)
    spreads[n] = relative_spread(distances)
    axes[0].hist(distances / distances.mean(), bins=np.linspace(0, 2.5, 101), density=True,
                 histtype="step", label=f"n = {n}")  # fmt: skip
    ratios = [d[d > 0].max() / d[d > 0].min() for d in cdist(X[:50], X)]
    print(f"n = {n:4d}: relative spread {spreads[n]:.3f}, farthest / nearest: {np.median(ratios):.3g}")
digits_spread = relative_spread(pdist(pixels))
independent = 1 / (2 * digits_spread**2)
print(f"digits: relative spread {digits_spread:.3f}, as of {independent:.0f} independent features")
axes[0].set(xlabel="distance / mean distance", ylabel="density", title="All pairs come to the same distance")
axes[0].legend()
grid = np.geomspace(1, 2000)
axes[1].loglog(grid, 1 / np.sqrt(2 * grid), "k-", linewidth=1, label="1/√(2n)")
axes[1].loglog(spreads.keys(), spreads.values(), "C1o", label="normal features")
axes[1].loglog(64, digits_spread, "C2s", label="digits, n = 64")
axes[1].set(xlabel="features n", ylabel="standard deviation / mean of the distances", ylim=(0.01, 1))
axes[1].set_title(f"Digits spread like {independent:.0f} independent features")
axes[1].legend()
plt.show()

# %% [markdown]
# Digits have 64 features and behave as if they had fewer, since neighbouring pixels go together.
# That is what makes real data bearable, and what section 7 makes use of.
#
# More features, more information? *Predict:* a digit is given the label of its nearest neighbour in
# the training set, which is right for 98 to 99 of 100. Now we add features of pure noise, each of
# which varies as much as a pixel. How many until one in ten is wrong?

# %%
USELESS = (0, 16, 64, 256, 1024)


def nearest_neighbour_accuracy(useless, seed):
    noise = np.random.default_rng(seed).normal(scale=data.X.std(axis=0).mean(), size=(len(data.X), useless))
    train, test = split(Dataset(np.column_stack([data.X, noise]), data.y), (0.7, 0.3), rng=seed)
    return accuracy(test.y, train.y[cdist(test.X, train.X).argmin(axis=1)])


drowned = {q: np.mean([nearest_neighbour_accuracy(q, seed) for seed in SEEDS[:2]]) for q in USELESS}
print("useless features: accuracy", {q: f"{value:.3f}" for q, value in drowned.items()})
fig, ax = plt.subplots(layout="constrained", num="useless")
ax.plot(drowned.keys(), drowned.values(), "o-", label="nearest neighbour")
ax.axhline(0.1, color="0.6", linestyle=":", label="guessing")
ax.set(xlabel="useless features beside the 64 pixels", ylabel="accuracy on the test part", ylim=(0, 1.05),
       title="Features without information are not free")  # fmt: skip
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# Distances add up all features alike, and cannot know which ones to ignore. This is the curse.
#
# ## 3. How many labelings can a plane produce?
#
# Now the blessing: the more dimensions, the easier it is to separate points by a plane. Here is how
# much easier. M points can be labelled with -1 and +1 in 2^M ways. A plane w·x = 0 through the origin
# *separates* a labeling if y w·x > 0 for every point. Let C(M, n) be the number of labelings of M
# points in n dimensions that some plane separates. Add a point: each of the C(M, n) old labelings can
# be continued in one way, and in *both* ways if a separating plane can be turned until it passes
# through the new point. Such planes have one dimension less to live in. So
#
#     C(M + 1, n) = C(M, n) + C(M, n - 1),    C(1, n) = 2
#     C(M, n) = 2 Σ_{k<n} binomial(M - 1, k)                           (Cover 1965)
#
# as long as no n of the points lie in a plane through the origin (*general position*). Where the
# points are otherwise does not matter.
#
# Is that so? Whether there is such a w is a question for linear programming: find w with y w·x ≥ 1
# for all points (any w that separates can be made longer until it does), or show that there is none.


# %%
def cover(M, n):
    return 2 * sum(comb(M - 1, k) for k in range(n))  # S3 6.1


def separating_plane(X, y):
    """A w with y w·x ≥ 1 for all rows x of X, or None if there is none."""
    n = X.shape[1]
    return linprog(np.zeros(n), A_ub=-y[:, None] * X, b_ub=-np.ones(len(X)), bounds=(None, None)).x


def count_separable(X):
    """Among all labelings. The mirror image of a labeling is as separable, so the first label is +1."""
    labelings = (np.array([1, *rest]) for rest in product((-1, 1), repeat=len(X) - 1))
    return 2 * sum(separating_plane(X, y) is not None for y in labelings)


print("  M  labelings   counted (formula) for n = 1, 2, 3, 4")
miscounted = 0
for M in range(1, LARGEST + 1):
    row = f"{M:3d} {2**M:10d}  "
    for n in range(1, 5):
        counted = count_separable(rng.standard_normal((M, n)))
        miscounted += counted != cover(M, n)
        row += f"{counted:5d} ({cover(M, n):3d})" + ("*" if 2 * n == M else " ")
    print(row)
print(f"{miscounted} of {4 * LARGEST} differ; * marks M = 2n")

# %% [markdown]
# All labelings up to M = n, and *exactly half* of them for M = 2n. Why half? Divide by 2^M: the
# fraction is the probability of fewer than n heads in M - 1 tosses of a coin. In 2n - 1 tosses either
# heads or tails comes up fewer than n times, never both.
#
# Planes that need not pass through the origin, w·x + b = 0, are planes through the origin in one
# dimension more: add a feature that is always 1. *Predict:* four points in a plane, such as the
# corners of a square: how many of the 16 labelings can a straight line separate? Which two are
# missing? And if three of the four points lie on one line?

# %%


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))])


square = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
three_on_a_line = np.array([[0, 0], [1, 0], [2, 0], [1, 1]])
square_count, line_count = count_separable(with_ones(square)), count_separable(with_ones(three_on_a_line))
missing = [y for y in product((-1, 1), repeat=4) if separating_plane(with_ones(square), np.array(y)) is None]
print(f"square: {square_count} of 16, formula {cover(4, 3)}; not separable: {missing}")
print(f"three on a line: {line_count}; the formula needs general position")

# %% [markdown]
# ## 4. When does a perfect fit prove nothing?
#
# For larger M we cannot try all labelings, but random ones tell the fraction. *Predict:* plotted
# against M/n, do the curves for n = 3, 10 and 30 meet anywhere? Which one is steepest?
#
# On the right the same with real images: the digits 3 and 8. Once with their true labels, once with
# the same labels shuffled, so that nothing is left to be learned. 64 pixels and a bias make 65
# features, but some pixels are always white: what counts is the rank of X. *Predict:* up to about
# which M does a plane separate the shuffled labels without a mistake?

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained", num="cover")
RATIOS = (1, 4 / 3, 5 / 3, 2, 7 / 3, 8 / 3, 3, 4)
fractions = {}
for n, color in ((3, "C0"), (10, "C1"), (30, "C2")):
    every = np.arange(n, 4 * n + 1)
    axes[0].plot(every / n, [cover(int(M), n) / 2 ** int(M) for M in every], color, label=f"formula, n = {n}")
    for M in (round(ratio * n) for ratio in RATIOS):
        labelings = ((rng.standard_normal((M, n)), rng.choice([-1, 1], M)) for _ in range(TRIALS))
        fractions[M, n] = np.mean([separating_plane(X, y) is not None for X, y in labelings])
        axes[0].plot(M / n, fractions[M, n], color + "o", markersize=5)
axes[0].axhline(0.5, color="0.6", linestyle=":")
axes[0].set(xlabel="samples / features, M/n", ylabel="fraction of labelings that a plane separates",
            title=f"All curves pass 1/2 at M = 2n (dots: {TRIALS} random labelings)")  # fmt: skip
axes[0].legend()

pair = (data.y == 3) | (data.y == 8)
images, truth = with_ones(data.X[pair]), np.where(data.y[pair] == 8, 1, -1)
sizes = np.arange(60, 161, 10)
separated, ranks = {"true labels": [], "shuffled labels": []}, []
for M in sizes:
    true, shuffled, rank = [], [], []
    for _ in range(TRIALS // 5):
        chosen = rng.permutation(len(images))[:M]
        true.append(separating_plane(images[chosen], truth[chosen]) is not None)
        shuffled.append(separating_plane(images[chosen], rng.permutation(truth[chosen])) is not None)
        rank.append(np.linalg.matrix_rank(images[chosen]))
    separated["true labels"].append(np.mean(true))
    separated["shuffled labels"].append(np.mean(shuffled))
    ranks.append(np.mean(rank))
half = float(np.interp(-0.5, -np.array(separated["shuffled labels"]), sizes))
rank_at_half = float(np.interp(half, sizes, ranks))
for (name, fraction), style in zip(separated.items(), ("C2s", "C3o"), strict=True):
    axes[1].plot(sizes, fraction, style, label=name)
axes[1].plot(sizes, [cover(int(M), round(r)) / 2 ** int(M) for M, r in zip(sizes, ranks, strict=True)], "C3-",
             label="formula, n = rank of X")  # fmt: skip
axes[1].axhline(0.5, color="0.6", linestyle=":")
axes[1].set(xlabel="images M", title="Digits 3 and 8: the true labels go on being separable")
axes[1].legend(loc="center right")
plt.show()
all_separable = separating_plane(images, truth) is not None
print(f"half of the shuffled labelings at M = {half:.0f}; twice the rank is {2 * rank_at_half:.0f}")
print(f"all {len(images)} images with their true labels separable:", all_separable)

# %% [markdown]
# All curves meet at M = 2n, and the more dimensions, the sharper the step: below it a plane separates
# labels that mean nothing, more likely than not. So a perfect fit with 100 molecules and 200
# descriptors is no evidence; it would have been as perfect for shuffled labels. Well above 2n it *is*
# evidence, and the true labels of the digits pass. Shuffle your labels and fit again: this test costs
# one line.
#
# ## 5. Can we make our own dimensions?
#
# Yes: from features of features. Products of the coordinates of points in a plane up to degree d are
# n = (d + 1)(d + 2)/2 features. A plane in that space is a curve of degree d on paper. *Predict:* for
# 20 points with random labels, at which degree is the probability to separate them 1/2?

# %%
M_LIFTED = 20
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", num="lift")
lifted = {}
for degree in range(1, 7):
    lift = PolynomialFeatures(degree)
    found = []
    for _ in range(TRIALS):
        X, y = rng.uniform(-1, 1, (M_LIFTED, 2)), rng.choice([-1, 1], M_LIFTED)
        found.append(separating_plane(lift.fit_transform(X), y) is not None)
    lifted[degree] = (lift.n_output_features_, np.mean(found))
    print(f"degree {degree}: n = {lift.n_output_features_:2d}, separated {np.mean(found):.3f}, "
          f"formula {cover(M_LIFTED, lift.n_output_features_) / 2**M_LIFTED:.3f}")  # fmt: skip
every = np.arange(1, 29)
axes[0].plot(every, [cover(M_LIFTED, int(n)) / 2**M_LIFTED for n in every], "k-", label="formula")
sizes, fraction = np.array(list(lifted.values())).T
axes[0].errorbar(sizes, fraction, 2 * np.sqrt(fraction * (1 - fraction) / TRIALS), fmt="C1o",
                 label="degree 1 to 6, ± 2 standard errors")  # fmt: skip
axes[0].set(xlabel="features n: products up to the degree", ylabel=f"separated, of {TRIALS} random labelings",
            title=f"{M_LIFTED} points: 1/2 at n = {M_LIFTED // 2}, degree 3")  # fmt: skip
axes[0].legend()
lift = PolynomialFeatures(5)
y = rng.permutation(np.repeat([-1, 1], M_LIFTED // 2))
w = separating_plane(lift.fit_transform(X), y)
u, v = np.meshgrid(np.linspace(-1.05, 1.05, 300), np.linspace(-1.05, 1.05, 300))
height = (lift.transform(np.column_stack([u.ravel(), v.ravel()])) @ w).reshape(u.shape)
axes[1].contourf(u, v, height, levels=[-np.inf, 0, np.inf], colors=["C0", "C1"], alpha=0.25)
for label, color in ((-1, "C0"), (1, "C1")):
    axes[1].plot(*X[y == label].T, color + "o", markeredgecolor="k", label=f"random label {label:+d}")
axes[1].set(
    xlabel="first coordinate", ylabel="second coordinate", title="Degree 5 separates what means nothing"
)
axes[1].legend(loc="upper left", framealpha=1)
plt.show()

# %% [markdown]
# The points have not become simpler, the planes have become more. This is what a hidden layer
# (lesson 8) and a kernel (lesson 12) do, and the same count tells when they merely memorise.
#
# ## 6. Fewer dimensions, by chance
#
# Multiply the samples by a matrix of random numbers: x (n features) becomes A x (k features), with
# entries from N(0, 1/k), so that |A x|² is |x|² on average. How far off is it for the worst of all
# pairs? Johnson and Lindenstrauss: for M samples there is a map that changes no squared distance by
# more than a factor 1 ± ε, as soon as
#
#     k ≥ 4 ln M / (ε²/2 - ε³/3),      about 8 ln M / ε² for small ε
#
# The notes have e for ε, and call the map one to *high* dimension. *Predict:* what would be
# remarkable about a map to a higher dimension? Append zeros and look. And which data are hardest: 500
# normal features, 5000, or digits with all products of two pixels, 2145?

# %%


def squared_distances(X):
    squares = (X**2).sum(axis=1)
    i, j = np.triu_indices(len(X), 1)
    return (squares[:, None] + squares - 2 * X @ X.T)[i, j]


def distortions(X, k, maps):
    """The largest |ratio - 1| of squared distances after and before, for several random maps."""
    before = squared_distances(X)
    X = asarray(X, BACKEND)
    projections = (GaussianRandomProjection(k, random_state=seed).fit_transform(X) for seed in range(maps))
    return np.array([abs(squared_distances(to_numpy(Z)) / before - 1).max() for Z in projections])


products = PolynomialFeatures(2).fit_transform(data.X[:PROJECTED])
clouds = {f"normal, n = {n}": rng.standard_normal((PROJECTED, n)) for n in (500, 5000)}
clouds[f"digits, n = {products.shape[1]}"] = products
padded = np.pad(clouds["normal, n = 500"], ((0, 0), (0, 1000)))
padding_distortion = abs(squared_distances(padded) / squared_distances(padded[:, :500]) - 1).max()
print(f"to 1500 dimensions by zeros: largest distortion {padding_distortion:.0e}")

COUNTS = (10, 30, 100, 300, 1000)
worst = {(name, k): distortions(X, k, 3).max() for name, X in clouds.items() for k in COUNTS}
fig, ax = plt.subplots(figsize=(7, 4.6), layout="constrained", num="johnson_lindenstrauss")
for name, marker in zip(clouds, "os^", strict=True):
    ax.loglog(COUNTS, [worst[name, k] for k in COUNTS], marker + "-", label=name)
eps = np.linspace(0.02, 0.98, 97)
ax.loglog([johnson_lindenstrauss_min_dim(PROJECTED, eps=e) for e in eps], eps, "k-", label="the bound")
ax.loglog(8 * log(PROJECTED) / eps**2, eps, "k:", label="k = 8 ln M / ε²")
ax.set(xlabel="directions k", ylabel="largest distortion of a squared distance, 3 maps", xlim=(8, 2000),
       ylim=(0.1, 10), title=f"{PROJECTED} samples: what counts is k, not n, nor the data")  # fmt: skip
ax.legend()
plt.show()

# %% [markdown]
# The three lie close together: n does not occur in the bound. Appending zeros keeps all distances
# for free, so a map to a high dimension is no theorem; one to a *low* dimension is.
#
# Is "about 8 ln M / ε²" enough? For ε = 0.3 we draw maps with so many directions, and with the longer
# formula, and count those that keep *all* pairs. *Predict* also: what do a thousand times as many
# samples cost?

# %%
EPS = 0.3
needed = {"8 ln M / ε²": round(8 * log(PROJECTED) / EPS**2),
          "the bound": johnson_lindenstrauss_min_dim(PROJECTED, eps=EPS)}  # fmt: skip
kept = {}
for name, k in needed.items():
    kept[name] = np.mean(distortions(products, k, MAPS) <= EPS)
    print(f"{name}: k = {k}, {kept[name]:.0%} of {MAPS} maps keep all pairs within 1 ± {EPS}")
directions = {M: johnson_lindenstrauss_min_dim(M, eps=EPS) for M in (10**3, 10**6, 10**9)}
print("samples: directions for ε = 0.3", directions)
try:
    GaussianRandomProjection(eps=0.5).fit(data.X)
except ValueError as refusal:
    print("ValueError:", refusal)

# %% [markdown]
# The short form is at the edge. The theorem says that a good map exists; its proof, that a random one
# is good with a chance of at least 1/M. Ours do better: draw, check, draw again if need be. Each
# factor of a thousand in M adds the same number of directions. But the last line is a warning: for 64
# pixels the bound asks for more directions than there are. And M samples never span more than M - 1
# dimensions anyway. Random maps are for very many samples of very many features. For others, look at
# the data first.
#
# ## 7. Fewer dimensions, by choice
#
# Along which direction v, |v| = 1, do the data vary most? The variance along v is v'S v with the
# covariance matrix S, and its maximum is the largest eigenvalue of S. Next comes the best direction
# orthogonal to it, and so on. These are the **principal components**. The singular value
# decomposition of the centred data gives them all, X - mean = U D V': the rows of V' are the
# directions, D²/(M - 1) the variances along them.
#
# *Predict* from the cloud on the left: at which angle is the variance largest? At which smallest?

# %%
cloud = MultivariateNormal([0, 0], [[2.0, 1.2], [1.2, 1.0]]).sample(300, rng=5)
plane = PCA().fit(cloud)
angles = np.linspace(0, np.pi, 181)
turning = np.column_stack([np.cos(angles), np.sin(angles)])
along = (cloud @ turning.T).var(axis=0, ddof=1)
best_angle = float(np.degrees(angles[along.argmax()]))
first_angle = float(np.degrees(np.arctan2(*plane.components_[0, ::-1])) % 180)

fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", num="directions")
axes[0].plot(*cloud.T, ".", color="0.6", markersize=4, label="300 samples")
for i, color in enumerate(("C3", "C0")):
    tip = 2 * np.sqrt(plane.explained_variance_[i]) * plane.components_[i]
    axes[0].annotate("", plane.mean_ + tip, plane.mean_,
                     arrowprops={"color": color, "width": 2, "headwidth": 8})  # fmt: skip
    axes[0].plot([], [], color, label=f"component {i + 1}, two standard deviations long")
axes[0].set(xlabel="first feature", ylabel="second feature", title="Long and short axis", aspect="equal")
axes[0].set(xlim=(-5, 5), ylim=(-3.2, 4.2))
axes[0].legend(fontsize=8, loc="upper left")
axes[1].plot(np.degrees(angles), along, "k", label="variance along the angle")
for i, color in enumerate(("C3", "C0")):
    axes[1].axhline(
        plane.explained_variance_[i], color=color, linestyle="--", label=f"PCA, component {i + 1}"
    )
axes[1].set(xlabel="angle of the direction (degrees)", ylabel="variance", xticks=range(0, 181, 45))
axes[1].set_title("PCA finds the largest and the smallest")
axes[1].legend(fontsize=8)
plt.show()
print(f"largest variance at {best_angle:.0f}°, component 1 at {first_angle:.1f}°")
total = cloud.var(axis=0, ddof=1).sum()
print(f"sum of the variances: components {plane.explained_variance_.sum():.4f}, features {total:.4f}")

# %% [markdown]
# The sum of the variances does not depend on the directions, so each component *explains* a share
# of it. Now the digits. For comparison: the same pixels, each shuffled among the images by itself.
# They have the same 64 variances and nothing in common. *Predict:* how many of 64 components make up
# 90 % of the variance? And how many do for the shuffled pixels?

# %%
components = PCA().fit(asarray(data.X, BACKEND))
explained = to_numpy(components.explained_variance_ratio_)
unrelated = to_numpy(PCA().fit(asarray(rng.permuted(data.X, axis=0), BACKEND)).explained_variance_ratio_)


def components_for(fraction, ratios):
    return int((ratios.cumsum() <= fraction).sum()) + 1


fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", num="scree")
k = np.arange(1, 65)
for name, ratios, style in (("digits", explained, "C0.-"), ("pixels shuffled", unrelated, "C1.-")):
    axes[0].plot(k, 100 * ratios, style, label=name)
    axes[1].plot(k, 100 * ratios.cumsum(), style, label=name)
    print(name, {f"{f:.0%}": components_for(f, ratios) for f in (0.5, 0.9, 0.95, 0.99)})
axes[1].plot(k, 100 * k / 64, "k:", label="k directions at random")
axes[1].axhline(90, color="0.6", linewidth=1)
axes[0].set(xlabel="component", ylabel="share of the variance (%)", title="Scree plot: few large, many small")
axes[1].set(xlabel="components kept, k", ylabel="variance explained (%)")
axes[1].set_title(f"90 % in {components_for(0.9, explained)} of 64 components")
for ax in axes:
    ax.legend()
plt.show()
above = int((explained > unrelated).cumprod().sum())
print(f"the first {above} components explain more than those of shuffled pixels do")

# %% [markdown]
# Up to the crossing, a component explains more than chance would: a cautious place to stop. (Section 8
# will find a little that is useful beyond.) What do the first two show? PCA has never seen a label.

# %%
coordinates = to_numpy(components.transform(asarray(data.X, BACKEND)))
fig, ax = plt.subplots(figsize=(7.5, 5.5), layout="constrained", num="map")
for digit in range(10):
    ax.plot(*coordinates[data.y == digit, :2].T, ".", color=f"C{digit}", alpha=0.35, markersize=5)
for digit in range(10):  # after all points, so that none hides a number
    ax.text(*np.median(coordinates[data.y == digit, :2], axis=0), digit, fontsize=16, weight="bold",
            color=f"C{digit}", ha="center", va="center",
            bbox={"facecolor": "w", "alpha": 0.8, "pad": 1, "edgecolor": f"C{digit}"})  # fmt: skip
ax.plot([], [], "k.", label="one image")
ax.plot([], [], "ks", mfc="w", label="median of a digit")
ax.set(xlabel=f"component 1 ({explained[0]:.0%} of the variance)",
       ylabel=f"component 2 ({explained[1]:.0%} of the variance)",
       title="1797 digits on two of 64 axes: groups, without a label seen")  # fmt: skip
ax.legend()
plt.show()

# %% [markdown]
# And what is lost? `inverse_transform` goes back to pixels. The mean squared distance between an
# image and its copy is the variance that was left out, to the last digit (times (M - 1)/M).
# *Predict:* from how many components on can you read the digits?

# %%
KEPT = (2, 5, 10, 21, 40, 64)
rows, identity_error = [], 0.0
for k in KEPT:
    pca = PCA(k).fit(data.X)
    copies = pca.inverse_transform(pca.transform(data.X))
    left_out = ((data.X - copies) ** 2).sum(axis=1).mean()
    unexplained = (1 - explained[:k].sum()) * data.X.var(axis=0).sum()
    identity_error = max(identity_error, abs(left_out - unexplained))
    rows.append([np.pad(image.reshape(8, 8), 1, constant_values=0.5) for image in copies[:10]])
fig, ax = plt.subplots(figsize=(8, 5.2), layout="constrained", num="reconstructions")
ax.imshow(np.block(rows), cmap="gray_r", vmin=0, vmax=1)
ax.set_yticks(np.arange(4.5, 60, 10), [f"{k} ({explained[:k].sum():.0%})" for k in KEPT])
ax.set(xlabel="the first ten digits", ylabel="components (variance they explain)", xticks=[])
ax.set_title("Ten components are nearly enough to read by, 21 are enough")
plt.show()
print(f"mean squared error of the copies - variance left out: at most {identity_error:.0e}")

# %% [markdown]
# ## 8. Is variance information?
#
# The notes take little variance as a sign that most of the information has been extracted. We can
# measure information by what it is good for: how well does a classifier do with k components? On the
# left for digits, with as many random directions beside them.
#
# On the right for 178 wines from three vineyards, described by 13 measurements in different units:
# alcohol in percent, colour, ..., proline in milligrams per litre. *Predict:* one component explains
# 99.8 % of the variance of the wines. How many do you need?

# %%


def score(data, reduce, seed, scale=False):
    train, test = split(data, (0.7, 0.3), rng=seed)
    steps = [*([StandardScaler()] if scale else []), reduce, StandardScaler(), LogisticRegression()]
    X_train, X_test = train.X, test.X
    for step in steps[:-1]:  # all that is learned is learned from the training part
        X_train, X_test = step.fit(X_train).transform(X_train), step.transform(X_test)
    return accuracy(test.y, steps[-1].fit(X_train, train.y).predict(X_test))


DIGIT_COUNTS = (1, 2, 5, 10, 21, 40)
digit_scores = {
    name: [np.mean([score(data, reduce(k, seed), seed) for seed in SEEDS[:2]]) for k in DIGIT_COUNTS]
    for name, reduce in (
        ("principal components", lambda k, seed: PCA(k)),
        ("random directions", lambda k, seed: GaussianRandomProjection(k, random_state=seed)),
    )
}
wine = Dataset(*load_wine(return_X_y=True))
measurements = load_wine().feature_names
raw, scaled = PCA().fit(wine.X), PCA().fit(StandardScaler().fit_transform(wine.X))
dominant = measurements[abs(raw.components_[0]).argmax()]
print(f"raw: component 1 explains {raw.explained_variance_ratio_[0]:.1%}; it is {dominant}, with a weight of "
      f"{abs(raw.components_[0]).max():.4f}")  # fmt: skip
WINE_COUNTS = (1, 2, 3, 5, 6, 8, 13)
wine_scores = {
    name: [np.mean([score(wine, PCA(k), seed, scale) for seed in SEEDS]) for k in WINE_COUNTS]
    for name, scale in (("raw", False), ("scaled", True))
}
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", num="information")
for name, scores in digit_scores.items():
    axes[0].plot(DIGIT_COUNTS, scores, "o-", label=name)
    print(f"digits, {name}:", dict(zip(DIGIT_COUNTS, np.round(scores, 3).tolist(), strict=True)))
axes[0].set(xlabel="directions k of 64", ylabel="accuracy on the test part", ylim=(0, 1.05))
axes[0].set_title("Digits: variance is a good guide")
for (name, scores), pca in zip(wine_scores.items(), (raw, scaled), strict=True):
    first = pca.explained_variance_ratio_[0]
    axes[1].plot(WINE_COUNTS, scores, "o-", label=f"{name}: the first explains {first:.1%}")
    print(f"wines, {name}:", dict(zip(WINE_COUNTS, np.round(scores, 3).tolist(), strict=True)))
axes[1].set(xlabel="components k of 13", ylabel="accuracy on the test part", ylim=(0, 1.05))
axes[1].set_title("Wines: 0.2 % of the variance holds the answer")
for ax in axes:
    ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# Pixels have one unit, and the notes' rule holds. The wines' variance is that of proline alone,
# because its numbers are in the hundreds: in grams per litre it would hardly show. Raw, it takes six
# components to do as well as two scaled ones. Variance depends on the unit, like the volume of the
# ball; information does not. Divide each feature by its standard deviation first, unless all have the
# same unit.
#
# ## Results

# %%
results = ResultsTable("Lesson 5: many dimensions")
results.add("unit ball: its volume with n", f"rises to n = {peak}, falls", seed="decreases", corrected=True,
            note=f"largest: {volume.max():.4f} = 8π²/15")  # fmt: skip
results.add("unit ball is compared with", "cube of side 2", seed="unit cube", corrected=True,
            note=f"its volume exceeds that of the unit cube up to n = {beyond_unit_cube}")  # fmt: skip
results.add("share of the cube: points - formula, standard errors", worst_share, at_most=3.5,
            note=f"largest of n = 2 to {dimensions[few][-1]}; share at n = 20: {share[-1]:.1e}")  # fmt: skip
for n in (100, 1000):
    results.add(f"{n} normal features: spread of distances · √(2n)", spreads[n] * np.sqrt(2 * n),
                at_least=0.9, at_most=1.1)  # fmt: skip
results.add("digits: their distances spread like features", independent, at_most=32, note="of 64")
results.add("nearest neighbour with 1024 useless features", drowned[1024], at_most=0.9,
            note=f"without them {drowned[0]:.3f}")  # fmt: skip
results.add("counts that contradict Cover's formula", miscounted, at_most=0,
            note=f"M up to {LARGEST}, n up to 4")  # fmt: skip
results.add(
    "square: labelings that a line separates",
    square_count,
    seed=14,
    tolerance=0,
    note="C(4, 3); the other two are the diagonals",
)
for n in (3, 10, 30):
    results.add(f"{2 * n} points in {n} dimensions: fraction separable", fractions[2 * n, n], seed=0.5,
                standard_error=np.sqrt(0.25 / TRIALS), note=f"{TRIALS} random labelings")  # fmt: skip
results.add(f"{M_LIFTED} points, degree 3: fraction separable", lifted[3][1], seed=0.5,
            standard_error=np.sqrt(0.25 / TRIALS), note=f"n = {lifted[3][0]}")  # fmt: skip
results.add("digits 3 and 8, shuffled: M of one half / rank", half / rank_at_half, seed=2.0,
            tolerance=0.1, note=f"the true labels: separable up to M = {len(images)}")  # fmt: skip
results.add("Johnson-Lindenstrauss maps to", "low dimension", seed="high dimension", corrected=True,
            note=f"to a high one by zeros: distortion {padding_distortion:.0e}")  # fmt: skip
results.add("directions for M samples", "about 8 ln M / ε²", seed="8 log m / e²", corrected=True,
            note=f"keeps all pairs with {kept['8 ln M / ε²']:.0%} of the maps, the bound with "
            f"{kept['the bound']:.0%}")  # fmt: skip
of_n = [worst[name, 300] for name in clouds]
results.add("distortion with 300 directions: hardest / easiest data", max(of_n) / min(of_n),
            at_most=1.5, note="500, 5000 and 2145 features")  # fmt: skip
results.add("angle of largest variance - component 1 (degrees)", abs(best_angle - first_angle), at_most=0.5,
            note="angles in steps of 1")  # fmt: skip
results.add("digits: components for 90 % of the variance", components_for(0.9, explained), at_most=32,
            note=f"of 64; pixels shuffled: {components_for(0.9, unrelated)}")  # fmt: skip
results.add("error of the copies - variance left out", identity_error, at_most=1e-12)
best = max(digit_scores["principal components"])
results.add("digits: accuracy with 21 components / with 40", digit_scores["principal components"][4] / best,
            at_least=0.97, note="pixels have one unit: little variance, little information")  # fmt: skip
results.add("wines, raw: accuracy with 1 component", wine_scores["raw"][0], seed="most information",
            corrected=True, at_most=0.8, note=f"{raw.explained_variance_ratio_[0]:.1%} of the variance; "
            f"all 13: {wine_scores['raw'][-1]:.3f}")  # fmt: skip
results.add("wines, 2 components: accuracy scaled - raw", wine_scores["scaled"][1] - wine_scores["raw"][1],
            at_least=0.1, note=f"with {scaled.explained_variance_ratio_[:2].sum():.1%} and "
            f"{raw.explained_variance_ratio_[:2].sum():.2%} of the variance")  # fmt: skip
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *A measurement that starves.* Up to which n do 200,000 random points in the cube hit the ball ten
#    times or more, on average? Answer with `ball_volume`, check with `hits`. How many points would
#    n = 20 take? What would you do instead of throwing points?
# 2. *Your own shuffle test.* Take the digits 1 and 7 instead of 3 and 8, but describe each by its
#    first 20 principal components and a 1. Predict the M at which half of the shuffled labelings are
#    separable, then measure it with `separating_plane`. Then take the square of each coordinate as a
#    feature too: where does the half go?
# 3. *PCA in three lines.* Start from a random v and repeat v ← S v / |S v|, S the covariance matrix
#    of the digits. Show that v becomes component 1, up to its sign, and that each step multiplies the
#    error by λ₂/λ₁, the ratio of the first two explained variances. What does that say if the two are
#    nearly equal? Then find component 2: subtract λ₁ v v' from S and start again.
