import copy
import tracemalloc
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tinynn import molecules
from tinynn.backend import asarray, to_numpy
from tinynn.kernels import Constant, Gaussian, Matern52, Polynomial, White
from tinynn.molecules import (
    AtomPairKernel,
    FeatureKernel,
    NetworkFeatures,
    SymmetrizedKernel,
    audit_invariance,
    center,
    direct_product,
    inverse_distances,
    orbit,
    permutation_group,
    positions,
    reflection_group,
    rotation_group,
    sample_rotations,
    sorted_inverse_distances,
    translate,
)
from tinynn.nn import Dense, Sequential, Tanh

from .cases import configurations

Z = [6, 1, 1, 6]
LIKE = permutation_group(Z)
RIGID = ("translation", "rotation", "reflection")
ALL = (*RIGID, "permutation")
NETWORK = Sequential(Dense(6, 16), Tanh(), Dense(16, 5), rng=0, dtype="float64")
on_positions = FeatureKernel(Gaussian(1.5), positions)


def weighted(R):
    return inverse_distances(R) * np.arange(1.0, 7)


# kernels and the actions they are invariant under
KERNELS = {
    "positions": (on_positions, ()),
    "centred": (FeatureKernel(on_positions, center), ("translation",)),
    "inverse distances": (FeatureKernel(Matern52(0.7), inverse_distances), RIGID),
    "sorted": (FeatureKernel(Gaussian(0.7), sorted_inverse_distances), ALL),
    "permuted": (SymmetrizedKernel(on_positions, LIKE, simultaneous=True), ("permutation",)),
    "permuted distances": (
        SymmetrizedKernel(FeatureKernel(Gaussian(0.7), inverse_distances), LIKE, simultaneous=True),
        ALL,
    ),
    "permuted twice": (SymmetrizedKernel(FeatureKernel(Gaussian(2.0), weighted), LIKE), ALL),
    "reflected": (
        SymmetrizedKernel(on_positions, direct_product(LIKE, reflection_group()), simultaneous=True),
        ("reflection", "permutation"),
    ),
    "atom pairs": (AtomPairKernel(Gaussian(0.5), Z), ("permutation",)),
    "atom pairs with noise": (AtomPairKernel(Gaussian(0.5) + White(0.1)), ("permutation",)),
    "permuted with noise": (
        SymmetrizedKernel(FeatureKernel(Gaussian(1.5) + White(0.1), positions), LIKE, simultaneous=True),
        ("permutation",),
    ),
    "all atom pairs": (AtomPairKernel(Polynomial(2)), ("permutation",)),
    "centred atom pairs": (
        FeatureKernel(AtomPairKernel(Gaussian(0.5), Z), center),
        ("translation", "permutation"),
    ),
    "pairs of atom pairs": (
        0.5 * AtomPairKernel(Gaussian(0.5), Z) * AtomPairKernel(Matern52(0.9), Z),
        ("permutation",),
    ),
    "atom pairs and distances": (
        AtomPairKernel(Gaussian(0.5)) + FeatureKernel(Matern52(0.7), sorted_inverse_distances) + 1.0,
        ("permutation",),
    ),
    "deep": (FeatureKernel(Gaussian(1.0), NetworkFeatures(NETWORK, inverse_distances)), RIGID),
    "deep, sorted": (FeatureKernel(Gaussian(1.0), NetworkFeatures(NETWORK, sorted_inverse_distances)), ALL),
}
every_kernel = pytest.mark.parametrize("name", KERNELS)


@pytest.fixture
def R():
    return configurations(12, 4, 2)


@every_kernel
def test_audit_confirms_the_invariance(name, R):
    kernel, passes = KERNELS[name]
    audit = audit_invariance(kernel, R, z=Z)
    assert audit.invariant_under() == passes
    assert all(audit.relative(action) < 1e-10 for action in passes)


@every_kernel
def test_gram_matrices_are_those_of_inner_products(name, R):
    kernel, _ = KERNELS[name]
    K = kernel(R)
    assert_array_equal(K, K.T)
    assert np.linalg.eigvalsh(K)[0] > -1e-12 * len(K) * K.max()
    assert_allclose(kernel(R, R), K, rtol=1e-12)
    assert_allclose(kernel(R[:3], R[5:]), K[:3, 5:], rtol=1e-12)
    assert_allclose(kernel.diag(R), np.diag(K), rtol=1e-12)


