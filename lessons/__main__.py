"""Command line: ``python -m lessons`` lists the lessons, ``python -m lessons run`` runs them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lessons.runner import Lesson, find_lessons, run_lesson
from tinynn.backend import BackendError, get_backend


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns 0, 1 if a lesson failed, 2 if the call was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m lessons", description="List the lessons, or run them with figures and result tables."
    )
    commands = parser.add_subparsers(dest="command")
    run = commands.add_parser("run", help="run all lessons, or those named")
    run.add_argument("numbers", nargs="*", metavar="NN", help="numbers of lessons, such as 01 11")
    run.add_argument("--quick", action="store_true", help="a fast look, within ten seconds a lesson")
    run.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for figures and results (default: out)"
    )
    run.add_argument("--backend", choices=("numpy", "cupy"), help="array library (default: the lesson's own)")
    options = parser.parse_args(arguments)

    lessons = find_lessons()
    if options.command is None:
        for lesson in lessons:
            print(f"{lesson.number}  {lesson.title}")
        print("\nRun them:  python -m lessons run [NN ...] [--quick] [--out DIR] [--backend numpy|cupy]")
        return 0
    known = {lesson.number: lesson for lesson in lessons}
    wanted = [number.zfill(2) for number in options.numbers] or list(known)
    if unknown := [number for number in wanted if number not in known]:
        parser.error(f"there is no lesson {', '.join(unknown)}; there are {', '.join(known)}")
    if options.backend:
        try:
            get_backend(options.backend)
        except BackendError as error:
            parser.error(str(error))
    return _run([known[number] for number in wanted], options)


def _run(lessons: list[Lesson], options: argparse.Namespace) -> int:
    failed = []
    if options.quick:
        print("Quick run: shortened trainings; texts and verdicts of the lessons refer to the full run.")
    for i, lesson in enumerate(lessons, 1):
        print(f"\n=== {i}/{len(lessons)}  Lesson {lesson.number}: {lesson.title} ===\n", flush=True)
        outcome = run_lesson(lesson, options.out, quick=options.quick, backend=options.backend)
        print()
        if outcome.error:
            failed.append(lesson.number)
            print(outcome.error, file=sys.stderr)
        print(f"{'FAILED' if outcome.error else 'done'} in {outcome.seconds:.1f} s; written:")
        for path in outcome.written:
            print(f"  {path}")
    if failed:
        print(f"\n{len(failed)} of {len(lessons)} lessons failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
