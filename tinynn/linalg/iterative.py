"""Least squares by iteration: gradient descent, stochastic gradient descent, Newton, conjugate gradients.

All minimise the loss of the slides with a penalty,

    L(w) = 1/(2 M) |X w - y|^2 + alpha/(2 M) |w|^2          (S4 (7) and (18), alpha = lambda M)

and start at w = 0, so that w stays a combination of the rows of X: among many solutions they find the
one of least norm. They read X as it is, without scaling its columns; how many steps they need
depends on its condition number.

Arrays come checked, as `least_squares` passes them: X (M, n) and Y (M, k), one column for each
right-hand side. Each returns the coefficients W (n, k) and the number of iterations. They stop when
the gradient of every column is below `tol` times the gradient at w = 0; Newton looks at its step.
`callback(W, loss)`, if given, is called at the start and after every iteration, with the sum of the
losses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.linalg.direct import FACTORIZATIONS, default_rcond, factor_gram
from tinynn.linalg.errors import ConvergenceError
from tinynn.validation import check_integer, check_number

Callback = Callable[[Array, float], object]


def loss(X: Array, Y: Array, W: Array, alpha: float) -> float:
    """1/(2 M) |X W - Y|^2 + alpha/(2 M) |W|^2, summed over the columns of Y."""
    error = X @ W - Y  # S4 (6)
    return float((error * error).sum() + alpha * (W * W).sum()) / (2 * len(X))  # S4 (7), S4 (18)


def gradient(X: Array, Y: Array, W: Array, alpha: float) -> Array:
    """Its derivative by W; for alpha = 0 that is 1/M X'(X W - Y)."""
    return (X.T @ (X @ W - Y) + alpha * W) / len(X)  # S4 (17), S4 (20)


def gradient_descent(
    X: Array,
    Y: Array,
    alpha: float = 0.0,
    *,
    learning_rate: float | None = None,
    tol: float = 1e-10,
    loss_tol: float | None = None,
    max_iter: int = 100_000,
    callback: Callback | None = None,
) -> tuple[Array, int]:
    """Steps against the gradient, all of the same rate.

    The error along an eigenvector of the Hessian X'X/M + alpha/M I with eigenvalue lambda shrinks by
    |1 - eta lambda| a step: it converges for eta < 2 / lambda_max, always to the minimum (the slides
    doubt it, an erratum of S4), and takes about lambda_max / lambda_min steps for each digit.

    Parameters
    ----------
    learning_rate : float, optional
        eta, by default 1 / lambda_max.
    tol : float
    loss_tol : float, optional
        Stop also when the loss changes by no more than this, the rule of the slides. It knows no
        difference between slow and done: with a small rate it stops far from the minimum.
    max_iter : int

    Raises
    ------
    ConvergenceError
        If it diverges, or `max_iter` steps are not enough.
    """
    learning_rate, max_iter = _check(learning_rate, tol, max_iter)
    largest = _largest_eigenvalue(X, alpha)
    eta = learning_rate or 1 / (largest or 1.0)
    W = _zeros(X, Y)
    target = tol * _norms(gradient(X, Y, W, alpha))
    old_loss = np.inf
    for iteration in range(max_iter + 1):
        if callback is not None or loss_tol is not None:
            new_loss = loss(X, Y, W, alpha)
            if callback is not None:
                callback(W.copy(), new_loss)
            if loss_tol is not None and abs(old_loss - new_loss) <= loss_tol:
                return W, iteration
            old_loss = new_loss
        dW = gradient(X, Y, W, alpha)
        if (_norms(dW) <= target).all():
            return W, iteration
        if not (_norms(dW) <= 1e10 * target / tol).all():
            raise ConvergenceError(
                f"gradient_descent diverged after {iteration} steps: learning_rate={eta:.3g} has to be below "
                f"2 / lambda_max = {2 / largest:.3g}",
                W,
                iteration,
            )
        W = W - eta * dW  # S4 (16)
    raise _out_of_steps("gradient_descent", max_iter, W)


