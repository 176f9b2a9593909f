"""Predictions for small batches are recorded; nobody may notice, whatever changes in between."""

import copy
import pickle
import threading

import numpy as np
import pytest
from cases import LAYERS, network

from tinynn.backend import asarray, to_numpy
from tinynn.nn import Chain, Dense, Dropout, Layer, LeakyReLU, ReLU, Sequential, Tanh
from tinynn.nn.prediction import ROWS, RecordedPrediction

# what forward does not read, or what is never replaced
FIXED = {"n_in", "n_out", "init", "parameter_names", "b", "db", "xp"}


def build(**options):
    return Sequential(Dense(3, 5), LeakyReLU(0.1), Dense(5, 2), rng=0, **options)


def rows(M, seed=0):
    return np.random.default_rng(seed).standard_normal((M, 3)).astype(np.float32)


def assert_predicts(model, X):
    """What `forward` of a copy gives, which records nothing."""
    plain = [copy.deepcopy(layer) for layer in model.layers]
    A = asarray(X, model.backend, model.dtype)
    for layer in plain:
        A = layer.inference_copy().forward(A)
    np.testing.assert_array_equal(to_numpy(model.predict(X)), to_numpy(A))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
def test_every_layer(case, dtype):
    model = network(case, 3, dtype=dtype)
    for seed in range(4):
        assert_predicts(model, rows(2, seed).astype(dtype))
    simple = all(layer.recordable and not isinstance(layer, Chain) for layer in model.layers)
    assert (model._prediction is not None) == simple


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
def test_layers_name_all_their_settings(case):
    """A number that a layer keeps and does not list could change without the recording's noticing."""
    for _, layer in case.build(3).named_layers():
        if layer.recordable and not isinstance(layer, Chain):
            arrays = {a for name in layer.parameter_names.values() for a in (name, f"d{name}")}
            numbers = vars(layer).keys() - arrays - FIXED
            assert numbers <= set(layer.settings), layer


def recorded():
    model = build()
    for seed in range(3):
        model.predict(rows(1, seed))
    assert model._prediction is not None
    return model


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.theta.__imul__(2),
        lambda model: setattr(model.layers[1], "negative_slope", 0.9),
        lambda model: model.layers.__setitem__(1, Tanh()),
        lambda model: model.layers.append(ReLU()),
        lambda model: setattr(model.layers[0], "W", np.ones((5, 3), np.float32)),
        lambda model: setattr(model.layers[2], "b", np.ones(2, np.float32)),
        lambda model: model.load_state_dict(build().state_dict() | {"0.weight": np.ones((5, 3))}),
        lambda model: model.forward(rows(1, 9)),
    ],
    ids=["theta", "setting", "layer", "another layer", "weights", "bias", "state", "a forward pass"],
)
def test_what_changes_shows(change):
    model = recorded()
    change(model)
    for seed in range(4):
        assert_predicts(model, rows(1, seed))


def test_a_pending_pass_is_left_alone_and_predictions_are_the_callers():
    model, alone = recorded(), build()
    X, dY = rows(1, 5), np.ones((1, 2), np.float32)
    model.forward(X)
    alone.forward(X)
    first = model.predict(rows(1, 1))
    kept = first.copy()
    model.predict(rows(1, 2))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(model.backward(dY), alone.backward(dY))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_input_is_refused_as_before(bad):
    model, X = recorded(), rows(1)
    X[0, 1] = bad
    with pytest.raises(ValueError, match=r"X contains 1 (NaN|inf)"):
        model.predict(X)
    with pytest.raises(ValueError, match="X has shape"):
        model.predict(np.ones((1, 4), np.float32))


def test_other_inputs_go_another_way():
    model = recorded()
    for X in (rows(2), rows(ROWS + 1), rows(1).astype(float), [[1, 2, 3]], rows(4)[::2], 1e30 * rows(1)):
        assert_predicts(model, np.asarray(X))
    assert_predicts(model, np.asfortranarray(rows(2)))
    large = build()
    for _ in range(3):
        large.predict(rows(ROWS + 1))
    assert large._prediction is None


def test_input_that_is_converted_is_recorded_once():
    model = build()
    for seed in range(3):
        model.predict(rows(2, seed).astype(float))
    kept = model._prediction
    assert kept is not None
    assert_predicts(model, rows(2, 7).astype(float))
    model.predict(rows(2).tolist())
    assert model._prediction is kept


def test_layers_of_ones_own_are_called_every_time():
    calls = []

    class Counts(Layer):
        def forward(self, X):
            calls.append(1)
            return X

    model = Sequential(Dense(3, 2), Counts(), rng=0)
    for _ in range(5):
        model.predict(rows(1))
    assert len(calls) == 5
    assert not RecordedPrediction.possible([Dropout(0.5)], rows(1))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_predict_by_themselves(duplicate):
    model = recorded()
    twin = duplicate(model)
    twin.theta[:] = 1
    for seed in range(3):
        assert_predicts(twin, rows(1, seed))
        assert_predicts(model, rows(1, seed))


def test_threads_do_not_meet():
    model, failures = recorded(), []
    expected = {seed: build().predict(rows(1, seed)) for seed in range(4)}

    def ask(seed):
        for _ in range(300):
            if not np.array_equal(model.predict(rows(1, seed)), expected[seed]):
                failures.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_on_a_device(device):
    model = build(backend=device)
    for seed in range(4):
        X = asarray(rows(1, seed), device)
        np.testing.assert_allclose(to_numpy(model.predict(X)), build().predict(rows(1, seed)), rtol=1e-6)
    assert model._prediction is not None
