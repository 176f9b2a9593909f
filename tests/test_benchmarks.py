import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import strict_array

from benchmarks import harness
from benchmarks.__main__ import main, read_records
from benchmarks.harness import (
    BYTES,
    LIMITS,
    OURS,
    PEERS,
    PRODUCTS,
    START,
    TRANSFERS,
    Target,
    Workload,
    check_same_losses,
    measure,
    peer_of,
)
from benchmarks.kernel_methods import Smooth, ridge_products
from benchmarks.molecules import Molecules
from benchmarks.report import describe, duration, plot, table
from benchmarks.solvers import Regression, Stream
from benchmarks.start import START_UP
from benchmarks.training import Training, matrix_products, tinynn_training
from benchmarks.workloads import WORKLOADS
from tinynn import linalg
from tinynn.linalg import lapack

ROOT = Path(__file__).parents[1]
SIZES = {
    "step": Training(widths=(8, 16, 1), classes=False, samples=40, batch_size=16, epochs=3),
    "epoch": Training(widths=(20, 8, 4), classes=True, samples=70, batch_size=16, epochs=2),
}
# Two sizes of each kind of problem that are done at once.
SMALL = {
    Regression: [{"samples": 400, "features": 5}, {"samples": 800, "features": 5}],
    Smooth: [{"samples": 60}, {"samples": 90}],
    Molecules: [{"samples": 3, "atoms": 4}, {"samples": 5, "atoms": 6}],
}
SWEEPS = [name for name, w in WORKLOADS.items() if isinstance(w.problems[0], tuple(SMALL))]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(harness, "PAUSE", 0)


def small(name, **changes):
    """The workload with other problems and the same contestants."""
    workload = WORKLOADS[name]
    if name in SIZES:
        problems = [SIZES[name]]
    else:
        problem = workload.problems[0]
        problems = [replace(problem, **sizes) for sizes in SMALL[type(problem)][: len(workload.problems)]]
    return replace(workload, **{"problems": problems, **changes})


@pytest.fixture(scope="module")
def sweep():
    """A record of two sizes with a peer, limits and a target."""
    workload = small("distances-single", targets=[Target("scipy", 0.5, size=6), Target(BYTES, 1e9, size=4)])
    return json.loads(json.dumps(measure(workload, peers=["scipy"], rounds=2)))


@pytest.mark.parametrize("name", SIZES)
def test_the_record_has_all_that_is_needed_to_compare(name):
    pytest.importorskip("torch")
    record = measure(small(name), peers=["torch"], rounds=3)
    record = json.loads(json.dumps(record))
    assert record["missing"] == {}
    assert record["backend"] == "numpy"
    (entry,) = record["sizes"]
    assert entry["problem"]["widths"] == list(SIZES[name].widths)
    assert entry["seconds"].keys() == {"tinynn", "torch", PRODUCTS}
    assert entry["ratios"].keys() == {"torch", PRODUCTS}
    assert entry["targets"] == {
        t.contestant: t.ratio
        for t in WORKLOADS[name].targets
        if t.contestant in entry["seconds"] and t.backend == "numpy"
    }
    for part in (*entry["seconds"].values(), *entry["ratios"].values()):
        assert 0 < part["low"] <= part["median"] <= part["high"]
    ours, theirs = (np.array(entry["seconds"][n]["rounds"]) for n in ("tinynn", "torch"))
    assert len(ours) == len(theirs) == 3
    assert entry["ratios"]["torch"]["median"] == pytest.approx(np.median(ours / theirs), rel=1e-4)
    about = record["machine"]
    assert about["versions"].keys() == {"python", "numpy", "tinynn", "torch"}
    assert about["processor"]
    assert about["cores"] >= 1
    assert about["threads"]["torch"] >= 1
    assert about["date"].endswith("+00:00")
    assert "device" not in about

    text = describe(record)
    for part in ("tinynn / torch", "(target 0.", "threads: ", "torch 2", about["processor"]):
        assert part in text


def test_a_record_has_an_entry_for_each_size(sweep):
    assert sweep["size"] == "atoms"
    assert [entry["size"] for entry in sweep["sizes"]] == [4, 6]
    assert [entry["problem"]["atoms"] for entry in sweep["sizes"]] == [4, 6]
    assert [entry["targets"] for entry in sweep["sizes"]] == [{BYTES: 1e9}, {"scipy": 0.5}]
    text = describe(sweep)
    assert text.index("  atoms = 4\n") < text.index("  atoms = 6\n")


