"""One kernel for an epoch does what its recorded steps do, call by call."""

import itertools

import numpy as np
import pytest
from cases import LAYERS, LOSSES, OPTIMIZERS
from cuda_on_cpu import COMPILER, Collecting, Compiled, compile_kernels

from tinynn import fused, training_step
from tinynn.backend import asarray, to_numpy
from tinynn.nn import Dense, Huber, MeanSquaredError, ReLU, Sequential, Softmax, Tanh
from tinynn.optim import Adam, CosineDecay
from tinynn.training import DivergenceError, fit, fit_many

BARRIER = "__syncthreads();"
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def train(
    layers,
    loss=None,
    rule=Adam,
    target=None,
    dtype="float32",
    K=1,
    M=21,
    B=7,
    n=3,
    epochs=2,
    backend="numpy",
):
    """Networks, rules and histories of K networks, trained by fit or fit_many."""
    rng, loss = np.random.default_rng(0), loss or MeanSquaredError()
    models = [Sequential(*layers(), rng=k, dtype=dtype, backend=backend) for k in range(K)]
    rules, trains = [rule() for _ in models], []
    for model in models:
        X = rng.standard_normal((n, M)).T  # columns are contiguous, rows are not
        shape = M, *model.predict(asarray(X[:1], backend)).shape[1:]
        trains.append((X, rng.standard_normal(shape) if target is None else target(rng, shape)))
    options = {"loss": loss, "epochs": epochs, "batch_size": B, "progress": False}
    if K == 1:
        histories = [fit(models[0], trains[0], optimizer=rules[0], rng=0, **options)]
    else:
        histories = fit_many(models, trains, optimizers=rules, rngs=range(K), **options)
    numbers = {}
    for k, (model, one, history) in enumerate(zip(models, rules, histories, strict=True)):
        numbers |= {f"{k} {name}": to_numpy(getattr(model, name)) for name in ("theta", "grad")}
        numbers |= {f"{k} loss": history.train_loss}
        numbers |= {f"{k} {name}": x for name, x in one.state_dict().items()}
    return numbers


def every_class():
    """Each layer, each loss and each rule at least once."""
    ours = {name: case for name, case in LAYERS.items() if name != "Dropout"}
    parts = zip(ours, itertools.cycle(LOSSES), itertools.cycle(OPTIMIZERS), strict=False)
    for layer, loss, rule in parts:

        def layers(build=LAYERS[layer].build):
            layer = build(5)
            inner = layer.layers if isinstance(layer, Sequential) else [layer]
            return [Dense(3, 5), *inner, Dense(layer.output_shape((1, 5))[1], 2)]

        options = {"loss": LOSSES[loss].build(), "target": LOSSES[loss].target}
        for dtype, K in itertools.product(TOLERANCE, (1, 3)):
            name = f"{layer}; {loss}; {rule}; {dtype}; {K}"
            yield name, dict(layers=layers, rule=OPTIMIZERS[rule].build, dtype=dtype, K=K, **options)


def course():
    sizes = (8, 32, 64, 64, 32, 1)
    layers = [layer for n, m in itertools.pairwise(sizes) for layer in (Dense(n, m), ReLU())]
    return layers[:-1]


def small():
    return [Dense(3, 4), Tanh(), Dense(4, 2)]


SCENARIOS = dict(every_class()) | {
    "small": dict(layers=small),
    "course": dict(layers=course, n=8, B=16, M=64),
    "course, K = 2": dict(layers=course, n=8, B=16, M=64, K=2),
    "last batch is smaller": dict(layers=small, M=23, epochs=3),
    "last batch is smaller, K = 2": dict(layers=small, M=23, K=2),
    "rates that change": dict(layers=small, rule=lambda: Adam(CosineDecay(1e-2, 9)), K=2),
    "long sums": dict(layers=lambda: [Dense(3, 70), Softmax()], B=40, M=80, dtype="float64", K=2),
    "many long sums": dict(layers=lambda: [Dense(3, 70), Softmax()], B=99, M=198),
    "wide": dict(layers=lambda: [Dense(3, 100), Tanh(), Dense(100, 80)], dtype="float64"),
    "one feature": dict(layers=lambda: [Dense(1, 1)], n=1, B=1, M=3),
}
CHUNKS = dict(layers=small, K=2)  # with a few parameters at a time


def without_barriers(text):
    """The kernel with one of its barriers left out, for every one."""
    parts = text.split(BARRIER)
    return [BARRIER.join(parts[:i]) + " " * i + BARRIER.join(parts[i:]) for i in range(1, len(parts))]


