"""Logistic and softmax regression: probabilities of classes from linear scores."""

from __future__ import annotations

from types import ModuleType
from typing import Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.estimator import warn_not_converged
from tinynn.linalg import lapack
from tinynn.linear_model.base import LinearClassifier
from tinynn.nn.activations import sigmoid, softmax, softplus
from tinynn.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss
from tinynn.validation import check_integer, check_number

SOLVERS = ("newton", "gradient_descent")
PENALTIES = ("l2", None)


class LogisticRegression(LinearClassifier):
    """Logistic regression for two classes, softmax regression for more.

    The scores z = X w + b become probabilities, p = sigma(z) or softmax(z), and w and b minimise

        L = L_CE(z, y) + lambda/2 |w|^2,    lambda = 1 / (C M)

    with the cross-entropy L_CE averaged over samples. Times C M that is scikit-learn's objective,
    C sum_m l_m + 1/2 |w|^2. There is no closed form: setting dL/dw = 1/M X'(p - y) + lambda w to
    zero leaves w inside p. But L is convex, so every descent ends in the same minimum.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty, > 0.
    penalty : "l2" or None
        Without penalty there is a minimum only if no plane separates the classes.
    fit_intercept : bool
        Whether b is learned, without penalty; else it is 0.
    solver : "newton" or "gradient_descent"
        Newton's method takes a few steps, each the solution of a linear system with (n + 1) unknowns,
        times K for K > 2 classes. Gradient descent takes cheap steps, but many: scale features first.
    tol : float
        Stop when no component of the gradient of L is larger.
    max_iter : int
        Steps.

    Attributes
    ----------
    classes_ : array (K,)
        Labels in order.
    coef_ : array (1, n) for two classes, else (K, n), float64
        w, one row per score.
    intercept_ : array (1,) or (K,), float64
        b.
    n_iter_ : int array (1,)
        Steps done.
    n_features_in_ : int

    References
    ----------
    S4 (29)-(34).
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        penalty: str | None = "l2",
        fit_intercept: bool = True,
        solver: str = "newton",
        tol: float = 1e-4,
        max_iter: int = 100,
    ):
        self.C = C
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: Array, y: Array) -> Self:
        """Learn w and b from X (M, n) and labels y (M,); warns if `max_iter` steps were too few.

        Raises
        ------
        TypeError, ValueError
            If X is not finite numbers, y not one label per sample of at least two classes, or a
            parameter is unknown or out of its range. Newton's method without penalty also refuses
            columns that depend on each other, as then w is not unique.
        LinAlgError
            If Newton's method without penalty runs so far out, with classes that a plane separates,
            that no curvature is left.
        """
        C = check_number(self.C, "C", low=0, high=np.inf, closed="neither")
        tol = check_number(self.tol, "tol", low=0)
        max_iter = check_integer(self.max_iter, "max_iter", low=1)
        for name, value, allowed in [("penalty", self.penalty, PENALTIES), ("solver", self.solver, SOLVERS)]:
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}; got {value!r}")
        xp, X, classes, index = self._check_fit(X, y)
        M, n = X.shape
        if self.fit_intercept:
            X = xp.concatenate([X, xp.ones((M, 1))], axis=1)
        decay = xp.full(X.shape[1], 1 / (C * M) if self.penalty else 0.0)
        decay[n:] = 0.0
        if self.penalty is None and self.solver == "newton":
            _check_independent(xp, X)
        L = Objective(xp, X, index, len(classes), decay)
        minimise = newton if self.solver == "newton" else gradient_descent
        theta, n_iter, slope = minimise(L, tol, max_iter)
        self.classes_ = classes
        self.coef_ = theta[:n].T
        self.intercept_ = theta[n] if self.fit_intercept else xp.zeros(theta.shape[1])
        self.n_iter_ = np.array([n_iter], dtype=np.int32)
        self.n_features_in_ = n
        if slope > tol:
            warn_not_converged(
                self,
                f"the gradient is {slope:.3g}, tol={tol:g}",
                "or scale features"
                if self.solver == "newton"
                else "scale features, or take the solver newton",
            )
        return self

    def predict_proba(self, X: Array) -> Array:
        """Probability (M, K) of each class for X (M, n); raises as `decision_function`."""
        Z = self.decision_function(X)
        xp = get_array_module(Z)
        if Z.ndim == 2:
            return softmax(Z, xp)
        return xp.stack([sigmoid(-Z, xp), sigmoid(Z, xp)], axis=1)  # S4 (31)

    def predict_log_proba(self, X: Array) -> Array:
        """Logarithm (M, K) of `predict_proba`, finite where that is rounded to 0 too."""
        Z = self.decision_function(X)
        xp = get_array_module(Z)
        if Z.ndim == 2:
            Z = Z - Z.max(axis=1, keepdims=True)
            return Z - xp.log(xp.exp(Z).sum(axis=1, keepdims=True))
        return -xp.stack([softplus(Z, xp), softplus(-Z, xp)], axis=1)


def _check_independent(xp: ModuleType, X: Array) -> None:
    length = xp.sqrt((X**2).sum(axis=0))
    S = xp.linalg.svd(X / xp.where(length > 0, length, 1.0), compute_uv=False)
    if len(X) < X.shape[1] or float(S[-1]) <= len(X) * np.finfo(float).eps * float(S[0]):
        raise ValueError(
            "the columns of X (and the intercept) depend on each other: without penalty no w is best; "
            'drop some, or take penalty="l2" or solver="gradient_descent"'
        )


class Objective:
    """The function of theta that LogisticRegression minimises, with its derivatives.

        L(theta) = L_CE(X theta, y) + 1/2 sum_j decay_j |theta_j|^2

    theta is (n, 1) for two classes, else (n, K); its row j belongs to column j of X.

    Parameters
    ----------
    xp : module
        The array library.
    X : array (M, n)
        With a column of ones if there is an intercept.
    index : int array (M,)
        Class of each sample, 0 .. n_classes - 1.
    n_classes : int
    decay : array (n,)
        Penalty on each row of theta.
    """

    def __init__(self, xp: ModuleType, X: Array, index: Array, n_classes: int, decay: Array):
        self.xp, self.X, self.decay = xp, X, decay
        self.loss: Loss = BinaryCrossEntropy() if n_classes == 2 else CrossEntropy()
        self.probability = sigmoid if n_classes == 2 else softmax
        classes = xp.asarray([1]) if n_classes == 2 else xp.arange(n_classes)
        self.Y = (index[:, None] == classes).astype(X.dtype)
        self.start = xp.zeros((X.shape[1], len(classes)))

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """L and dL/dtheta (n, K)."""
        L = float(self.loss.compute(self.X @ theta, self.Y))  # S4 (33)
        L += float(self.decay @ (theta**2).sum(axis=1)) / 2
        return L, self.X.T @ self.loss.backward() + self.decay[:, None] * theta  # S4 (34)

    def hessian(self, theta: Array) -> Array:
        """Second derivatives (K n, K n) by theta' flattened: class after class."""
        xp, X = self.xp, self.X
        M, n = X.shape
        P = self.probability(X @ theta, xp)  # S4 (30)
        K = P.shape[1]
        H = xp.zeros((K, n, K, n))
        for i in range(K):
            for j in range(i + 1):
                weight = P[:, i] * ((i == j) - P[:, j]) / M  # dp_i/dz_j, the slope S4 (27) if K = 1
                H[i, :, j] = H[j, :, i] = X.T @ (weight[:, None] * X)
        diagonal = range(n)
        if K > 1:
            # A shift of all K scores changes no softmax: H is singular along it, and the gradient
            # orthogonal to it. Any curvature there leaves Newton's step as it is.
            H[:, diagonal, :, diagonal] += 1 / K
        H = H.reshape(K * n, K * n)
        H[range(K * n), range(K * n)] += xp.tile(self.decay, K)
        return H


