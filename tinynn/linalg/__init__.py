"""Linear algebra: factorisations by hand, and least squares on top of them or of LAPACK."""

from tinynn.linalg.accumulators import GramAccumulator, TSQRAccumulator, column_means, row_blocks
from tinynn.linalg.cholesky import cholesky
from tinynn.linalg.errors import (
    ConvergenceError,
    FactorizationError,
    NotPositiveDefiniteError,
    RankDeficientError,
    SingularMatrixError,
)
from tinynn.linalg.least_squares import METHODS, least_squares
from tinynn.linalg.lu import lu
from tinynn.linalg.qr import qr
from tinynn.linalg.result import LeastSquaresResult
from tinynn.linalg.svd import svd
from tinynn.linalg.triangular import solve_lower, solve_upper

__all__ = [
    "METHODS",
    "ConvergenceError",
    "FactorizationError",
    "GramAccumulator",
    "LeastSquaresResult",
    "NotPositiveDefiniteError",
    "RankDeficientError",
    "SingularMatrixError",
    "TSQRAccumulator",
    "cholesky",
    "column_means",
    "least_squares",
    "lu",
    "qr",
    "row_blocks",
    "solve_lower",
    "solve_upper",
    "svd",
]