def sgd(
    X: Array,
    Y: Array,
    alpha: float = 0.0,
    *,
    learning_rate: float | None = None,
    batch_size: int = 16,
    variance_reduction: bool = True,
    tol: float = 1e-8,
    max_iter: int = 5000,
    rng: int | np.random.Generator | None = None,
    callback: Callback | None = None,
) -> tuple[Array, int]:
    """Stochastic gradient descent over shuffled batches; an iteration is an epoch.

    The gradient of a batch is right on average only. At a fixed rate plain SGD therefore ends up
    in a cloud around the minimum, the wider the larger the rate. Variance reduction takes off what a
    batch got wrong at the start of the epoch, which is known there: the noise fades as w converges.

    Parameters
    ----------
    learning_rate : float, optional
        eta; by default a third of what the sharpest batch can bear.
    batch_size : int
    variance_reduction : bool
        Without it the method is the plain one, and the tolerance often out of reach.
    tol, max_iter
    rng : int, Generator or None
        Shuffles the samples.

    Raises
    ------
    ConvergenceError
        If it diverges, or `max_iter` epochs are not enough.

    References
    ----------
    Johnson and Zhang 2013, NeurIPS 26, 315 (variance reduction).
    """
    learning_rate, max_iter = _check(learning_rate, tol, max_iter)
    xp, M = get_array_module(X), len(X)
    batch_size = min(check_integer(batch_size, "batch_size", low=1), M)
    rng = np.random.default_rng(rng)
    longest = float(xp.sum(X * X, axis=1).max())
    sharpest = _largest_eigenvalue(X, alpha) + longest * (1 / batch_size - 1 / M)
    eta = learning_rate or 1 / (3 * (sharpest or 1.0))
    W = _zeros(X, Y)
    target = tol * _norms(gradient(X, Y, W, alpha))
    for epoch in range(max_iter + 1):
        if callback is not None:
            callback(W.copy(), loss(X, Y, W, alpha))
        W_start, full = W, gradient(X, Y, W, alpha)
        if (_norms(full) <= target).all():
            return W, epoch
        if not (_norms(full) <= 1e10 * target / tol).all():
            raise ConvergenceError(
                f"sgd diverged after {epoch} epochs: learning_rate={eta:.3g} is too large", W, epoch
            )
        order = xp.asarray(rng.permutation(M))
        for start in range(0, M, batch_size):
            batch = order[start : start + batch_size]
            Xb, Yb, ridge = X[batch], Y[batch], alpha * len(batch) / M
            dW = gradient(Xb, Yb, W, ridge)  # S4 (17), of a batch
            if variance_reduction:
                dW += full - gradient(Xb, Yb, W_start, ridge)
            W = W - eta * dW
    raise _out_of_steps("sgd", max_iter, W)


def newton(
    X: Array,
    Y: Array,
    alpha: float = 0.0,
    *,
    tol: float = 1e-10,
    max_iter: int = 10,
    callback: Callback | None = None,
    factorization: str = "lapack",
) -> tuple[Array, int]:
    """Newton's method: step by the inverse of the Hessian times the gradient.

    The loss is quadratic, so the first step is exact but for rounding. The next removes most of what
    rounding left, as the gradient is computed from X and not from X'X (iterative refinement), so it ends
    with more digits than Cholesky. It ends when a step would change the coefficients by less than
    `tol`, relative and weighted with the lengths of the columns, or by half of the step before.
    The Hessian is factored once, by Cholesky. If X is wide, w = X'v and the steps are those for v.

    Raises
    ------
    NotPositiveDefiniteError
        If the Hessian is not positive definite to working precision.
    ConvergenceError
        If `max_iter` steps are not enough.
    """
    _, max_iter = _check(None, tol, max_iter)
    xp, (M, n) = get_array_module(X), X.shape
    wide = n > M
    hessian = X @ X.T if wide else X.T @ X
    rcond = default_rcond("cholesky", M, n, X.dtype)
    solve, _ = factor_gram(hessian, "cholesky", alpha, rcond, FACTORIZATIONS[factorization])
    lengths = _norms(X)[:, None]  # of the columns: what a coefficient is worth
    W, V = _zeros(X, Y), xp.zeros_like(Y)
    old = np.inf
    for iteration in range(max_iter + 1):
        if callback is not None:
            callback(W.copy(), loss(X, Y, W, alpha))
        if wide:
            V = V - solve(X @ W - Y + alpha * V)
            step = X.T @ V - W
        else:
            step = -solve(len(X) * gradient(X, Y, W, alpha))  # `solve` inverts the Hessian times M
        scale = _norms(lengths * (W + step))
        size = float((_norms(lengths * step) / xp.where(scale > 0, scale, 1)).max())
        if size <= tol or size > old / 2:  # what is left is rounding
            return W, iteration
        W, old = W + step, size
    raise _out_of_steps("newton", max_iter, W)