def test_times_are_given_for_a_unit():
    def sleep(problem, backend):
        return lambda: harness.time.sleep(0.02) or []

    workload = Workload("", [SIZES["step"]], "step", {OURS: sleep}, units=lambda training: training.steps)
    (entry,) = measure(workload, rounds=1)["sizes"]
    assert 0.02 / 9 < entry["seconds"][OURS]["median"] < 0.1 / 9


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


def test_contestants_belong_to_peers():
    assert peer_of("jax (scan)") == peer_of("jax") == "jax"
    assert peer_of(OURS) is peer_of(PRODUCTS) is None
    for workload in WORKLOADS.values():
        strangers = {name for name in workload.contestants if peer_of(name) is None} - {OURS, *LIMITS}
        assert not strangers
        assert {target.contestant for target in workload.targets} <= workload.contestants.keys()


def test_targets_are_at_sizes_that_are_measured():
    for name, workload in WORKLOADS.items():
        sizes = [None] + [getattr(problem, workload.size) for problem in workload.problems if workload.size]
        assert {target.size for target in workload.targets} <= set(sizes), name
        assert len(workload.problems) == 1 or sizes[1:] == sorted(set(sizes[1:])), name


def test_all_contestants_of_a_peer_take_part_or_none():
    both = small(
        "step", contestants={n: tinynn_training for n in ("tinynn", "jax (scan)", "jax (steps)", "torch")}
    )
    versions = {peer: "numpy" for peer in PEERS}  # whose versions are asked; jax need not be there
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness, "PEERS", versions)
        record = measure(both, peers=["jax"], rounds=1)
    assert record["sizes"][0]["seconds"].keys() == {"tinynn", "jax (scan)", "jax (steps)"}
    assert record["machine"]["versions"].keys() == {"python", "numpy", "tinynn", "jax"}


def test_a_missing_peer_is_named_and_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    record = measure(small("step"), peers=["torch"], rounds=1)
    assert record["sizes"][0]["seconds"].keys() == {"tinynn", PRODUCTS}
    assert record["sizes"][0]["targets"] == {}
    assert "torch" in record["missing"]["torch"]
    assert "torch left out: " in describe(record)
    assert 'pip install "tinynn[bench]"' in describe(record)
    assert "Left out, because it is not installed: torch." in table({"step": record})


def test_a_smaller_last_batch_is_a_step_too():
    training = SIZES["step"]
    assert training.steps == 3 * 3
    assert [[len(rows) for rows in batches] for batches in training.batches()] == [[16, 16, 8]] * 3


class Counting:
    """NumPy that counts the operations of its products."""

    def __init__(self):
        self.operations = 0

    def dot(self, a, b, out):
        self.operations += 2 * a.shape[0] * a.shape[1] * b.shape[1]

    matmul = dot

    def __getattr__(self, name):
        return getattr(np, name)


def test_products_are_those_of_a_training_step(monkeypatch):
    """Forward, dL/dW of every layer and dL/dX of every layer but the first: 2 M n_in n_out each."""
    counting = Counting()
    monkeypatch.setattr("benchmarks.training.get_backend", lambda name: counting)
    matrix_products(replace(SIZES["step"], samples=16, epochs=1), "numpy")()
    assert counting.operations == 2 * 16 * (2 * 8 * 16 + 3 * 16 * 1)


def test_products_of_kernel_ridge_are_those_of_gram_matrix_and_cholesky(monkeypatch):
    counting = Counting()
    monkeypatch.setattr("benchmarks.kernel_methods.get_backend", lambda name: counting)
    ridge_products(Smooth(samples=60, features=20), "numpy")()
    assert counting.operations == 2 * 60 * 60 * 20 + 60**3 // 3


@pytest.mark.parametrize("name", SWEEPS)
def test_peers_find_the_same(name):
    pytest.importorskip("torch")
    workload = small(name)
    record = measure(workload, rounds=1)
    assert record["missing"] == {}
    for entry in record["sizes"]:
        assert entry["seconds"].keys() == workload.contestants.keys()