@every_kernel
def test_derivative_by_the_hyperparameters(name, R):
    kernel, _ = KERNELS[name]
    theta = kernel.theta
    assert kernel.bounds.shape == (len(theta), 2)
    dK = kernel.dtheta(R)
    assert dK.shape == (12, 12, len(theta))
    for p, h in enumerate(1e-5 * np.eye(len(theta))):
        slope = (kernel.clone_with_theta(theta + h)(R) - kernel.clone_with_theta(theta - h)(R)) / 2e-5
        assert_allclose(dK[..., p], slope, atol=1e-8 * abs(slope).max())
    assert_allclose(kernel.dtheta(R[:3], R[5:]), dK[:3, 5:], rtol=1e-10, atol=1e-14)
    W = np.random.default_rng(0).normal(size=(12, 12))
    gradient = kernel.theta_gradient(R, np.tril(W))  # the upper triangle is not read
    assert_allclose(gradient, np.einsum("ij,ijp->p", np.tril(W) + np.tril(W, -1).T, dK))


@pytest.mark.parametrize(
    "name", [name for name in KERNELS if "centred" not in name and name != "permuted twice"]
)
def test_derivative_by_the_positions(name, R):
    kernel, _ = KERNELS[name]
    R, S = R[:3], R[3:8]
    direction = np.random.default_rng(0).normal(size=R.shape)
    slope = (kernel(R + 1e-5 * direction, S) - kernel(R - 1e-5 * direction, S)) / 2e-5
    dK = kernel.dx(R, S)
    assert dK.shape == (3, 5, 4, 2)
    assert_allclose(np.einsum("ijnd,ind->ij", dK, direction), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["inverse distances", "permuted", "atom pairs", "deep"])
def test_many_samples_come_in_tiles(name):
    kernel, _ = KERNELS[name]
    R = configurations(300, 4, 2)
    assert_allclose(kernel(R)[290:, :3], kernel(R[290:], R[:3]), rtol=1e-10)


def test_features_of_rows_and_sums_with_other_kernels():
    """A deep kernel on rows (M, n), with noise, as a Gaussian process takes it."""
    X = np.random.default_rng(0).normal(size=(200, 6))
    deep = FeatureKernel(Gaussian(1.0), NETWORK.predict)
    kernel = 2.0 * deep + White(0.1)
    K = Gaussian(1.0)(NETWORK.predict(X))
    assert_allclose(kernel(X), 2 * K + 0.1 * np.eye(200), rtol=1e-12)
    assert_allclose(kernel.diag(X), 2.1)
    assert kernel.dtheta(X).shape == (200, 200, 3)


def test_the_gram_matrix_of_features_is_stored_once():
    R = configurations(1000, 4, 3)
    kernel = FeatureKernel(Gaussian(1.0), inverse_distances)
    tracemalloc.start()
    try:
        K = kernel(R)
        assert tracemalloc.get_traced_memory()[1] < 1.3 * K.nbytes
    finally:
        tracemalloc.stop()


def test_derivatives_of_constants_have_the_shape_of_the_samples(R):
    one = Constant(2.0) * Constant(3.0)
    assert_array_equal(one.dx(R, R[:5]), np.zeros((12, 5, 4, 2)))
    assert_array_equal(one.dxdy(R, R[:5]), np.zeros((12, 5, 4, 2, 4, 2)))


def test_noise_of_molecules(R):
    pairs = AtomPairKernel(Gaussian(0.5))
    assert_allclose((pairs + White(0.1))(R), pairs(R) + 0.1 * np.eye(12), rtol=1e-12)
    assert_allclose((pairs + White(0.1))(R, R), pairs(R), rtol=1e-12)
    assert_allclose((pairs + White(0.1)).dx(R, R[:5]), pairs.dx(R, R[:5]))


def test_a_model_on_an_invariant_kernel_is_invariant(R):
    """Lemma 21.2 of S3, whatever the weights are."""
    weights = np.random.default_rng(0).normal(size=len(R))
    for name in ("permuted distances", "deep, sorted"):
        kernel, _ = KERNELS[name]
        audit = audit_invariance(lambda S, k=kernel: k(S, R) @ weights, R + 0.05, z=Z)
        assert audit.is_invariant(tol=1e-10)


