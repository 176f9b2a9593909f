"""LinearSVC: the plane with the widest margin, by dual coordinate ascent."""

from __future__ import annotations

from types import ModuleType
from typing import Self

import numpy as np

from tinynn.backend import Array
from tinynn.estimator import warn_not_converged
from tinynn.linear_model.base import LinearClassifier
from tinynn.validation import check_integer, check_number

LOSSES = ("hinge", "squared_hinge")


class LinearSVC(LinearClassifier):
    """Linear support vector classifier: a wide margin 2/|w|, and a price for what lies inside it.

        1/2 (|w|^2 + b^2) + C sum_m max(0, 1 - y_m (w x_m + b))^p,    y_m = -1 or +1

    with p = 1 ("hinge") or 2 ("squared_hinge"). For more than two classes, one problem a class
    against the rest.

    The slides divide the sum by M, so that their C is M times this one, and they leave b free. Here,
    as in scikit-learn's class of this name and for the same reason, b is the weight of one more
    feature that is always 1 (scikit-learn's ``intercept_scaling=1``): then the dual has no constraint
    sum_m a_m y_m = 0 that would tie all a_m together. With centred features of size 1 the penalty on
    b changes little; scale features first.

    Parameters
    ----------
    C : float
        Price of the margin violations, > 0; the larger, the harder the margin.
    loss : "squared_hinge" or "hinge"
    fit_intercept : bool
        Whether b is learned; else it is 0.
    tol : float
        Stop when the duality gap, the most by which the objective can still fall, is below tol
        times the objective.
    max_iter : int
        Sweeps over all samples.
    random_state : int, Generator or None
        Where the order of the samples comes from.

    Attributes
    ----------
    classes_ : array (K,)
        Labels in order.
    coef_ : array (1, n) for two classes, else (K, n), float64
        w, one row per plane.
    intercept_ : array (1,) or (K,), float64
        b.
    dual_gap_ : float
        The largest of the planes.
    n_iter_ : int
        Sweeps done.
    n_features_in_ : int

    References
    ----------
    S4 (36), (39)-(43); Hsieh et al. 2008, "A dual coordinate descent method for large-scale linear SVM".
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        loss: str = "squared_hinge",
        fit_intercept: bool = True,
        tol: float = 1e-4,
        max_iter: int = 1000,
        random_state: int | np.random.Generator | None = None,
    ):
        self.C = C
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Learn w and b from X (M, n) and labels y (M,); warns if `max_iter` sweeps were too few.

        Raises
        ------
        TypeError, ValueError
            If X is not finite numbers, y not one label per sample of at least two classes, or a
            parameter is unknown or out of its range.
        """
        C = check_number(self.C, "C", low=0, high=np.inf, closed="neither")
        tol = check_number(self.tol, "tol", low=0)
        max_iter = check_integer(self.max_iter, "max_iter", low=1)
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {LOSSES}; got {self.loss!r}")
        xp, X, classes, index = self._check_fit(X, y)
        M, n = X.shape
        if self.fit_intercept:
            X = xp.concatenate([X, xp.ones((M, 1))], axis=1)
        rng = np.random.default_rng(self.random_state)
        positive = [1] if len(classes) == 2 else range(len(classes))
        planes = [
            dual_coordinate_ascent(xp, X, xp.where(index == k, 1.0, -1.0), C, self.loss, tol, max_iter, rng)
            for k in positive
        ]
        W = xp.stack([w for w, *_ in planes])
        self.classes_ = classes
        self.coef_ = W[:, :n]
        self.intercept_ = W[:, n] if self.fit_intercept else xp.zeros(len(W))
        self.dual_gap_ = max(gap for _, gap, *_ in planes)
        self.n_iter_ = max(sweeps for *_, sweeps, _ in planes)
        self.n_features_in_ = n
        if not all(converged for *_, converged in planes):
            warn_not_converged(self, f"the duality gap is {self.dual_gap_:.3g}", "scale features, or lower C")
        return self


def dual_coordinate_ascent(
    xp: ModuleType,
    X: Array,
    y: Array,
    C: float,
    loss: str,
    tol: float,
    max_iter: int,
    rng: np.random.Generator,
) -> tuple[Array, float, int, bool]:
    """The w that minimises 1/2 |w|^2 + C sum_m max(0, 1 - y_m w x_m)^p: (w, gap, sweeps, converged).

    Works on the dual, one weight a_m a sample, with w = sum_m a_m y_m x_m:

        maximise    sum_m a_m - 1/2 |w|^2 - D/2 |a|^2,    0 <= a_m <= U

    where U = C, D = 0 for the hinge and U = inf, D = 1/(2 C) for its square. (The upper bound is what
    makes the margin soft; the slides lack it.) In one a_m alone that
    is a parabola, and its top within the bounds is known. a_m = 0 says that a sample lies outside
    the margin, without influence; the others are the support vectors.

    Parameters
    ----------
    xp : module
        The array library.
    X : array (M, n)
    y : array (M,)
        -1 or +1.
    C, loss, tol, max_iter
        As for `LinearSVC`.
    rng : Generator
    """
    p, D, U = (1, 0.0, C) if loss == "hinge" else (2, 1 / (2 * C), np.inf)
    M, n = X.shape
    yX = y[:, None] * X
    curvature = ((X**2).sum(axis=1) + D + np.finfo(float).tiny).tolist()  # tiny: for x = 0
    a, w = np.zeros(M), xp.zeros(n)
    for sweep in range(1, max_iter + 1):
        # Most samples stay at a bound. One sweep in ten goes over all, the others leave those out.
        full = sweep % 10 == 1
        moving = np.arange(M) if full else np.flatnonzero((a > 0) & (a < U))
        for m in rng.permutation(moving).tolist():
            row, old = yX[m], float(a[m])
            slope = 1 - float(row @ w) - D * old  # d dual / d a_m                            S4 (40)
            new = min(max(old + slope / curvature[m], 0.0), U)  # S4 (41)
            if new != old:
                a[m] = new
                w += (new - old) * row
        if not (full or sweep == max_iter):
            continue
        violation = xp.maximum(0, 1 - yX @ w)
        primal = float(w @ w) / 2 + C * float((violation**p).sum())  # S4 (36)
        gap = primal - (float(a.sum()) - float(w @ w) / 2 - D / 2 * float(a @ a))  # S4 (42)
        if gap <= tol * primal:
            break
    return w, gap, sweep, gap <= tol * primal
