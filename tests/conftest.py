"""What all tests share: hypothesis settings, what is skipped and why, and the array libraries."""

import os
import sys

import pytest
import strict_array
from hypothesis import settings
from threadpoolctl import threadpool_limits

from tinynn import backend

settings.register_profile("tinynn", deadline=None, derandomize=True)
settings.load_profile("tinynn")


def _why_no_gpu():
    try:
        backend.get_backend("cupy")
    except backend.BackendError as error:
        return str(error)
    return None


def pytest_collection_modifyitems(config, items):
    reasons = {
        "gpu": _why_no_gpu(),
        "real_data": None if os.environ.get("TINYNN_DATA") else "set $TINYNN_DATA to the folder of data sets",
        "slow": None if "slow" in config.option.markexpr else "slow: run with pytest -m slow",
    }
    for item in items:
        for marker, reason in reasons.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True, scope="session")
def _one_thread_of_blas():
    """Threads that wait for each other make small products a hundred times slower on a busy machine."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture
def strict_backend(monkeypatch):
    """The name of an array library that never mixes with NumPy; see strict_array.py."""
    monkeypatch.setattr(backend, "BACKENDS", (*backend.BACKENDS, "strict_array"))
    backend._library.cache_clear()  # it remembers types that belonged to no library
    for name, module in strict_array.cupyx.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield "strict_array"
    backend._library.cache_clear()


@pytest.fixture(params=["strict_array", pytest.param("cupy", marks=pytest.mark.gpu)])
def device(request):
    """The name of an array library other than NumPy: the strict one, and CuPy where it finds a GPU."""
    if request.param == "strict_array":
        return request.getfixturevalue("strict_backend")
    return request.param


@pytest.fixture(autouse=True)
def _no_figures_left():
    """What one test draws must not turn up among the figures of the next."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
