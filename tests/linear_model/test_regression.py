import numpy as np
import pytest
import sklearn.linear_model as reference
from hypothesis import given
from hypothesis import strategies as st
from linear_model.data import load, relative_error

from tinynn.linalg import METHODS, NotPositiveDefiniteError
from tinynn.linear_model import LinearRegression, Ridge


def problem(M=30, n=4, outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(M, n)) * 10.0 ** np.arange(n) + 3
    W = rng.normal(size=(n,) if outputs is None else (n, outputs))
    return X, X @ W + 5 + rng.normal(size=(M, *W.shape[1:]))


@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "wine", "digits"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_agrees_with_scikit_learn_on_real_data(name, fit_intercept):
    X, y = load(name)
    for ours, theirs in [
        (
            LinearRegression(fit_intercept=fit_intercept),
            reference.LinearRegression(fit_intercept=fit_intercept),
        ),
        (Ridge(0.3, fit_intercept=fit_intercept), reference.Ridge(0.3, fit_intercept=fit_intercept)),
    ]:
        ours.fit(X, y), theirs.fit(X, y)
        assert relative_error(ours.coef_, theirs.coef_) < 1e-8
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(ours.score(X, y), theirs.score(X, y), rtol=1e-9)


def test_several_outputs():
    X, Y = problem(outputs=3)
    for model, theirs in [
        (LinearRegression(), reference.LinearRegression()),
        (Ridge(2.0), reference.Ridge(2.0)),
    ]:
        model.fit(X, Y), theirs.fit(X, Y)
        assert model.coef_.shape == (3, 4)
        assert model.intercept_.shape == (3,)
        assert relative_error(model.coef_, theirs.coef_) < 1e-8
        np.testing.assert_allclose(model.predict(X), theirs.predict(X), rtol=1e-7, atol=1e-8)
        single = type(model)(**model.get_params()).fit(X, Y[:, 1])
        np.testing.assert_allclose(single.coef_, model.coef_[1], rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_same_model(method):
    X, y = load("diabetes")
    X = X[:, :4] / X[:, :4].std(axis=0)
    for model, expected in [
        (LinearRegression(method=method), LinearRegression().fit(X, y)),
        (Ridge(3.0, method=method), Ridge(3.0).fit(X, y)),
    ]:
        model.fit(X, y)
        assert relative_error(model.coef_, expected.coef_) < (1e-4 if model.n_iter_ else 1e-8)
        assert model.intercept_ == pytest.approx(expected.intercept_, rel=1e-6)


def test_a_method_that_cannot_says_so():
    X, y = problem(n=2)
    with pytest.raises(NotPositiveDefiniteError, match=r"method 'cholesky' failed.* what would work"):
        LinearRegression(method="cholesky").fit(X[:, [0, 1, 1]], y)


@given(shift=st.floats(-1e3, 1e3), alpha=st.floats(1e-3, 1e3))
def test_ridge_does_not_penalise_the_intercept(shift, alpha):
    X, y = problem()
    model, shifted = Ridge(alpha).fit(X, y), Ridge(alpha).fit(X, y + shift)
    np.testing.assert_allclose(shifted.coef_, model.coef_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(shifted.intercept_ - model.intercept_, shift, atol=1e-8)


def test_alpha_is_the_lambda_of_the_slides_times_the_number_of_samples():
    X, y = problem()
    M, n = X.shape
    slope = 0.07
    w = np.linalg.solve(X.T @ X + slope * M * np.eye(n), X.T @ y)
    np.testing.assert_allclose(Ridge(slope * M, fit_intercept=False).fit(X, y).coef_, w, rtol=1e-9)


def test_ridge_is_least_squares_with_additional_rows():
    X, y = problem()
    Xc, yc = X - X.mean(axis=0), y - y.mean()
    rows, targets = np.vstack([Xc, np.sqrt(0.5) * np.eye(4)]), np.append(yc, np.zeros(4))
    augmented = LinearRegression(fit_intercept=False).fit(rows, targets)
    np.testing.assert_allclose(Ridge(0.5).fit(X, y).coef_, augmented.coef_, rtol=1e-9)


def test_constant_columns_get_no_weight():
    X, y = problem()
    with_constant = np.insert(X, 2, 0.1, axis=1)
    for model in (LinearRegression(), Ridge(1.0)):
        plain = model.fit(X, y).coef_
        model.fit(with_constant, y)
        assert abs(model.coef_[2]) < 1e-15
        np.testing.assert_allclose(np.delete(model.coef_, 2), plain, rtol=1e-8)


def test_duplicated_columns_share_their_weight():
    X, y = problem(n=3)
    whole = LinearRegression().fit(X, y)
    twice = LinearRegression().fit(X[:, [0, 1, 2, 1]], y)
    assert twice.rank_ == 3
    half = whole.coef_[1] / 2
    np.testing.assert_allclose(twice.coef_, [whole.coef_[0], half, whole.coef_[2], half], rtol=1e-7)


def test_more_features_than_samples_gives_the_least_norm():
    X, y = np.random.default_rng(0).normal(size=(5, 9)), np.arange(5.0)
    model = LinearRegression(fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(model.coef_, np.linalg.pinv(X) @ y, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-10)


def test_one_sample_and_one_feature():
    model = LinearRegression().fit([[3.0]], [7.0])
    assert model.coef_.tolist() == [0.0]
    assert model.predict([[100.0]]).tolist() == [7.0]
    np.testing.assert_allclose(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]).coef_, [2.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prediction_keeps_the_dtype(dtype):
    X, y = problem()
    model = Ridge().fit(X.astype(dtype), y)
    assert model.predict(X.astype(dtype)).dtype == dtype
    assert model.coef_.dtype == np.float64
