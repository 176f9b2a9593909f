"""One code for NumPy and CuPy: the same numbers on both, and no silent step from one to the other.

Without a GPU the other library is strict_array, whose arrays NumPy cannot touch; the tests marked gpu
repeat everything on CuPy.
"""

import copy
import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import strict_array
from cases import LAYERS, LOSSES, OPTIMIZERS, named_parameters, network

from tinynn.backend import BackendError, asarray, get_array_module, get_backend, to_numpy
from tinynn.nn import CrossEntropy, Dense, Dropout, Layer, MeanSquaredError, ReLU, Residual, Sequential, Tanh
from tinynn.optim import SGD, Adam, CosineDecay
from tinynn.training import Checkpoint, EarlyStopping, fit
from tinynn.validation import check_array

every_layer = pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
every_loss = pytest.mark.parametrize("case", LOSSES.values(), ids=LOSSES.keys())
every_optimizer = pytest.mark.parametrize("case", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
X = np.random.default_rng(0).standard_normal((6, 3))


def on_both(device, scenario):
    """Run scenario(backend) on NumPy and on the device; every array it returns has to be the same."""
    host, other = scenario("numpy"), scenario(device)
    assert host.keys() == other.keys()
    for name, x in host.items():
        if not isinstance(x, np.ndarray):
            assert other[name] == (x if device == "strict_array" else pytest.approx(x, rel=1e-5)), name
            continue
        assert get_array_module(other[name]).__name__ == device, name
        assert other[name].dtype == x.dtype, name
        if device == "strict_array":
            np.testing.assert_array_equal(to_numpy(other[name]), x, err_msg=name)
        else:  # sums in another order
            tolerance = {np.dtype("float32"): 1e-4, np.dtype("float64"): 1e-9}.get(x.dtype, 0)
            np.testing.assert_allclose(to_numpy(other[name]), x, rtol=tolerance, atol=tolerance, err_msg=name)


# Everything gives the same numbers


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers(device, case, dtype):
    def scenario(backend):
        model = network(case, 3, dtype=dtype, backend=backend)
        inputs = asarray(X, backend, dtype)
        Y = model.forward(inputs)
        dX = model.backward(Y + 1)
        gradients = {name: gradient for name, (_, gradient) in named_parameters(model).items()}
        return {
            "Y": Y,
            "dX": dX,
            "theta": model.theta,
            "grad": model.grad,
            "predict": model.predict(inputs),
        } | gradients

    on_both(device, scenario)


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses(device, case, dtype):
    rng = np.random.default_rng(0)
    prediction, target = rng.standard_normal((5, 3)), case.target(rng, (5, 3))

    def scenario(backend):
        loss = case.build()
        value = loss.forward(asarray(prediction, backend, dtype), asarray(target, backend))
        return {"value": value, "gradient": loss.backward()}

    on_both(device, scenario)


@every_optimizer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_optimizers(device, case, dtype):
    def scenario(backend):
        optimizer, theta = case.build(), asarray(X.flatten(), backend, dtype)
        for _ in range(3):
            optimizer.step(theta, theta * 0.5)
        state = optimizer.state_dict()
        assert all(isinstance(x, np.ndarray) for x in state.values())
        resumed = case.build()
        resumed.load_state_dict(state, theta)
        resumed.step(theta, theta * 0.5)
        return {"theta": theta} | {name: getattr(resumed, name) for name in resumed.vectors}

    on_both(device, scenario)


def build(backend, rng=0, dtype="float32"):
    layers = Dense(3, 5), Tanh(), Residual(Dense(5, 5), ReLU()), Dropout(0.2), Dense(5, 2)
    return Sequential(*layers, rng=rng, dtype=dtype, backend=backend)


def test_a_network_with_its_files(device, tmp_path, monkeypatch):
    monkeypatch.setattr("tinynn.nn.sequential.BLOCK", 4)  # predict puts six rows together from two blocks

    def scenario(backend):
        path = tmp_path / f"{backend}.safetensors"
        model = build(backend)
        model.save(path)
        state = model.state_dict()
        assert all(isinstance(x, np.ndarray) for x in state.values())
        loaded, restored = build(backend, rng=1), build(backend, rng=2)
        loaded.load(path)
        restored.load_state_dict(state)
        return {
            "file": len(path.read_bytes()),
            "list": model.predict(X.tolist()),
            "loaded": loaded.theta,
            "restored": restored.theta,
            "repr": repr(model),
        }

    on_both(device, scenario)
    assert (tmp_path / "numpy.safetensors").read_bytes() == (tmp_path / f"{device}.safetensors").read_bytes()


@pytest.mark.parametrize("copier", ["deepcopy", "pickle"])
def test_copies_stay_on_their_backend(device, copier):
    model = build(device)
    inputs = asarray(X, device, "float32")
    model.backward(model.forward(inputs))
    twin = copy.deepcopy(model) if copier == "deepcopy" else pickle.loads(pickle.dumps(model))
    assert twin.xp is model.xp
    assert get_array_module(twin.theta).__name__ == device
    np.testing.assert_array_equal(to_numpy(twin.grad), to_numpy(model.grad))
    np.testing.assert_array_equal(to_numpy(twin.predict(inputs)), to_numpy(model.predict(inputs)))


@pytest.mark.parametrize("kind", ["regression", "labels"])
def test_fit(device, kind, tmp_path):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((43, 3))  # the last batch is a small one
    labels = rng.integers(0, 2, 43)
    target, loss = (labels, CrossEntropy) if kind == "labels" else (np.eye(2)[labels], MeanSquaredError)

    def scenario(backend):
        model = build(backend, dtype="float64")
        path = tmp_path / f"{kind}-{backend}.safetensors"
        data = (asarray(inputs, backend), asarray(target, backend))
        history = fit(
            model,
            data,
            loss=loss(),
            optimizer=Adam(CosineDecay(0.02, steps=12)),
            epochs=4,
            batch_size=16,
            validation=(inputs, target),  # NumPy's arrays are moved
            callbacks=[EarlyStopping(patience=3), Checkpoint(path, every=2)],
            progress=False,
            rng=3,
        )
        return {
            "theta": model.theta,
            "train": tuple(history.train_loss),
            "validation": tuple(history.validation_loss),
        }

    on_both(device, scenario)


# The strictness itself


class Leaking(Layer):
    """Calls NumPy's exp instead of its own library's."""

    def forward(self, X):
        self.Y = np.exp(X)
        return self.Y

    def backward(self, dY):
        return dY * self.Y


class LeakingMask(Layer):
    """Multiplies by a NumPy array."""

    def forward(self, X):
        return X * np.ones(3, np.float32)

    def backward(self, dY):
        return dY


@pytest.mark.parametrize("layer", [Leaking, LeakingMask])
def test_a_leaking_layer_is_caught(strict_backend, layer):
    Sequential(layer()).forward(X)  # NumPy alone does not notice
    model = Sequential(layer(), backend=strict_backend)
    with pytest.raises(TypeError, match=r"__array_ufunc__|a NumPy array"):
        model.forward(asarray(X, strict_backend))


# The door


def test_array_libraries_are_told_apart(strict_backend):
    device = asarray(X, strict_backend)
    assert get_array_module() is get_array_module(1.0, [2.0], None) is get_array_module(X) is np
    assert get_array_module(device) is get_array_module(2.0, device, [1.0]) is strict_array
    assert get_array_module(X, np.float32(1), np.ones(3)) is np
    with pytest.raises(TypeError, match="argument 0 is a numpy array but argument 2 is a strict_array array"):
        get_array_module(X, 1.0, device)
    with pytest.raises(
        TypeError, match="theta is a strict_array array but grad is a numpy array; move one with"
    ):
        get_array_module(theta=device, grad=X)


def test_asarray_and_to_numpy_are_the_way_across(strict_backend):
    device = asarray(X, strict_backend)
    assert type(device).__module__ == "strict_array"
    assert asarray(device, strict_backend) is device
    assert asarray(X) is to_numpy(X) is X
    np.testing.assert_array_equal(to_numpy(device), X)
    np.testing.assert_array_equal(asarray(device, "numpy"), X)
    assert asarray(device, "numpy", "float32").dtype == np.float32
    assert asarray(X, strict_backend, "float32").dtype == np.float32
    np.testing.assert_array_equal(to_numpy([[1, 2]]), [[1, 2]])


def mixtures(host, device, backend):
    model, other = build(backend), build("numpy")
    model.forward(device)
    return {
        "forward": (lambda: model.forward(host), "X is a numpy array but model is a"),
        "backward": (lambda: model.backward(host), "dY is a numpy array but model is a"),
        "predict": (lambda: model.predict(host), "X is a numpy array but model is a"),
        "predict on NumPy": (
            lambda: other.predict(device),
            f"X is a {backend} array but model is a numpy array",
        ),
        "loss": (
            lambda: MeanSquaredError().forward(device, host),
            f"prediction is a {backend} array but target is a numpy array",
        ),
        "labels": (
            lambda: CrossEntropy().forward(host, asarray([0] * 6, backend)),
            f"prediction is a numpy array but target is a {backend} array",
        ),
        "optimizer": (
            lambda: SGD(0.1).step(model.theta, other.grad),
            f"theta is a {backend} array but grad is a numpy array",
        ),
        "check_array": (
            lambda: check_array(host, "R", like=device),
            f"R is a numpy array but model is a {backend}",
        ),
    }


@pytest.mark.parametrize("name", mixtures(X, X, "numpy"))
def test_mixing_names_both_sides(device, name):
    call, message = mixtures(X, asarray(X, device), device)[name]
    with pytest.raises(TypeError, match=message):
        call()


def test_bad_arrays_are_described_on_the_device_too(device):
    bad = X.copy()
    bad[1, 2] = np.nan
    for call in (build(device).predict, lambda X: MeanSquaredError().forward(X, X)):
        with pytest.raises(ValueError, match=r"contains 1 NaN, the first at index \(1, 2\)"):
            call(asarray(bad, device))
    with pytest.raises(ValueError, match="target has labels from 0 to 3"):
        CrossEntropy().forward(asarray(X, device), asarray([0, 1, 2, 3, 0, 1], device))


# Backends that are not there


def test_an_unknown_backend():
    for call in (get_backend, lambda name: asarray(X, name), lambda name: Sequential(ReLU(), backend=name)):
        with pytest.raises(ValueError, match="backend must be one of numpy, cupy; got 'jax'"):
            call("jax")


def test_a_missing_cupy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    for call in (get_backend, lambda name: asarray(X, name), lambda name: Sequential(ReLU(), backend=name)):
        with pytest.raises(
            BackendError, match=r'"cupy" is not installed: pip install "tinynn\[gpu\]"'
        ) as info:
            call("cupy")
        assert isinstance(info.value, ImportError)


def test_a_cupy_without_a_device_says_so(monkeypatch):
    class CUDARuntimeError(RuntimeError):
        pass

    def no_device():
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    cupy = ModuleType("cupy")
    cupy.cuda = SimpleNamespace(
        runtime=SimpleNamespace(getDeviceCount=no_device, CUDARuntimeError=CUDARuntimeError)
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(BackendError, match=r"finds no CUDA device \(cudaErrorNoDevice.*driver.*numpy"):
        Sequential(ReLU(), backend="cupy")
    cupy.cuda.runtime.getDeviceCount = lambda: 1
    assert get_backend("cupy") is cupy
