import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from tinynn.backend import asarray, to_numpy
from tinynn.linalg import NotPositiveDefiniteError
from tinynn.linear_model import LinearRegression, Ridge
from tinynn.probability import MultivariateNormal


def normal(k=4, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(k, k)) * 10.0 ** rng.integers(-2, 3, k)[:, None]
    return MultivariateNormal(rng.normal(size=k), A @ A.T + 1e-3 * np.diag(np.diag(A @ A.T)))


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_density_agrees_with_scipy(k, seed):
    p = normal(k, seed)
    x = p.sample(5, rng=seed)
    factor = scipy.stats.Covariance.from_cholesky(np.linalg.cholesky(p.covariance))
    reference = scipy.stats.multivariate_normal(p.mean, factor)
    np.testing.assert_allclose(p.logpdf(x), reference.logpdf(x), rtol=1e-8)
    np.testing.assert_allclose(p.pdf(x), reference.pdf(x), rtol=1e-6)
    assert p.logpdf(x[0]) == pytest.approx(p.logpdf(x)[0], rel=1e-12)
    assert isinstance(p.pdf(x[0]), float)


def test_one_component_is_the_normal_distribution():
    p = MultivariateNormal([2.0], [[9.0]])
    assert p.pdf([2.0]) == pytest.approx(1 / (3 * np.sqrt(2 * np.pi)))
    assert p.pdf([5.0]) / p.pdf([2.0]) == pytest.approx(np.exp(-0.5))


def test_far_out_the_density_is_zero_and_its_logarithm_is_not():
    p = MultivariateNormal([0.0, 0.0], np.eye(2))
    assert p.pdf([100.0, 0.0]) == 0
    assert p.logpdf([100.0, 0.0]) == pytest.approx(-5000 - np.log(2 * np.pi))


def test_samples_have_mean_and_covariance_and_follow_the_seed():
    p, M = normal(3), 200_000
    x = p.sample(M, rng=1)
    scale = np.sqrt(np.diag(p.covariance))
    # 5 standard errors: sigma / sqrt(M) of a mean, at most sqrt(2 / M) sigma_i sigma_j of a covariance
    assert (np.abs(x.mean(axis=0) - p.mean) < 5 * scale / np.sqrt(M)).all()
    assert (np.abs(np.cov(x.T) - p.covariance) < 5 * np.sqrt(2 / M) * np.outer(scale, scale)).all()
    np.testing.assert_array_equal(x, p.sample(M, rng=1))
    assert not np.array_equal(x, p.sample(M, rng=2))


@settings(max_examples=30)
@given(st.integers(0, 1000), st.permutations(range(4)), st.integers(1, 3))
def test_joint_density_is_marginal_times_conditional(seed, order, known):
    p = normal(4, seed)
    b, a = list(order[:known]), sorted(order[known:])
    x = p.sample(1, rng=seed)[0]
    product = p.marginal(b).logpdf(x[b]) + p.conditional(b, x[b]).logpdf(x[a])
    assert product == pytest.approx(p.logpdf(x), rel=1e-7, abs=1e-7)


def test_two_components_by_hand():
    p = MultivariateNormal([1.0, 2.0], [[4.0, 1.2], [1.2, 1.0]])
    q = p.conditional([1], [3.0])
    np.testing.assert_allclose(q.mean, [1 + 1.2 * 1.0])  # mu_a + cov / var (3 - 2)
    np.testing.assert_allclose(q.covariance, [[4 - 1.2**2]])
    np.testing.assert_array_equal(p.marginal([1, 0]).covariance, [[1.0, 1.2], [1.2, 4.0]])


