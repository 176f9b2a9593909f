# %% [markdown]
# # Lesson 13: Build the symmetry in
#
# Move a molecule, turn it, mirror it, renumber its like atoms: its energy stays the same. Lesson 11
# tried to teach this by examples, and the solution it followed, S1, ends with a question: would it not
# be even better if the symmetry were encoded in what the model sees? We make precise what "the same
# molecule" means, measure who respects it and who does not, build models that cannot do otherwise, and
# answer the question with numbers.
#
# After this lesson you can
# * say what an orbit is, and when two configurations are equivalent,
# * audit labels, features, kernels and trained models for their symmetries,
# * make a kernel invariant in three ways: by centring and features, by a mean over a group, by a sum
#   over atoms, and say which of them is enough for what,
# * tell when too much symmetry is as bad as too little.
#
# It builds on lesson 11 (the molecule, its features, augmentation) and lesson 12 (kernels, kernel ridge
# regression). The theory is that of the lecture notes S3, "the notes" here, and corrects them in places.

# %%
import copy
import math
import time
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from tinynn.backend import asarray, to_numpy
from tinynn.kernels import Gaussian, KernelRidge
from tinynn.metrics import mean_squared_error, r2_score
from tinynn.molecules import (
    AtomPairKernel,
    CoulombPairPotential,
    FeatureKernel,
    NetworkFeatures,
    RadialSymmetryFunctions,
    SymmetrizedKernel,
    are_equivalent,
    audit_invariance,
    center,
    coulomb_matrix,
    direct_product,
    distances,
    group_average,
    inverse_distances,
    orbit,
    permutation_group,
    permute,
    positions,
    reflect,
    reflection_group,
    rotate,
    rotation_group,
    sample_rotations,
    sorted_inverse_distances,
    translate,
)
from tinynn.nn import Dense, MeanSquaredError, ReLU, Sequential
from tinynn.optim import Adam, CosineDecay
from tinynn.preprocessing import StandardScaler
from tinynn.results import ResultsTable
from tinynn.training import fit

# %% [markdown]
# **Knobs.** A value after "quick:" is for a fast look.

# %%
BACKEND = "numpy"  # "cupy" trains the networks on a GPU; for so small ones that is slower
N_SAMPLES = 500  # quick: 120; configurations of the molecule, as in lesson 11
SIGMA = 0.1  # how far the atoms are displaced, in the unit of length
ALPHA = 1e-8  # of kernel ridge regression, times k(R, R): without noise it only keeps the solver happy
ANGLES = 24  # rotations that a mean goes over; section 4 shows that it is enough
LAYERS = (32, 64, 64, 32, 1)  # of the networks, as in lesson 11
STEPS = 8000  # quick: 800; of the optimiser, for every network, however many samples it is shown
BATCH_SIZE = 50  # larger than in lesson 11: some training sets are
RATE = 3e-3  # of Adam at the start, it follows half a cosine down to zero
COPIES = (0, 4, 16, 64)  # quick: (0, 16); moved copies of every training molecule
ATOMS = 1024  # quick: 256; the sheet's large molecule, at the end
SEEDS = (0, 1, 2)  # quick: (0,); repetitions where networks meet what they have not seen

# %% [markdown]
# ## 1. When are two molecules the same?
#
# A configuration of N atoms is a matrix R with one row an atom. Four kinds of *actions* g leave the
# molecule what it is:
#
#     translation  r_i → r_i + v             a vector v added to every row
#     permutation  R → P R                   a permutation matrix, from the left: rows change places
#     rotation     R → R Q'                  an orthonormal matrix with determinant +1, from the right
#     reflection   R → R Q'                  the same with determinant -1
#
# The translations form a *group*, and so do the permutations, the rotations, and the rotations together
# with the reflections: one after the other is again one of them, each has an inverse, one does nothing.
# All configurations that a group makes of R are its *orbit*. Two configurations are *equivalent* if
# one lies in the orbit of the other, and a function is *invariant* if it gives the same for equivalent
# ones. In short: an invariant function is a function of orbits.

# %%
MOLECULES = {
    "zigzag": np.array([[0.0, 0.0], [1.3, 0.5], [2.5, 0.1], [3.5, 1.1]]),
    "square": np.array([[0.0, 0.0], [1.5, 0.0], [1.5, 1.5], [0.0, 1.5]]),
}
PERMUTATIONS = permutation_group([1, 1, 1, 1])  # of four like atoms


def draw(ax, configurations, alpha=1.0, skeletons=None):
    for R, skeleton in zip(configurations, skeletons or configurations, strict=True):
        ax.plot(*skeleton.T, color="0.7", linewidth=1, alpha=alpha, zorder=0)
        ax.scatter(*R.T, c=[f"C{atom}" for atom in range(4)], s=22, alpha=alpha)
    ax.set(xlabel="x (unit of length)", ylabel="y (unit of length)")
    ax.set_aspect("equal", adjustable="datalim")


