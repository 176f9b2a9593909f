import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.exercise import EXERCISES, tinynn_exercise
from benchmarks.harness import check_same_losses
from benchmarks.inference import INFERENCES
from benchmarks.networks import Exercise, Inference, Training
from benchmarks.peers import in_jax, in_sklearn, in_thinc, in_torch
from benchmarks.training import DEPTHS, TRAININGS, WIDTHS, tinynn_training

# the last batch of an epoch is smaller in all but the first
SIZES = {
    "regression": Training(widths=(8, 16, 16, 1), classes=False, samples=64, batch_size=16, epochs=3),
    "smaller last batch": Training(widths=(8, 16, 1), classes=False, samples=70, batch_size=16, epochs=3),
    "classes": Training(widths=(20, 8, 4), classes=True, samples=70, batch_size=16, epochs=3),
}
TRAININGS_OF = {
    "torch": in_torch.training,
    "jax (scan)": in_jax.scanned_training,
    "jax (per step)": in_jax.stepwise_training,
    "sklearn": in_sklearn.training,
    "thinc": in_thinc.training,
}
INFERENCES_OF = {
    "torch": in_torch.inference,
    "jax": in_jax.inference,
    "sklearn": in_sklearn.inference,
    "thinc": in_thinc.inference,
}


def installed(name):
    pytest.importorskip(name.split(" ")[0])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TRAININGS_OF)
def test_peers_take_the_same_steps(name, size):
    """From run to run, too: the weights and the state of Adam go on."""
    installed(name)
    ours = tinynn_training(SIZES[size], "numpy")
    theirs = TRAININGS_OF[name](SIZES[size], "numpy")
    for _ in range(2):
        losses = ours()
        assert len(losses) == SIZES[size].epochs
        np.testing.assert_allclose(theirs(), losses, rtol=1e-5)


@pytest.mark.parametrize("name", TRAININGS_OF)
@pytest.mark.parametrize("change", [{"lr": 1.1e-3}, {"seed": 1}])
def test_peers_that_do_something_else_are_caught(name, change):
    installed(name)
    problem = SIZES["regression"]
    losses = {"tinynn": tinynn_training(problem, "numpy")()}
    losses[name] = TRAININGS_OF[name](replace(problem, **change), "numpy")()
    with pytest.raises(ValueError, match="does not do the work of tinynn"):
        check_same_losses(losses)


@pytest.mark.parametrize("samples", [1, 7])
@pytest.mark.parametrize("name", INFERENCES_OF)
def test_peers_predict_the_same(name, samples):
    installed(name)
    problem = Inference(widths=(8, 16, 16, 1), samples=samples, calls=2)
    wanted = problem.model().predict(*problem.data())[:5, 0]
    predicted = INFERENCES_OF[name](problem, "numpy")()
    np.testing.assert_allclose(predicted, wanted, rtol=1e-5, atol=1e-6)


def test_the_exercise_is_the_same_in_torch():
    pytest.importorskip("torch")
    problem = Exercise(epochs=2, samples=60)
    assert len(problem.cases) == len(set(problem.cases)) == 8
    ours = tinynn_exercise(problem, "numpy")
    first = ours()
    np.testing.assert_allclose(in_torch.exercise(problem, "numpy")(), first, rtol=1e-5)
    assert ours() == first, "every run starts anew"


@pytest.mark.parametrize("workload", [*TRAININGS.values(), *INFERENCES.values(), *EXERCISES.values()])
def test_targets_name_contestants(workload):
    assert {target.contestant for target in workload.targets} <= workload.contestants.keys()


def test_sweeps_rise():
    widths = [problem.widths[1] for problem in WIDTHS]
    depths = [len(problem.widths) - 2 for problem in DEPTHS]
    assert (widths[0], widths[-1], depths[0], depths[-1]) == (16, 1024, 1, 16)
    assert widths == sorted(widths)
    assert depths == sorted(depths)


@pytest.mark.parametrize(
    "build", [in_sklearn.training, in_sklearn.inference, in_thinc.training, in_thinc.inference]
)
def test_a_peer_without_gpu_is_left_out_there(build):
    with pytest.raises(ImportError):
        build(SIZES["classes"], "cupy")


def test_a_graph_needs_a_gpu_and_batches_of_one_size():
    pytest.importorskip("torch")
    with pytest.raises(ImportError, match="--backend cupy"):
        in_torch.graph_training(SIZES["regression"], "numpy")
    with pytest.raises(ValueError, match="samples is 70, no multiple of the batch size 16"):
        in_torch.graph_training(SIZES["classes"], "cupy")


@pytest.mark.gpu
def test_a_graph_takes_the_same_steps():
    pytest.importorskip("torch")
    problem = SIZES["regression"]
    losses = tinynn_training(problem, "cupy")()
    np.testing.assert_allclose(in_torch.graph_training(problem, "cupy")(), losses, rtol=1e-5)


def test_listing_the_benchmarks_loads_no_peer():
    code = "import sys, benchmarks.__main__ as b; b.main(['--list']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "benchmarks" in loaded
    assert not loaded & {"torch", "jax", "sklearn", "thinc"}