def conjugate_gradient(
    X: Array,
    Y: Array,
    alpha: float = 0.0,
    *,
    tol: float = 1e-10,
    max_iter: int | None = None,
    callback: Callback | None = None,
) -> tuple[Array, int]:
    """Conjugate gradients on the normal equations without forming X'X (CGLS).

    Directions P are conjugate, P_i'(X'X + alpha I) P_j = 0, so no step spoils an earlier one: n steps
    would be enough without rounding, and the number of steps for each digit grows with the condition
    number of X, not with its square.

    Parameters
    ----------
    tol
    max_iter : int, optional
        By default 20 min(M, n) + 100.

    Raises
    ------
    ConvergenceError
        If `max_iter` steps are not enough, or the columns of X differ so much in length that a
        small gradient would prove nothing.

    References
    ----------
    Hestenes and Stiefel 1952, J. Res. Natl. Bur. Stand. 49, 409; Bjorck, Numerical Methods for
    Least Squares Problems (1996), section 7.4.
    """
    _, max_iter = _check(None, tol, 20 * min(X.shape) + 100 if max_iter is None else max_iter)
    xp = get_array_module(X)
    lengths = _norms(X)
    spread = (
        float(lengths.max() / xp.where(lengths > 0, lengths, lengths.max()).min()) if lengths.any() else 1.0
    )
    if tol * spread**2 > 0.01:  # the condition number is at least this spread
        raise ConvergenceError(
            f"conjugate_gradient cannot tell when it is done: columns of X differ in length by {spread:.1e}, "
            f"so a gradient of tol={tol:g} proves nothing; scale the columns, or use method='qr'"
        )
    W = _zeros(X, Y)
    residual = Y - X @ W
    G = X.T @ residual - alpha * W  # the negative gradient, times M
    P = G
    squared = xp.sum(G * G, axis=0)
    target = tol**2 * squared
    for iteration in range(max_iter + 1):
        if callback is not None:
            callback(W.copy(), loss(X, Y, W, alpha))
        active = squared > target
        if not active.any():
            return W, iteration
        XP = X @ P
        curvature = xp.sum(XP * XP, axis=0) + alpha * xp.sum(P * P, axis=0)
        step = xp.where(active, squared / xp.where(active, curvature, 1), 0)  # columns that are done stay
        W = W + step * P
        residual = residual - step * XP
        G = X.T @ residual - alpha * W
        old, squared = squared, xp.where(active, xp.sum(G * G, axis=0), squared)
        P = G + xp.where(active, squared / xp.where(active, old, 1), 0) * P
    raise _out_of_steps("conjugate_gradient", max_iter, W)


def _check(learning_rate: float | None, tol: float, max_iter: int) -> tuple[float | None, int]:
    check_number(tol, "tol", low=0, high=1, closed="neither")
    if learning_rate is not None:
        learning_rate = check_number(learning_rate, "learning_rate", low=0, closed="neither")
    return learning_rate, check_integer(max_iter, "max_iter", low=1)


def _zeros(X: Array, Y: Array) -> Array:
    return get_array_module(X).zeros((X.shape[1], Y.shape[1]), dtype=X.dtype)


def _norms(A: Array) -> Array:
    return get_array_module(A).linalg.norm(A, axis=0)


def _largest_eigenvalue(X: Array, alpha: float, steps: int = 30) -> float:
    """lambda_max of the Hessian (X'X + alpha I)/M by power iteration."""
    xp = get_array_module(X)
    v = xp.cos(xp.arange(X.shape[1]))[:, None].astype(X.dtype, copy=False)
    size = 0.0
    for _ in range(steps):
        v = X.T @ (X @ v)
        size = float(xp.linalg.norm(v))
        if size == 0:
            break
        v = v / size
    return (size + alpha) / len(X)


def _out_of_steps(method: str, max_iter: int, W: Any) -> ConvergenceError:
    return ConvergenceError(
        f"{method} did not converge in max_iter={max_iter} iterations: scale the columns of X to similar "
        "lengths, allow more, or use method='qr'",
        W,
        max_iter,
    )
