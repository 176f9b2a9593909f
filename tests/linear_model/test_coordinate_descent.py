import numpy as np
import pytest
import sklearn.linear_model as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_model.data import load, relative_error

from tinynn.estimator import ConvergenceWarning
from tinynn.linear_model import ElasticNet, Lasso, Ridge
from tinynn.linear_model.coordinate_descent import duality_gap


def objective(model, X, y, l1_ratio):
    w, M = model.coef_, len(X)
    penalty = l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * w @ w
    return ((X @ w + model.intercept_ - y) ** 2).sum() / (2 * M) + model.alpha * penalty


@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "wine", "digits"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_agrees_with_scikit_learn_on_real_data(name, fit_intercept):
    X, y = load(name)
    alpha = 0.1 * np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / len(y)  # a tenth of all-zero's
    options = {"fit_intercept": fit_intercept, "tol": 1e-10, "max_iter": 100_000}
    for ours, theirs in [
        (Lasso(alpha, **options), reference.Lasso(alpha, **options)),
        (ElasticNet(alpha, l1_ratio=0.3, **options), reference.ElasticNet(alpha, l1_ratio=0.3, **options)),
    ]:
        ours.fit(X, y), theirs.fit(X, y)
        assert relative_error(ours.coef_, theirs.coef_) < 1e-4
        np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.score(X, y), theirs.score(X, y), rtol=1e-6)


def test_subgradient_of_torch_vanishes_at_the_minimum():
    torch = pytest.importorskip("torch")
    X, y = load("diabetes")
    alpha, l1_ratio = 0.2, 0.8
    model = ElasticNet(alpha, l1_ratio=l1_ratio, tol=1e-14, max_iter=10_000).fit(X, y)
    w = torch.tensor(model.coef_, requires_grad=True)
    residual = torch.tensor(X) @ w + model.intercept_ - torch.tensor(y)
    smooth = (residual**2).mean() / 2 + alpha * (1 - l1_ratio) / 2 * (w**2).sum()
    smooth.backward()
    used = model.coef_ != 0
    assert 0 < used.sum() < len(used)
    slope, l1 = w.grad.numpy(), alpha * l1_ratio
    np.testing.assert_allclose(slope[used], -l1 * np.sign(model.coef_[used]), rtol=1e-6)
    assert (np.abs(slope[~used]) <= l1).all()


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0.01, 1), st.floats(0.1, 1), st.integers(1, 6))
def test_dual_gap_bounds_the_distance_to_the_minimum(seed, alpha, l1_ratio, sweeps):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(12, 8)), rng.normal(size=12)
    exact = ElasticNet(alpha, l1_ratio=l1_ratio, tol=1e-13, max_iter=10_000).fit(X, y)
    rough = ElasticNet(alpha, l1_ratio=l1_ratio, tol=1e-1, max_iter=1000).fit(X, y)
    excess = objective(rough, X, y, l1_ratio) - objective(exact, X, y, l1_ratio)
    assert -1e-12 <= excess <= rough.dual_gap_ + 1e-12
    assert exact.dual_gap_ <= 1e-13 * ((y - y.mean()) ** 2).sum()


def test_dual_gap_is_that_of_scikit_learn():
    X, y = load("diabetes")
    fits = [kind(0.1, tol=1e-2).fit(X, y) for kind in (Lasso, reference.Lasso)]  # far from converged
    X, y = X - X.mean(axis=0), y - y.mean()
    for model in fits:
        w = model.coef_
        gap = duality_gap(np, w, X.T @ y, X.T @ (y - X @ w), y @ y, 0.1 * len(y))
        np.testing.assert_allclose(gap / len(y), model.dual_gap_, rtol=1e-6)


def test_all_weights_are_zero_from_the_documented_alpha_on():
    X, y = load("diabetes")
    largest = np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / len(y)
    assert not Lasso(1.0001 * largest).fit(X, y).coef_.any()
    assert np.count_nonzero(Lasso(0.9999 * largest, tol=1e-12).fit(X, y).coef_) == 1


def test_elastic_net_tends_to_ridge():
    X, y = load("diabetes")
    net = ElasticNet(0.01, l1_ratio=1e-9, tol=1e-9, max_iter=10_000).fit(X, y)
    assert relative_error(net.coef_, Ridge(0.01 * len(y)).fit(X, y).coef_) < 1e-5


def test_constant_columns_get_no_weight_and_duplicates_are_no_problem():
    X, y = load("wine")
    plain = ElasticNet(0.05, tol=1e-12).fit(X, y)
    constant = ElasticNet(0.05, tol=1e-12).fit(np.insert(X, 3, 0.1, axis=1), y)
    assert constant.coef_[3] == 0
    np.testing.assert_allclose(np.delete(constant.coef_, 3), plain.coef_, atol=1e-9)
    twice = ElasticNet(0.05, tol=1e-14).fit(np.column_stack([X, X[:, 0]]), y)
    np.testing.assert_allclose(twice.coef_[0], twice.coef_[-1], atol=1e-5)  # |w|^2 shares equally


def test_too_few_sweeps_are_reported():
    X, y = load("wine")
    with pytest.warns(ConvergenceWarning, match=r"Lasso did not converge in max_iter=1 .*duality gap is"):
        model = Lasso(0.001, max_iter=1, tol=1e-10).fit(X, y)
    assert model.n_iter_ == 1


def test_perfectly_constant_target():
    model = Lasso().fit([[0.0], [1.0], [2.0]], [4.0, 4.0, 4.0])
    assert (model.coef_[0], model.intercept_, model.dual_gap_, model.n_iter_) == (0, 4, 0, 1)