@pytest.fixture(scope="module")
def texts():
    """Of the kernels for all scenarios."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "RawKernel", Collecting(found), raising=False)
        for scenario in SCENARIOS.values():
            train(**scenario)
        patch.setattr(training_step, "CHUNK", 10)
        train(**CHUNKS)
        patch.undo()
        patch.setattr(np, "RawKernel", Collecting(one := {}), raising=False)
        train(small, loss=Huber())  # a sum of squares is one thread's, which waits for nobody
    return {"all": [*found], "small": [*one]}


@pytest.fixture(scope="module")
def kernels(texts, tmp_path_factory):
    if COMPILER is None:
        pytest.skip("needs g++, which compiles the kernels for the CPU")
    broken = without_barriers(texts["small"][0])
    return compile_kernels([*texts["all"], *texts["small"], *broken], tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def compiled(kernels, monkeypatch):
    """NumPy, but with kernels."""
    kind = Compiled(kernels)
    monkeypatch.setattr(np, "RawKernel", kind, raising=False)
    return kind


def assert_close(found, wanted, dtype="float32", factor=1):
    rtol = TOLERANCE[dtype] * factor
    for key, x in wanted.items():
        np.testing.assert_allclose(found[key], x, rtol=rtol, atol=rtol, err_msg=key)


@pytest.mark.parametrize("name", SCENARIOS)
def test_equals_the_replay(name, compiled, monkeypatch):
    found = train(**SCENARIOS[name])
    assert compiled.launches
    monkeypatch.undo()
    assert_close(found, train(**SCENARIOS[name]), SCENARIOS[name].get("dtype", "float32"))


def test_parameters_in_several_chunks(compiled, monkeypatch):
    monkeypatch.setattr(training_step, "CHUNK", 10)
    found = train(**CHUNKS)
    assert compiled.launches
    monkeypatch.undo()
    assert_close(found, train(**CHUNKS))


def test_many_steps_are_several_launches(compiled, monkeypatch):
    once = train(small)
    launches = compiled.launches
    monkeypatch.setattr(fused, "STEPS", 2)
    again = train(small)
    assert (launches, compiled.launches - launches) == (2, 4)
    for key, x in once.items():
        np.testing.assert_array_equal(again[key], x)


def test_a_training_in_two_parts_has_the_same_bits(compiled):
    rng = np.random.default_rng(0)
    data, thetas = (rng.standard_normal((3, 21)).T, rng.standard_normal((21, 2))), []
    for parts in ([4], [1, 3]):
        model, rule, order = Sequential(*small(), rng=0), Adam(), np.random.default_rng(0)
        for epochs in parts:
            options = {"epochs": epochs, "batch_size": 7, "rng": order, "progress": False}
            fit(model, data, loss=MeanSquaredError(), optimizer=rule, **options)
        thetas.append(model.theta)
    np.testing.assert_array_equal(*thetas)
    assert compiled.launches == 8


def test_every_barrier_is_needed(compiled, texts, monkeypatch):
    """And a kernel without it is found out."""
    (text,) = texts["small"]
    wanted = train(small, loss=Huber())
    for broken in without_barriers(text):
        monkeypatch.setattr(np, "RawKernel", lambda text, name, broken=broken: compiled(broken, name))
        with pytest.raises((AssertionError, DivergenceError)):
            assert_close(train(small, loss=Huber()), wanted)


def test_divergence_is_reported_as_ever(compiled, monkeypatch):
    messages = []
    for _ in range(2):
        with pytest.raises(DivergenceError) as error:
            train(**SCENARIOS["course"], rule=lambda: Adam(1e38))
        messages.append(str(error.value))
        monkeypatch.undo()
    assert messages[0] == messages[1]


@pytest.mark.parametrize("large", ["WORK", "SIZE", "ARGUMENTS"])
def test_what_is_large_is_left_to_the_library(large, monkeypatch):
    found = {}
    monkeypatch.setattr(np, "RawKernel", Collecting(found), raising=False)
    monkeypatch.setattr(fused, large, 5)
    train(small)
    assert not found


@pytest.mark.gpu
@pytest.mark.parametrize("name", SCENARIOS)
def test_on_a_gpu_as_on_the_host(name, monkeypatch):
    launches, original = [], fused.FusedSteps.__call__

    def counted(self, *arguments):
        launches.append(len(arguments[0]))
        original(self, *arguments)

    monkeypatch.setattr(fused.FusedSteps, "__call__", counted)
    found = train(**SCENARIOS[name], backend="cupy")
    assert launches
    wanted = train(**SCENARIOS[name])
    assert_close(found, wanted, SCENARIOS[name].get("dtype", "float32"), factor=10)  # of other exp and tanh
