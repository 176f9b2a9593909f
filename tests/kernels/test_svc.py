import functools
import itertools

import numpy as np
import pytest
import sklearn.svm as reference
from linear_model.data import load
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV

from tinynn.backend import asarray, to_numpy
from tinynn.estimator import ConvergenceWarning, NotFittedError
from tinynn.kernels import SVC, Gaussian, Linear, Polynomial, White, svc
from tinynn.kernels.smo import smo


def some(name):
    """Some real data; of the digits every fourth one."""
    X, y = load(name)
    return (X[::4], y[::4]) if name == "digits" else (X, y)


def both(X, y, **options):
    return SVC(**options).fit(X, y), reference.SVC(**options).fit(X, y)


DATA = ["breast_cancer", "digits", "wine", "iris"]
KERNELS = [
    {"kernel": "linear"},
    {"kernel": "poly", "degree": 2, "coef0": 1.0},
    {"kernel": "poly", "degree": 3},
    {"kernel": "rbf"},
    {"kernel": "rbf", "gamma": "auto"},
    {"kernel": "rbf", "gamma": 0.02, "C": 100.0},
]


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("options", KERNELS, ids=str)
def test_agrees_with_scikit_learn_on_real_data(name, options):
    X, y = some(name)
    # At the default tolerance of 1e-3 each may miss the exact scores by about that, of the largest of them.
    ours, theirs = both(X, y, decision_function_shape="ovo", **options)
    f = theirs.decision_function(X)
    assert np.abs(ours.decision_function(X) - f).max() < 2e-3 * max(1, np.abs(f).max())
    # Both solved further: the same numbers.
    ours, theirs = both(X, y, tol=1e-6, decision_function_shape="ovo", **options)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-4)
    assert (ours.predict(X) == reference.SVC(break_ties=True, tol=1e-6, **options).fit(X, y).predict(X)).all()


@pytest.mark.parametrize("name", DATA[:3])  # two equal flowers of iris share their weight in any way
def test_attributes_are_laid_out_as_in_scikit_learn(name):
    X, y = some(name)
    ours, theirs = both(X, y, tol=1e-8)
    np.testing.assert_array_equal(ours.support_, theirs.support_)
    np.testing.assert_array_equal(ours.n_support_, theirs.n_support_)
    np.testing.assert_allclose(ours.support_vectors_, theirs.support_vectors_)
    np.testing.assert_allclose(ours.dual_coef_, theirs.dual_coef_, atol=1e-5)
    assert ours.n_iter_.shape == theirs.n_iter_.shape
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)


def test_kernels_come_by_name_as_objects_functions_and_matrices():
    X, y = load("wine")
    gamma = 0.1
    expected = SVC(gamma=gamma).fit(X, y).decision_function(X[::3])
    K = rbf_kernel(X, gamma=gamma)
    for kernel in (Gaussian(np.sqrt(0.5 / gamma)), lambda X, Y: rbf_kernel(X, Y, gamma=gamma)):
        model = SVC(kernel=kernel).fit(X, y)
        np.testing.assert_allclose(model.decision_function(X[::3]), expected, atol=1e-10)
    model = SVC(kernel="precomputed").fit(K, y)
    np.testing.assert_allclose(model.decision_function(K[::3]), expected, atol=1e-10)
    assert model.support_vectors_.size == 0


def pair(C=1.0, tol=1e-3, kernel=None, M=300, **options):
    """A two-class problem: K, y, and what `smo` makes of it."""
    X, y = load("breast_cancer")
    K, y = (kernel or Gaussian(4.0))(X[:M]), np.where(y[:M] == 1, 1.0, -1.0)
    return K, y, smo(K.__getitem__, K.diagonal(), y, C, tol, **options)


def primal(K, y, C, c, b):
    return c @ K @ c / 2 + C * np.maximum(0, 1 - y * (K @ c + b)).sum()


