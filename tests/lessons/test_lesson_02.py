import pytest
from lesson_outcomes import values, verdicts


def test_lesson_02_counts_the_digits_lost(full):
    outcome = full("02")
    found = values(outcome)
    assert found["digits lost for each digit of κ, qr"] == pytest.approx(1, abs=0.3)
    assert found["digits lost for each digit of κ, cholesky"] == pytest.approx(2, abs=0.4)
    assert found["gradient descent, η = 1.98/λ_max: loss above minimum"] < 1e-6
    assert {"NIST wampler1, digits of QR", "NIST noint1, digits of QR"} <= set(found), "they need no file"
    assert not {"differs", "missed"} & set(verdicts(outcome).values())
