import os
from pathlib import Path

import pytest
from lesson_outcomes import values, verdicts

REAL_DATA = Path(os.environ.get("TINYNN_DATA", "nowhere"), "mnist").is_dir()


def test_lesson_08_reads_digits(full):
    outcome = full("08")
    accuracies = {k: v for k, v in values(outcome).items() if k.startswith("digits")}
    assert len(accuracies) == 4
    assert min(accuracies.values()) >= 0.97
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="no folder mnist in $TINYNN_DATA")
def test_lesson_08_on_the_real_images(full):
    found = values(full("08"))
    assert found["MNIST, 784-128-10"] >= 0.975
    assert found["Fashion-MNIST, 784-128-10"] >= 0.875