molecule = center(MOLECULES["zigzag"])
rng = np.random.default_rng(0)
fig, axes = plt.subplots(2, 2, figsize=(10, 8), layout="constrained", num="orbits")
draw(axes[0, 0], [translate(molecule, v) for v in rng.normal(scale=2.5, size=(12, 2))], 0.4)
draw(axes[0, 0], [molecule])
axes[0, 0].set_title("translations: infinitely many;\nthe centred one (bold) stands for all")
draw(axes[0, 1], list(orbit(molecule, rotation_group(8))), 0.4)
draw(axes[0, 1], [molecule])
axes[0, 1].set_title("rotations: infinitely many,\n8 of them drawn")
draw(axes[1, 0], list(orbit(translate(molecule, [2.5, 0.0]), reflection_group())))
axes[1, 0].axvline(0, color="k", linestyle=":", linewidth=1)
axes[1, 0].set_title("reflection: two;\nin the plane no rotation makes one of the other")
places = [[4 * (k % 4), -1.8 * (k // 4)] for k in range(24)]  # side by side, for all are in the same place
renumbered = [translate(R, v) for R, v in zip(orbit(0.8 * molecule, PERMUTATIONS), places, strict=True)]
draw(axes[1, 1], renumbered, 1.0, [translate(0.8 * molecule, v) for v in places])
axes[1, 1].set_title("permutations: 24, drawn side by side;\nonly the colours move")
for atom in range(4):
    axes[0, 0].plot([], [], "o", color=f"C{atom}", label=f"atom {atom}")
fig.legend(loc="outside lower center", ncols=4)
fig.suptitle("Orbits: every picture shows one and the same molecule")
plt.show()

# %% [markdown]
# *Predict:* take the 24 permutations, each with the 4 rotations by 90° and their mirror images: 192
# actions. How many *different* configurations do they make of the zigzag, and how many of the square?
# And is the square, turned by 90°, equivalent to itself under permutations alone?

# %%
RIGID_90 = direct_product(rotation_group(4), reflection_group())
ALL_192 = direct_product(PERMUTATIONS, RIGID_90)
different, turned_is_permuted = {}, {}
for name, R in MOLECULES.items():
    images = orbit(center(R), ALL_192).reshape(len(ALL_192), -1)
    different[name] = len(np.unique(images.round(6) + 0.0, axis=0))
    turned = rotate(center(R), np.pi / 2)
    turned_is_permuted[name] = are_equivalent(turned, center(R), PERMUTATIONS)
    print(f"{name}: {different[name]} of 192 configurations differ; "
          f"turned by 90° is a permutation: {turned_is_permuted[name]}")  # fmt: skip

# %% [markdown]
# 192 / 24 = 8: eight of the actions leave the square as it is. What turns into itself has a small
# orbit, and that is why in lesson 11 the square did not notice its permutation.
#
# **Centring.** Translations are infinitely many, but every orbit has one member with its centre at the
# origin, Φ(R) = R - mean of R. The notes' lemma: Φ(R) = Φ(S) *if and only if* S is R translated. "If"
# makes Φ invariant. "Only if" says that nothing else was lost, and that is worth as much.

# %%
R, S = MOLECULES["zigzag"], translate(MOLECULES["zigzag"], [0.3, -7.0])
shifted = abs(center(R) - center(S)).max()
back = abs(translate(center(R), S.mean(axis=0)) - S).max()
other = min(abs(center(R) - center(h(R))).max() for h in RIGID_90[1:])
print(f"translated: Φ differs by {shifted:.0e}; S = Φ(R) + mean of S up to {back:.0e}")
print(f"turned or mirrored: Φ differs by {other:.2f} or more")

# %% [markdown]
# ## 2. The data, and an audit of the labels
#
# As in lesson 11: 500 displaced configurations of the zigzag, energies E = Σ_{i<j} 1/r_ij, split once
# into 80 % and 20 %, before anything is augmented.

# %%
rng = np.random.default_rng(0)
R = MOLECULES["zigzag"] + SIGMA * rng.standard_normal((N_SAMPLES, 4, 2))
order = rng.permutation(N_SAMPLES)
R_train, R_test = R[order[: round(0.8 * N_SAMPLES)]], R[order[round(0.8 * N_SAMPLES) :]]
energy = CoulombPairPotential().energy
print(f"{len(R_train)} to train, {len(R_test)} to test; variance of the test energies: "
      f"{energy(R_test).var():.4f}")  # fmt: skip

# %% [markdown]
# No model can be better than its labels, so the audit begins there. It moves the molecules and reports
# the largest change, relative to the largest label. Beside the energies: S1's labels, of which lesson 11
# found by least squares that they count the pairs 0, 1, 2, 3, 4 and 5 times. And a molecule of two
# elements, with the charges 2, 1, 1, 2 on its atoms, E = Σ z_i z_j / r_ij, audited twice: as if all
# atoms were alike, and with the elements named. *Predict* the column of permutations.

# %%
Z = [2, 1, 1, 2]
ACTIONS = ("translation", "rotation", "reflection", "permutation")
audits = {}


def s1_labels(R):
    return inverse_distances(R) @ np.arange(6.0)


def energy_of_two_elements(R):
    return np.triu(coulomb_matrix(R, Z), 1).sum(axis=(1, 2))


def audit(functions, z=None):
    """Audits functions by name, keeps the findings for the figure in section 8, and prints a table."""
    print(f"{'relative change under':<50}", *(f"{action:>12}" for action in ACTIONS))
    for name, function in functions.items():
        audits[name] = found = audit_invariance(function, R_test[:20], z=z)
        passed = found.invariant_under()
        cells = ("-" if action in passed else f"{found.relative(action):.0e}" for action in ACTIONS)
        print(f"{name:<50}", *(f"{cell:>12}" for cell in cells))


labels = {
    "energies": energy,
    "labels of S1": s1_labels,
    "energies, 2 elements": energy_of_two_elements,
}
audit(labels)
audit({"energies, 2 elements, z given": energy_of_two_elements}, z=Z)

# %% [markdown]
# A dash is no change but for rounding. S1's labels are no energies: who renumbers the atoms changes
# them, and no invariant model can ever learn them. The third line looks as bad, but there it is the
# question that is wrong: exchanging atoms of *different* elements makes a different molecule. Permute
# only atoms of one element, which the notes do not say. Given z, the library refuses anything else:

# %%
try:
    permute(R, [1, 0, 2, 3], z=Z)
except ValueError as error:
    refusal = str(error)
print(refusal)

# %% [markdown]
# ## 3. Features: invariant, and what else?
#
# *Predict* the dashes of each line before you look. The last line but one counts for every distance how
# many pairs of atoms have about that distance: a sum over atoms, so their order is forgotten.


# %%
def sorted_distances(R):
    return 1 / sorted_inverse_distances(R)  # the shortest first


SHELLS = np.linspace(0.8, 4.0, 12)


def count_neighbours(n_atoms):
    return RadialSymmetryFunctions([1] * n_atoms, eta=4.0, r_s=SHELLS, cutoff=8.0)


symmetry_functions = count_neighbours(4)
features = {
    "positions": positions,
    "centred positions": lambda R: positions(center(R)),
    "distances": distances,
    "sorted distances": sorted_distances,
    "symmetry functions": symmetry_functions,
    "the number 1": lambda R: np.ones(len(R)),
}
audit(features)

# %% [markdown]
# The last line passes with distinction. Invariance is cheap, the art is to lose nothing else. What do
# sorted distances lose? Here are two molecules: a rectangle, and three atoms in a row with the fourth
# beside the middle one. Beside sorting, k_G is the kernel of section 4 that forgets the order of the
# *atoms* only. Their squared distance in feature space is k(R, R) + k(S, S) - 2 k(R, S).
# *Predict:* which of the two do the symmetry functions side with?

# %%
on_distances = FeatureKernel(Gaussian(1.0), distances)
on_sorted = FeatureKernel(Gaussian(1.0), sorted_distances)
symmetrised = SymmetrizedKernel(on_distances, PERMUTATIONS, simultaneous=True)
rectangle = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
tee = np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
print("sorted distances:", sorted_distances(rectangle).round(3), sorted_distances(tee).round(3))
apart = {}
for name, kernel in (("sorted distances", on_sorted), ("symmetrised kernel", symmetrised)):
    K = kernel(np.stack([rectangle, tee]))
    apart[name] = K[0, 0] + K[1, 1] - 2 * K[0, 1]
    print(f"{name}: squared distance between the two {apart[name]:.3f}")
counts_apart = float(abs(np.subtract(*symmetry_functions(np.stack([rectangle, tee])))).max())
print(f"symmetry functions: largest difference {counts_apart:.0e}")

# %% [markdown]
# Six distances have 6! = 720 orders, four atoms only 4! = 24. Sorting forgets which distances meet at an
# atom, and takes different molecules for the same. So do our symmetry functions: they, too, see only how
# often each distance occurs. (Others count angles, and can tell the two.) For E = Σ 1/r that does no
# harm, since the energies are equal, too. Section 6 has an energy for which it does. (Sorting also has a
# kink where two distances cross, and forces would jump there.)
#
# ## 4. Kernels
#
# A model on a kernel is a weighted sum over the training molecules, f(R) = Σ_m α_m k(R, R_m). A kernel is
# invariant if k(g R, S) = k(R, S), and *then so is f, whatever the weights are* (the notes' lemma):
# each term is. So we never have to train for symmetry again, only to choose the kernel.
#
# The notes suggest a sum of Gaussians over all pairs of atoms, one of each molecule,
#
#     k(R, S) = Σ_i Σ_j exp(-|r_i - s_j|² / 2 l²)
#
# as a kernel between molecular systems, just before asking for translation and rotation invariance.
# *Predict:* which of the four does it have? What happens to r_i - s_j if only R moves?
#
# It can be repaired. `center` cures translations. For the rest take the *mean over the group*,
# k_G(R, S) = 1/|G| Σ_h k(R, h S). A further action on S changes only the order of the terms. One on R does
# so, too, if k(g R, g S) = k(R, S), for then k(g R, h S) = k(R, g⁻¹h S). That holds here: if both are turned,
# all r_i - s_j keep their lengths (`simultaneous=True`). Otherwise average over both arguments.

# %%
pairs = AtomPairKernel(Gaussian(1.0))
TURNS = direct_product(rotation_group(ANGLES), reflection_group())


def rigid(kernel, group=TURNS):
    """Centred, then averaged over rotations and reflections."""
    return FeatureKernel(SymmetrizedKernel(kernel, group, simultaneous=True), center)


weights = np.random.default_rng(1).standard_normal(50)
on_positions = FeatureKernel(Gaussian(1.0), positions)
kernels = {
    "k: positions": on_positions,
    "k: centred positions": FeatureKernel(on_positions, center),
    "k: distances": on_distances,
    "k: distances, 24 permutations": symmetrised,
    "k: sum over atom pairs": pairs,
    "k: atom pairs, centred": FeatureKernel(pairs, center),
    "k: atom pairs, centred, turned": rigid(pairs),
    "f: that kernel, random weights": lambda R: rigid(pairs)(R, R_train[:50]) @ weights,
}
audit(kernels)

# %% [markdown]
# The sum over atom pairs is invariant under permutations (addition commutes, as the notes say at the
# end) and under nothing else. Centred and turned, it has all four; the last line is the lemma.
#
# But rotations are infinitely many: why is a mean over a few angles enough? *Predict* how the error
# falls with the number of angles: like 1/√k, as for a mean over random ones? Or faster?

# %%
counts = [1, 2, 3, 4, 6, 8, 12, 16, 20, 24]


def change(kernel):
    return audit_invariance(kernel, R_test[:5]).relative("rotation")


curves = {
    "k random angles": [change(rigid(pairs, sample_rotations(2, k, rng=0))) for k in counts],
    "k even angles": [change(rigid(pairs, rotation_group(k))) for k in counts],
    "k even angles, the square of section 5": [
        change(rigid(pairs * pairs, rotation_group(k))) for k in counts
    ],
}
fig, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained", num="angles")
for (name, values), style in zip(curves.items(), ("C2^-", "C0o-", "C1s-"), strict=True):
    ax.semilogy(counts, values, style, label=name)
ax.axvline(ANGLES, color="0.6", linestyle=":", label="taken here (with reflections)")
ax.set(xlabel="number of rotations k in the mean", ylabel="largest relative change under a rotation")
ax.set_title("Even angles: exponentially good; random ones: never")
ax.legend()
plt.show()

# %% [markdown]
# A smooth function of the angle is a sum of a few waves, and a mean over k even angles kills them all
# but those whose number is a multiple of k. From 20 on little more than rounding is left. (In space
# a finite group of rotations that does not keep an axis has at most 60. A grid of three angles, with
# weights, does it with thousands; one prefers features that know no rotation, such as distances.)
#
# ## 5. Symmetry is not enough
#
# Now we train. Kernel ridge regression on the Gram matrix gives the α_m. The mean of the labels is taken
# off before and put back after.


# %%
def train_kernel(kernel, R=R_train, label=energy, alpha=ALPHA):
    K, y = kernel(R), label(R)
    ridge = KernelRidge(alpha * K.diagonal().mean(), kernel="precomputed").fit(K, y - y.mean())
    return lambda Q: ridge.predict(kernel(Q, R)) + y.mean()  # f(R) = Σ α_m k(R, R_m)


notes = train_kernel(rigid(pairs))
print(f"sum over atom pairs, centred and turned: test R² {r2_score(energy(R_test), notes(R_test)):.3f}")

# %% [markdown]
# All symmetries, no noise, 400 training molecules, and still a bad model. Why? Put the kernel into f and
# exchange the sums: f(R) = Σ_i g(r_i), with one function g, the same for all atoms. That is the energy
# of atoms in an external field (centred: the field moves with their mean). *They do not feel each other*,
# but through that mean. A test, first without centring: move one atom, another, both. In such a model the
# two changes add up.
#
# The cure: square it. k(R, S)² sums over *pairs* of atoms, r_i with s_j and r_k with s_l, so f(R) =
# Σ_ik g(r_i, r_k). Squared inside the mean over rotations: that is the idea of a famous kernel (SOAP;
# Bartók, Kondor and Csányi 2013). *Predict:* what if one squares after the mean?

# %%
first, second = np.zeros((2, 4, 2))
first[0, 0] = second[1, 0] = 0.1  # unit of length


def interaction(f):
    """What the two moves together do beyond what each does alone."""
    R = R_test[:50]
    return float(abs(f(R + first + second) - f(R + first) - f(R + second) + f(R)).max())


mean_of_squares = train_kernel(rigid(pairs * pairs))
square_of_mean = train_kernel(lambda *samples: rigid(pairs)(*samples) ** 2)
one_body = interaction(train_kernel(pairs))
print(f"atoms 0 and 1 moved, interaction: energies {interaction(energy):.1e}, sum over pairs {one_body:.1e}, "
      f"centred and turned {interaction(notes):.1e}")  # fmt: skip
scores = {}
for name, f in (("sum", notes), ("its square", square_of_mean), ("mean of squares", mean_of_squares)):
    scores[name] = r2_score(energy(R_test), f(R_test))
    print(f"{name:<16} test MSE {mean_squared_error(energy(R_test), f(R_test)):.1e}, R² {scores[name]:.6f}")

# %% [markdown]
# A mean over rotations of one-body functions is a one-body function, of |r_i| only. Its square knows how
# far two atoms are from the centre, not the angle between them. The square has to be taken *inside*, while
# both atoms turn together: then the MSE falls by a factor of several hundred.
#
# ## 6. Too much symmetry
#
# A mean over permutations may only go over *like* atoms. To see what happens otherwise, take the molecule
# with the charges 2, 1, 1, 2, and its *isomer*, in which atoms 0 and 1 have changed places. Half of the
# samples are isomers. Four kernels: *predict* for each whether it can learn one isomer, and both.

# %%
LIKE_ATOMS = permutation_group(Z)  # 4 of the 24: atoms 0 and 3, atoms 1 and 2


def with_isomers(R):
    return np.concatenate([R[::2], permute(R[1::2], [1, 0, 2, 3])])


isomers = {}
candidates = {
    "distances": on_distances,
    "mean over permutations of like atoms": SymmetrizedKernel(on_distances, LIKE_ATOMS, simultaneous=True),
    "mean over all 24 permutations": symmetrised,
    "sorted distances": on_sorted,
}
print(f"{'test R², two elements':<38} one isomer  both isomers")
for name, kernel in candidates.items():
    isomers[name] = []
    for data in (lambda R: R, with_isomers):
        f = train_kernel(kernel, data(R_train), energy_of_two_elements)
        isomers[name].append(r2_score(energy_of_two_elements(data(R_test)), f(data(R_test))))
    print(f"{name:<38} {isomers[name][0]:10.5f} {isomers[name][1]:13.5f}")

# %% [markdown]
# Averaged over all 24 permutations, the two isomers are one molecule. The best to say about it is the mean
# of two energies; the fit takes their difference for a steep function of the displacements, and is even
# worse than the mean. One isomer alone does not show the mistake. Sorted distances fail even there: where
# two distances of about the same length change places in the sorted row, the model cannot tell which of
# them belongs to which charges.
#
# ## 7. Networks: shown, averaged, built in
#
# Four ways for a network to treat a symmetry, the same layers and the same number of steps for each:
#
# * *augmentation*: train on moved copies. "Four motions added" is one copy for each of the four motions
#   of the test below, as in lesson 11; a "random" copy is moved by all four kinds, each in its own way;
# * *all of the group*: distances, and each training molecule in all 24 numberings;
# * *a mean over the group*: `group_average`, f_G(R) = 1/24 Σ_h f(h R), exact for any f;
# * *built in*: features that have the symmetry.


# %%
def move_at_random(R, rng):
    """Every molecule by a motion of its own: turned, perhaps mirrored, renumbered, moved."""
    turned = [rotate(r, rng.uniform(0, 2 * np.pi)) for r in R]
    mirrored = [reflect(r) if rng.random() < 0.5 else r for r in turned]
    return np.stack(
        [translate(permute(r, rng.permutation(4)), rng.normal(scale=2, size=2)) for r in mirrored]
    )


def augment(R, copies):
    rng = np.random.default_rng(0)
    return np.concatenate([R, *(move_at_random(R, rng) for _ in range(copies))])


FOUR = {
    "rotated": lambda R: rotate(R, np.pi / 2),
    "reflected": reflect,
    "translated": lambda R: translate(R, [2.0, -1.0]),
    "permuted": lambda R: permute(R, [3, 0, 1, 2]),
}
TESTS = {"original": R_test} | {name: move(R_test) for name, move in FOUR.items()}
TESTS["random"] = np.concatenate([move_at_random(R_test, np.random.default_rng(k)) for k in range(1, 6)])
MEAN, DEVIATION = energy(R_train).mean(), energy(R_train).std()


def train_network(features, R=R_train, seed=SEEDS[0]):
    """The model, and the learned features before its last layer."""
    scaler = StandardScaler().fit(features(R))

    def see(Q):
        return scaler.transform(features(Q))

    X, y = see(R), (energy(R) - MEAN) / DEVIATION
    sizes = (X.shape[1], *LAYERS)
    layers = [layer for n_in, n_out in pairwise(sizes) for layer in (Dense(n_in, n_out), ReLU())]
    network = Sequential(*layers[:-1], rng=seed, backend=BACKEND)
    steps_per_epoch = math.ceil(len(X) / BATCH_SIZE)
    epochs = max(1, round(STEPS / steps_per_epoch))
    fit(
        network, (X, y), loss=MeanSquaredError(), optimizer=Adam(CosineDecay(RATE, epochs * steps_per_epoch)),
        epochs=epochs, batch_size=BATCH_SIZE, rng=seed, progress=False,
    )  # fmt: skip
    hidden = Sequential(*copy.deepcopy(network).layers[:-1], dtype=network.dtype)
    return (
        lambda Q: MEAN + DEVIATION * to_numpy(network.predict(asarray(see(Q), BACKEND)))[:, 0],
        NetworkFeatures(hidden, see),
    )


networks, learned = {}, {}
moved_by_four = np.concatenate([R_train, *(move(R_train) for move in FOUR.values())])
jobs = {
    "positions": (positions, R_train),
    "positions, four motions added": (positions, moved_by_four),
    "distances": (distances, R_train),
    "distances, 24 numberings": (distances, orbit(R_train, PERMUTATIONS).reshape(-1, 4, 2)),
    "sorted distances": (sorted_distances, R_train),
    "symmetry functions": (symmetry_functions, R_train),
}
for name, (features, data) in tqdm(jobs.items(), desc="networks"):
    networks[name], learned[name] = train_network(features, data)

# %% [markdown]
# *Predict* the mean over the 24 numberings of two networks on distances: of the one that has seen the
# original numbering only, and of the one that has seen all 24. Both means are perfectly invariant.

# %%
for name in ("distances", "distances, 24 numberings"):
    networks[f"{name}, averaged"] = group_average(networks[name], PERMUTATIONS)
    before, after = (
        mean_squared_error(energy(R_test), networks[name + suffix](R_test)) for suffix in ("", ", averaged")
    )
    print(f"{name:<26} test MSE {before:.1e}, averaged {after:.1e}")

# %% [markdown]
# The first mean spoils a good network: of its 24 answers 23 are about molecules it has never seen, and
# wrong in their own ways. A symmetrised kernel is averaged *before* the fit, and does not suffer from
# this. In the second, the mean of 24 good answers is better than each.
#
# **How many copies?** For permutations all 24 are enough, and there are no others. For all motions
# together we can only add random ones. *Predict:* how many copies until the network on positions is as
# good on randomly moved molecules as the ones with the symmetry built in are?

# %%
copies_error = {n: [] for n in COPIES}
built_in_error = {name: [] for name in ("sorted distances", "symmetry functions")}
augmented_sets = {n: augment(R_train, n) for n in COPIES}
for seed in tqdm(SEEDS, desc="copies"):
    for n, data in augmented_sets.items():
        f, phi = train_network(positions, data, seed)
        copies_error[n].append(mean_squared_error(energy(TESTS["random"]), f(TESTS["random"])))
        if n == COPIES[-1] and seed == SEEDS[0]:
            name = f"positions, {n} random copies added"
            networks[name], learned["positions, augmented"] = f, phi
    for name in built_in_error:
        f = networks[name] if seed == SEEDS[0] else train_network(jobs[name][0], R_train, seed)[0]
        built_in_error[name].append(mean_squared_error(energy(TESTS["random"]), f(TESTS["random"])))

variance = energy(TESTS["random"]).var()
fig, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained", num="copies")
x = np.arange(len(COPIES))
ax.semilogy(x, np.array(list(copies_error.values())), "C0o")
ax.semilogy(x, [np.median(found) for found in copies_error.values()], "C0-", label="positions, augmented")
for color, (name, found) in zip(("C1", "C2"), built_in_error.items(), strict=True):
    ax.axhline(np.median(found), color=color, linestyle="--", label=f"{name}: nothing added")
ax.axhline(variance, color="0.6", linestyle=":", label="always saying the mean")
ax.set_xticks(x, [str(n) for n in COPIES])
ax.set(xlabel="random copies added of each training molecule (points: repetitions, line: median)",
       ylabel="test MSE, randomly moved (energy squared)",
       title=f"What one has for nothing, the other does not reach with {COPIES[-1]} copies")  # fmt: skip
ax.legend(fontsize=8)
plt.show()
for name, found in {**{f"{n} copies": e for n, e in copies_error.items()}, **built_in_error}.items():
    print(f"{name:<20} MSE on randomly moved molecules, by seed:", [f"{e:.1e}" for e in found])

# %% [markdown]
# **Deep kernels.** A trained network's last hidden layer is a feature vector. A kernel on top,
# k(Φ(R), Φ(S)), is a *deep kernel*, as invariant as what the network sees. The notes say that it can
# be much better than kernels designed by hand, "when things go right". We take one on the augmented
# network, which knows the motions from examples, and one on sorted distances, and fit both to the
# original training molecules. *Predict:* is the first as nearly invariant as its network? Is the second
# better than the kernel by hand on the same distances?

# %%
# Neither l nor alpha helps: on sorted distances no l = 3 to 100, alpha = 1e-8 to 1e-2 has an MSE below 1.2e-4
on_augmented, on_learned = (
    FeatureKernel(Gaussian(10.0), learned[name]) for name in ("positions, augmented", "sorted distances")
)
fitted = {
    "positions": train_kernel(on_positions),
    "centred positions": train_kernel(FeatureKernel(on_positions, center)),
    "distances": train_kernel(on_distances),
    "sorted distances": train_kernel(on_sorted),
    "distances, mean over 24 permutations": train_kernel(symmetrised),
    "sum over atom pairs, the notes'": train_kernel(pairs),
    "atom pairs squared, centred, turned": mean_of_squares,
    "deep: positions, augmented": train_kernel(on_augmented, alpha=1e-2),
    "deep: sorted distances": train_kernel(on_learned, alpha=1e-2),
}

# %% [markdown]
# ## 8. The table
#
# All models, all motions: the test error first, then the audit. *Predict* for each line where it breaks.

# %%
models = {
    **{f"kernel: {name}": f for name, f in fitted.items()},
    **{f"network: {name}": f for name, f in networks.items()},
}
errors = {
    name: {motion: mean_squared_error(energy(Q), f(Q)) for motion, Q in TESTS.items()}
    for name, f in models.items()
}
print(f"{'test MSE (energy squared)':<50}", *(f"{motion:>10}" for motion in TESTS))
for name, row in errors.items():
    print(f"{name:<50}", *(f"{error:10.1e}" for error in row.values()))
print(f"(always saying the mean: {variance:.1e})")

fig, axes = plt.subplots(1, 2, figsize=(13, 6.8), layout="constrained", sharex=True, num="models")
for ax, kind in zip(axes, ("kernel", "network"), strict=True):
    names = [name for name in errors if name.startswith(kind)]
    for row, name in enumerate(names):
        span = [min(errors[name].values()), max(errors[name].values())]
        ax.plot(span, [row, row], color="0.85", linewidth=14, zorder=0)
        for shift, (motion, marker) in enumerate(zip(TESTS, "o<^>sD", strict=True)):
            ax.plot(errors[name][motion], row + 0.1 * (shift - 2.5), marker, color=f"C{shift}", markersize=6,
                    label=motion if row == 0 else None)  # fmt: skip
    labels = [name.split(": ", 1)[1].replace(", ", ",\n") for name in names]
    ax.set_yticks(range(len(names)), labels, fontsize=8)
    ax.axvline(variance, color="0.6", linestyle=":", label="always the mean")
    ax.invert_yaxis()
    ax.set(xscale="log", xlabel="test MSE (energy squared)", title=f"{kind}s")
fig.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=7)
fig.suptitle("Test error by motion: a wide bar is a symmetry that the model does not have")
plt.show()

# %% [markdown]
# Read it by rows. Where the symmetry is built in, not one digit is lost, under any motion. Without it,
# Gaussians mostly fall back to the mean, far from all they know (but not the notes' sum, whose large weights
# cancel only near the training molecules, nor the centred positions, moved at random); networks
# extrapolate, and the one on positions is worse than the mean by a factor of a thousand. (A narrow bar
# alone is no merit: the network that was averaged after training is invariant, and wrong.)
#
# Look at "four motions added": in the columns it was trained for all is well. The last column has the
# same four kinds of motion by other amounts, and it is hopeless there. A test with the very motions of
# the augmentation proves nothing.
#
# The deep kernel on the augmented network loses more than the network itself: its features are only
# *nearly* invariant, and a new fit to unmoved molecules does not know that it should not use the rest. On
# sorted distances the deep kernel is as good as its network, and the kernel by hand is better by four
# orders of magnitude: a smooth function of a few well-chosen distances needs no learned features.

# %%
audit(models)

changes = [[found.relative(action) for action in ACTIONS] for found in audits.values()]
fig, ax = plt.subplots(figsize=(9, 11), layout="constrained", num="audit")
image = ax.imshow(np.log10(np.maximum(changes, 1e-16)), cmap="viridis", aspect="auto", vmin=-16, vmax=1)
for row, found in enumerate(audits.values()):
    for column, action in enumerate(ACTIONS):
        passed = action in found.invariant_under()
        ax.text(column, row, "invariant" if passed else f"{found.relative(action):.0e}",
                ha="center", va="center", fontsize=7, color="w" if passed else "k")  # fmt: skip
ax.set_xticks(range(4), ACTIONS)
ax.set_yticks(range(len(audits)), audits, fontsize=8)
ax.set_title("The audit: relative change of labels, features, kernels (k) and models under each action")
fig.colorbar(image, label="log₁₀ of the largest relative change")
plt.show()

# %% [markdown]
# ## 9. The answer to S1's question
#
# S1 closes: augmentation helps, but all rotations and 1024! permutations cannot be added, so it would be
# better if the symmetries were encoded in the features. It would. The same network, the same number of
# steps, side by side:

# %%
augmented = f"positions, {COPIES[-1]} random copies added"
shown = {
    "positions": len(R_train),
    augmented: len(augmented_sets[COPIES[-1]]),
    "distances, 24 numberings, averaged": 24 * len(R_train),
    "symmetry functions": len(R_train),
}
print(f"{'network':<40} {'samples':>8} {'original':>10} {'random':>10}  invariant under")
for name, n_shown in shown.items():
    row, kept = errors[f"network: {name}"], audits[f"network: {name}"].invariant_under()
    print(f"{name:<40} {n_shown:>8} {row['original']:10.1e} {row['random']:10.1e}  {', '.join(kept) or '-'}")
price = float(np.median(copies_error[COPIES[-1]]) / np.median(built_in_error["symmetry functions"]))
print(f"augmented / built in, randomly moved, median of {len(SEEDS)}: {price:.0f}")

# %% [markdown]
# The mean over all numberings is the most accurate of the four, for four atoms. It takes N! answers for
# each prediction. The sum over atoms in the symmetry functions takes N² distances. With as many atoms as
# the sheet asks for, on a grid:

# %%
side = math.isqrt(ATOMS)
many = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(1, ATOMS, 2)
many = many + SIGMA * np.random.default_rng(0).standard_normal(many.shape)
start = time.perf_counter()
features_of_many = count_neighbours(ATOMS)(many)
seconds = time.perf_counter() - start
renumbered = permute(many, np.random.default_rng(1).permutation(ATOMS))
change_of_many = float(abs(count_neighbours(ATOMS)(renumbered) / features_of_many - 1).max())
digits = math.lgamma(ATOMS + 1) / math.log(10)
print(f"{ATOMS} atoms: {features_of_many.shape[1]} features in {seconds:.1f} s; renumbered at random they "
      f"change by {change_of_many:.0e}; {ATOMS}! has {math.ceil(digits)} digits")  # fmt: skip

# %% [markdown]
# So: build the symmetry in, by sums over atoms and by distances. Average over a group where it is small.
# Augment for what cannot be built in, and test with motions that were not in the training set. And audit
# all of it, the labels first.
#
# (Two warnings. Energies are invariant; forces are not, they turn with the molecule: lesson 14. And
# mirror images have the same energy, but not the same optical rotation: ask of each property which
# symmetries it has.)
#
# ## Results
#
# The notes and S1 have no numbers on this; their statements stand in the column of the source.

# %%


def digits_lost(name):
    """By how many powers of ten the error grows in the worst of all motions."""
    return float(np.log10(max(errors[name].values()) / errors[name]["original"]))


def relative(name):
    return audits[name].relative("permutation")


def invariances(name):
    return ", ".join(audits[name].invariant_under()) or "none"


results = ResultsTable("Lesson 13: symmetry; MSE in energy squared")
results.add("orbit under 192 actions, zigzag", different["zigzag"], at_least=192)
results.add("orbit under 192 actions, square", different["square"], at_most=24, note="8 leave it as it is")
results.add("Φ(R) - Φ(S), S is R translated", shifted, at_most=1e-12, note=f"turned or mirrored: {other:.2f}")
results.add("S1's labels: invariant under", invariances("labels of S1"), seed="an energy",
            corrected="permutation" not in audits["labels of S1"].invariant_under(),
            note=f"renumbered they change by {relative('labels of S1'):.2f}")  # fmt: skip
results.add("energies: invariant under", invariances("energies"), seed=", ".join(ACTIONS))
results.add("unlike atoms exchanged: energy changes by", relative("energies, 2 elements"), seed="0",
            corrected=True, at_least=0.01, note="permute only atoms of one element")  # fmt: skip
all_24, like = isomers["mean over all 24 permutations"], isomers["mean over permutations of like atoms"]
results.add("both isomers: R² with all 24 permutations", all_24[1], at_most=0.1)
results.add("both isomers: R² with those of like atoms", like[1], at_least=0.999)
results.add("one isomer: R² of sorted distances", isomers["sorted distances"][0], at_most=0.99,
            note=f"mean over like atoms: {like[0]:.6f}")  # fmt: skip
results.add("rectangle and T, sorted distances apart", apart["sorted distances"], at_most=1e-12,
            note=f"by the symmetrised kernel {apart['symmetrised kernel']:.2f}")  # fmt: skip
results.add("rectangle and T, symmetry functions apart", counts_apart, at_most=1e-12)
results.add("sum over atom pairs: invariant under", invariances("k: sum over atom pairs"),
            seed="what is asked for", corrected=invariances("k: sum over atom pairs") == "permutation",
            note="permutation only")  # fmt: skip
results.add("the same, centred and turned", invariances("k: atom pairs, centred, turned"),
            seed=", ".join(ACTIONS))  # fmt: skip
results.add("sum over atom pairs, not centred: interaction", one_body, at_most=0.01 * interaction(energy),
            note=f"energies {interaction(energy):.1e}; centred, turned {interaction(notes):.1e}")  # fmt: skip
for name, score in scores.items():
    results.add(f"atom pairs, {name}: test R²", score)
for name, row in errors.items():
    note = f"digits lost when moved: {max(0.0, digits_lost(name)):.1f}"
    results.add(f"{name}: MSE", row["original"], note=note)
built_in = [name for name in errors if audits[name].is_invariant()]
results.add("models invariant under all four", len(built_in), note=f"of {len(errors)}")
results.add("their digits lost, at most", max(map(digits_lost, built_in)), at_most=0.01)
results.add("digits lost with four motions added", digits_lost("network: positions, four motions added"),
            at_least=1, note="by other amounts of the same motions")  # fmt: skip
by_hand = errors["kernel: sorted distances"]["original"]
ratio = errors["kernel: deep: sorted distances"]["original"] / by_hand
results.add("sorted distances: MSE of deep kernel / by hand", ratio, note="things go right elsewhere")
results.add("most random copies / built in, randomly moved", price, at_least=3,
            note=f"{COPIES[-1]} copies; S1's question: yes")  # fmt: skip
results.add("1024 atoms renumbered: features change by", change_of_many, at_most=1e-9, note=f"here {ATOMS}")
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *Fewer elements, larger orbits.* How many permutations does `permutation_group` give for the charges
#    [1, 1, 1, 1], [2, 1, 1, 2], [2, 1, 1, 1] and [1, 2, 3, 4]? Predict them, then check. Give the
#    isomers of section 6 the charges [2, 2, 1, 1]: what is the R² of all 24 permutations on both now,
#    and why?
# 2. *A representative of all rotations.* Centring picks one member of every orbit of translations. Do the
#    same for rotations of the plane: turn each centred molecule until atom 0 lies on the positive
#    x axis. Audit this feature; which actions does it fail, and which two molecules, nearly equal, does
#    it send far apart? Turn by the longest principal axis instead: what goes wrong at the square?
# 3. *The mean by chance.* Average the network on distances that has seen all 24 numberings over n random
#    permutations instead of all, n = 1 ... 24, a new draw for every prediction. How do its error and
#    its audit depend on n? For which n would you take it for 20 like atoms, where no list is possible,
#    and what do you lose beside `symmetry functions`?
