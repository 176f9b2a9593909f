"""Sequential minimal optimisation: the dual of a support vector machine, two weights at a time.

The plane with the widest margin, where C is the price of each violation, solves

    minimise    1/2 |w|^2 + C sum_m max(0, 1 - y_m (w'phi(x_m) + b)),    y_m = -1 or +1

Its dual has one weight a_m a sample, 0 <= a_m <= C. (The upper bound is what makes the margin soft;
the slides lack it, and they minimise what has to be maximised.) With the labels' signs, c_m = y_m a_m
and w = sum_m c_m phi(x_m), it reads

    maximise    sum_m y_m c_m - 1/2 sum_mn c_m c_n K_mn,    0 <= y_m c_m <= C,    sum_m c_m = 0

and its derivative by c_m is what w'phi(x_m) lacks of the label, e_m = y_m - sum_n K_mn c_n.

The sum ties all weights together, so the smallest step changes two: c_i grows by what c_j loses. That is a
gain as long as e_i > e_j. When no such pair is left, one number b separates the e_m of all weights that
can grow from the e_m of all that can fall: e_m <= b <= e_n. It is the offset of the plane, and a_m is 0
outside the margin, C inside it, and between these only on its edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy import add, divide, inf, maximum, multiply, subtract
from scipy.linalg.lapack import dposv

FEW = 100  # free weights that are solved for at once: it costs as much as PATIENCE steps, or less
PATIENCE = 50  # steps of pairs between two such solutions
MANY = 1000  # samples from which on the margin is first made softer

Row = Callable[[Any], np.ndarray]  # of the integers of Python and of NumPy


class DualSolution(NamedTuple):
    """Where `smo` arrived.

    Attributes
    ----------
    c : array (M,)
        y_m a_m: the weights of the samples with the signs of the labels.
    b : float
        The offset.
    gap : float
        Primal minus dual objective; neither is further than this from the optimum.
    violation : float
        How far the largest e_m of weights that can grow is above the smallest of those that can fall.
    steps : int
        Pairs changed, and solutions for all free weights.
    """

    c: np.ndarray
    b: float
    gap: float
    violation: float
    steps: int


def smo(
    row: Row, diagonal: np.ndarray, y: np.ndarray, C: float, tol: float = 1e-3, max_iter: int = 10_000_000
) -> DualSolution:
    """Maximise the dual until the violation is at most `tol`, or for `max_iter` steps.

    Parameters
    ----------
    row : callable
        ``row(m)`` is row m of the Gram matrix K, (M,), float64.
    diagonal : array (M,)
        K_mm.
    y : array (M,)
        -1.0 or +1.0, both of them.
    C : float
        Upper bound of the a_m, > 0.
    tol : float
        > 0.
    max_iter : int

    References
    ----------
    S4 (36), (39)-(43); Platt 1998, "Sequential minimal optimization"; Fan, Chen and Lin 2005, "Working
    set selection using second order information for training support vector machines".
    """
    c, steps = [0.0] * len(y), 0
    e = y  # y - K c, the derivative of S4 (40)
    # At a high C many weights can be free for long, and pairs approach the solution in tiny steps. At a low C
    # they soon meet their bounds, and most of them stay there when C grows and all weights with it. If many
    # are free even then, zero is the better start. Multiplying by a power of two does not round: C is met.
    growth = 2.0 ** max(0, math.ceil(math.log2(C * diagonal.mean() + 1e-100))) if len(y) > MANY else 1.0
    if growth > 1:
        steps, _, soft_e = _ascend(c, e, row, diagonal, y, C / growth, max(tol, 0.1), max_iter)
        soft_a = y * c
        few = np.count_nonzero((soft_a > 0) & (soft_a < C / growth)) <= FEW
        c = (growth * y * soft_a).tolist() if few else [0.0] * len(y)
        e = y - growth * (y - soft_e) if few else y
    more, (lowest, highest), e = _ascend(c, e, row, diagonal, y, C, tol, max_iter - steps)
    b = (lowest + highest) / 2
    inside = y * (e - b)  # 1 - y_m (w'phi(x_m) + b)
    a = y * c
    gap = (C * np.maximum(0, inside) - a * inside).sum()  # S4 (36) - S4 (42), a sum of violations >= 0
    return DualSolution(np.array(c), b, float(gap), lowest - highest, steps + more)


def _ascend(
    c: list[float],
    e: np.ndarray,
    row: Row,
    diagonal: np.ndarray,
    y: np.ndarray,
    C: float,
    tol: float,
    max_iter: int,
) -> tuple[int, tuple[float, float], np.ndarray]:
    """Improve the weights `c` in place; the steps, the bounds of b by those that can grow and fall, and e."""
    lows, highs = np.minimum(0, C * y), np.maximum(0, C * y)  # S4 (43)
    up = np.where(c < highs, e, -inf)  # e_m of the weights that can grow
    down = np.where(c > lows, e, inf)  # e_m of those that can fall
    half = diagonal * (0.5 + 1e-12) + 1e-100  # a little more: equal samples get a distance as well
    low, high, half_of = lows.tolist(), highs.tolist(), half.tolist()  # one element of a list is read faster
    zero, (gain, distance, change) = np.zeros(len(y)), np.empty((3, len(y)))
    countdown = PATIENCE
    for step in range(max_iter + 1):
        i, j = up.argmax(), down.argmin()
        e_i, e_j = up.item(i), down.item(j)
        if e_i - e_j <= tol or step == max_iter:
            break
        if countdown == 0:
            free = np.flatnonzero(up == down)
            countdown = max(PATIENCE, len(free))
            if 1 < len(free) <= FEW:
                K = np.array([row(m) for m in free.tolist()])
                old = np.array([c[m] for m in free.tolist()])
                new = _solve_free(K[:, free], e=up[free], c=old, low=lows[free], high=highs[free])
                change = (new - old) @ K
                up -= change
                down -= change
                up[free[new >= highs[free]]] = -inf
                down[free[new <= lows[free]]] = inf
                for m, c_m in zip(free.tolist(), new.tolist(), strict=True):
                    c[m] = c_m
                continue
        countdown -= 1
        # A step t changes the objective by t (e_i - e_j) - t^2 d, where d = |phi_i - phi_j|^2 / 2: of all j,
        # take the one with which it gains most, (e_i - e_j)^2 / 4 d, were there no bounds.
        K_i = row(i)
        subtract(e_i, down, out=gain)
        maximum(gain, zero, out=gain)
        multiply(gain, gain, out=gain)
        subtract(half, K_i, out=distance)
        add(distance, half_of[i], out=distance)
        divide(gain, distance, out=gain)
        j = gain.argmax()
        t = min((e_i - down.item(j)) / (2 * distance.item(j)), high[i] - c[i], c[j] - low[j])  # S4 (43)
        c[i] += t
        c[j] -= t  # S4 (41)
        subtract(K_i, row(j), out=change)
        multiply(change, t, out=change)
        subtract(up, change, out=up)
        subtract(down, change, out=down)
        down[i], up[j] = up.item(i), down.item(j)  # what has grown can fall, what has fallen can grow
        if c[i] >= high[i]:
            up[i] = -inf
        if c[j] <= low[j]:
            down[j] = inf
    return step, (e_i, e_j), np.where(np.isinf(up), down, up)


def _solve_free(K: np.ndarray, e: np.ndarray, c: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The q weights that are best while all others keep theirs, or better ones at a bound.

    The change s of the weights makes all e_m equal to one b, K s = e - b, and b is such that their sum
    stays. On the way there, the first weight that meets a bound keeps it, and the others go on to a
    solution of their own.
    """
    c, e, free, t = c.copy(), e.copy(), np.arange(len(c)), 0.0
    regular = K.copy()  # where K is singular, a huge step: to a bound
    regular.flat[:: len(c) + 1] += 1e-10 * K.diagonal().mean() + 1e-100
    while len(free) > 1 and t < 1:
        _, uv, failed = dposv(regular[free][:, free].T, np.array([e[free], np.ones(len(free))]).T)
        if failed:  # K is indefinite
            break
        u, v = uv.T
        s = u - v * (u.sum() / v.sum())
        s -= s.mean()  # where K is singular, u and v are huge, and the sum that is left is their rounding
        end = np.where(s > 0, high[free], low[free])
        room = np.abs(end - c[free]) / np.maximum(np.abs(s), 1e-300)
        t = min(1.0, room.min())
        new = np.where(room <= t, end, c[free] + t * s)
        e -= K[:, free] @ (new - c[free])
        c[free] = new
        free = free[room > t]
    return c
