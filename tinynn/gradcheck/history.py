"""Mistakes that show without differences: something is changed in place, or the past is remembered."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinynn.gradcheck.diagnosis import close
from tinynn.gradcheck.subjects import Subject

Gradients = Mapping[str, np.ndarray | None]


def changed_in_place(subject: Subject) -> tuple[list[str], list[str]]:
    """Arguments and parameters that one forward and backward change, in words."""
    used, arguments, parameters = subject.copy(), [], []
    for step, words in (
        (used.forward, "forward changes it"),
        (used.backward, "backward changes it; only the optimiser may, after all gradients are known"),
    ):
        used.reset(subject)
        step()
        for name, x in subject.arguments.items():
            if not np.array_equal(used.arguments[name], x):
                arguments.append(f"{name} is changed in place; other layers still need it")
        for name, x in subject.parameters().items():
            if not np.array_equal(used.parameters()[name], x):
                parameters.append(f"{name}: {words}")
    return arguments, parameters


def gradients_after_earlier_batch(subject: Subject) -> Gradients:
    """The gradients as in training: the second batch's."""
    used = subject.copy(**subject.earlier_arguments())
    used.forward()
    used.backward()
    return _second_pass(used, subject)


def remembered(subject: Subject, analytic: Gradients) -> dict[str, str]:
    """By variable, how `analytic` depends on what happened before its own forward and backward."""
    fresh = subject.copy()
    alone = _second_pass(fresh, subject)
    fresh.reset(subject)
    again = fresh.backward()
    only_seen = subject.copy(**subject.earlier_arguments())
    only_seen.forward()
    seen = _second_pass(only_seen, subject)
    found = {}
    for name in alone:
        if not _agree(alone[name], analytic[name]):
            if _agree(alone[name], seen[name]):
                found[name] = "gradients of an earlier batch are added to: backward has to overwrite them"
            else:
                found[name] = "stale cache: backward uses what an earlier forward left behind"
        elif not _agree(alone[name], again[name]):
            found[name] = "backward called twice gives two results: it spoils what forward has cached"
    return found


def _second_pass(used: Subject, subject: Subject) -> Gradients:
    used.reset(subject)
    used.forward()
    return used.backward()


def _agree(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None or not np.isfinite(a).all():
        return True  # another check has more to say about these
    return a.shape == b.shape and close(a, b)
