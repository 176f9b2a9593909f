"""One kernel for an epoch does what its recorded steps do, call by call."""

import itertools

import numpy as np
import pytest
from cases import LAYERS, LOSSES, OPTIMIZERS
from cuda_on_cpu import COMPILER, Collecting, Compiled, compile_kernels

from tinynn import fused, training_step
from tinynn.nn import CrossEntropy, Dense, Dropout, MeanSquaredError, ReLU, Sequential, Softmax, Tanh
from tinynn.optim import SGD, Adam, CosineDecay
from tinynn.training import DivergenceError, fit, fit_many

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def train(layers, loss=None, rule=Adam, target=None, dtype="float32", K=1, M=21, B=7, n=3, epochs=2):
    """Networks, rules and histories of K networks, trained by fit or fit_many."""
    rng, loss = np.random.default_rng(0), loss or MeanSquaredError()
    models = [Sequential(*layers(), rng=k, dtype=dtype) for k in range(K)]
    rules, trains = [rule() for _ in models], []
    for model in models:
        X = rng.standard_normal((n, M)).T  # columns are contiguous, rows are not
        shape = M, *model.predict(X[:1]).shape[1:]
        trains.append((X, rng.standard_normal(shape) if target is None else target(rng, shape)))
    options = {"loss": loss, "epochs": epochs, "batch_size": B, "progress": False}
    if K == 1:
        histories = [fit(models[0], trains[0], optimizer=rules[0], rng=0, **options)]
    else:
        histories = fit_many(models, trains, optimizers=rules, rngs=range(K), **options)
    numbers = {}
    for k, (model, one, history) in enumerate(zip(models, rules, histories, strict=True)):
        numbers |= {f"{k} theta": model.theta, f"{k} grad": model.grad, f"{k} loss": history.train_loss}
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


SCENARIOS = dict(every_class()) | {
    "course": dict(layers=course, n=8, B=16, M=64),
    "course, K = 2": dict(layers=course, n=8, B=16, M=64, K=2),
    "last batch is smaller": dict(layers=lambda: [Dense(3, 4), Tanh(), Dense(4, 2)], M=23, epochs=3),
    "rates that change": dict(layers=lambda: [Dense(3, 2)], rule=lambda: Adam(CosineDecay(1e-2, 9)), K=2),
    "long sums": dict(layers=lambda: [Dense(3, 70), Softmax()], B=40, M=80, dtype="float64", K=2),
    "wide": dict(layers=lambda: [Dense(3, 100), Tanh(), Dense(100, 80)], dtype="float64"),
    "one feature": dict(layers=lambda: [Dense(1, 1)], n=1, B=1, M=3),
}


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    if COMPILER is None:
        pytest.skip("needs g++")
    texts = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "RawKernel", Collecting(texts), raising=False)
        for scenario in SCENARIOS.values():
            train(**scenario)
    return compile_kernels(list(texts), tmp_path_factory.mktemp("kernels"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_equals_the_replay(name, kernels, monkeypatch):
    scenario = SCENARIOS[name]
    wanted = train(**scenario)
    compiled = Compiled(kernels)
    monkeypatch.setattr(np, "RawKernel", compiled, raising=False)
    found = train(**scenario)
    assert compiled.launches
    rtol = TOLERANCE[scenario.get("dtype", "float32")]
    for key, x in wanted.items():
        np.testing.assert_allclose(found[key], x, rtol=rtol, atol=rtol, err_msg=key)
