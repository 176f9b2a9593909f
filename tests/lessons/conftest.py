import time

import pytest
from lesson_outcomes import run


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Outcome of a lesson in its default form; a module of tests runs it once."""
    outcomes = {}

    def get(number):
        if number not in outcomes:
            start = time.process_time()
            outcomes[number] = run(number, tmp_path_factory.mktemp("lessons"))
            assert time.process_time() - start < 90, "of processor time, so that other programs do not count"
        return outcomes[number]

    return get
