"""Lessons as the tests run them, and what to ask of an outcome."""

from lessons.runner import find_lessons, run_lesson

LESSONS = find_lessons()
BY_NUMBER = {lesson.number: lesson for lesson in LESSONS}


def run(number, out, **options):
    """Run a lesson; an error in it fails the test."""
    outcome = run_lesson(BY_NUMBER[number], out, **options)
    assert outcome.error is None, outcome.error
    return outcome


def values(outcome):
    return {row.quantity: row.value for row in outcome.results.rows}


def verdicts(outcome):
    return {row.quantity: row.verdict for row in outcome.results.rows}
