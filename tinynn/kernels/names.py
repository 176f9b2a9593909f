"""Kernels by their names, as estimators take them."""

from __future__ import annotations

import math

import numpy as np

from tinynn.kernels.base import Kernel
from tinynn.kernels.functions import Gaussian, Laplacian, Linear, Matern32, Matern52, Polynomial
from tinynn.validation import check_number

KERNELS: dict[str, type[Kernel]] = {
    "linear": Linear,
    "polynomial": Polynomial,
    "poly": Polynomial,
    "gaussian": Gaussian,
    "rbf": Gaussian,
    "laplacian": Laplacian,
    "matern32": Matern32,
    "matern52": Matern52,
}


def get_kernel(
    kernel: Kernel | str,
    *,
    length_scale: float | None = None,
    gamma: float = 1.0,
    degree: int = 3,
    coef0: float = 1.0,
) -> Kernel:
    """The kernel of that name with the parameters of these that it has; a Kernel as it is.

    Parameters
    ----------
    kernel : Kernel or str
        "linear", "polynomial" or "poly", "gaussian" or "rbf", "laplacian", "matern32", "matern52".
    length_scale : float, optional
        l > 0, in the unit of X.
    gamma : float
        Where there is no `length_scale`, it follows from gamma > 0: l = 1/gamma for the Laplacian,
        1/sqrt(2 gamma) for the Gaussian, as in scikit-learn, and for the Matern kernels. Factor of x'y
        in the polynomial.
    degree, coef0 : int, float
        Of the polynomial.

    Raises
    ------
    ValueError, TypeError
        If there is no kernel of that name; if gamma is not a number > 0.
    """
    if isinstance(kernel, Kernel):
        return kernel
    if not isinstance(kernel, str) or kernel not in KERNELS:
        raise ValueError(f"kernel must be a Kernel or one of {tuple(KERNELS)}; got {kernel!r}")
    kind = KERNELS[kernel]
    if kind is Linear:
        return Linear()
    check_number(gamma, "gamma", low=0, high=np.inf, closed="neither")
    if kind is Polynomial:
        return Polynomial(degree, gamma, coef0)
    if length_scale is None:
        length_scale = 1 / gamma if kind is Laplacian else 1 / math.sqrt(2 * gamma)
    return kind(length_scale)  # type: ignore[call-arg]
