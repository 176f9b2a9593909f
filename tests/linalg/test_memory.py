from types import SimpleNamespace

import numpy as np
import pytest

from tinynn.linalg import memory


def test_there_is_room_for_a_small_matrix():
    assert memory.available_bytes() > 2**20
    A = memory.empty_square(7, "nothing")
    assert A.shape == (7, 7)
    assert A.dtype == np.float64


def test_on_a_gpu_what_cupy_keeps_for_its_next_arrays_is_free(monkeypatch):
    cupy = SimpleNamespace(
        cuda=SimpleNamespace(runtime=SimpleNamespace(memGetInfo=lambda: (1000, 8000))),
        get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: 500),
    )
    monkeypatch.setattr(memory, "get_backend", lambda backend: cupy)
    assert memory.available_bytes("cupy") == 1500


def test_too_large_a_matrix_is_refused_with_numbers_and_a_way_out(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda backend: 10**9)
    with pytest.raises(
        MemoryError, match=r"^a matrix of 20000 x 20000 .* 3.20 GB; 1.00 GB are .*: buy more$"
    ):
        memory.empty_square(20_000, "buy more")
    assert memory.empty_square(1000, "buy more").shape == (1000, 1000)


def test_the_system_may_refuse_as_well(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda backend: None)
    with pytest.raises(MemoryError, match=r"^a matrix of 100000000 x .* the system refuses .*: buy more$"):
        memory.empty_square(10**8, "buy more")  # more than there are addresses


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    limit = tmp_path / "limit"
    monkeypatch.setattr(memory, "CONTAINER", [(str(tmp_path), "limit", "use", "idle_files")])
    machine = memory.available_bytes()
    limit.write_text("5000000\n")
    (tmp_path / "use").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("anon 2600000\nidle_files 400000\nbusy_files 7\n")
    assert memory.available_bytes() == 2_400_000  # the cache of files gives way
    limit.write_text("max\n")
    assert memory.available_bytes() == pytest.approx(machine, rel=0.5)


def test_without_any_source_nothing_is_known(monkeypatch):
    monkeypatch.setattr(memory, "_machine", lambda: None)
    monkeypatch.setattr(memory, "CONTAINER", [])
    assert memory.available_bytes() is None