def test_forces_of_a_model_on_an_invariant_kernel_turn_with_the_molecule(R):
    weights = np.random.default_rng(0).normal(size=len(R))

    class Model:
        def predict(self, S):
            kernel, _ = KERNELS["permuted distances"]
            return kernel(S, R) @ weights, -np.einsum("ijnd,j->ind", kernel.dx(S, R), weights)

    assert audit_invariance(Model(), R + 0.05, z=Z).is_invariant(tol=1e-10)


# means over groups


def test_the_general_mean_is_over_both_arguments(R):
    kernel = FeatureKernel(Gaussian(2.0), weighted)
    terms = [[kernel(x, y) for y in orbit(R, LIKE)] for x in orbit(R, LIKE)]
    assert_allclose(SymmetrizedKernel(kernel, LIKE)(R), np.mean(terms, axis=(0, 1)), rtol=1e-12)


def test_one_sum_is_enough_where_the_kernel_moves_along(R):
    both = SymmetrizedKernel(on_positions, LIKE)
    one = SymmetrizedKernel(on_positions, LIKE, simultaneous=True)
    assert_allclose(one(R), both(R), rtol=1e-12)


def test_one_sum_is_not_enough_for_weighted_features(R):
    kernel = FeatureKernel(Gaussian(2.0), weighted)
    one = SymmetrizedKernel(kernel, LIKE, simultaneous=True)
    assert not audit_invariance(one, R, z=Z).is_invariant()


def test_planar_rotations(R):
    """Invariant under its own angles exactly, under all the better the more they are."""

    def change(k):
        return audit_invariance(
            SymmetrizedKernel(on_positions, rotation_group(k), simultaneous=True), R
        ).rotation

    kernel = SymmetrizedKernel(on_positions, rotation_group(5), simultaneous=True)
    assert_allclose(kernel(rotation_group(5)[2](R), R), kernel(R, R), rtol=1e-12)
    assert change(2) > 0.05
    assert change(32) < 1e-10


def test_sampled_rotations_give_a_kernel_that_is_about_invariant():
    R = configurations(5, 4, 3)

    def audit(n):
        return audit_invariance(SymmetrizedKernel(on_positions, sample_rotations(3, n, 0)), R)

    assert np.linalg.eigvalsh(SymmetrizedKernel(on_positions, sample_rotations(3, 20, 0))(R))[0] > 0
    assert 0 < audit(20).relative("rotation") < audit(2).relative("rotation")


# the sum over pairs of atoms


def test_atom_pairs_by_hand(R):
    def gaussian(x, y):
        return np.exp(-((x - y) ** 2).sum() / (2 * 0.5**2))

    X, Y = R[0], R[1]
    expected = sum(gaussian(x, y) for x in X for y in Y)
    assert_allclose(AtomPairKernel(Gaussian(0.5))(X[None], Y[None]), [[expected]])
    like = sum(gaussian(X[i], Y[j]) for i in range(4) for j in range(4) if Z[i] == Z[j])
    assert_allclose(AtomPairKernel(Gaussian(0.5), Z)(X[None], Y[None]), [[like]])


def test_the_sum_over_pairs_is_not_translation_invariant(R):
    """Erratum of S3, 21.1: far away from each other two equal molecules have nothing in common."""
    kernel = AtomPairKernel(Gaussian(0.5))
    assert kernel(R[:1], R[:1]) > 4
    assert kernel(translate(R[:1], [10, 0]), R[:1]) < 1e-10
    unlike = audit_invariance(AtomPairKernel(Gaussian(0.5), Z), R)  # exchanges carbon and hydrogen
    assert unlike.invariant_under() == ()


# learned features


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_network_features_are_the_networks_output(R, dtype):
    network = Sequential(Dense(6, 16), Tanh(), Dense(16, 5), rng=0, dtype=dtype)
    features = NetworkFeatures(network, inverse_distances)
    assert_array_equal(features(R), network.predict(inverse_distances(R)))
    assert features(R).dtype == features.jacobian(R).dtype == np.float64
    assert features(R.astype(np.float32)).dtype == np.float32
    assert_allclose(features(R[0]), features(R)[0], rtol=1e-5)
    assert_allclose(features.jacobian(R[0]), features.jacobian(R)[0], rtol=1e-4, atol=1e-5)


def test_network_features_leave_a_training_pass_alone(R):
    network = Sequential(Dense(6, 16), Tanh(), Dense(16, 5), rng=0, dtype="float64")
    network.forward(inverse_distances(R))
    network.backward(np.ones((12, 5)))
    before = network.grad.copy()
    NetworkFeatures(network, inverse_distances).jacobian(R)
    assert_array_equal(network.grad, before)


