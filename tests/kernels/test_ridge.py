"""KernelRidge: scikit-learn's numbers, the primal solution where features can be written down, bad input."""

import numpy as np
import pytest
import scipy.sparse
import sklearn.kernel_ridge as reference
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV

from tinynn.backend import asarray, to_numpy
from tinynn.kernels import Gaussian, KernelRidge, Linear, Matern32, Matern52, Polynomial, White
from tinynn.linalg import NotPositiveDefiniteError
from tinynn.linear_model import Ridge

rng = np.random.default_rng(0)
X, X_test = rng.normal(size=(60, 3)), rng.normal(size=(9, 3))
y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
Y = np.column_stack([y, X[:, 0]])


def power_of_dot_product(a, b, power):
    return (a @ b) ** power


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"kernel": "poly", "degree": 2, "coef0": 0.3},
        {"kernel": "polynomial", "gamma": 0.4},
        {"kernel": "rbf"},
        {"kernel": "rbf", "gamma": 2.0, "alpha": 1e-3},
        {"kernel": "laplacian", "gamma": 0.3},
        {"kernel": power_of_dot_product, "kernel_params": {"power": 2}},
    ],
    ids=["linear", "poly", "polynomial", "rbf", "rbf gamma", "laplacian", "callable"],
)
@pytest.mark.parametrize("target", [y, Y], ids=["one output", "two outputs"])
def test_agrees_with_scikit_learn(parameters, target):
    ours, theirs = (
        KernelRidge(**parameters).fit(X, target),
        reference.KernelRidge(**parameters).fit(X, target),
    )
    np.testing.assert_allclose(ours.dual_coef_, theirs.dual_coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.predict(X_test), theirs.predict(X_test), rtol=0, atol=1e-8)
    assert ours.score(X, target) == pytest.approx(theirs.score(X, target), abs=1e-8)


def test_agrees_with_scikit_learn_on_real_data():
    A, b = load_diabetes(return_X_y=True)
    A = A / A.std(axis=0)
    ours, theirs = (
        kind(kernel="rbf", gamma=0.02, alpha=0.5).fit(A, b) for kind in (KernelRidge, reference.KernelRidge)
    )
    np.testing.assert_allclose(ours.predict(A), theirs.predict(A), rtol=1e-8)


def quadratic_features(X):
    """The phi with phi(x)'phi(y) = (1 + x'y)^2 for three components; every product carries its root."""
    pairs = [X[:, i] * X[:, j] * (1 if i == j else np.sqrt(2)) for i in range(3) for j in range(i, 3)]
    return np.column_stack([np.ones(len(X)), np.sqrt(2) * X, *pairs])


@pytest.mark.parametrize(
    ("kernel", "features"),
    [(Linear(), lambda X: X), (Polynomial(2), quadratic_features)],
    ids=["linear", "quadratic"],
)
@pytest.mark.parametrize("alpha", [1e-3, 2.0])
def test_primal_and_dual_agree(kernel, features, alpha):
    """Ridge on features written down, and the same ridge without ever forming them."""
    primal = Ridge(alpha, fit_intercept=False).fit(features(X), Y)
    dual = KernelRidge(alpha, kernel=kernel).fit(X, Y)
    np.testing.assert_allclose(dual.predict(X_test), primal.predict(features(X_test)), atol=1e-9)
    np.testing.assert_allclose(features(X).T @ dual.dual_coef_, primal.coef_.T, atol=1e-9)


@pytest.mark.parametrize("kernel", [Gaussian(0.7), Matern32(2.0), Matern52(2.0), 2 * Linear() + Gaussian()])
def test_kernel_objects_and_their_gram_matrix_precomputed(kernel):
    model = KernelRidge(0.1, kernel=kernel).fit(X, y)
    precomputed = KernelRidge(0.1, kernel="precomputed").fit(kernel(X), y)
    np.testing.assert_allclose(precomputed.dual_coef_, model.dual_coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(precomputed.predict(kernel(X_test, X)), model.predict(X_test), atol=1e-9)


def test_fit_leaves_a_precomputed_kernel_alone():
    K = Gaussian()(X)
    before = K.copy()
    KernelRidge(kernel="precomputed").fit(K, y)
    np.testing.assert_array_equal(K, before)


def test_without_penalty_it_interpolates():
    model = KernelRidge(0, kernel=Matern32()).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-10)


def test_white_noise_in_the_kernel_is_a_penalty():
    with_noise = KernelRidge(0, kernel=Gaussian() + White(0.3)).fit(X, y)
    np.testing.assert_allclose(
        with_noise.dual_coef_, KernelRidge(0.3, kernel=Gaussian()).fit(X, y).dual_coef_
    )


