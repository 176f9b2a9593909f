import itertools

import numpy as np
import pytest

from tinynn.linalg import ConvergenceError, iterative, least_squares

rng = np.random.default_rng(0)
X = rng.standard_normal((80, 3)) * [1, 2, 3]
Y = (X @ [1, -2, 3] + rng.standard_normal(80))[:, None]
EIGENVALUES = np.linalg.eigvalsh(X.T @ X / 80)
EXACT = np.linalg.lstsq(X, Y)[0]


def trace(method, **options):
    """Coefficients and losses on the way."""
    steps = []
    result = least_squares(X, Y, method, callback=lambda W, loss: steps.append((W, loss)), **options)
    return result, [W for W, _ in steps], np.array([loss for _, loss in steps])


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_gradient_is_the_derivative_of_the_loss(alpha):
    W, direction = rng.standard_normal((2, 3, 1))
    ahead, behind = (iterative.loss(X, Y, W + h * direction, alpha) for h in (1e-5, -1e-5))
    slope = float((iterative.gradient(X, Y, W, alpha) * direction).sum())
    assert (ahead - behind) / 2e-5 == pytest.approx(slope, rel=1e-8)
    assert iterative.loss(X, Y, W, 0) == pytest.approx(np.mean((X @ W - Y) ** 2) / 2)


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_gradient_is_that_of_torch(alpha):
    torch = pytest.importorskip("torch")
    W = rng.standard_normal((3, 1))
    w, A, b = torch.tensor(W, requires_grad=True), torch.tensor(X), torch.tensor(Y)
    loss = ((A @ w - b) ** 2).sum() / 160 + alpha * (w**2).sum() / 160
    loss.backward()
    assert iterative.loss(X, Y, W, alpha) == pytest.approx(loss.item(), rel=1e-14)
    np.testing.assert_allclose(iterative.gradient(X, Y, W, alpha), w.grad.numpy(), rtol=1e-12)


def test_gradient_descent_follows_its_law():
    """Along each eigenvector of the Hessian the error shrinks by |1 - eta lambda| a step."""
    eta = 0.5 / EIGENVALUES[-1]
    _, V = np.linalg.eigh(X.T @ X / 80)
    steps = trace("gradient_descent", learning_rate=eta)[1]
    errors = [V.T @ (W - EXACT) for W in steps[:4]]
    for before, after in itertools.pairwise(errors):
        np.testing.assert_allclose(after, (1 - eta * EIGENVALUES)[:, None] * before, rtol=1e-9)


def test_gradient_descent_converges_below_two_over_lambda_max_and_only_there():
    limit = 2 / EIGENVALUES[-1]
    result, _, losses = trace("gradient_descent", learning_rate=0.99 * limit)
    np.testing.assert_allclose(result.coef, EXACT, rtol=1e-6)
    assert (np.diff(losses) < 1e-12).all()
    with pytest.raises(
        ConvergenceError, match=r"diverged after .* learning_rate=.* has to be below"
    ) as caught:
        trace("gradient_descent", learning_rate=1.01 * limit)
    assert f"{limit:.3g}" in str(caught.value)
    assert caught.value.coef.shape == (3, 1)
    assert caught.value.iterations > 10


def test_default_rate_is_one_over_lambda_max():
    default, chosen = (
        trace("gradient_descent", **options)[0].iterations
        for options in ({}, {"learning_rate": 1 / EIGENVALUES[-1]})
    )
    assert abs(default - chosen) <= 1


def test_the_rule_of_the_slides_stops_slow_descent_too_early():
    eta = 0.5 / EIGENVALUES[-1]
    good, _, losses = trace("gradient_descent", learning_rate=eta, loss_tol=1e-9)
    assert abs(losses[-1] - losses[-2]) <= 1e-9 < abs(losses[-2] - losses[-3])
    slow = trace("gradient_descent", learning_rate=1e-3 * eta, loss_tol=1e-5)[0]
    error_of = lambda result: np.linalg.norm(result.coef - EXACT)  # noqa: E731
    assert error_of(good) < 1e-3 < 0.01 < error_of(slow)


@pytest.mark.parametrize("method", ["gradient_descent", "sgd", "conjugate_gradient"])
def test_out_of_steps(method):
    with pytest.raises(ConvergenceError, match=f"{method} did not converge in max_iter=2") as caught:
        least_squares(X, Y, method, max_iter=2)
    assert (caught.value.coef.shape, caught.value.iterations) == ((3, 1), 2)