def dual(K, y, c):
    return y @ c - c @ K @ c / 2


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("kernel", [Gaussian(4.0), Linear(), Polynomial(2)], ids=repr)
def test_duality_gap_bounds_the_distance_to_the_optimum(C, kernel):
    K, y, exact = pair(C, 1e-8, kernel)
    best = dual(K, y, exact.c)
    assert exact.gap < 1e-5 * best
    for tol in (1.0, 0.1, 1e-3):
        rough = pair(C, tol, kernel)[2]
        assert rough.gap == pytest.approx(
            primal(K, y, C, rough.c, rough.b) - dual(K, y, rough.c), rel=1e-6, abs=1e-9 * best
        )
        slack = exact.gap + 1e-9 * best
        assert -slack <= best - dual(K, y, rough.c) <= rough.gap + slack
        assert -slack <= primal(K, y, C, rough.c, rough.b) - best <= rough.gap + slack


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("kernel", [Gaussian(4.0), Linear(), Polynomial(2)], ids=repr)
def test_conditions_of_karush_kuhn_and_tucker(C, kernel):
    K, y, (c, b, _, violation, _) = pair(C, 1e-6, kernel)
    a, margin = y * c, y * (K @ c + b)
    assert violation <= 1e-6
    assert (a >= 0).all()
    assert (a <= C).all()
    assert abs(c.sum()) < 1e-10 * np.abs(c).sum()
    assert (margin[a == 0] > 1 - 1e-5).all()  # outside
    assert (margin[a == C] < 1 + 1e-5).all()  # inside
    np.testing.assert_allclose(margin[(a > 0) & (a < C)], 1, atol=1e-5)  # on the edge
    assert 0 < np.count_nonzero(a) < len(a)


@pytest.mark.parametrize("copies", [1, 3])
def test_weights_sum_to_zero_where_the_gram_matrix_is_singular(copies):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(20, 5))
    y = np.tile(np.where(X[:, 0] + 0.7 * rng.normal(size=20) > 0, 1.0, -1.0), copies)
    K = Linear()(np.vstack([X] * copies))
    c = smo(K.__getitem__, K.diagonal(), y, 1.0).c
    assert abs(c.sum()) < 1e-13 * np.abs(c).sum()


