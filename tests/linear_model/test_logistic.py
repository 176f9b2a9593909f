import numpy as np
import pytest
import sklearn.linear_model as reference
import torch
from linear_model.data import load, relative_error

from tinynn.backend import asarray
from tinynn.estimator import ConvergenceWarning
from tinynn.linear_model import LogisticRegression
from tinynn.linear_model.logistic import Objective, newton


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_agrees_with_scikit_learn_on_real_data(name, fit_intercept):
    X, y = load(name)
    ours = LogisticRegression(0.5, fit_intercept=fit_intercept, tol=1e-9).fit(X, y)
    theirs = reference.LogisticRegression(
        C=0.5, fit_intercept=fit_intercept, tol=1e-9, max_iter=10_000, solver="newton-cg"
    ).fit(X, y)
    assert relative_error(ours.coef_, theirs.coef_) < 1e-5
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    assert ours.score(X, y) == theirs.score(X, y)
    assert ours.n_iter_[0] < 12


def test_without_penalty_agrees_with_scikit_learn():
    X, y = load("breast_cancer")
    X = X[:, :3]
    ours = LogisticRegression(penalty=None, tol=1e-10).fit(X, y)
    theirs = reference.LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky").fit(X, y)
    assert relative_error(ours.coef_, theirs.coef_) < 1e-6


@pytest.mark.parametrize("K", [2, 3])
def test_solvers_end_in_the_same_minimum(K):
    X, y = load("wine")
    X, y = X[y < K], y[y < K]
    newton = LogisticRegression(0.1, tol=1e-9).fit(X, y)
    descent = LogisticRegression(0.1, solver="gradient_descent", tol=1e-7, max_iter=10_000).fit(X, y)
    assert relative_error(descent.coef_, newton.coef_) < 1e-4
    np.testing.assert_allclose(descent.intercept_, newton.intercept_, atol=1e-5)


@pytest.mark.parametrize("K", [2, 4])
def test_loss_gradient_and_hessian_are_those_of_torch(K):
    rng = np.random.default_rng(K)
    X, index, decay = rng.normal(size=(20, 3)), rng.integers(0, K, 20), np.array([0.3, 0.2, 0.0])
    L = Objective(np, X, index, K, decay)
    theta = rng.normal(size=L.start.shape)

    def loss(flat):
        theta = flat.reshape(theta_shape).T
        Z, y = torch.as_tensor(X) @ theta, torch.as_tensor(index)
        if K == 2:
            entropy = torch.nn.functional.binary_cross_entropy_with_logits(Z[:, 0], y.double())
        else:
            entropy = torch.nn.functional.cross_entropy(Z, y)
        return entropy + (torch.as_tensor(decay)[:, None] * theta**2).sum() / 2

    theta_shape = theta.T.shape
    flat = torch.tensor(theta.T.ravel(), requires_grad=True)
    expected = loss(flat)
    expected.backward()
    value, gradient = L(theta)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(gradient.T.ravel(), flat.grad.numpy(), rtol=1e-10, atol=1e-12)
    H = torch.autograd.functional.hessian(loss, flat).numpy()
    added = 0 if K == 2 else np.kron(np.ones((K, K)), np.eye(3)) / K
    np.testing.assert_allclose(L.hessian(theta) - added, H, rtol=1e-9, atol=1e-12)


def test_newton_finds_the_minimum_from_where_its_full_step_would_overshoot():
    X, index = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([0, 1, 0, 1])
    L = Objective(np, X, index, 2, np.array([1e-3]))
    expected, _, _ = newton(L, 1e-10, 100)
    L.start = np.array([[8.0]])
    step = np.linalg.solve(L.hessian(L.start), L(L.start)[1])
    assert L(L.start - step)[0] > L(L.start)[0]
    theta, _, slope = newton(L, 1e-10, 100)
    assert slope <= 1e-10
    np.testing.assert_allclose(theta, expected, rtol=1e-8)