def test_a_stream_is_read_from_files_and_solved():
    stream = Stream(samples=3000, features=4)
    runs = {name: build(stream, "numpy") for name, build in WORKLOADS["stream"].contestants.items()}
    X, y = (np.load(f"{stream.folder}/{name}.npy") for name in "Xy")
    np.testing.assert_allclose(runs[OURS](), np.linalg.lstsq(X, y)[0], rtol=1e-9)
    assert runs[PRODUCTS]() == runs[BYTES]() == []


def test_imports_run_in_a_fresh_python(monkeypatch):
    commands = []
    monkeypatch.setattr("subprocess.run", lambda command, check: commands.append(command))
    monkeypatch.setitem(PEERS, "thinc", "no such distribution")
    record = measure(START_UP["import-training"], peers=["sklearn", "thinc"], rounds=1)
    assert record["sizes"][0]["seconds"].keys() == {OURS, "sklearn", START}
    assert "no such distribution" in record["missing"]["thinc"]
    assert [sys.executable, "-c", "import tinynn.nn, tinynn.training"] in commands
    assert [sys.executable, "-c", "import sklearn.neural_network"] in commands
    assert [sys.executable, "-c", "import numpy"] in commands


# --- on a device -----------------------------------------------------------------------------------


def pretend(monkeypatch):
    """Give the stand-in what CuPy knows of its device, and LAPACK; returns what the device is asked for."""
    events = []
    runtime = SimpleNamespace(
        deviceSynchronize=lambda: events.append("wait"),
        getDeviceProperties=lambda number: {"name": f"GPU {number}".encode()},
        runtimeGetVersion=lambda: 13010,
    )
    cuda = SimpleNamespace(runtime=runtime, Device=lambda: SimpleNamespace(id=3))
    monkeypatch.setattr(strict_array, "cuda", cuda, raising=False)
    monkeypatch.setattr(strict_array, "__version__", "1.2.3", raising=False)
    monkeypatch.setattr(lapack, "solve_lower", linalg.solve_lower)
    monkeypatch.setattr(lapack, "solve_upper", linalg.solve_upper)
    return events


@pytest.fixture
def strict_gpu(strict_backend, monkeypatch):
    return pretend(monkeypatch)


def test_the_clock_is_read_when_the_device_has_finished(strict_gpu):
    def build(problem, backend):
        return lambda: strict_gpu.append("run") or []

    workload = Workload("", [Smooth(5, 3)], "call", {OURS: build, PRODUCTS: build})
    measure(workload, backend="strict_array", rounds=1)
    assert strict_gpu == ["run"] * 2 + ["run", "wait", "run", "wait"] * 2 + ["wait"] * 2  # and transfers


def test_the_device_is_named_and_transfers_are_apart(strict_gpu):
    record = measure(small("gram"), peers=[], backend="strict_array", rounds=1)
    assert record["backend"] == "strict_array"
    assert record["machine"]["device"] == "GPU 3, CUDA 13.1"
    assert record["machine"]["versions"]["strict_array"] == "1.2.3"
    assert "GPU 3, CUDA 13.1" in describe(record)
    for entry in record["sizes"]:
        assert entry["seconds"].keys() == {OURS, PRODUCTS, BYTES, TRANSFERS}


def test_transfers_move_the_arrays_of_the_problem_there_and_back(strict_gpu, monkeypatch):
    moved = []
    monkeypatch.setattr(harness, "asarray", lambda x, backend: moved.append(x) or strict_array.asarray(x))
    monkeypatch.setattr(harness, "to_numpy", lambda x: moved.append(x.get()))
    problem = Smooth(samples=10, features=3)
    assert harness.transfers(problem, "strict_array")() == []
    X, y = problem.data()
    for got, wanted in zip(moved, (X, X, y, y), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", [*SIZES, *SWEEPS])
def test_workloads_run_on_a_device(name, device, monkeypatch):
    """Its answers are those of NumPy; the limits run too."""
    if device == "strict_array":
        pretend(monkeypatch)
    workload = small(name)

    def on_the_host(problem, backend):
        return workload.contestants[OURS](problem, "numpy")

    contestants = workload.contestants | {"numpy": on_the_host}
    measure(replace(workload, contestants=contestants), ["numpy"], device, rounds=1)


def test_targets_belong_to_a_backend(strict_gpu):
    targets = [Target(PRODUCTS, 1.0), Target(BYTES, 2.0, backend="strict_array")]
    record = measure(small("gram", targets=targets), peers=[], backend="strict_array", rounds=1)
    assert record["sizes"][0]["targets"] == {BYTES: 2.0}


def test_a_backend_that_is_missing_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="cupy"):
        measure(small("step"), backend="cupy", rounds=1)


