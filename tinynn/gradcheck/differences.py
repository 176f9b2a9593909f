"""Derivatives by central differences, with an estimate of what rounding and kinks make of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STEPS = (1e-4, 1e-5, 1e-6)  # tried in turn: a kink near the point needs a smaller one
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Difference:
    """Derivative of a vector-valued function along one direction.

    Attributes
    ----------
    value : array
        Shape of the function's value.
    noise : float
        How large rounding errors in `value` can be.
    smooth : bool
        False if a kink lies at the point, closer than the smallest step.
    """

    value: np.ndarray
    noise: float
    smooth: bool


def directional_derivative(
    function: Callable[[], np.ndarray], x: np.ndarray, direction: np.ndarray
) -> Difference:
    """Derivative of `function` at x along `direction`; function() reads x, which is changed and restored.

    Two central differences, with steps h and h/2, give the derivative with an error of order h⁴
    (Richardson). The gap between the slopes to the right and to the left is h f'' + O(h³) for a
    smooth function, so that it halves with h; at a kink it does not.
    """
    original = x.copy()

    def at(step: float) -> np.ndarray:
        x[...] = original + step * direction
        value = function()
        x[...] = original
        return value

    centre = function()
    scale = max(float(abs(original).max(initial=0)), 1.0)
    for relative_step in STEPS:
        h = relative_step * scale
        right, near_right, near_left, left = at(h), at(h / 2), at(-h / 2), at(-h)
        wide, narrow = (right - left) / (2 * h), (near_right - near_left) / h
        gap = (right - 2 * centre + left) / h
        near_gap = (near_right - 2 * centre + near_left) / (h / 2)
        noise = 16 * EPS * max(float(abs(v).max(initial=0)) for v in (centre, right, left)) / h
        jump = float(abs(gap - 2 * near_gap).max(initial=0))
        smooth = jump <= 1e-7 * float(abs(wide).max(initial=0)) + 4 * noise
        if smooth:
            break
    return Difference((4 * narrow - wide) / 3, noise, smooth)


def jacobian(function: Callable[[], np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Derivative with respect to every entry of x.

    Returns
    -------
    J : x.shape + value.shape
    smooth : x.shape, bool
        False for entries at a kink.
    noise : float
        As in `Difference`, the largest.
    """
    rows, smooth, noise = [], [], 0.0
    for index in np.ndindex(x.shape):
        direction = np.zeros_like(x)
        direction[index] = 1
        difference = directional_derivative(function, x, direction)
        rows.append(difference.value)
        smooth.append(difference.smooth)
        noise = max(noise, difference.noise)
    return (
        np.reshape(rows, x.shape + rows[0].shape),
        np.reshape(smooth, x.shape),
        noise,
    )
