"""A table of results beside the reference numbers they reproduce or correct."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from typing import Any

from tinynn.files import replace_file


@dataclass(frozen=True)
class Result:
    """One line of a `ResultsTable`; the fields are those of results.json."""

    quantity: str
    seed: float | str | None
    value: float | str
    verdict: str
    note: str


class ResultsTable:
    """Quantities with the source's number, ours, and a verdict that is computed from the two.

    Parameters
    ----------
    title : str

    Examples
    --------
    >>> results = ResultsTable("01 Linear regression")
    >>> results.add("MSE, train", 1.03, seed=1.0142, standard_error=0.07)
    >>> print(results)
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: list[Result] = []

    def add(
        self,
        quantity: str,
        value: float | str,
        *,
        seed: float | str | None = None,
        standard_error: float | None = None,
        tolerance: float | None = None,
        factor: float | None = None,
        at_most: float | None = None,
        at_least: float | None = None,
        corrected: bool = False,
        note: str = "",
    ) -> None:
        """Append a line.

        Parameters
        ----------
        quantity : str
        value : float or str
            Ours.
        seed : float or str, optional
            The source's number.
        standard_error : float, optional
            Of the difference between the two: up to two of them is "within its statistical error".
        tolerance : float, optional
            Relative difference that counts as "reproduced".
        factor : float, optional
            Ratio, either way, that counts as "reproduced": for errors known to their order only.
        at_most, at_least : float, optional
            A bound: "met" or "missed".
        corrected : bool
            The source is wrong here; `note` says why. A bound has to hold all the same.
        note : str

        Raises
        ------
        ValueError
            If there is a source's number but nothing to judge the difference by.
        """
        verdict = "new"
        bounded = at_most is not None or at_least is not None
        low = -math.inf if at_least is None else at_least
        high = math.inf if at_most is None else at_most
        if bounded and not low <= float(value) <= high:
            verdict = "missed"
        elif corrected:
            verdict = "corrected"
        elif bounded:
            verdict = "met"
        elif isinstance(seed, str):
            verdict = "reproduced" if value == seed else "differs"
        elif seed is not None:
            if standard_error is tolerance is factor is None:
                raise ValueError(
                    f"quantity {quantity!r} has a source's number but no criterion to compare with it"
                )
            verdict = _compare(float(value), seed, standard_error, tolerance, factor)
        self.rows.append(Result(quantity, seed, _plain(value), verdict, note))

    def save(self, path: str | os.PathLike) -> None:
        """Write the lines as JSON: a list of {quantity, seed, value, verdict, note}."""
        text = json.dumps([asdict(row) for row in self.rows], indent=1, ensure_ascii=False)

        def write(aside: str) -> None:
            with open(aside, "w", encoding="utf-8") as file:
                file.write(text + "\n")

        replace_file(path, write)

    def __str__(self) -> str:
        header = ("quantity", "source", "ours", "verdict", "note")
        cells = [(r.quantity, _format(r.seed), _format(r.value), r.verdict, r.note) for r in self.rows]
        widths = [max(len(row[i]) for row in [header, *cells]) for i in range(4)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2])])
            + f"  {row[3].ljust(widths[3])}  {row[4]}".rstrip()
            for row in [header, *cells]
        ]
        rule = "-" * min(110, max(map(len, lines)))
        return "\n".join([self.title, rule, lines[0], rule, *lines[1:], rule])


def _compare(
    value: float, seed: float, standard_error: float | None, tolerance: float | None, factor: float | None
) -> str:
    """Judge by the first criterion that is given."""
    if standard_error is not None:
        return "within its statistical error" if abs(value - seed) <= 2 * standard_error else "differs"
    if tolerance is not None:
        close = abs(value - seed) <= tolerance * abs(seed)
    else:
        close = factor is not None and 1 / factor <= value / seed <= factor
    return "reproduced" if close else "differs"


def _plain(value: Any) -> float | str:
    return value if isinstance(value, str) else float(value)


def _format(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.4g}"
