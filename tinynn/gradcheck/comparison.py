"""The comparison itself: gradients of a subject with differences of its output, variable by variable."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynn.gradcheck.diagnosis import Evidence, diagnose
from tinynn.gradcheck.differences import directional_derivative, jacobian
from tinynn.gradcheck.history import changed_in_place, gradients_after_earlier_batch, remembered
from tinynn.gradcheck.subjects import LayerSubject, Subject

DIRECTIONS = 6


class GradientKinkWarning(UserWarning):
    """The point of the check lies on a kink, where there is no derivative to compare with."""


class GradientFlatWarning(UserWarning):
    """The derivative at the point of the check is lost in rounding: a wrong one would pass."""


class GradientBatchWarning(UserWarning):
    """The batch has one sample: mistakes of 1/M and of sums over the batch cannot be seen."""


@dataclass(frozen=True)
class GradientReport:
    """What a gradient check found; print it.

    Attributes
    ----------
    ok : bool
    max_relative_error : float
        The largest of `errors`; inf where nothing could be compared.
    diagnosis : tuple of str
        For everything that is wrong, the likely mistake; empty if ok.
    errors : dict
        Relative error by variable: "X" for the input, "W", "b" ... for parameters ("0.W" for those of
        a layer inside).
    """

    ok: bool
    max_relative_error: float
    diagnosis: tuple[str, ...]
    errors: Mapping[str, float]

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        verdict = "gradients agree" if self.ok else "gradients are WRONG"
        lines = [f"{verdict} (largest relative error {self.max_relative_error:.1e})"]
        lines += [f"  d/d{name:<12} relative error {error:.1e}" for name, error in self.errors.items()]
        return "\n".join(lines + [f"  -> {words}" for words in self.diagnosis])


def compare(subject: Subject, rng: np.random.Generator, rtol: float) -> GradientReport:
    """Run the code under test, watch what it does besides, and compare its gradients."""
    if len(subject.batch) == 1:
        warnings.warn(
            "a batch of one sample hides mistakes of 1/M and of sums over the batch; take three or more",
            GradientBatchWarning,
            stacklevel=3,
        )
    first, second = subject.copy().forward(), subject.copy().forward()
    problem = _unusable(subject, first, second)
    if problem:
        return GradientReport(False, np.inf, (problem,), {})
    output = np.asarray(first)
    subject.weigh(output, rng)
    problems, parameters_changed = changed_in_place(subject)
    problems += parameters_changed
    analytic = gradients_after_earlier_batch(subject)
    past = remembered(subject, analytic)
    comparison = _Comparison(subject, output, rng, rtol)
    for name, x in subject.variables().items():
        problem = comparison.problem(name, x, analytic[name])
        if name in past:
            problem = f"{name}: {past[name]}"
        if problem and not parameters_changed:  # then the other gradients are wrong for that reason
            problems.append(problem)
    worst = max(comparison.errors.values())
    return GradientReport(not problems, worst, tuple(problems), comparison.errors)


def _unusable(subject: Subject, first: Any, second: Any) -> str | None:
    """Why the output of forward cannot be differentiated, if it cannot."""
    if first is None:
        return "forward returned nothing"
    if not np.isfinite(np.asarray(first)).all():
        return "forward returns NaN or inf"
    if not np.array_equal(first, second):
        return "forward is not repeatable: draw from an rng attribute, a numpy.random.Generator"
    return subject.wrong_output(first)


class _Comparison:
    """Of gradients with differences, for one function of all variables."""

    def __init__(self, subject: Subject, output: np.ndarray, rng: np.random.Generator, rtol: float) -> None:
        self.subject, self.output, self.rng, self.rtol = subject, output, rng, rtol
        self.errors: dict[str, float] = {}

    def problem(self, name: str, x: np.ndarray, analytic: np.ndarray | None) -> str | None:
        """The mistake in the gradient with respect to x, or None."""
        self.errors[name] = np.inf
        if analytic is None:
            attribute = name.rpartition(".")[2]
            is_input = name == self.subject.batch_name
            return (
                f"{name}: backward returned no d{name}"
                if is_input
                else f"{name}: backward does not set d{attribute}"
            )
        comparable = analytic.shape == x.shape and bool(np.isfinite(analytic).all())
        if comparable and self._agrees_along_directions(name, x, analytic):
            return None
        J, smooth, noise = jacobian(self.subject.output, x)
        if not smooth.any():
            return (
                f"{name}: nothing could be compared: every entry lies on a kink; move the point of the check"
            )
        if not smooth.all():
            warnings.warn(
                f"{name}: {np.sum(~smooth)} of {smooth.size} entries lie on a kink, where there is no "
                "derivative; they are left out. Move the point of the check.",
                GradientKinkWarning,
                stacklevel=4,
            )
        upstream = self.subject.upstream
        numeric = np.tensordot(J, upstream, axes=upstream.ndim)
        if comparable:
            error = abs(analytic - numeric)[smooth].max()
            if self._agrees(name, error, abs(numeric)[smooth].max(), noise * np.sqrt(upstream.size)):
                return None
        evidence = Evidence(
            name,
            analytic,
            J,
            upstream,
            smooth,
            x.copy(),
            self.output,
            len(self.subject.batch),
            forward_at=self._forward_at if isinstance(self.subject, LayerSubject) and name == "X" else None,
            target=self.subject.target,
        )
        return diagnose(evidence)

    def _forward_at(self, X: np.ndarray) -> np.ndarray:
        return self.subject.copy(X=X).output()

    def _agrees_along_directions(self, name: str, x: np.ndarray, analytic: np.ndarray) -> bool:
        """Whether the derivatives along a few random directions agree, measured by their root mean square."""
        numeric, exact, noise = [], [], 0.0
        upstream = self.subject.upstream
        for _ in range(DIRECTIONS):
            direction = self.rng.standard_normal(x.shape)
            direction /= np.linalg.norm(direction)
            difference = directional_derivative(self.subject.output, x, direction)
            if difference.smooth:
                numeric.append(np.vdot(difference.value, upstream))
                exact.append(np.vdot(analytic, direction))
                noise = max(noise, difference.noise * np.sqrt(upstream.size))
        if not numeric:
            return False
        error = np.max(np.abs(np.subtract(exact, numeric)))
        return self._agrees(name, error, np.sqrt(np.mean(np.square(numeric))), noise)

    def _agrees(self, name: str, error: float, size: float, noise: float) -> bool:
        """Note error over size; where rounding alone could reach rtol, it counts as no more than rtol."""
        self.errors[name] = float(error / max(size, noise / self.rtol)) if error else 0.0
        agrees = self.errors[name] <= self.rtol
        if agrees and size <= noise:
            warnings.warn(
                f"{name}: the function is flat here, its derivative lost in rounding; nothing was checked. "
                "Move the point of the check.",
                GradientFlatWarning,
                stacklevel=6,
            )
        return agrees
