import numpy as np
import pytest
from lesson_outcomes import values, verdicts


def test_lesson_01_follows_the_law_within_two_standard_errors(full):
    lesson = full("01").namespace
    assert lesson["N_SEEDS"] == 20
    for dmax in (1, 10, 20):
        for quantity, law in lesson["law"](dmax).items():
            mean, spread = lesson["mean_and_spread"](dmax, quantity)
            assert abs(mean - law) <= 2 * spread / np.sqrt(20), (dmax, quantity, mean, law)


def test_lesson_01_diverges_at_its_bound_and_scaling_cures_it(full):
    outcome = full("01")
    lesson = outcome.namespace
    assert lesson["below"][-1] < 10 < 1e10 < lesson["above"][-1]
    assert lesson["divergence"].largest_stable_rate == pytest.approx(lesson["wide_bound"], rel=1e-6)
    assert values(outcome)["MSE test, [0, 100], scaled"] < 1.5
    assert "differs" not in verdicts(outcome).values()