def test_works_in_a_grid_search():
    K = Gaussian()(X)
    for model, data in [(KernelRidge(kernel=Gaussian()), X), (KernelRidge(kernel="precomputed"), K)]:
        search = GridSearchCV(model, {"alpha": [1e-3, 1e3]}).fit(data, y)
        assert search.best_params_ == {"alpha": 1e-3}
    search = GridSearchCV(KernelRidge(1e-3, kernel=Gaussian()), {"kernel__length_scale": [1e-3, 1.0]}).fit(
        X, y
    )
    assert search.best_params_ == {"kernel__length_scale": 1.0}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prediction_keeps_the_dtype(dtype):
    model = KernelRidge(kernel="rbf").fit(X.astype(dtype), y)
    assert model.predict(X.astype(dtype)).dtype == dtype
    assert model.dual_coef_.dtype == np.float64


K = Gaussian()(X)
crooked = K.copy()
crooked[3, 5] += 1e-3
MODELS_AND_ERRORS = [
    (KernelRidge(-1), X, y, ValueError, r"alpha must lie in \[0, inf\)"),
    (KernelRidge(np.nan), X, y, ValueError, "alpha must lie in"),
    (KernelRidge(kernel="sigmoid"), X, y, ValueError, "kernel must be"),
    (KernelRidge(kernel="rbf", gamma=-1), X, y, ValueError, "gamma must lie in"),
    (KernelRidge(kernel="poly", degree=0), X, y, ValueError, "degree must be at least 1"),
    (KernelRidge(kernel=Gaussian(-1)), X, y, ValueError, "length_scale must lie in"),
    (KernelRidge(kernel=3), X, y, ValueError, "kernel must be"),
    (KernelRidge(), np.where(X > 1, np.nan, X), y, ValueError, "X contains .* NaN"),
    (KernelRidge(), X, np.where(y > 1, np.inf, y), ValueError, "y contains .* inf"),
    (KernelRidge(), X[:0], y[:0], ValueError, "X is empty"),
    (KernelRidge(), X[:, 0], y, ValueError, r"wanted \(M, n\)"),
    (KernelRidge(), X, y[:-1], ValueError, "number of samples differs"),
    (KernelRidge(), scipy.sparse.csr_array(X), y, TypeError, "X is a sparse matrix"),
    (KernelRidge(kernel="precomputed"), X, y, ValueError, r"shape \(60, 3\); wanted .* a square matrix"),
    (KernelRidge(kernel="precomputed"), crooked, y, ValueError, r"not symmetric: K\[3, 5\] is .*, K\[5, 3\]"),
    (KernelRidge(kernel=lambda a, b: a[0]), X, y, ValueError, "the kernel is not symmetric"),
    (KernelRidge(kernel=lambda a, b: a @ b * np.nan), X, y, ValueError, "kernel's matrix contains 3600 NaN"),
    (KernelRidge(kernel="precomputed"), K - 2 * np.eye(60), y, NotPositiveDefiniteError, "alpha=1 is not"),
    (KernelRidge(0), X, y, NotPositiveDefiniteError, "samples coincide.*a larger alpha helps"),
    (KernelRidge(0, kernel="rbf"), X[[0, 0, 1]], y[:3], NotPositiveDefiniteError, "samples coincide"),
]


@pytest.mark.parametrize(("model", "X", "y", "error", "message"), MODELS_AND_ERRORS)
def test_fit_refuses_and_leaves_the_model_as_it_was(model, X, y, error, message):
    before = vars(model).copy()
    with pytest.raises(error, match=message):
        model.fit(X, y)
    assert vars(model) == before


def test_a_gram_matrix_rounded_to_single_precision_is_symmetric():
    X32 = X.astype(np.float32)
    K32 = X32 @ np.diag(np.float32([0.3, 1.7, 2.1])) @ X32.T
    assert (K32 != K32.T).any()
    exact = KernelRidge(kernel="precomputed").fit(((K32 + K32.T) / 2).astype(float), y).predict(K32)
    np.testing.assert_allclose(KernelRidge(kernel="precomputed").fit(K32, y).predict(K32), exact, atol=1e-4)


def test_duplicated_samples_are_fine_with_a_penalty():
    twice = KernelRidge(1.0, kernel="rbf").fit(np.vstack([X, X]), np.append(y, y))
    once = KernelRidge(0.5, kernel="rbf").fit(X, y)
    np.testing.assert_allclose(twice.predict(X_test), once.predict(X_test), atol=1e-9)


def test_prediction_needs_the_features_of_fit():
    model = KernelRidge(kernel="rbf").fit(X, y)
    with pytest.raises(ValueError, match="X has 2 features, but KernelRidge is expecting 3"):
        model.predict(X[:, :2])
    with pytest.raises(ValueError, match="X contains"):
        model.predict(np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="not fitted"):
        KernelRidge().predict(X)


@pytest.mark.parametrize("kernel", ["linear", "poly", Matern52(), "laplacian", "precomputed"])
def test_on_another_array_library(kernel, device):
    train, test = (K, K[:5]) if kernel == "precomputed" else (X, X_test)
    expected = KernelRidge(kernel=kernel).fit(train, Y).predict(test)
    model = KernelRidge(kernel=kernel).fit(asarray(train, device), asarray(Y, device))
    np.testing.assert_allclose(to_numpy(model.predict(asarray(test, device))), expected, atol=1e-10)
