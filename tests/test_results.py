"""Verdicts are computed from the numbers."""

import json

import pytest

from tinynn.results import ResultsTable


@pytest.mark.parametrize(
    ("value", "options", "verdict"),
    [
        (1.05, {"seed": 1.0, "tolerance": 0.1}, "reproduced"),
        (1.15, {"seed": 1.0, "tolerance": 0.1}, "differs"),
        (1.15, {"seed": 1.0, "standard_error": 0.1}, "within its statistical error"),
        (1.25, {"seed": 1.0, "standard_error": 0.1}, "differs"),
        (0.2, {"seed": 1.0, "factor": 10}, "reproduced"),
        (0.05, {"seed": 1.0, "factor": 10}, "differs"),
        (11.0, {"seed": 1.0, "factor": 10}, "differs"),
        (0.5, {"at_most": 0.6}, "met"),
        (0.7, {"at_most": 0.6}, "missed"),
        (0.7, {"at_least": 0.6}, "met"),
        (0.5, {"seed": "> 0.6", "at_least": 0.6}, "missed"),
        (3.0, {"seed": 1.0, "corrected": True}, "corrected"),
        (3.0, {"seed": 1.0, "corrected": True, "at_least": 2.0, "at_most": 4.0}, "corrected"),
        (1.5, {"seed": 1.0, "corrected": True, "at_least": 2.0}, "missed"),
        (4.5, {"seed": 1.0, "corrected": True, "at_most": 4.0}, "missed"),
        (float("nan"), {"seed": 1.0, "corrected": True, "at_least": 2.0}, "missed"),
        ("yes", {"seed": "yes"}, "reproduced"),
        ("no", {"seed": "yes"}, "differs"),
        (3.0, {}, "new"),
    ],
)
def test_the_verdict_follows_from_the_numbers(value, options, verdict):
    table = ResultsTable("test")
    table.add("quantity", value, **options)
    assert table.rows[0].verdict == verdict


def test_a_source_number_without_a_criterion_is_refused():
    with pytest.raises(ValueError, match="quantity 'x' has a source's number but no criterion"):
        ResultsTable("test").add("x", 1.0, seed=2.0)


def test_it_prints_and_saves(tmp_path):
    table = ResultsTable("A title")
    table.add("MSE", 0.123456, seed=0.12, tolerance=0.1, note="a note")
    table.add("labels", "right")
    assert "A title" in str(table)
    assert "0.1235" in str(table)
    table.save(tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text()) == [
        {"quantity": "MSE", "seed": 0.12, "value": 0.123456, "verdict": "reproduced", "note": "a note"},
        {"quantity": "labels", "seed": None, "value": "right", "verdict": "new", "note": ""},
    ]
