import numpy as np
import pytest
from lesson_outcomes import run, values, verdicts

from tinynn.nn import CrossEntropy
from tinynn.optim import Adam
from tinynn.training_step import RecordedSteps


def test_lesson_19_pays_first_for_calls_then_for_work(full):
    outcome = full("19")
    found = values(outcome)
    assert "missed" not in verdicts(outcome).values()
    assert found["time of a call, 1000 / 10 numbers"] < 5
    assert found["time of a call, 10000000 / 1000 numbers"] > 100
    assert found["operations a second, product / sum"] > 3
    for what in ("sum", "product", "transfer", "training step"):
        assert found[f"numpy, {what}: t₀ (µs)"] > 0
    assert found["numpy, training step: t₀ (µs)"] > 10 * found["numpy, sum: t₀ (µs)"]  # a step is many calls


def test_lesson_19_counts_what_the_network_has(full):
    lesson = full("19").namespace
    network, _ = lesson["train"]("numpy", width=20, epochs=1)
    assert lesson["parameters"](20) == network.theta.size
    assert lesson["width_of"](lesson["parameters"](20)) == pytest.approx(20, rel=0.01)


def test_lesson_19_fits_and_crosses_lines(full):
    lesson = full("19").namespace
    work = np.geomspace(1, 1e7, 8)
    line = lesson["fit_line"](work, 3e-6 + work / 2e9)
    assert line.t0 == pytest.approx(3e-6)
    assert line.rate == pytest.approx(2e9)
    assert line.corner == pytest.approx(6000)
    x = np.geomspace(1, 100, 1000)
    assert lesson["crossing"](x, x, 10 + x / 2) == pytest.approx(20, rel=1e-3)
    assert lesson["crossing"](x, x, 2 * x) == np.inf
    assert lesson["crossing"](x, 2 * x, x) == 1


def test_lesson_19_says_what_is_not_measured(full):
    lesson = full("19")
    rows = [row for row in lesson.results.rows if "ahead from" in row.quantity]
    assert len(rows) == 7
    for row in rows:
        assert ("not measured" in row.note) == ("cupy" in lesson.namespace["missing"]), row


def test_lesson_19_compares_two_array_libraries(device, tmp_path):
    outcome = run("19", tmp_path, quick=True, backend=device)
    found = values(outcome)
    assert found[f"losses of {device} float64 / numpy float64, - 1"] < 1e-6
    assert found[f"losses of {device} float32 / numpy float64, - 1"] < 1e-2
    assert found[f"{device}, sum: t₀ (µs)"] > found["numpy, sum: t₀ (µs)"]
    ahead = {row.quantity: row.note for row in outcome.results.rows if "ahead from" in row.quantity}
    assert ahead[f"{device} ahead from: training step (width w)"] == "both measured"
    assert not any("stated" in text for item in ahead.items() for text in item)


def test_lesson_19_counts_the_calls_of_a_step(full):
    """The table of section 4: two to take the batch, the others are what fit records."""
    lesson = full("19").namespace
    X, y = np.ones((4, 64), np.float32), np.eye(10, dtype=np.float32)[:4]
    model, rule = lesson["Sequential"](*lesson["train"]("numpy", width=8, epochs=1)[0].layers), Adam()
    steps = RecordedSteps(model, CrossEntropy(), rule, (X, y))
    steps.run([np.arange(4)])
    assert len(steps.steps[4].recording.calls) + 2 == lesson["LAUNCHES"]
