"""How good are predictions: errors and R2 of regression, accuracy and confusion of classification.

All take (y_true, y_pred) and return Python floats, computed in float64. One column (M, 1) counts as
a vector (M,): subtracting the two unchecked would silently give all M x M differences.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.validation import check_array, check_classes, check_labels, check_same_length


def mean_squared_error(y_true: Array, y_pred: Array) -> float:
    """Mean squared error, in the squared unit of y.

    Parameters
    ----------
    y_true, y_pred : array (M,) or (M, ...)
        Several outputs per sample (energies and charges, the components of forces) are averaged.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or a value is not a finite number.
    """
    xp, y_true, y_pred = _check_pair(y_true, y_pred)
    return float(xp.mean((y_true - y_pred) ** 2))


def mean_absolute_error(y_true: Array, y_pred: Array) -> float:
    """Mean absolute error, in the unit of y; arguments and errors as `mean_squared_error`."""
    xp, y_true, y_pred = _check_pair(y_true, y_pred)
    return float(xp.mean(xp.abs(y_true - y_pred)))


def r2_score(y_true: Array, y_pred: Array) -> float:
    """Coefficient of determination: which part of the variance of y the prediction explains.

        R2 = 1 - sum_i (y_i - yhat_i)^2 / sum_i (y_i - ybar)^2

    1 is perfect, 0 is no better than always predicting the mean ybar, and below 0 is worse. It is
    not a square: nothing bounds it from below. The R2 of several outputs are averaged. Where y_true
    is constant the ratio is undefined; as in scikit-learn R2 is then 1 for a perfect prediction and 0 else.

    Parameters
    ----------
    y_true, y_pred : array (M,) or (M, ...)
        M at least 2.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, a value is not a finite number, or there is one sample only.

    References
    ----------
    S0 1.4, with its reading of R2 = 0 corrected.
    """
    xp, y_true, y_pred = _check_pair(y_true, y_pred)
    if len(y_true) < 2:
        raise ValueError("y_true has 1 sample; R2 compares with their mean and needs at least 2")
    rss = xp.sum((y_true - y_pred) ** 2, axis=0)
    tss = xp.sum((y_true - y_true.mean(axis=0)) ** 2, axis=0)
    constant = xp.all(y_true == y_true[0], axis=0)  # exact, whereas tss keeps the rounding of the mean
    r2 = 1 - rss / xp.where(constant, 1.0, tss)  # S0 1.4
    return float(xp.mean(xp.where(constant, rss == 0, r2)))


def accuracy(y_true: Array, y_pred: Array) -> float:
    """Fraction of samples whose predicted label is the true one.

    Parameters
    ----------
    y_true, y_pred : array (M,)
        Integer labels. Of scores (M, K) take ``scores.argmax(axis=1)``, of probabilities (M,) ``p > 0.5``.

    Raises
    ------
    TypeError, ValueError
        If the numbers of samples differ or a value is not an integer.
    """
    xp, y_true, y_pred = _check_labels_pair(y_true, y_pred)
    return float(xp.mean(y_true == y_pred))


def confusion_matrix(y_true: Array, y_pred: Array, n_classes: int | None = None) -> Array:
    """How often class i (row) was predicted as class j (column).

    Parameters
    ----------
    y_true, y_pred : array (M,)
        Labels 0 .. K - 1.
    n_classes : int, optional
        K; by default the largest label + 1.

    Returns
    -------
    int array (K, K)
        Its diagonal counts the correct predictions, its sum is M.

    Raises
    ------
    TypeError, ValueError
        As `accuracy`, and if a label lies outside 0 .. K - 1.
    """
    xp, y_true, y_pred = _check_labels_pair(y_true, y_pred)
    K = check_classes(n_classes, y_true=y_true, y_pred=y_pred)
    return xp.bincount(K * y_true + y_pred, minlength=K * K).reshape(K, K)


def _check_pair(y_true: Array, y_pred: Array) -> tuple[ModuleType, Array, Array]:
    """The array library, and both arrays in float64 with one and the same shape."""
    xp = get_array_module(y_true=y_true, y_pred=y_pred)
    y_true = check_array(y_true, "y_true", ndim=(1, 2, 3), dtype=np.float64)
    y_pred = check_array(y_pred, "y_pred", ndim=(1, 2, 3), dtype=np.float64)
    check_same_length(y_true=y_true, y_pred=y_pred)
    columns = [y[:, None] if y.ndim == 1 else y for y in (y_true, y_pred)]
    if columns[0].shape != columns[1].shape:
        raise ValueError(
            f"y_true has shape {y_true.shape} but y_pred has shape {y_pred.shape}; wanted the same"
        )
    return xp, columns[0], columns[1]


def _check_labels_pair(y_true: Array, y_pred: Array) -> tuple[ModuleType, Array, Array]:
    """The array library, and both as integer labels (M,)."""
    xp = get_array_module(y_true=y_true, y_pred=y_pred)
    y_true, y_pred = check_labels(y_true, "y_true"), check_labels(y_pred, "y_pred")
    check_same_length(y_true=y_true, y_pred=y_pred)
    return xp, y_true, y_pred
