"""How a factorisation or a solver fails: each failure has a name and says where it happened."""

from __future__ import annotations

from numpy.linalg import LinAlgError

from tinynn.backend import Array


class FactorizationError(LinAlgError):
    """A matrix is not what a factorisation or a solver needs it to be.

    Parameters
    ----------
    message : str
    pivot : int, optional
        The column, from 0, where that showed; None if no single one is to blame.
    alpha : float, optional
        A ridge term with which the same method would have worked.
    """

    def __init__(self, message: str, pivot: int | None = None, alpha: float | None = None):
        super().__init__(message)
        self.pivot = pivot
        self.alpha = alpha


class SingularMatrixError(FactorizationError):
    """A matrix has no inverse."""


class NotPositiveDefiniteError(FactorizationError):
    """A pivot of the Cholesky decomposition is not positive."""


class RankDeficientError(FactorizationError):
    """Columns depend on each other to working precision, and the method needs them not to."""


class ConvergenceError(LinAlgError):
    """An iteration diverged or ran out of steps; `coef` (n, k) is where it had got to."""

    def __init__(self, message: str, coef: Array = None, iterations: int = 0):
        super().__init__(message)
        self.coef = coef
        self.iterations = iterations
