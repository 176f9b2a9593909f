"""Runs a lesson as it stands, with its knobs turned, and keeps what it shows.

A lesson is a plain script; it knows nothing of this module. Its knobs are the assignments to names in
capitals at the left margin. A comment on the same line may name a value for a fast look::

    EPOCHS = 1000  # quick: 60; the losses are flat by then
"""

from __future__ import annotations

import re
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinynn.plotting import get_pyplot
from tinynn.results import ResultsTable

FOLDER = Path(__file__).parent
KNOB = re.compile(r"^(?P<name>[A-Z][A-Z0-9_]*) = (?P<value>[^#\n]*?)(?P<comment>\s*#.*)?$", re.MULTILINE)
QUICK = re.compile(r"#\s*quick:\s*(?P<value>[^;]+)")


@dataclass(frozen=True)
class Lesson:
    """One lesson script: its number "01", its title and its file."""

    number: str
    title: str
    path: Path

    @property
    def name(self) -> str:
        """File name without ending, "01_linear_regression"."""
        return self.path.stem


@dataclass
class Outcome:
    """What running a lesson gave."""

    lesson: Lesson
    seconds: float = 0.0
    error: str | None = None
    written: list[Path] = field(default_factory=list)
    results: ResultsTable | None = None
    namespace: dict[str, Any] = field(default_factory=dict)


def find_lessons() -> list[Lesson]:
    """All lessons in their order; the title is the first heading of the script."""
    lessons = []
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.py")):
        heading = re.search(r"^# # (?:Lesson \d+: )?(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        lessons.append(Lesson(path.name[:2], heading.group(1) if heading else path.stem, path))
    return lessons


def turn_knobs(source: str, *, quick: bool = False, backend: str | None = None) -> str:
    """The script with its knobs at their quick values, and BACKEND at the one asked for."""

    def turn(match: re.Match[str]) -> str:
        value, comment = match["value"], match["comment"] or ""
        if quick and (found := QUICK.search(comment)):
            value = found["value"].strip()
        if backend is not None and match["name"] == "BACKEND":
            value = repr(backend)
        return f"{match['name']} = {value}{comment}"

    return KNOB.sub(turn, source)


def run_lesson(lesson: Lesson, out: Path, *, quick: bool = False, backend: str | None = None) -> Outcome:
    """Run a lesson; its figures and results.json go to out/name/. An error is kept, not raised."""
    import matplotlib
    from threadpoolctl import threadpool_limits

    matplotlib.use("Agg")
    plt = get_pyplot()
    folder = out / lesson.name
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome(lesson)
    open_before = set(plt.get_fignums())

    def its_figures() -> list[int]:
        return [number for number in plt.get_fignums() if number not in open_before]

    def save_figures() -> None:
        for number in its_figures():
            figure = plt.figure(number)
            name = figure.get_label() or f"figure_{len(outcome.written) + 1}"
            path = folder / f"{re.sub(r'[^A-Za-z0-9]+', '_', str(name))}.png"
            figure.savefig(path, dpi=120)
            plt.close(figure)
            outcome.written.append(path)

    source = turn_knobs(lesson.path.read_text(encoding="utf-8"), quick=quick, backend=backend)
    namespace = outcome.namespace
    namespace |= {"__name__": "__main__", "__file__": str(lesson.path)}
    start = time.perf_counter()
    show, plt.show = plt.show, save_figures
    try:
        # the products of a lesson are small: on a busy machine threads of BLAS that wait for each other
        # take a hundred times longer, and with one the rounding does not depend on the number of cores
        with threadpool_limits(1, user_api="blas"):
            exec(compile(source, str(lesson.path), "exec"), namespace)
        save_figures()
        outcome.results = namespace.get("results")
        if outcome.results is None:
            raise ValueError(f"{lesson.path.name} ends without a table called results")
        outcome.results.save(folder / "results.json")
        outcome.written.append(folder / "results.json")
    except (Exception, SystemExit):  # whatever a lesson does wrong, the others still run
        outcome.error = traceback.format_exc()
    finally:
        plt.show = show
        for number in its_figures():
            plt.close(number)
    outcome.seconds = time.perf_counter() - start
    return outcome
