"""Sequential: one vector behind all layers, prediction beside training, files that torch reads."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from cases import TorchResidual
from safetensors import torch as torch_files

from tinynn.gradcheck import check_layer
from tinynn.nn import (
    Dense,
    Dropout,
    Layer,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from tinynn.nn.sequential import BLOCK
from tinynn.optim import SGD


def build(rng=0, **options):
    return Sequential(
        Dense(3, 5), Tanh(), Residual(Dense(5, 5), ReLU()), Dropout(0.2), Dense(5, 2), rng=rng, **options
    )


NAMES = ["0.weight", "0.bias", "2.0.weight", "2.0.bias", "4.weight", "4.bias"]
N_PARAMETERS = 3 * 5 + 5 + 5 * 5 + 5 + 5 * 2 + 2
X = np.random.default_rng(1).standard_normal((6, 3)).astype(np.float32)
DY = np.random.default_rng(2).standard_normal((6, 2)).astype(np.float32)


def bits(model, X=X):
    """Everything a network answers: prediction, training output, gradient, in this order."""
    prediction = model.predict(X)
    output = model.forward(X)
    dX = model.backward(DY)
    return [x.copy() for x in (prediction, output, dX, model.theta, model.grad)]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def assert_views_are_intact(model):
    """What an optimiser writes into theta is what the layers compute with; grad is what they fill."""
    model.check_parameters()
    for name, x in model.parameters().items():
        assert np.shares_memory(x, model.theta), name
        assert np.shares_memory(model.gradients()[name], model.grad), name
    before = model.predict(X)
    model.theta[:] *= 2
    assert abs(model.predict(X) - before).max() > 1e-3
    model.theta[:] /= 2
    np.testing.assert_array_equal(model.predict(X), before)
    model.forward(X)
    model.backward(DY)
    first, last = model.layers[0], model.layers[-1]
    np.testing.assert_array_equal(model.grad[:15], first.dW.ravel())
    np.testing.assert_array_equal(model.grad[-2:], last.db)
    assert model.grad.any()


# One vector


def test_theta_and_grad_hold_everything_in_the_order_of_the_layers():
    model = build()
    assert model.theta.shape == model.grad.shape == (N_PARAMETERS,)
    assert model.theta.dtype == np.float32  # the default
    assert list(model.parameters()) == list(model.gradients()) == NAMES
    np.testing.assert_array_equal(
        np.concatenate([x.ravel() for x in model.parameters().values()]), model.theta
    )
    assert model.theta.flags.c_contiguous
    assert not model.grad.any()
    assert_views_are_intact(model)
    np.testing.assert_array_equal(np.concatenate([x.ravel() for x in model.gradients().values()]), model.grad)
    assert model.parameters() is not model.parameters()  # the dict is the caller's, the arrays are not


def test_parameters_that_layers_have_are_kept_without_an_rng():
    first, last = Dense(3, 4, rng=0), Dense(4, 1, rng=1)
    W, b = first.W.copy(), np.arange(4.0)
    first.b[:] = b
    model = Sequential(first, Sigmoid(), last, dtype="float64")
    np.testing.assert_array_equal(first.W, W)
    np.testing.assert_array_equal(first.b, b)
    np.testing.assert_array_equal(model.theta[:12], W.ravel())


@pytest.mark.parametrize("dtype", ["float32", np.float32, "float64", np.float64])
def test_dtype(dtype):
    model = build(dtype=dtype)
    assert {x.dtype for x in bits(model, X.astype(np.float64))} == {np.dtype(dtype)}


def test_same_rng_same_bits():
    assert_same(bits(build(7)), bits(build(7)))
    assert_same(bits(build(np.random.default_rng(7))), bits(build(7)))
    different = zip(bits(build(7)), bits(build(8)), strict=True)
    assert all(abs(a - b).max() > 1e-3 for a, b in different)
    generator = np.random.default_rng(7)
    assert abs(build(generator).theta - build(generator).theta).max() > 1e-3  # a generator moves on


def test_dropout_has_a_stream_of_its_own():
    model = Sequential(Dropout(0.5), Dropout(0.5), rng=0)
    ones = np.ones((50, 20), np.float32)
    first, second = model.forward(ones) != 0, model.layers[1].mask != 0
    assert 0.2 < first.mean() < 0.3
    assert abs((first[second]).mean() - 0.5) < 0.1  # independent masks
    assert (model.forward(ones) != 0).tolist() != first.tolist()
    np.testing.assert_array_equal(model.predict(ones), ones)


# Copies


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_copies_are_independent_and_whole(duplicate):
    model = build()
    model.forward(X)
    model.backward(DY)
    twin = duplicate(model)
    assert type(twin) is Sequential
    assert_same([twin.theta, twin.grad], [model.theta, model.grad])
    assert not np.shares_memory(twin.theta, model.theta)
    assert not np.shares_memory(twin.grad, model.grad)
    assert_same([twin.backward(DY)], [model.backward(DY)])  # the pending pass is copied too
    assert_same(bits(twin), bits(model))  # and the stream of the dropout
    kept = model.theta.copy()
    assert_views_are_intact(twin)
    twin.theta[:] = 0
    np.testing.assert_array_equal(model.theta, kept)
    assert_views_are_intact(model)


# Prediction


def test_predict_leaves_a_pending_pass_alone():
    model, alone = build(), build()
    Y, expected = model.forward(X), alone.forward(X)
    model.predict(X[:2] + 1)
    model.predict(X + 1)
    np.testing.assert_array_equal(Y, expected)
    np.testing.assert_array_equal(model.backward(DY), alone.backward(DY))
    model.predict(X - 1)
    np.testing.assert_array_equal(model.grad, alone.grad)


@pytest.mark.parametrize("last", [Dense(5, 2), Sigmoid(), ReLU(), Softmax(), Residual(Tanh())], ids=repr)
def test_predictions_belong_to_the_caller(last):
    model = Sequential(Dense(3, 5), LeakyReLU(), last, rng=0)
    prediction = model.predict(X)
    kept = prediction.copy()
    model.predict(X + 1)
    model.forward(X + 2)
    model.backward(np.ones_like(prediction))
    model.theta[:] = 0
    np.testing.assert_array_equal(prediction, kept)


def test_predict_is_forward_without_dropout():
    model = Sequential(Dense(3, 5), LeakyReLU(0.1), Dense(5, 2), rng=0)
    np.testing.assert_array_equal(model.predict(X), model.forward(X))
    model.layers[1].negative_slope = 0.9  # whatever has changed in a layer
    np.testing.assert_array_equal(model.predict(X), model.forward(X))
    with_dropout = Sequential(*model.layers, Dropout(0.5))
    np.testing.assert_array_equal(
        with_dropout.predict(X),
        with_dropout.layers[2].forward(model.layers[1].forward(model.layers[0].forward(X))),
    )


def test_predict_takes_any_number_of_rows():
    model = build()
    many = np.random.default_rng(0).standard_normal((2 * BLOCK + 3, 3)).astype(np.float32)
    assert model.predict(many).shape == (2 * BLOCK + 3, 2)
    np.testing.assert_allclose(
        model.predict(many)[BLOCK + 1], model.predict(many[BLOCK + 1 :][:1])[0], rtol=1e-5
    )


# What X may be


@pytest.mark.parametrize("method", ["forward", "predict"])
def test_X_is_converted(method):
    model = Sequential(Dense(3, 2), rng=0)
    answer = getattr(model, method)
    whole = np.array([[1, 2, 3], [4, 5, 6]])
    expected = answer(whole.astype(np.float32))
    for X in (whole, whole.tolist(), whole.astype(np.uint8), whole.astype(np.float64), whole.astype(">f4")):
        np.testing.assert_array_equal(answer(X), expected)
    bools = whole > 3
    np.testing.assert_array_equal(answer(bools), answer(bools.astype(np.float32)))
    np.testing.assert_array_equal(answer(np.asfortranarray(whole)), expected)


BAD_X = {
    "object": (np.array([["a", 1, 2]], dtype=object), TypeError, "X has dtype object"),
    "text": (np.array([["a", "b", "c"]]), TypeError, "X has dtype <U1"),
    "complex": (np.ones((2, 3), complex), ValueError, "X is complex"),
    "sparse": (scipy.sparse.csr_array(np.ones((2, 3))), TypeError, r"X is a sparse matrix.*toarray"),
    "ragged": ([[1, 2, 3], [1, 2]], ValueError, "X is not a rectangular array"),
    "wrong width": (np.ones((2, 4), np.float32), ValueError, r"X has shape \(2, 4\); wanted \(.*, 3\)"),
    "wrong width, float64": (np.ones((2, 4)), ValueError, r"X has shape \(2, 4\); wanted \(any, 3\)"),
    "1-D": (np.ones(3, np.float32), ValueError, r"X has shape \(3,\); wanted"),
    "3-D": (np.ones((2, 2, 3), np.float32), ValueError, r"X has shape \(2, 2, 3\)"),
    "number": (1.0, ValueError, r"X has shape \(\)"),
    "empty": (np.ones((0, 3)), ValueError, "X is empty"),
}
NOT_FINITE = {
    "NaN": (
        np.array([[1, 2, 3], [4, np.nan, 6]]),
        ValueError,
        r"X contains 1 NaN, the first at index \(1, 1\)",
    ),
    "inf": (np.array([[1, np.inf, -np.inf]]), ValueError, r"X contains 2 inf, the first at index \(0, 1\)"),
    "beyond float32": (np.array([[1.0, 2.0, 1e300]]), ValueError, r"X contains 1 inf.*finite in float32"),
}


@pytest.mark.parametrize("case", (BAD_X | NOT_FINITE).values(), ids=(BAD_X | NOT_FINITE).keys())
def test_predict_refuses_bad_X_by_name(case):
    X, error, message = case
    with pytest.raises(error, match=message):
        Sequential(Dense(3, 2), rng=0).predict(X)


@pytest.mark.parametrize("case", BAD_X.values(), ids=BAD_X.keys())
def test_forward_refuses_bad_X_by_name_and_changes_nothing(case):
    bad, error, message = case
    model = Sequential(Dense(3, 2), rng=0)
    model.forward(X)
    expected = model.backward(DY)
    with pytest.raises(error, match=message):
        model.forward(bad)
    np.testing.assert_array_equal(model.backward(DY), expected)


def test_dY_is_converted_like_X():
    """A gradient made by hand from float64 targets is float64, and a list is a list."""
    model = Sequential(Dense(3, 2), Tanh(), rng=0)
    model.forward(X)
    dX = model.backward(DY)
    grad = model.grad.copy()
    for dY in (DY.astype(np.float64), DY.tolist()):
        model.grad[:] = np.nan
        assert_same([model.backward(dY), model.grad], [dX, grad])
        model.grad[:] = np.nan
        model.backward_parameters(dY)
        assert_same([model.grad], [grad])
    for bad in (DY[:, 0], DY[:, 0].astype(np.float64), DY[:, :1], DY[:1], DY[:-1]):
        for backward in (model.backward, model.backward_parameters):
            with pytest.raises(ValueError, match=r"dY has shape \(.*\); wanted \(6, 2\)"):
                backward(bad)


@pytest.mark.parametrize("X", [np.ones(3, np.float32), np.ones((2, 2, 2), np.float32)], ids=["1-D", "3-D"])
def test_a_network_without_a_width_wants_a_matrix_too(X):
    model = Sequential(ReLU(), Softmax())
    for answer in (model.forward, model.predict):
        with pytest.raises(ValueError, match=r"X has shape .*; wanted \(any, any\)"):
            answer(X)


# What layers may be


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([], ValueError, "at least one layer"),
        ([Dense(2, 3), "relu"], TypeError, "layer 1 is 'relu'; wanted an instance of"),
        ([Dense(2, 3), ReLU], TypeError, "layer 1 is <class .*; wanted an instance"),
        ([[Dense(2, 3), ReLU()]], TypeError, r"layer 0 is \[Dense\(2, 3\), ReLU\(\)\]"),
        ([Dense(2, 3), Dense(4, 1)], ValueError, r"Dense\(4, 1\) wants 4 inputs but is given 3"),
        ([Dense(2, 3), Residual(Tanh(), Dense(3, 2))], ValueError, "f maps 3 features to 2"),
        ([Dense(2, 3), Residual(Dense(3, 4), Dense(5, 3))], ValueError, r"Dense\(5, 3\) wants 5 .* given 4"),
        ([Dense(2, 2), Sequential(Dense(2, 2))], TypeError, "cannot hold another one"),
        ([Residual(Sequential(Dense(2, 2)))], TypeError, "cannot hold another one"),
    ],
    ids=lambda x: repr(x) if isinstance(x, list) else "",
)
def test_networks_that_do_not_fit_are_refused(layers, error, message):
    with pytest.raises(error, match=message):
        Sequential(*layers)


def test_a_layer_has_one_place():
    shared = Dense(3, 3)
    for layers in ([shared, shared], [shared, Residual(shared)], [Residual(shared), Residual(shared)]):
        with pytest.raises(ValueError, match="a layer appears twice"):
            Sequential(*layers)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dtype": "float16"}, ValueError, "dtype must be float32 or float64"),
        ({"dtype": int}, ValueError, "dtype must be float32 or float64"),
        ({"backend": "torch"}, ValueError, "backend must be one of numpy, cupy; got 'torch'"),
    ],
)
def test_options_are_checked_before_the_layers_change(options, error, message):
    layer = Dense(2, 3, rng=0)
    W = layer.W
    kept = W.copy()
    with pytest.raises(error, match=message):
        Sequential(layer, rng=1, **options)
    assert layer.W is W
    np.testing.assert_array_equal(W, kept)


def test_a_replaced_parameter_is_found():
    model = build()
    model.check_parameters()
    model.layers[0].W[...] = 1.0
    model.check_parameters()
    model.layers[0].b = np.zeros(5, np.float32)
    with pytest.raises(ValueError, match=r"b of Dense\(3, 5\) \(0.bias\) is no longer a view into theta"):
        model.check_parameters()
    inner = build()
    inner.layers[2].layers[0].W = inner.layers[2].layers[0].W.copy()
    with pytest.raises(ValueError, match=r"2\.0\.weight.*no longer a view"):
        inner.check_parameters()
    taken = build()
    Sequential(*taken.layers)  # the layers belong to the new network now
    with pytest.raises(ValueError, match="no longer a view"):
        taken.check_parameters()


def test_repr_shows_the_layers():
    assert repr(Sequential(Dense(2, 3), LeakyReLU(), Residual(Dense(3, 3)), Dropout(0.25))) == (
        "Sequential(Dense(2, 3), LeakyReLU(0.01), Residual(Dense(3, 3)), Dropout(0.25))"
    )


# A layer of the user's own


class Scale(Layer):
    """Y = w ∘ X + c with one w per feature; knows nothing of buffers and views."""

    parameter_names = {"weight": "w", "shift": "c"}  # noqa: RUF012

    def __init__(self, n):
        self.w = np.ones(n)
        self.c = np.array(0.5)

    def forward(self, X):
        self.X = X
        return self.w * X + self.c

    def backward(self, dY):
        self.dw = (dY * self.X).sum(axis=0)
        self.dc = dY.sum()
        return dY * self.w


class BadScale(Scale):
    def backward(self, dY):
        dX = super().backward(dY)
        self.dw = dY * self.X
        return dX


def test_a_layer_of_ones_own_works_like_the_others():
    report = check_layer(Scale(3), np.random.default_rng(0).standard_normal((4, 3)))
    assert report.ok, report
    model = Sequential(Dense(3, 3), Scale(3), Tanh(), Dense(3, 3), rng=0)
    assert list(model.parameters()) == ["0.weight", "0.bias", "1.weight", "1.shift", "3.weight", "3.bias"]
    assert model.forward(X).dtype == np.float32
    for _ in range(2):
        model.backward(DY[:, :1] * np.array([1, 2, 3], np.float32))
        np.testing.assert_array_equal(model.gradients()["1.weight"], model.layers[1].dw)
        assert np.shares_memory(model.layers[1].dw, model.grad)
        assert model.grad.all()


def test_a_layer_of_ones_own_trains():
    w = np.array([0.5, 2.0, 3.0])
    inputs = np.random.default_rng(0).standard_normal((40, 3))
    model = Sequential(Scale(3), Residual(Scale(3)), dtype="float64")
    loss, optimizer = MeanSquaredError(), SGD(0.05)
    for _ in range(2000):
        loss.forward(model.forward(inputs), inputs * w)
        model.backward_parameters(loss.backward())
        optimizer.step(model.theta, model.grad)
    assert loss.forward(model.predict(inputs), inputs * w) < 1e-6


def test_a_gradient_of_the_wrong_shape_is_named():
    model = Sequential(Dense(3, 3), BadScale(3), rng=0)
    model.forward(X)
    for backward in (model.backward, model.backward_parameters):
        with pytest.raises(
            ValueError,
            match=r"dw of BadScale\(\) \(the gradient of 1.weight\) has shape \(6, 3\); .* shape \(3,\)",
        ):
            backward(np.ones((6, 3), np.float32))


# Weights in and out


def torch_network():
    return torch.nn.Sequential(
        torch.nn.Linear(3, 5),
        torch.nn.Tanh(),
        TorchResidual(torch.nn.Linear(5, 5), torch.nn.ReLU()),
        torch.nn.Dropout(0.2),
        torch.nn.Linear(5, 2),
    ).eval()


def test_names_and_shapes_are_those_of_torch():
    ours, torchs = build().state_dict(), torch_network().state_dict()
    assert list(ours) == list(torchs)
    assert [x.shape for x in ours.values()] == [tuple(x.shape) for x in torchs.values()]


def test_files_travel_to_torch_and_back(tmp_path):
    model, twin = build(), torch_network()
    model.save(tmp_path / "model.safetensors")
    twin.load_state_dict(torch_files.load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        np.testing.assert_allclose(model.predict(X), twin(torch.tensor(X)).numpy(), rtol=1e-5, atol=1e-6)
    torch_files.save_file(twin.state_dict(), tmp_path / "back.safetensors")
    back = build(rng=1)
    back.load(tmp_path / "back.safetensors")
    np.testing.assert_array_equal(back.theta, model.theta)
    fresh = torch_network()
    model.load_state_dict(fresh.state_dict())  # tensors will do as well
    for name, x in fresh.state_dict().items():
        np.testing.assert_array_equal(model.parameters()[name], x.numpy())


def test_state_dict_is_a_copy_and_load_casts():
    model, other = build(), build(rng=1, dtype="float64")
    state = model.state_dict()
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.theta, model.theta)
    assert other.theta.dtype == np.float64
    assert_views_are_intact(other)
    kept = model.theta.copy()
    for x in state.values():
        x[...] = 0
    np.testing.assert_array_equal(model.theta, kept)
    other.load_state_dict(state)
    assert not other.theta.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("4.bias"), r"missing \['4.bias'\], unknown \[\]"),
        (lambda s: s.update({"5.weight": np.ones(1)}), r"missing \[\], unknown \['5.weight'\]"),
        (lambda s: s.update({"4.bias": np.ones(3)}), r"state\['4.bias'\] has shape \(3,\); wanted \(2\)"),
        (lambda s: s.update({"4.weight": s["4.weight"].T}), r"state\['4.weight'\] has shape \(5, 2\)"),
        (lambda s: s["4.bias"].fill(np.nan), r"state\['4.bias'\] contains 2 NaN"),
        (lambda s: s.update({"4.bias": np.array([1.0, 1e300])}), r"state\['4.bias'\] contains 1 inf"),
    ],
)
def test_a_state_is_loaded_whole_or_not_at_all(change, message):
    model = build()
    kept = model.theta.copy()
    state = {name: x + 1 for name, x in model.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(state)
    np.testing.assert_array_equal(model.theta, kept)


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    model = build()
    model.save(path)
    kept = path.read_bytes()
    model.theta[:] = 0

    def disk_full(*args):
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(f"os.{name}", disk_full)
            with pytest.raises(OSError, match="No space left"):
                model.save(path)
        assert path.read_bytes() == kept
        assert list(tmp_path.iterdir()) == [path]
    model.save(path)
    assert path.read_bytes() != kept
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_none_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    model = build()
    kept = model.theta.copy()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        model.load(path)
    model.save(path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:4], whole[:50], whole[:-1], b"PK\x03\x04" + whole, b"\x00" * 100):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            model.load(path)
    Sequential(Dense(3, 4), rng=0).save(path)  # whole, but of another network
    with pytest.raises(ValueError, match="state does not fit"):
        model.load(path)
    np.testing.assert_array_equal(model.theta, kept)


def test_a_network_without_parameters_has_files_too(tmp_path):
    model = Sequential(ReLU(), Softmax())
    assert model.theta.shape == (0,)
    model.save(tmp_path / "empty.safetensors")
    model.load(tmp_path / "empty.safetensors")


def test_a_gradient_step_by_hand():
    model = Sequential(Dense(3, 2), rng=0)
    theta, before = model.theta, model.theta.copy()
    model.grad[:] = 1
    model.theta -= 0.5 * model.grad
    assert model.theta is theta
    np.testing.assert_allclose(model.layers[0].W, before[:6].reshape(2, 3) - 0.5)


def test_widths_are_checked_behind_layers_without_one():
    with pytest.raises(ValueError, match=r"Dense\(5, 1\) wants 5 inputs but is given 3"):
        Sequential(ReLU(), Dense(4, 3), Dense(5, 1))
    with pytest.raises(ValueError, match=r"Dense\(5, 1\) wants 5 inputs but is given 4"):
        Sequential(Residual(Dense(4, 4)), Dense(5, 1))


def test_a_hidden_layer_is_refused():
    class Hides(Layer):
        def __init__(self):
            self.inner = Dense(3, 3)

    with pytest.raises(TypeError, match="would not be trained: make it a Chain"):
        Sequential(Hides())


def test_a_replaced_parameter_is_noticed_wherever_it_matters():
    model = Sequential(Dense(3, 2), rng=0)
    model.layers[0].W = model.layers[0].W + 1
    Y = model.forward(X)
    for use in (model.state_dict, lambda: model.backward(Y), lambda: model.load_state_dict({})):
        with pytest.raises(ValueError, match="no longer a view into theta"):
            use()


def test_predict_returns_an_array_of_its_own_even_if_nothing_is_computed():
    assert not np.shares_memory(Sequential(Dropout(0.5)).predict(X), X)