def test_the_hidden_layer_of_a_trained_network(R):
    network = Sequential(Dense(6, 16), Tanh(), Dense(16, 1), rng=0)
    hidden = Sequential(*copy.deepcopy(network).layers[:-1], dtype=network.dtype)
    phi = NetworkFeatures(hidden, inverse_distances)(R)
    assert phi.shape == (12, 16)
    last = network.layers[-1]
    assert_allclose(phi @ last.W.T + last.b, network.predict(inverse_distances(R)), rtol=1e-4, atol=1e-6)


# what all have in common


@every_kernel
def test_dtype_is_kept(name, R):
    kernel, _ = KERNELS[name]
    K = kernel(R.astype(np.float32))
    assert K.dtype == np.float32
    assert_allclose(K, kernel(R), rtol=2e-4)


@pytest.mark.parametrize(
    "name", [name for name in KERNELS if name != "permuted twice" and "deep" not in name]
)
def test_a_foreign_library_gives_the_same(name, R, device):
    kernel, _ = KERNELS[name]
    for method in (kernel, kernel.diag, kernel.dtheta):
        assert_allclose(to_numpy(method(asarray(R, device))), method(R), rtol=1e-11, atol=1e-13)


def test_parameters_can_be_read_and_set(R):
    kernel = FeatureKernel(Gaussian(1.0), inverse_distances)
    assert kernel.get_params()["kernel__length_scale"] == 1.0
    assert repr(kernel).startswith("FeatureKernel(kernel=Gaussian(length_scale=1.0")
    assert repr(kernel).endswith("features=InverseDistances())")
    kernel.set_params(kernel__length_scale=0.7)
    assert_array_equal(kernel(R), Gaussian(0.7)(inverse_distances(R)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda R: AtomPairKernel(Gaussian())(R[0]), ValueError, "^X has 2 dimensions .* wanted 3"),
        (lambda R: AtomPairKernel(Gaussian())(R * np.nan), ValueError, "^X contains 96 NaN"),
        (lambda R: AtomPairKernel(Gaussian())(R[:0]), ValueError, "^X is empty"),
        (
            lambda R: AtomPairKernel(Gaussian())(R, R[:, :3]),
            ValueError,
            r"^X has samples of shape \(4, 2\) but Y",
        ),
        (lambda R: AtomPairKernel(Gaussian(), [1, 1])(R), ValueError, "^z has 2 atomic numbers, but R has 4"),
        (lambda R: AtomPairKernel("rbf")(R), TypeError, "^kernel must be a Kernel; got 'rbf'"),
        (lambda R: AtomPairKernel(Gaussian(-1.0))(R), ValueError, "^length_scale must lie"),
        (lambda R: FeatureKernel(Gaussian(), R)(R), TypeError, "^features must be callable"),
        (lambda R: FeatureKernel(Gaussian(), center)(R), ValueError, "^X has 3 dimensions .* wanted 2"),
        (
            lambda R: FeatureKernel(Gaussian(), inverse_distances)(0 * R),
            ValueError,
            "^R has coincident atoms",
        ),
        (
            lambda R: FeatureKernel(on_positions, center).dx(R),
            TypeError,
            "^dx needs features with a jacobian",
        ),
        (
            lambda R: (Gaussian() + AtomPairKernel(Gaussian()))(R),
            ValueError,
            "^k1 takes X of 2 dimensions but k2 of 3",
        ),
        (lambda R: SymmetrizedKernel(on_positions, [])(R), ValueError, "^group is empty"),
        (lambda R: SymmetrizedKernel(on_positions, 3)(R), TypeError, "^group must be a sequence"),
        (lambda R: SymmetrizedKernel(on_positions, LIKE)(R[:, :3]), ValueError, "^permutation has shape"),
        (lambda R: SymmetrizedKernel(on_positions, LIKE).dx(R), TypeError, "^dx needs a kernel with k"),
        (lambda R: on_positions.dxdy(R), TypeError, "^FeatureKernel has no dxdy"),
        (partial(audit_invariance, Gaussian()), ValueError, "^X has 3 dimensions"),
    ],
)
def test_mistakes(call, error, message, R):
    with pytest.raises(error, match=message):
        call(R)


def test_everything_is_importable_from_the_package():
    assert {"AtomPairKernel", "SymmetrizedKernel"} <= set(molecules.__all__)
    assert all(hasattr(molecules, name) for name in molecules.__all__)
