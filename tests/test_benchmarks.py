import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.harness import PRODUCTS, check_same_losses, describe, measure
from benchmarks.kernel_methods import KERNEL_METHODS
from benchmarks.solvers import Regression, Stream
from benchmarks.training import Training, matrix_products, tinynn_training
from benchmarks.workloads import WORKLOADS

SIZES = {
    "step": Training(widths=(8, 16, 1), classes=False, samples=40, batch_size=16, epochs=3),
    "epoch": Training(widths=(20, 8, 4), classes=True, samples=70, batch_size=16, epochs=2),
}


def small(name, **changes):
    """The workload with another problem and the same contestants."""
    training = SIZES[name]
    return replace(WORKLOADS[name], problem=training, units=training.steps, **changes)


@pytest.mark.parametrize("name", SIZES)
def test_the_record_has_all_that_is_needed_to_compare(name):
    pytest.importorskip("torch")
    record = measure(small(name), peers=["torch"], rounds=3)
    record = json.loads(json.dumps(record))
    assert record["problem"]["widths"] == list(SIZES[name].widths)
    assert record["seconds"].keys() == {"tinynn", "torch", PRODUCTS}
    assert record["ratios"].keys() == {"torch", PRODUCTS}
    targets = WORKLOADS[name].targets
    assert record["targets"] == {peer: targets[peer] for peer in targets if peer in record["ratios"]}
    assert record["missing"] == {}
    for part in (*record["seconds"].values(), *record["ratios"].values()):
        assert 0 < part["low"] <= part["median"] <= part["high"]
        assert len(part["rounds"]) == 3
    ratios = [
        ours / theirs
        for ours, theirs in zip(*(record["seconds"][n]["rounds"] for n in ("tinynn", "torch")), strict=True)
    ]
    assert record["ratios"]["torch"]["rounds"] == pytest.approx(ratios)
    about = record["machine"]
    assert about["versions"].keys() == {"python", "numpy", "tinynn", "torch"}
    assert about["processor"]
    assert about["cores"] >= 1
    assert about["threads"]["torch"] >= 1
    assert about["date"].endswith("+00:00")

    text = describe(record)
    for part in ("tinynn / torch", "target 0.", "threads: ", "torch 2", about["processor"]):
        assert part in text


def test_contestants_with_another_rate_are_caught():
    """Two tinynn, so that nothing else can differ."""

    def at_twice_the_rate(training, backend):
        return tinynn_training(replace(training, lr=2 * training.lr), backend)

    for name in SIZES:
        same = small(name, contestants={"tinynn": tinynn_training, "torch": tinynn_training})
        measure(same, rounds=1)
        other = small(name, contestants={"tinynn": tinynn_training, "torch": at_twice_the_rate})
        with pytest.raises(ValueError, match="torch does not do the work of tinynn: its losses are"):
            measure(other, rounds=1)


@pytest.mark.parametrize("theirs", [[1.0, 2.01], [1.0], [float("nan")] * 2])
def test_losses_that_differ_are_refused(theirs):
    check_same_losses({"tinynn": [1.0, 2.0], "other": [1.0001, 2.0], PRODUCTS: []})
    with pytest.raises(ValueError, match="other does not do the work"):
        check_same_losses({"tinynn": [1.0, 2.0], "other": theirs})


def test_a_missing_peer_is_named_and_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    record = measure(small("step"), rounds=1)
    assert record["seconds"].keys() == {"tinynn", PRODUCTS}
    assert record["targets"] == {}
    assert "torch" in record["missing"]["torch"]
    assert "torch left out: " in describe(record)
    assert 'pip install "tinynn[bench]"' in describe(record)


def test_a_smaller_last_batch_is_a_step_too():
    training = SIZES["step"]
    assert training.steps == 3 * 3
    assert [[len(rows) for rows in batches] for batches in training.batches()] == [[16, 16, 8]] * 3


def test_products_are_those_of_a_training_step(monkeypatch):
    """Forward, dL/dW of every layer and dL/dX of every layer but the first: 2 M n_in n_out each."""
    operations = []

    class Counting:
        @staticmethod
        def dot(a, b, out):
            operations.append(2 * a.shape[0] * a.shape[1] * b.shape[1])

        def __getattr__(self, name):
            return getattr(np, name)

    monkeypatch.setattr("benchmarks.training.get_backend", lambda name: Counting())
    matrix_products(replace(SIZES["step"], samples=16, epochs=1), "numpy")()
    assert sum(operations) == 2 * 16 * (2 * 8 * 16 + 3 * 16 * 1)


@pytest.mark.parametrize("name", [name for name, w in WORKLOADS.items() if isinstance(w.problem, Regression)])
def test_solvers_and_peers_find_the_same_solution(name):
    pytest.importorskip("torch")
    workload = WORKLOADS[name]
    record = measure(
        replace(workload, problem=replace(workload.problem, samples=400, features=5)),
        peers=list(workload.contestants),
        rounds=1,
    )
    assert record["seconds"].keys() == workload.contestants.keys()
    assert record["missing"] == {}


@pytest.mark.parametrize("name", KERNEL_METHODS)
def test_kernel_methods_and_peers_find_the_same(name):
    pytest.importorskip("torch")
    workload = KERNEL_METHODS[name]
    record = measure(
        replace(workload, problem=replace(workload.problem, samples=60)),
        peers=list(workload.contestants),
        rounds=1,
    )
    assert record["seconds"].keys() == workload.contestants.keys()


def test_a_stream_is_read_from_files_and_solved():
    workload = replace(WORKLOADS["stream"], problem=Stream(samples=3000, features=4))
    runs = {name: build(workload.problem, "numpy") for name, build in workload.contestants.items()}
    X, y = (np.load(f"{workload.problem.folder}/{name}.npy") for name in "Xy")
    np.testing.assert_allclose(runs["tinynn"](), np.linalg.lstsq(X, y)[0], rtol=1e-9)
    assert runs["matrix products"]() == runs["reading"]() == []


def test_command_line(capsys, tmp_path, monkeypatch):
    main(["--list"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(WORKLOADS)
    on_request = [line.split()[0] for line in listed if line.endswith("(only if named)")]
    assert on_request == ["step-gpu", "wide", "exercise-7", "stream"]

    monkeypatch.setitem(WORKLOADS, "step", small("step"))
    main(["step", "--peers", "--out", str(tmp_path / "new")])
    assert capsys.readouterr().out.startswith("step: one training step of")
    record = json.loads((tmp_path / "new" / "step.json").read_text())
    assert record["seconds"].keys() == {"tinynn", PRODUCTS}

    for wrong in (["nothing"], ["--peers", "abacus"], ["--backend", "torch"]):
        with pytest.raises(SystemExit):
            main(wrong)
        assert "error: " in capsys.readouterr().err


def test_a_backend_that_is_missing_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="cupy"):
        measure(small("step"), backend="cupy", rounds=1)