def test_optimum_is_that_of_a_general_solver():
    from scipy.optimize import minimize

    K, y, solution = pair(1.0, 1e-8, M=40)
    general = minimize(
        lambda c: c @ K @ c / 2 - y @ c,
        np.zeros(40),
        jac=lambda c: K @ c - y,
        bounds=[(min(0, s), max(0, s)) for s in y],
        constraints={"type": "eq", "fun": np.sum, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert dual(K, y, solution.c) == pytest.approx(-general.fun, rel=1e-8)
    np.testing.assert_allclose(solution.c, general.x, atol=1e-4)


def test_hard_margin_by_hand():
    # The widest margin between -2 and 2 is 2 / |w| = 4; w = 0.5 = a (2 + 2), and what lies behind is idle.
    model = SVC(1e6, kernel="linear").fit([[-2.0], [2.0], [5.0], [-3.0]], ["a", "b", "b", "a"])
    np.testing.assert_allclose(model.dual_coef_, [[-0.125, 0.125]])
    np.testing.assert_allclose(model.intercept_, 0, atol=1e-12)
    assert model.support_.tolist() == [0, 1]
    assert model.predict([[-0.1], [0.1]]).tolist() == ["a", "b"]
    np.testing.assert_allclose(model.decision_function([[4.0]]), 2.0)


def test_soft_margin_by_hand():
    # Below the 0.125 of the hard margin all weights are at their bound C: w = 2 C + 2 C.
    model = SVC(0.1, kernel="linear").fit([[-2.0], [2.0]], [0, 1])
    np.testing.assert_allclose(model.dual_coef_, [[-0.1, 0.1]])
    assert model.dual_gap_ == pytest.approx(0, abs=1e-12)


def test_harder_margins_make_fewer_violations():
    X, y = load("breast_cancer")
    y = 2 * y - 1
    violations = [
        np.maximum(0, 1 - y * SVC(C, kernel="linear").fit(X, y).decision_function(X)).sum()
        for C in (1e-3, 1e-1, 1e1, 1e3)
    ]
    assert (np.diff(violations) < 0).all()


@pytest.mark.parametrize("kernel", [Gaussian(2.0), Gaussian(2.0) + White(0.5)], ids=repr)
@pytest.mark.parametrize("cache_size", [1e-5, 0.02, 0.3])
def test_little_memory_gives_the_same_plane(kernel, cache_size):
    X, y = load("wine")  # the Gram matrix of all takes 0.25 MB, that of a pair of classes 0.09 to 0.13 MB
    whole = SVC(kernel=kernel).fit(X, y)
    rows = SVC(kernel=kernel, cache_size=cache_size).fit(X, y)
    np.testing.assert_allclose(rows.decision_function(X), whole.decision_function(X), atol=1e-6)
    function = SVC(kernel=lambda X, Y: Gaussian(2.0)(X, Y), cache_size=cache_size).fit(X, y)
    assert function.score(X, y) > 0.99


def many(M=1500):
    """More samples than two weights at a time are good for, some on the wrong side."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(M, 5))
    return X, np.where(X[:, 0] + 0.7 * rng.normal(size=M) > 0, 1, 0)


@pytest.mark.parametrize("options", [{"kernel": "linear"}, {"kernel": "rbf"}], ids=str)
def test_many_samples_and_a_hard_margin(options):
    X, y = many()
    ours = SVC(30.0, tol=1e-5, **options).fit(X, y)
    theirs = reference.SVC(C=30.0, tol=1e-5, **options).fit(X, y)
    f = theirs.decision_function(X)
    np.testing.assert_allclose(ours.decision_function(X), f, atol=1e-3)
    np.testing.assert_allclose(np.abs(ours.dual_coef_).max(), 30, rtol=1e-12)  # the bound itself, not rounded


def test_solving_for_free_weights_saves_steps():
    X, y = load("breast_cancer")
    ours, theirs = both(X, y, C=100.0, kernel="linear")
    assert 50 * ours.n_iter_[0] < theirs.n_iter_[0]


def test_a_softer_margin_first_saves_steps():
    X, y = many()
    theirs = reference.SVC(C=30.0, kernel="linear").fit(X, y)  # starts from zero
    assert 50 * SVC(30.0, kernel="linear").fit(X, y).n_iter_[0] < theirs.n_iter_[0]


def test_features_that_are_not_scaled():
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    model = SVC(kernel="linear").fit(X, y)  # pairs alone need more than three million steps
    assert model.n_iter_[0] < 10_000
    assert model.dual_gap_ < 1e-3


def test_coinciding_samples_of_different_labels():
    X = np.repeat([[0.0], [1.0]], 10, axis=0)
    y = np.tile([0, 1], 10)
    model = SVC(kernel="linear").fit(X, y)
    assert np.isfinite(model.decision_function(X)).all()
    assert model.dual_gap_ < 1e-2
    np.testing.assert_allclose(SVC(kernel="linear").fit(0 * X, y).decision_function(X), 0, atol=1e-12)


def test_votes_and_scores_of_pairs():
    X, y = load("iris")
    model = SVC(decision_function_shape="ovo").fit(X, y)
    pairs = model.decision_function(X)
    votes = np.zeros((len(X), 3))
    for z, (p, q) in zip(pairs.T, itertools.combinations(range(3), 2), strict=True):
        votes[np.arange(len(X)), np.where(z > 0, p, q)] += 1
    scores = SVC().fit(X, y).decision_function(X)
    np.testing.assert_array_equal(np.round(scores), votes)
    np.testing.assert_array_equal(model.predict(X), scores.argmax(axis=1))


def test_works_in_scikit_learns_grid_search():
    X, y = load("wine")
    search = GridSearchCV(SVC(), {"C": [0.1, 10.0], "gamma": [0.01, 1.0]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.95
    K = rbf_kernel(X, gamma=0.01)
    search = GridSearchCV(SVC(kernel="precomputed"), {"C": [0.1, 10.0]}, cv=3).fit(
        K, y
    )  # cuts rows and columns
    assert search.best_score_ > 0.95
    nested = SVC(kernel=Gaussian(1.0)).set_params(kernel__length_scale=3.0)
    assert nested.fit(X, y).kernel_.length_scale == 3.0


@pytest.mark.parametrize(
    "options", [{}, {"kernel": "linear"}, {"kernel": "poly"}, {"cache_size": 1e-3}], ids=str
)
@pytest.mark.parametrize("name", ["breast_cancer", "iris"])
def test_on_another_array_library(name, options, device):
    X, y = load(name)
    X, y = X[::3], y[::3]
    expected = SVC(**options).fit(X, y)
    moved = SVC(**options).fit(asarray(X, device), asarray(y, device))
    np.testing.assert_allclose(
        to_numpy(moved.decision_function(asarray(X, device))), expected.decision_function(X), atol=1e-8
    )
    np.testing.assert_array_equal(to_numpy(moved.predict(asarray(X, device))), expected.predict(X))
    assert moved.score(asarray(X, device), asarray(y, device)) == expected.score(X, y)


def test_precomputed_on_another_array_library(device):
    X, y = load("iris")
    K = Gaussian(2.0)(X)
    moved = SVC(kernel="precomputed").fit(asarray(K, device), asarray(y, device))
    expected = SVC(kernel="precomputed").fit(K, y).predict(K)
    np.testing.assert_array_equal(to_numpy(moved.predict(asarray(K, device))), expected)


def test_single_precision_stays():
    X, y = load("wine")
    model = SVC().fit(X.astype(np.float32), y)
    scores = model.decision_function(X.astype(np.float32))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, SVC().fit(X, y).decision_function(X), atol=1e-3)


def test_too_few_steps_are_reported(monkeypatch):
    X, y = load("breast_cancer")
    with pytest.warns(ConvergenceWarning, match="SVC did not converge in max_iter=20 .*duality gap is"):
        short = SVC(max_iter=20).fit(X, y)
    assert short.n_iter_.tolist() == [20]
    with pytest.warns(ConvergenceWarning):
        longer = SVC(max_iter=60).fit(X, y)
    assert longer.dual_gap_ < short.dual_gap_
    limited = functools.partial(smo, max_iter=30)
    monkeypatch.setattr(svc, "smo", lambda *problem: limited(*problem[:-1]))
    with pytest.warns(ConvergenceWarning, match="max_iter=30 "):
        SVC().fit(X, y)
    monkeypatch.undo()
    X, y = many()
    with pytest.warns(ConvergenceWarning):
        assert SVC(100.0, max_iter=7).fit(X, y).n_iter_.tolist() == [7]


X = np.random.default_rng(0).normal(size=(20, 3))
y = np.arange(20) % 2
K = X @ X.T


def changed(A, index, value):
    A = A.copy()
    A[index] = value
    return A


@pytest.mark.parametrize(
    ("options", "X", "y", "error", "message"),
    [
        ({}, changed(X, (7, 1), np.nan), y, ValueError, r"X contains 1 NaN, the first at index \(7, 1\)"),
        ({}, changed(X, (7, 1), np.inf), y, ValueError, "X contains 1 inf"),
        ({}, X[:0], y[:0], ValueError, r"X is empty: 0 sample\(s\)"),
        ({}, X, np.ones(20), ValueError, "y has one class only, .*1.0.*; a classifier needs at least two"),
        ({}, X, np.linspace(0, 1, 20), ValueError, "y is continuous"),
        ({}, X, y[1:], ValueError, "the number of samples differs: X has 20, y has 19"),
        ({"C": 0}, X, y, ValueError, r"C must lie in \(0, inf\); got 0"),
        ({"C": -1.0}, X, y, ValueError, "C must lie in"),
        ({"C": np.nan}, X, y, ValueError, "C must lie in"),
        ({"C": np.inf}, X, y, ValueError, "C must lie in"),
        ({"C": "1"}, X, y, TypeError, "C must be a number; got '1'"),
        ({"tol": 0}, X, y, ValueError, r"tol must lie in \(0, 2\)"),
        ({"tol": 2}, X, y, ValueError, r"tol must lie in \(0, 2\)"),
        ({"max_iter": 0}, X, y, ValueError, "max_iter must be at least 1; got 0"),
        ({"cache_size": 0}, X, y, ValueError, "cache_size"),
        ({"decision_function_shape": "ovx"}, X, y, ValueError, "decision_function_shape must be one of"),
        ({"kernel": "sigmoid"}, X, y, ValueError, "kernel must be a Kernel or one of"),
        ({"kernel": 3}, X, y, ValueError, "kernel must be a Kernel"),
        ({"gamma": "large"}, X, y, ValueError, "gamma must be a number or one of .*; got 'large'"),
        ({"gamma": 0}, X, y, ValueError, r"gamma must lie in \(0, inf\)"),
        ({"kernel": "poly", "degree": 0}, X, y, ValueError, "degree"),
        ({"kernel": lambda X, Y: K * np.inf}, X, y, ValueError, "kernel's matrix contains 400 inf"),
        (
            {"kernel": lambda X, Y: X},
            X,
            y,
            ValueError,
            r"kernel's matrix has shape \(20, 3\); wanted \(20, 20\)",
        ),
        ({"kernel": lambda X, Y: -X @ Y.T}, X, y, ValueError, "not positive semidefinite: .* eigenvalue -"),
        (
            {"kernel": lambda X, Y: -X @ Y.T, "cache_size": 1e-5},
            X,
            y,
            ValueError,
            "not positive semidefinite",
        ),
        ({"kernel": "precomputed"}, X, y, ValueError, r"shape \(20, 3\); wanted k\(x_i, x_j\), \(M, M\)"),
        ({"kernel": "precomputed"}, changed(K, (3, 5), 9.0), y, ValueError, r"not symmetric: K\[3, 5\] is 9"),
        (
            {"kernel": "precomputed"},
            K - 0.1 * np.eye(20),
            y,
            ValueError,
            "has an eigenvalue -0.1; inner products",
        ),
        ({"kernel": "precomputed"}, -K, y, ValueError, "not positive semidefinite"),
    ],
)
def test_fit_refuses_and_leaves_the_model_as_it_was(options, X, y, error, message):
    model = SVC(**options)
    before = vars(model).copy()
    with pytest.raises(error, match=message):
        model.fit(X, y)
    assert vars(model) == before


def test_a_gram_matrix_rounded_to_single_precision_is_still_one():
    X32 = X.astype(np.float32)
    K32 = X32 @ np.diag(np.float32([0.3, 1.7, 2.1])) @ X32.T
    assert (K32 != K32.T).any()
    assert SVC(kernel="precomputed").fit(K32, y).predict(K32).shape == (20,)
    assert SVC(kernel="precomputed").fit(np.zeros((20, 20)), y).predict(np.zeros((1, 20))).shape == (1,)


def test_prediction_is_checked():
    with pytest.raises(NotFittedError, match="this SVC is not fitted yet"):
        SVC().predict(X)
    with pytest.raises(NotFittedError):
        SVC(kernel="precomputed").decision_function(K)
    with pytest.raises(ValueError, match="X has 2 features, but SVC is expecting 3"):
        SVC().fit(X, y).predict(X[:, :2])
    with pytest.raises(ValueError, match="X contains 1 NaN"):
        SVC().fit(X, y).predict(changed(X, (0, 0), np.nan))
    model = SVC(kernel="precomputed").fit(K, y)
    with pytest.raises(ValueError, match=r"X has shape \(5, 3\); wanted the precomputed .* \(M, 20\)"):
        model.predict(X[:5])
    with pytest.raises(ValueError, match="X has shape"):
        model.predict(K[0])