def test_step_of_gradient_descent_is_the_largest_safe_one():
    """At z = 0 the sigmoid is as steep as it gets, and the first step is that of Newton's method."""
    X, y = np.array([[1.0], [2.0], [3.0], [4.0]]), [0, 1, 0, 1]
    options = {"fit_intercept": False, "max_iter": 1, "tol": 1e-10}
    with pytest.warns(ConvergenceWarning):
        steps = [
            LogisticRegression(solver=s, **options).fit(X, y).coef_ for s in ("newton", "gradient_descent")
        ]
    np.testing.assert_allclose(steps[1], steps[0], rtol=1e-12)


def test_newton_step_along_the_flat_direction_is_zero():
    X, y = load("wine")
    model = LogisticRegression().fit(X, y)
    np.testing.assert_allclose(model.intercept_.sum(), 0, atol=1e-10)
    np.testing.assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-10)


def test_probabilities_of_far_points_and_their_logarithms():
    for y in ([0, 0, 1, 1], [0, 1, 1, 2]):
        model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], y)
        far = np.array([[-1e5], [1e5]])
        P, log_P = model.predict_proba(far), model.predict_log_proba(far)
        np.testing.assert_allclose(P.sum(axis=1), 1)
        assert np.isfinite(log_P).all()
        assert log_P.min() < -1e4
        near = np.array([[0.3], [1.6]])
        np.testing.assert_allclose(
            np.exp(model.predict_log_proba(near)), model.predict_proba(near), rtol=1e-12
        )


def test_labels_may_be_text_and_float32_is_kept():
    X, y = load("wine")
    names = np.array(["red", "white", "rosé"])[y]
    model = LogisticRegression().fit(X.astype(np.float32), names)
    assert model.classes_.tolist() == ["red", "rosé", "white"]
    assert model.score(X, names) == LogisticRegression().fit(X, y).score(X, y)
    assert model.predict_proba(X.astype(np.float32)).dtype == np.float32


SEPARABLE = [[-1.0], [-2.0], [1.0], [2.0]], [0, 0, 1, 1]


def test_separable_classes_without_penalty_reach_a_small_gradient_but_no_minimum():
    model = LogisticRegression(penalty=None).fit(*SEPARABLE)
    assert model.coef_[0, 0] > 5
    assert model.score([[-1.0], [1.0]], [0, 1]) == 1
    with pytest.raises(np.linalg.LinAlgError):
        LogisticRegression(penalty=None, tol=0).fit(*SEPARABLE)


def test_a_singular_system_is_noticed_on_another_array_library(device):
    with pytest.raises(np.linalg.LinAlgError):
        LogisticRegression(penalty=None, tol=0).fit(*(asarray(a, device) for a in SEPARABLE))


def test_gradient_descent_without_any_curvature_stays():
    model = LogisticRegression(penalty=None, fit_intercept=False, solver="gradient_descent")
    assert model.fit(np.zeros((4, 1)), [0, 1, 0, 1]).coef_.tolist() == [[0.0]]


def test_dependent_columns_without_penalty_are_refused():
    X, y = load("breast_cancer")
    twice = np.column_stack([X[:, :2], X[:, 0]])
    for bad in (twice, np.insert(X[:, :2], 1, 0.5, axis=1)):
        with pytest.raises(ValueError, match="depend on each other: without penalty no w is best"):
            LogisticRegression(penalty=None).fit(bad, y)
    both = LogisticRegression(tol=1e-10).fit(twice, y).coef_[0]
    np.testing.assert_allclose(both[0], both[2], rtol=1e-9)


def test_too_few_steps_are_reported():
    X, y = load("wine")
    with pytest.warns(
        ConvergenceWarning, match=r"did not converge in max_iter=3 .*gradient is .*solver newton"
    ):
        LogisticRegression(solver="gradient_descent", max_iter=3).fit(X, y)
    with pytest.warns(
        ConvergenceWarning, match=r"did not converge in max_iter=1 .*Raise max_iter, or scale f"
    ):
        LogisticRegression(max_iter=1).fit(X, y)


@pytest.mark.parametrize(
    "params", [{"penalty": "l1"}, {"solver": "lbfgs"}, {"C": 0}, {"C": np.inf}, {"tol": -1}, {"max_iter": 0}]
)
def test_parameters_are_checked_by_fit(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        LogisticRegression(**params).fit([[0.0], [1.0]], [0, 1])