@pytest.mark.parametrize(
    ("mean", "covariance", "error", "message"),
    [
        ([0.0, 0.0], [[1.0, 0.5], [0.4, 1.0]], ValueError, "covariance is not symmetric"),
        ([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]], NotPositiveDefiniteError, "not positive definite"),
        ([0.0, 0.0], np.zeros((2, 2)), NotPositiveDefiniteError, "not positive definite"),
        ([0.0, 0.0], np.eye(3), ValueError, r"covariance has shape \(3, 3\); wanted \(2, 2\)"),
        ([[0.0]], [[1.0]], ValueError, "mean has 2 dimensions"),
        ([np.nan], [[1.0]], ValueError, "mean contains 1 NaN"),
    ],
)
def test_what_is_no_distribution(mean, covariance, error, message):
    with pytest.raises(error, match=message):
        MultivariateNormal(mean, covariance)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: p.logpdf([1.0]), ValueError, r"x has shape \(1,\); wanted \(4,\) or \(M, 4\)"),
        (lambda p: p.logpdf([np.inf] * 4), ValueError, "x contains 4 inf"),
        (lambda p: p.sample(0), ValueError, "size must be at least 1"),
        (lambda p: p.marginal([]), ValueError, "different integers from 0 to 3"),
        (lambda p: p.marginal([0, 4]), ValueError, "different integers from 0 to 3"),
        (lambda p: p.marginal([1, 1]), ValueError, "different integers from 0 to 3"),
        (lambda p: p.marginal([0.5]), TypeError, "indices must be an integer"),
        (lambda p: p.conditional([0], [1.0, 2.0]), ValueError, r"values has shape \(2,\); wanted \(1\)"),
        (lambda p: p.conditional(range(4), np.zeros(4)), ValueError, "at least one has to be unknown"),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(normal())


def test_on_another_array_library(device):
    p = normal()
    q = MultivariateNormal(asarray(p.mean, device), asarray(p.covariance, device))
    x = q.sample(3, rng=0)
    np.testing.assert_allclose(to_numpy(x), p.sample(3, rng=0), rtol=1e-12)
    np.testing.assert_allclose(to_numpy(q.logpdf(x)), p.logpdf(to_numpy(x)), rtol=1e-10)
    known = to_numpy(x)[0, [2, 0]].tolist()
    np.testing.assert_allclose(
        to_numpy(q.conditional([2, 0], known).mean), p.conditional([2, 0], known).mean, rtol=1e-9
    )


# Maximum likelihood is least squares, and the most probable weights are those of ridge. S3 9.2, 17.1

NOISE, PRIOR = 0.3, 0.8  # standard deviations


def regression():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(40, 3))
    return X, X @ [1.0, -2.0, 0.5] + NOISE * rng.normal(size=40)


def log_likelihood(w, X, y):
    """ln p(y | X, w) of y = X w + N(0, NOISE^2)."""
    return MultivariateNormal(X @ w, NOISE**2 * np.eye(len(y))).logpdf(y)


def log_posterior(w, X, y):
    """ln p(w | X, y) up to a constant, with the prior w ~ N(0, PRIOR^2)."""
    return log_likelihood(w, X, y) + MultivariateNormal(np.zeros(3), PRIOR**2 * np.eye(3)).logpdf(w)


def argmax(function, X, y):
    return minimize(lambda w: -function(w, X, y), np.zeros(3), method="BFGS", options={"gtol": 1e-6}).x


def test_maximum_likelihood_is_least_squares():
    X, y = regression()
    w = LinearRegression(fit_intercept=False).fit(X, y).coef_
    np.testing.assert_allclose(argmax(log_likelihood, X, y), w, rtol=1e-5)


def test_maximum_a_posteriori_is_ridge():
    """lambda is the variance of the noise over that of the prior; with N(0, 1) weights it is sigma^2."""
    X, y = regression()
    w = Ridge(NOISE**2 / PRIOR**2, fit_intercept=False).fit(X, y).coef_
    np.testing.assert_allclose(argmax(log_posterior, X, y), w, rtol=1e-5)
    assert np.abs(w - Ridge(1.0, fit_intercept=False).fit(X, y).coef_).max() > 1e-3


def test_ridge_is_the_mean_of_weights_given_data():
    """The same by conditioning: w and y = X w + noise are jointly normal."""
    X, y = regression()
    wy = PRIOR**2 * X.T
    joint = np.block([[PRIOR**2 * np.eye(3), wy], [wy.T, X @ wy + NOISE**2 * np.eye(40)]])
    posterior = MultivariateNormal(np.zeros(43), joint).conditional(range(3, 43), y)
    ridge = Ridge(NOISE**2 / PRIOR**2, fit_intercept=False).fit(X, y).coef_
    np.testing.assert_allclose(posterior.mean, ridge, rtol=1e-9)