def test_callback_sees_every_iteration_and_a_falling_loss():
    for method in ("gradient_descent", "sgd", "newton", "conjugate_gradient"):
        result, steps, losses = trace(method)
        assert len(steps) == result.iterations + 1
        np.testing.assert_array_equal(steps[0], 0)
        np.testing.assert_array_equal(steps[-1], result.coef)
        assert losses[-1] == pytest.approx(iterative.loss(X, Y, EXACT, 0), rel=1e-9)
        if method != "sgd":
            assert (np.diff(losses) <= 1e-12).all()


def test_plain_sgd_ends_in_a_cloud_and_variance_reduction_does_not():
    spread = {}
    for eta in (0.04, 0.01):
        cloud = []
        options = {"variance_reduction": False, "learning_rate": eta, "max_iter": 300, "rng": 0}
        with pytest.raises(ConvergenceError):
            least_squares(X, Y, "sgd", callback=lambda W, loss, cloud=cloud: cloud.append(W), **options)
        spread[eta] = np.mean([np.linalg.norm(W - EXACT) for W in cloud[150:]])
    assert spread[0.04] > 2 * spread[0.01] > 1e-3
    np.testing.assert_allclose(least_squares(X, Y, "sgd", learning_rate=0.02, rng=0).coef, EXACT, rtol=1e-6)


def test_sgd_diverges_at_a_large_rate():
    with pytest.raises(ConvergenceError, match="sgd diverged after"):
        least_squares(X, Y, "sgd", learning_rate=1.0)


def test_sgd_seed():
    runs = [least_squares(X, Y, "sgd", rng=seed, tol=1e-3).coef for seed in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()
    whole = least_squares(X, Y, "sgd", batch_size=1000)
    np.testing.assert_allclose(whole.coef, EXACT, rtol=1e-6)


def test_newton_takes_one_step():
    assert least_squares(X, Y, "newton").iterations == 1
    assert least_squares(X.T, np.ones(3), "newton").iterations == 1


def test_newton_refines_what_cholesky_leaves():
    A = np.vander(np.linspace(0, 1, 60), 9, increasing=True)
    w = np.ones(9)
    newton, cholesky = (least_squares(A, A @ w, method) for method in ("newton", "cholesky"))
    assert newton.iterations > 1
    assert np.abs(newton.coef - w).max() < 1e-9
    assert np.abs(cholesky.coef - w).max() > 1e-7


def test_conjugate_gradient_takes_n_steps_at_most():
    A = rng.standard_normal((100, 20))
    assert least_squares(A, A[:, 0], "conjugate_gradient").iterations <= 20
    three = A * np.repeat([1.0, 1.0, 1.0, 1.0], 5)
    Q = np.linalg.qr(three)[0] * np.repeat([1.0, 2.0, 4.0, 8.0], 5)  # four different singular values
    assert least_squares(Q, rng.standard_normal(100), "conjugate_gradient").iterations == 4


def test_conjugate_gradient_needs_far_fewer_steps_than_descent():
    Q = np.linalg.qr(rng.standard_normal((200, 30)))[0] * np.linspace(1, 30, 30)
    y = rng.standard_normal(200)
    conjugate, descent = (
        least_squares(Q, y, m).iterations for m in ("conjugate_gradient", "gradient_descent")
    )
    assert conjugate * 50 < descent


def test_conjugate_gradient_refuses_columns_of_very_different_size():
    with pytest.raises(ConvergenceError, match=r"differ in length by \d\.\de\+08.*scale the columns"):
        least_squares(X * [1, 1, 1e8], Y, "conjugate_gradient")


@pytest.mark.parametrize("method", ["gradient_descent", "sgd", "newton", "conjugate_gradient"])
def test_nothing_to_do(method):
    for A, b in ((X, np.zeros(80)), (np.zeros((5, 2)), np.ones(5))):
        if method == "newton" and not A.any():
            continue
        result = least_squares(A, b, method)
        np.testing.assert_array_equal(result.coef, 0)
        assert result.iterations == 0


@pytest.mark.parametrize("method", ["gradient_descent", "conjugate_gradient", "sgd"])
def test_right_hand_sides_of_different_size(method):
    scales = np.array([1.0, 1e8, 0.0, 1e-8])
    result = least_squares(X, Y * scales, method)
    np.testing.assert_allclose(result.coef, EXACT * scales, rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "options", "error", "message"),
    [
        ("gradient_descent", {"learning_rate": 0}, ValueError, "learning_rate"),
        ("gradient_descent", {"tol": 0}, ValueError, "tol"),
        ("conjugate_gradient", {"max_iter": 0}, ValueError, "max_iter"),
        ("sgd", {"batch_size": 1.5}, TypeError, "batch_size"),
    ],
)
def test_bad_options(method, options, error, message):
    with pytest.raises(error, match=message):
        least_squares(X, Y, method, **options)
