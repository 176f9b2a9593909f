"""GaussianProcessRegressor: scikit-learn's numbers, the theory it stands for, and what it refuses."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import sklearn.gaussian_process as reference
import sklearn.gaussian_process.kernels as rk

from tinynn.backend import asarray, to_numpy
from tinynn.estimator import ConvergenceWarning
from tinynn.kernels import (
    Constant,
    Gaussian,
    GaussianProcessRegressor,
    KernelRidge,
    Linear,
    Matern32,
    Matern52,
    White,
)
from tinynn.linalg import NotPositiveDefiniteError

rng = np.random.default_rng(0)
X, X_test = rng.uniform(-3, 3, (40, 2)), rng.uniform(-4, 4, (11, 2))
y = 3 + np.sin(X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=40)
Y = np.column_stack([y, X[:, 0] ** 2])

PAIRS = [
    (Gaussian(1.3), rk.RBF(1.3)),
    (Matern32(2.0), rk.Matern(2.0, nu=1.5)),
    (2.0 * Matern52(2.0) + White(0.1), 2.0 * rk.Matern(2.0, nu=2.5) + rk.WhiteKernel(0.1)),
    (
        Constant(2.0, "fixed") * Gaussian(1.5) * Matern52() + White(0.1) + 3,
        rk.ConstantKernel(2.0, "fixed") * rk.RBF(1.5) * rk.Matern(nu=2.5) + rk.WhiteKernel(0.1) + 3,
    ),
]


def both(ours, theirs, target=y, **parameters):
    return (
        GaussianProcessRegressor(ours, **parameters).fit(X, target),
        reference.GaussianProcessRegressor(theirs, **parameters).fit(X, target),
    )


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=repr)
@pytest.mark.parametrize("target", [y, Y], ids=["one output", "two outputs"])
@pytest.mark.parametrize("normalize_y", [False, True])
def test_agrees_with_scikit_learn_for_given_hyperparameters(ours, theirs, target, normalize_y):
    a, b = both(ours, theirs, target, optimizer=None, alpha=1e-3, normalize_y=normalize_y)
    np.testing.assert_allclose(a.L_, b.L_, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(a.L_, np.tril(a.L_))
    for flags in ({"return_std": True}, {"return_cov": True}):
        for x, z in zip(a.predict(X_test, **flags), b.predict(X_test, **flags), strict=True):
            assert x.shape == z.shape
            np.testing.assert_allclose(x, z, rtol=0, atol=1e-8)
    np.testing.assert_allclose(a.predict(X_test), b.predict(X_test), rtol=0, atol=1e-8)
    assert a.log_marginal_likelihood_value_ == pytest.approx(b.log_marginal_likelihood_value_, abs=1e-8)
    assert a.log_marginal_likelihood() == pytest.approx(b.log_marginal_likelihood(), abs=1e-8)
    for theta in (a.kernel_.theta, a.kernel_.theta + 0.3):
        value, gradient = a.log_marginal_likelihood(theta, eval_gradient=True)
        expected_value, expected_gradient = b.log_marginal_likelihood(theta, eval_gradient=True)
        assert value == pytest.approx(expected_value, abs=1e-8)
        assert value == a.log_marginal_likelihood(theta)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-8)


def test_gradient_agrees_with_finite_differences():
    model = GaussianProcessRegressor(PAIRS[3][0], optimizer=None).fit(X, Y)
    theta = model.kernel_.theta
    _, gradient = model.log_marginal_likelihood(theta, eval_gradient=True)
    expected = scipy.optimize.approx_fprime(theta, model.log_marginal_likelihood, 1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS[1:3], ids=repr)
def test_finds_the_hyperparameters_of_scikit_learn(ours, theirs):
    a, b = both(ours, theirs, alpha=1e-4, normalize_y=True)
    np.testing.assert_allclose(a.kernel_.theta, b.kernel_.theta, atol=1e-4)
    assert a.log_marginal_likelihood_value_ == pytest.approx(b.log_marginal_likelihood_value_, abs=1e-7)
    assert a.log_marginal_likelihood_value_ > a.log_marginal_likelihood(ours.theta)
    np.testing.assert_allclose(ours.theta, theirs.theta)  # the kernel that was passed stays as it is


def test_log_marginal_likelihood_is_the_density_of_a_normal_distribution():
    kernel = 2.0 * Gaussian(1.3)
    model = GaussianProcessRegressor(kernel, alpha=0.3, optimizer=None).fit(X, y)
    K = kernel(X) + 0.3 * np.eye(40)
    assert model.log_marginal_likelihood() == pytest.approx(
        scipy.stats.multivariate_normal(np.zeros(40), K).logpdf(y), abs=1e-9
    )


def test_mean_is_kernel_ridge_regression():
    kernel = Matern52(1.5)
    process = GaussianProcessRegressor(kernel, alpha=0.2, optimizer=None).fit(X, Y)
    ridge = KernelRidge(0.2, kernel=kernel).fit(X, Y)
    np.testing.assert_allclose(process.alpha_, ridge.dual_coef_, atol=1e-12)
    np.testing.assert_allclose(process.predict(X_test), ridge.predict(X_test), atol=1e-12)


def test_uncertainty_is_small_at_the_data_and_that_of_the_prior_far_away():
    model = GaussianProcessRegressor(4.0 * Gaussian(1.0), alpha=1e-8, optimizer=None).fit(X, y)
    assert model.predict(X, return_std=True)[1].max() < 1e-3
    mean, std = model.predict([[100.0, 100.0]], return_std=True)
    np.testing.assert_allclose((mean, std), [[0], [2]], atol=1e-12)


def test_each_sample_can_have_its_own_noise():
    alpha = np.where(X[:, 0] > 0, 1e-6, 10.0)
    a, b = both(Gaussian(), rk.RBF(), alpha=alpha, optimizer=None)
    np.testing.assert_allclose(a.predict(X_test), b.predict(X_test), atol=1e-8)


def test_restarts_find_the_better_of_two_maxima():
    kernel = Gaussian(1e4, (1e-2, 1e5)) + White(1.0)
    stuck = GaussianProcessRegressor(kernel, normalize_y=True).fit(X, y)
    model = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=8, random_state=0).fit(
        X, y
    )
    assert model.log_marginal_likelihood_value_ > stuck.log_marginal_likelihood_value_ + 5
    again = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=8, random_state=0).fit(
        X, y
    )
    assert (again.kernel_.theta == model.kernel_.theta).all()


def test_optimizer_can_be_a_function():
    def scan(objective, theta, bounds):
        assert bounds.shape == (1, 2)
        tried = np.log(np.linspace(0.5, 3, 20))[:, None]
        best = min(tried, key=lambda theta: objective(theta)[0])
        return best, objective(best)[0]

    scanned = GaussianProcessRegressor(Gaussian(), alpha=0.01, optimizer=scan).fit(X, y)
    found = GaussianProcessRegressor(Gaussian(), alpha=0.01).fit(X, y)
    assert scanned.kernel_.length_scale == pytest.approx(found.kernel_.length_scale, abs=0.1)


def test_warns_if_the_optimizer_gives_up(monkeypatch):
    minimize = scipy.optimize.minimize

    def impatient(*args, **kwargs):
        return minimize(*args, **kwargs, options={"maxiter": 1})

    monkeypatch.setattr(scipy.optimize, "minimize", impatient)
    with pytest.warns(ConvergenceWarning, match="L-BFGS did not converge"):
        GaussianProcessRegressor(Gaussian(20.0) + White(), normalize_y=True).fit(X, y)


def test_a_constant_target_stays_near_zero_when_scaled():
    """The mean of 37 times 0.7 is not 0.7: the spread is rounding and no scale."""
    model = GaussianProcessRegressor(alpha=0.1, normalize_y=True).fit(X[:37], np.full(37, 0.7))
    np.testing.assert_allclose(model.y_train_, 0, atol=1e-12)
    mean, std = model.predict(X_test, return_std=True)
    np.testing.assert_allclose(mean, 0.7)
    assert std.max() > 0.1


def test_a_fitted_model_does_not_ask_for_the_kernel_again():
    model = GaussianProcessRegressor(Gaussian(), alpha=0.1).fit(X, y)
    before = model.predict(X_test)
    model.set_params(kernel=Gaussian(-1.0))
    np.testing.assert_array_equal(model.predict(X_test), before)


def test_prior_before_fit():
    model = GaussianProcessRegressor(4.0 * Gaussian())
    mean, std = model.predict(X_test, return_std=True)
    assert (mean == 0).all()
    np.testing.assert_allclose(std, 2)
    mean, covariance = model.predict(X_test, return_cov=True)
    np.testing.assert_array_equal(covariance, (4.0 * Gaussian())(X_test))


def test_samples_have_the_mean_and_covariance_of_the_process():
    model = GaussianProcessRegressor(4.0 * Gaussian(), alpha=0.1, optimizer=None, normalize_y=True).fit(X, Y)
    samples = model.sample_y(X_test, 20000, random_state=1)
    assert samples.shape == (11, 2, 20000)
    mean, covariance = model.predict(X_test, return_cov=True)
    np.testing.assert_allclose(samples.mean(axis=2), mean, atol=0.06)
    for output in range(2):
        expected = covariance[:, :, output]
        np.testing.assert_allclose(np.cov(samples[:, output]), expected, atol=0.05 * expected.max())
    assert (model.sample_y(X_test, 3) == model.sample_y(X_test, 3)).all()
    prior = GaussianProcessRegressor(Gaussian()).sample_y(X_test, 20000)
    np.testing.assert_allclose(np.cov(prior), Gaussian()(X_test), atol=0.05)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prediction_keeps_the_dtype(dtype):
    model = GaussianProcessRegressor(alpha=0.1).fit(X.astype(dtype), y)
    results = (
        *model.predict(X_test.astype(dtype), True),
        *model.predict(X_test.astype(dtype), return_cov=True),
    )
    assert {result.dtype for result in results} == {np.dtype(dtype)}
    assert model.sample_y(X_test.astype(dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("model", "X", "y", "error", "message"),
    [
        (GaussianProcessRegressor(alpha=-1), X, y, ValueError, "alpha must be >= 0; got -1"),
        (GaussianProcessRegressor(alpha=np.nan), X, y, ValueError, "alpha contains 1 NaN"),
        (GaussianProcessRegressor(alpha=np.ones(3)), X, y, ValueError, r"alpha has shape \(3,\); wanted"),
        (GaussianProcessRegressor(optimizer="adam"), X, y, ValueError, 'optimizer must be "fmin_l_bfgs_b"'),
        (GaussianProcessRegressor(n_restarts_optimizer=-1), X, y, ValueError, "n_restarts_optimizer must be"),
        (GaussianProcessRegressor(3), X, y, ValueError, "kernel must be a Kernel"),
        (GaussianProcessRegressor(Gaussian(-1.0)), X, y, ValueError, "length_scale must lie in"),
        (GaussianProcessRegressor(Gaussian(1.0, (0, 1))), X, y, ValueError, "length_scale_bounds must be"),
        (GaussianProcessRegressor(), np.where(X > 2, np.nan, X), y, ValueError, "X contains .* NaN"),
        (GaussianProcessRegressor(), X, np.where(y > 4, np.nan, y), ValueError, "y contains .* NaN"),
        (GaussianProcessRegressor(), X[:0], y[:0], ValueError, "X is empty"),
        (GaussianProcessRegressor(), X, y[:-1], ValueError, "number of samples differs"),
        (
            GaussianProcessRegressor(alpha=1e-20),
            X[[0, 1, 0]],
            y[:3],
            NotPositiveDefiniteError,
            "alpha=1e-20, is not positive definite: samples coincide.*Raise alpha.*a jitter of 1e-8",
        ),
        (GaussianProcessRegressor(Linear(), alpha=0), X, y, NotPositiveDefiniteError, "Raise alpha"),
    ],
)
def test_fit_refuses_and_leaves_the_model_as_it_was(model, X, y, error, message):
    before = vars(model).copy()
    with pytest.raises(error, match=message):
        model.fit(X, y)
    assert vars(model) == before


def test_bad_input_of_the_other_methods():
    model = GaussianProcessRegressor(Gaussian()).fit(X, y)
    with pytest.raises(ValueError, match="X has 1 features, but GaussianProcessRegressor is expecting 2"):
        model.predict(X[:, :1])
    with pytest.raises(ValueError, match="return_std and return_cov exclude each other"):
        model.predict(X, return_std=True, return_cov=True)
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        model.sample_y(X, 0)
    with pytest.raises(ValueError, match=r"theta has shape \(2,\); wanted \(1,\)"):
        model.log_marginal_likelihood([0.0, 0.0])
    with pytest.raises(ValueError, match="not fitted"):
        GaussianProcessRegressor().log_marginal_likelihood([0.0])


def test_where_the_covariance_is_singular_the_data_are_infinitely_unlikely():
    model = GaussianProcessRegressor(Gaussian(), alpha=1e-20, optimizer=None).fit(X[:10], y[:10])
    value, gradient = model.log_marginal_likelihood([20.0], eval_gradient=True)
    assert value == model.log_marginal_likelihood([20.0]) == -math.inf
    assert gradient.tolist() == [0.0]


def test_on_another_array_library(device):
    kernel = 2.0 * Matern52(2.0) + White(0.1)
    parameters = {"normalize_y": True, "alpha": 1e-3}
    expected = GaussianProcessRegressor(kernel, **parameters).fit(X, Y)
    model = GaussianProcessRegressor(kernel, **parameters).fit(asarray(X, device), asarray(Y, device))
    np.testing.assert_allclose(model.kernel_.theta, expected.kernel_.theta, atol=1e-5)
    x = asarray(X_test, device)
    results = [*model.predict(x, return_std=True), *model.predict(x, return_cov=True), model.sample_y(x, 2)]
    wanted = [*expected.predict(X_test, True), *expected.predict(X_test, return_cov=True)]
    for ours, theirs in zip(results, wanted, strict=False):
        np.testing.assert_allclose(to_numpy(ours), theirs, atol=1e-5)
    assert results[-1].shape == (11, 2, 2)
    np.testing.assert_allclose(to_numpy(model.predict(x)), expected.predict(X_test), atol=1e-5)
    prior, expected = GaussianProcessRegressor(kernel), GaussianProcessRegressor(kernel)
    results = [*prior.predict(x, return_std=True), *prior.predict(x, return_cov=True)]
    wanted = [*expected.predict(X_test, True), *expected.predict(X_test, return_cov=True)]
    for ours, theirs in zip(results, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(ours), theirs, atol=1e-12)
