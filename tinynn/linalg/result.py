"""What every least-squares solver returns."""

from __future__ import annotations

from dataclasses import dataclass

from tinynn.backend import Array


@dataclass(frozen=True)
class LeastSquaresResult:
    """Solution of a least-squares problem.

    Attributes
    ----------
    coef : array (n,), or (n, k) for k right-hand sides
    residual_norm : float, or array (k,)
        |X w + b - y|, without the ridge term.
    rank : int or None
        Numerical rank of X; with alpha > 0, of the problem with the ridge term, which is full. None
        from iterative methods, which do not learn it.
    condition_number : float or None
        Largest over smallest singular value of X (with alpha > 0, of the problem with the ridge term),
        its columns scaled to about the same length: what the digits lost depend on. Exact for "svd",
        else an estimate, seldom short by more than a factor 2. inf if columns depend on each other,
        None from iterative methods.
    method : str
    iterations : int or None
        None for direct methods.
    intercept : float, or array (k,)
        b; 0 unless ``fit_intercept`` asked for it.
    """

    coef: Array
    residual_norm: float | Array
    rank: int | None
    condition_number: float | None
    method: str
    iterations: int | None = None
    intercept: float | Array = 0.0