Minimum = tuple[Array, int, float]


def newton(L: Objective, tol: float, max_iter: int) -> Minimum:
    """Minimise L by theta - t H^-1 dL/dtheta, halving t until L falls: (theta, steps, largest slope).

    Raises
    ------
    LinAlgError
        If H is singular.
    """
    xp, theta = L.xp, L.start
    value, gradient = L(theta)
    steps, slope = 0, np.inf
    while slope > tol and steps < max_iter:
        d = lapack.solve(L.hessian(theta), gradient.T.ravel()).reshape(gradient.T.shape).T
        t, fall = 1.0, float((gradient * d).sum())
        rounding = 4 * np.finfo(float).eps * abs(value)
        while (new := L(theta - t * d))[0] > value - 1e-4 * t * fall + rounding:  # Armijo's rule
            t /= 2
        theta = theta - t * d
        value, gradient = new
        slope = float(xp.abs(gradient).max())
        steps += 1
    return theta, steps, slope


def gradient_descent(L: Objective, tol: float, max_iter: int) -> Minimum:
    """Minimise L by theta - eta dL/dtheta, with the largest eta that is safe everywhere.

    The curvature of L is at most c lambda_max(X'X) / M + decay, where c bounds that of the loss:
    1/4 for the sigmoid, 1/2 for softmax (Boehning 1992). eta is its inverse.
    """
    xp, X, theta = L.xp, L.X, L.start
    c = 1 / 4 if theta.shape[1] == 1 else 1 / 2
    curvature = c * float(xp.linalg.eigvalsh(X.T @ X)[-1]) / len(X) + float(L.decay.max())
    eta = 1 / curvature if curvature > 0 else 0.0  # without curvature L does not depend on theta
    _, gradient = L(theta)
    steps, slope = 0, np.inf
    while slope > tol and steps < max_iter:
        theta = theta - eta * gradient  # S4 (16)
        _, gradient = L(theta)
        slope = float(xp.abs(gradient).max())
        steps += 1
    return theta, steps, slope
