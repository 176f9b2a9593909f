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
from typing import NamedTuple

import numpy as np

FEW = 100  # free weights that are solved for at once: it costs as much as PATIENCE steps, or less
PATIENCE = 50  # steps of pairs between two such solutions
MANY = 1000  # samples from which on the margin is first made softer

Row = Callable[[int], np.ndarray]


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
    c, e, steps = [0.0] * len(y), y.copy(), 0
    # At a high C many weights can be free for long, and pairs approach the solution in tiny steps. At a low C
    # they soon meet their bounds, and most of them stay there when C grows and all weights with it. (Only if
    # few are free: else zero is the better start. Multiplying by a power of two does not round: C is met.)
    growth = 2.0 ** max(0, math.ceil(math.log2(C * diagonal.mean() + 1e-100))) if len(y) > MANY else 1.0
    if growth > 1:
        steps, _, soft_e = _ascend(c, e, row, diagonal, y, C / growth, max(tol, 0.1), max_iter)
        soft_a = y * c
        few = np.count_nonzero((soft_a > 0) & (soft_a < C / growth)) <= FEW
        c = (growth * y * soft_a).tolist() if few else [0.0] * len(y)
        e = y - growth * (y - soft_e) if few else e
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
    low, high = np.minimum(0, C * y).tolist(), np.maximum(0, C * y).tolist()  # S4 (43)
    up = np.where(c < np.maximum(0, C * y), e, -np.inf)  # e_m of the weights that can grow
    down = np.where(c > np.minimum(0, C * y), e, np.inf)  # e_m of those that can fall

    def place(m: int, c_m: float, e_m: float) -> None:
        c[m] = c_m
        up[m] = e_m if c_m < high[m] else -np.inf
        down[m] = e_m if c_m > low[m] else np.inf

    half = diagonal * (0.5 + 1e-12) + 1e-100  # a little more: equal samples get a distance as well
    half_of = half.tolist()
    zero, (gain, distance, change) = np.zeros(len(y)), np.empty((3, len(y)))
    countdown = PATIENCE
    for step in range(max_iter + 1):
        i, j = up.argmax(), down.argmin()
        e_i, e_j = up.item(i), down.item(j)
        if e_i - e_j <= tol or step == max_iter:
            break
        if countdown == 0:
            free = np.flatnonzero(up == down)
            countdown = max(PATIENCE, 2 * len(free))
            if 1 < len(free) <= FEW:
                members = free.tolist()
                K = np.stack([row(m) for m in members])
                old = np.array([c[m] for m in members])
                new = _solve_free(
                    K[:, free], up[free], old, *(np.array([x[m] for m in members]) for x in (low, high))
                )
                change = (new - old) @ K
                up -= change
                down -= change
                for m, c_m in zip(members, new.tolist(), strict=True):
                    place(m, c_m, up.item(m))
                continue
        countdown -= 1
        # A step t changes the objective by t (e_i - e_j) - t^2 d, where d = |phi_i - phi_j|^2 / 2: of all j,
        # take the one with which it gains most, (e_i - e_j)^2 / 4 d, were there no bounds.
        K_i = row(i)
        np.subtract(e_i, down, out=gain)
        np.maximum(gain, zero, out=gain)
        np.multiply(gain, gain, out=gain)
        np.subtract(half, K_i, out=distance)
        np.add(distance, half_of[i], out=distance)
        np.divide(gain, distance, out=gain)
        j = gain.argmax()
        e_j = down.item(j)
        t = min((e_i - e_j) / (2 * distance.item(j)), high[i] - c[i], c[j] - low[j])  # S4 (43)
        np.subtract(K_i, row(j), out=change)
        np.multiply(change, t, out=change)
        np.subtract(up, change, out=up)
        np.subtract(down, change, out=down)
        place(i, c[i] + t, up.item(i))
        place(j, c[j] - t, down.item(j))
    return step, (e_i, e_j), np.where(np.isinf(up), down, up)


def _solve_free(K: np.ndarray, e: np.ndarray, c: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The q weights that are best while all others keep theirs, or better ones at a bound.

    The last weight takes what the others lose, so that the sum stays. That leaves a problem without
    constraint, with the inner products H of the phi_m - phi_last. On the way to its solution, the first
    weight that meets a bound stays there, and the others go on to a solution of their own.
    """
    c, e = c.copy(), e.copy()
    free = np.arange(len(c))
    while len(free) > 1:
        K_free = K[np.ix_(free, free)]
        H = K_free[:-1, :-1] - K_free[:-1, -1:] - K_free[-1:, :-1] + K_free[-1, -1]
        H[range(len(H)), range(len(H))] += 1e-10 * H.diagonal().mean() + 1e-100  # without slope: to a bound
        s = np.linalg.solve(H, (e[free] - e[free[-1]])[:-1])
        s = np.append(s, -s.sum())
        end = np.where(s > 0, high[free], low[free])
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(s != 0, (end - c[free]) / s, np.inf)
        t = min(1.0, room.min())
        new = np.where(room <= t, end, c[free] + t * s)
        e -= K[:, free] @ (new - c[free])
        c[free] = new
        if t == 1:
            break
        free = free[room > t]
    return c
