import numpy as np
import pytest
import sklearn.svm as reference
import torch
from linear_model.data import load, relative_error

from tinynn.estimator import ConvergenceWarning
from tinynn.linear_model import LinearSVC
from tinynn.nn.losses import Hinge


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits"])
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_agrees_with_scikit_learn_on_real_data(name, loss, fit_intercept):
    X, y = load(name)
    options = {"C": 0.01 if name == "digits" else 0.3, "loss": loss, "fit_intercept": fit_intercept}
    ours = LinearSVC(**options, tol=1e-8, max_iter=5000, random_state=0).fit(X, y)
    theirs = reference.LinearSVC(**options, tol=1e-9, max_iter=1_000_000, random_state=0).fit(X, y)
    assert relative_error(ours.coef_, theirs.coef_) < 1e-4
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-3, atol=1e-4)
    assert abs(ours.score(X, y) - theirs.score(X, y)) < 0.005


def primal(w, X, y, C, p):
    return w @ w / 2 + C * (torch.clamp(1 - y * (X @ w), min=0) ** p).sum()


def binary():
    X, y = load("breast_cancer")
    return torch.as_tensor(np.column_stack([X, np.ones(len(X))])), torch.as_tensor(2.0 * y - 1)


def test_gradient_of_the_squared_hinge_vanishes_at_the_solution():
    X, y = binary()
    model = LinearSVC(0.1, tol=1e-12).fit(X[:, :-1].numpy(), y.numpy())
    w = torch.tensor(np.append(model.coef_, model.intercept_), requires_grad=True)
    primal(w, X, y, 0.1, 2).backward()
    assert w.grad.abs().max() < 1e-4 * w.detach().abs().max()


def test_gradient_of_the_hinge_is_that_of_torch():
    X, y = binary()
    w = torch.linspace(-1, 1, X.shape[1], dtype=torch.float64, requires_grad=True)
    primal(w, X, y, 2.0, 1).backward()
    hinge, weights = Hinge(), w.detach().numpy()
    hinge.forward((X.numpy() @ weights)[:, None], y.numpy())
    ours = weights + 2.0 * len(y) * X.numpy().T @ hinge.backward()[:, 0]
    np.testing.assert_allclose(ours, w.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_dual_gap_bounds_the_distance_to_the_minimum(loss):
    X, y = binary()
    p = 1 if loss == "hinge" else 2

    def value(model):
        w = torch.as_tensor(np.append(model.coef_, model.intercept_))
        return primal(w, X, y, 1.0, p).item()

    exact = LinearSVC(loss=loss, tol=1e-9, max_iter=10_000, random_state=0).fit(X[:, :-1].numpy(), y.numpy())
    rough = LinearSVC(loss=loss, tol=1e-1, random_state=0).fit(X[:, :-1].numpy(), y.numpy())
    assert 0 <= value(rough) - value(exact) <= rough.dual_gap_
    assert exact.dual_gap_ < 1e-8 * value(exact)


def test_hard_margin_by_hand():
    # The widest margin between -2 and 2 is 2 / |w| = 4.
    model = LinearSVC(1e6, loss="hinge", fit_intercept=False, tol=1e-10).fit([[-2.0], [2.0]], ["a", "b"])
    np.testing.assert_allclose(model.coef_, [[0.5]])
    assert model.predict([[-0.1], [0.1]]).tolist() == ["a", "b"]


def test_a_sample_without_features_and_same_seed_same_bits():
    X, y = load("wine")
    X = np.vstack([X, np.zeros((1, X.shape[1]))])
    y = np.append(y, 0)
    fits = [LinearSVC(0.1, loss="hinge", fit_intercept=False, random_state=3).fit(X, y) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)


def test_too_few_sweeps_are_reported():
    X, y = load("breast_cancer")
    with pytest.warns(ConvergenceWarning, match="LinearSVC did not converge in max_iter=2 .*duality gap"):
        model = LinearSVC(max_iter=2, tol=1e-12, random_state=0).fit(X, y)
    assert model.n_iter_ == 2
    with pytest.warns(ConvergenceWarning):
        longer = LinearSVC(max_iter=9, tol=1e-12, random_state=0).fit(X, y)
    assert longer.dual_gap_ < model.dual_gap_


@pytest.mark.parametrize("params", [{"loss": "log"}, {"C": 0}, {"C": -1}, {"tol": -1}, {"max_iter": 0}])
def test_parameters_are_checked_by_fit(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        LinearSVC(**params).fit([[0.0], [1.0]], [0, 1])