# --- plots and tables ------------------------------------------------------------------------------


def test_plot(sweep):
    (axes,) = plot(sweep).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("atoms", "time per call (s)")
    lines = {line.get_label(): line for line in axes.lines}
    assert lines.keys() == {OURS, "scipy", BYTES}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(lines)
    medians = [entry["seconds"]["scipy"]["median"] for entry in sweep["sizes"]]
    np.testing.assert_array_equal(lines["scipy"].get_xydata(), np.transpose([[4, 6], medians]))
    ratio = sweep["sizes"][-1]["ratios"]["scipy"]["median"]
    assert axes.get_title().startswith("Distances of all pairs of atoms: ")
    assert axes.get_title().endswith(f"\nTime of tinynn at atoms = 6: {ratio:.2g} × scipy")


def test_plots_name_what_they_miss(sweep, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for call in (lambda: plot(sweep), lambda: main(["step", "--out", str(tmp_path)])):
        with pytest.raises(ImportError, match=r'pip install "tinynn\[bench\]"'):
            call()


@pytest.mark.parametrize(
    ("seconds", "text"), [(24.26e-6, "24.3 µs"), (1.5e-3, "1.50 ms"), (0.1234, "123 ms"), (75.0, "75.0 s")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def made_up(sizes, **changes):
    """A record of these sizes, in which a peer takes twice our time."""
    return {
        "what": "made up",
        "size": "batch_size",
        "unit": "step",
        "sizes": [
            {
                "size": size,
                "seconds": {OURS: {"median": size * 1e-6, "rounds": [size * 1e-6] * 7}},
                "ratios": {"torch": {"median": 0.5}, PRODUCTS: {"median": 2.0}},
                "targets": targets,
            }
            for size, targets in sizes.items()
        ],
        "missing": {},
        "machine": {
            "processor": "abacus",
            "cores": 2,
            "threads": {"openblas": 2},
            "date": "2025-01-02T03:04:05+00:00",
            "versions": {"python": "3.11", "torch": "2"},
        },
    } | changes


def test_table():
    first = made_up({1: {}, 2: {}, 3: {"torch": 0.5, PRODUCTS: 1.0}, 4: {}})
    second = made_up({8: {"torch": 0.4}}, size=None)
    second["sizes"][0]["size"] = None
    lines = table({"a": first, "b": second}).splitlines()
    assert lines[2:6] == [
        "| a | batch size = 1 | 1.00 µs / step | torch 0.5 | matrix products 2 |",
        "| a | batch size = 3 | 3.00 µs / step "
        "| torch 0.5 (target 0.5: met) | matrix products 2 (target 1: missed) |",
        "| a | batch size = 4 | 4.00 µs / step | torch 0.5 | matrix products 2 |",
        "| b |  | 8.00 µs / step | torch 0.5 (target 0.4: missed) | matrix products 2 |",
    ]
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
    assert "Medians of 7 rounds" in lines[7]
    assert lines[-1] == "abacus with 2 cores; threads: openblas 2; 2025-01-02; python 3.11, torch 2."


def test_machines_that_differ_are_all_named():
    other = made_up({1: {}})
    other["machine"] = other["machine"] | {"processor": "quipu", "device": "GPU, CUDA 13.1"}
    last = table({"a": made_up({1: {}}), "b": other}).splitlines()[-1]
    assert last.startswith("abacus with 2 cores, quipu with 2 cores; GPU, CUDA 13.1; threads: openblas 2;")


def check_readme(readme, results):
    """For every folder of records, the README holds what ``--table`` prints, behind that very command."""
    folders = sorted({path.parent for path in results.glob("*/*.json")})
    for folder in folders:
        start = f"<!-- python -m benchmarks --table benchmarks/results/{folder.name} -->\n"
        assert start in readme, (
            f"README.md has no table of {folder}; it stands between {start!r} and <!-- end -->"
        )
        found = readme.partition(start)[2].partition("<!-- end -->")[0].strip()
        assert found == table(read_records(folder))
    named = re.findall(r"<!-- python -m benchmarks --table benchmarks/results/(\S+) -->", readme)
    assert sorted(named) == [folder.name for folder in folders]


def test_the_table_in_the_readme_is_that_of_the_records():
    check_readme((ROOT / "README.md").read_text(encoding="utf-8"), ROOT / "benchmarks" / "results")


def test_another_table_in_the_readme_is_found(tmp_path, sweep):
    start = "<!-- python -m benchmarks --table benchmarks/results/cpu -->\n"
    check_readme("no table, no records", tmp_path)
    with pytest.raises(AssertionError):
        check_readme(f"{start}a table of nothing<!-- end -->", tmp_path)
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "distances-single.json").write_text(json.dumps(sweep))
    right = f"# tinynn\n\n{start}\n{table({'distances-single': sweep})}\n\n<!-- end -->\n"
    check_readme(right, tmp_path)
    for wrong in ("", right.replace("scipy", "numpy"), right.replace("cpu -->", "gpu -->")):
        with pytest.raises(AssertionError):
            check_readme(wrong, tmp_path)


# --- the command line ------------------------------------------------------------------------------


def test_command_line(capsys, tmp_path, monkeypatch):
    main(["--list"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(WORKLOADS)
    on_request = [line.split()[0] for line in listed if line.endswith("(only if named)")]
    assert on_request == [name for name, workload in WORKLOADS.items() if workload.on_request]
    assert "stream" in on_request

    monkeypatch.setitem(WORKLOADS, "step", small("step"))
    monkeypatch.setitem(WORKLOADS, "coulomb", small("coulomb"))
    monkeypatch.setitem(WORKLOADS, "distances-single", small("distances-single"))
    folder = tmp_path / "new"
    main(["step", "distances-single", "--peers", "scipy,numpy", "--rounds", "2", "--out", str(folder)])
    assert capsys.readouterr().out.startswith("step: one training step of")
    assert {path.name for path in folder.iterdir()} == {
        "step.json",
        "distances-single.json",
        "distances-single.png",
    }
    records = read_records(folder)
    assert list(records) == ["step", "distances-single"]  # in the order of WORKLOADS
    assert records["step"]["sizes"][0]["seconds"].keys() == {OURS, PRODUCTS}
    assert records["distances-single"]["sizes"][0]["seconds"].keys() == {OURS, "scipy", BYTES}
    assert len(records["step"]["sizes"][0]["seconds"][OURS]["rounds"]) == 2

    main(["--table", str(folder)])
    assert capsys.readouterr().out == table(records) + "\n"


@pytest.mark.parametrize("none", ["none", ""])
def test_no_peers(none, capsys, monkeypatch):
    monkeypatch.setitem(WORKLOADS, "coulomb", small("coulomb"))
    main(["coulomb", "--peers", none, "--rounds", "1"])
    assert "torch" not in capsys.readouterr().out.partition("tinynn / ")[2]


def test_only_short_workloads_run_unasked(capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.__main__.measure", lambda workload, *others: workload)
    monkeypatch.setattr("benchmarks.__main__.describe", lambda workload: "")
    main([])
    ran = capsys.readouterr().out.replace(":", "").split()
    assert ran == [name for name, workload in WORKLOADS.items() if not workload.on_request]
    main(["stream"])
    assert capsys.readouterr().out.startswith("stream")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["nothing"], "there is no workload nothing; there are step, "),
        (["--peers", "torch,abacus"], "there is no peer 'abacus'; write some of torch,jax,"),
        (["--peers", "torch, jax"], "there is no peer ' jax'"),
        (["--rounds", "0"], "wanted a positive integer, got '0'"),
        (["--rounds", "many"], "wanted a positive integer, got 'many'"),
        (["--backend", "torch"], "invalid choice"),
        (["--table", "nowhere"], "there are no records (*.json) in nowhere"),
    ],
)
def test_wrong_arguments(wrong, message, capsys):
    with pytest.raises(SystemExit):
        main(wrong)
    assert message in capsys.readouterr().err


def test_records_of_no_workload_are_an_error(capsys, tmp_path):
    (tmp_path / "forgotten.json").write_text("{}")
    with pytest.raises(SystemExit):
        main(["--table", str(tmp_path)])
    assert "records of workloads that do not exist: forgotten" in capsys.readouterr().err
