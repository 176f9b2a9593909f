"""NeuralForceField: exact forces, symmetries, what it learns, its files, and what it refuses."""

import pickle

import numpy as np
import pytest
import torch
from molecules.cases import configurations
from reference.torch_force_field import energy_and_forces, loss_and_gradients

from tinynn.backend import asarray, to_numpy
from tinynn.callbacks import Checkpoint, EarlyStopping
from tinynn.datasets import rmd17
from tinynn.estimator import NotFittedError
from tinynn.files import load_tensors, save_tensors
from tinynn.metrics import r2_score
from tinynn.molecules import (
    CoulombMatrix,
    CoulombPairPotential,
    LennardJones,
    NeuralForceField,
    RadialSymmetryFunctions,
    audit_invariance,
    distances,
    feasible_permutations,
    force_field,
    inverse_distances,
    permute,
    positions,
    sorted_inverse_distances,
)
from tinynn.molecules.energy_network import energy_rows
from tinynn.nn import Dense, Dropout, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from tinynn.training import DivergenceError

torch.set_num_threads(1)
SMOOTH = (Tanh, Sigmoid, Softplus, SiLU)
SQUARE = np.array([[0.0, 0.0], [1.2, 0.1], [1.0, 1.3], [-0.2, 0.9]])
TETRAHEDRON = np.array([[0, 0, 0], [1.15, 0, 0], [0.58, 1.0, 0], [0.58, 0.34, 0.95]])


def samples(M, potential=None, structure=SQUARE, width=0.1, seed=0, offset=0.0):
    """R, E and F of a shaken molecule."""
    potential = potential or CoulombPairPotential()
    R = structure + width * np.random.default_rng(seed).standard_normal((M, *structure.shape))
    return R, potential.energy(R) + offset, potential.forces(R)


def fitted(M=20, *, forces_only=False, **parameters):
    R, E, F = samples(M, offset=parameters.pop("offset", 0.0))
    options = {"hidden": (8, 8), "epochs": 20, "rng": 0} | parameters
    return NeuralForceField(**options).fit(R, None if forces_only else E, F, progress=False)


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("structure", [SQUARE, TETRAHEDRON], ids=["2-D", "3-D"])
def test_forces_are_minus_the_gradient_of_the_energy(activation, structure):
    R, E, F = samples(12, structure=structure)
    field = NeuralForceField((8, 8), activation, epochs=20, rng=0).fit(R, E, F, progress=False)
    R = R[:2]
    _, forces = field.predict(R)
    h = 1e-3
    for index in np.ndindex(*R.shape[1:]):
        step = np.zeros(R.shape[1:])
        step[index] = h
        at = [field.predict(R + k * step)[0] for k in (-2, -1, 1, 2)]
        slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h)  # error of order h⁴
        np.testing.assert_allclose(forces[(..., *index)], -slope, atol=1e-8)


def torch_twin(field):
    twin = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    ).double()
    state = field.model_.state_dict()
    twin.load_state_dict({name.removeprefix("0."): torch.tensor(x) for name, x in state.items()})
    return twin


def test_it_is_the_energy_that_the_docstring_says():
    field = fitted(activation=Tanh, offset=-1000.0)
    R = samples(6, seed=1)[0]
    E, F = energy_and_forces(torch_twin(field), R, field.feature_mean_, field.feature_scale_)
    scale = field.energy_scale_
    E_field, F_field = field.predict(R)
    np.testing.assert_allclose(E_field, field.constant_ + scale * E.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(F_field, scale * F.detach().numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("w_E", "w_F"), [(1.0, 1.0), (0.3, 2.0)])
def test_the_loss_is_the_one_of_the_docstring(w_E, w_F):
    """One step of rate zero shows loss and parameters of the same network."""
    R, E, F = samples(9, offset=50.0)
    options = {"activation": Tanh, "learning_rate": 0.0, "epochs": 1, "batch_size": 9}
    field = NeuralForceField((8, 8), energy_weight=w_E, force_weight=w_F, rng=0, **options)
    field.fit(R, E, F, validation=(R, E, F), progress=False)
    scale = field.energy_scale_
    assert scale == pytest.approx(E.std())
    loss, _ = loss_and_gradients(
        torch_twin(field),
        R,
        (E - E.mean()) / scale,
        F / scale,
        mean=field.feature_mean_,
        scale=field.feature_scale_,
        energy_weight=w_E,
        force_weight=w_F * scale**2 / np.mean(F**2),
    )
    assert field.history_.train_loss == pytest.approx([loss], rel=1e-10)
    assert field.history_.validation_loss == pytest.approx([loss], rel=1e-10)


def test_features_and_energies_are_standardised_on_the_training_set():
    R, E, F = samples(30, offset=-97000.0)
    field = NeuralForceField((8,), epochs=1, rng=0).fit(R, E, F, progress=False)
    rows = energy_rows(inverse_distances, R, field.feature_mean_, field.feature_scale_)[:, :6]
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    assert (rows**2).sum(axis=1).mean() == pytest.approx(1)
    assert (field.predict(R)[0] - E).mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("structure", [SQUARE, TETRAHEDRON], ids=["2-D", "3-D"])
def test_energy_and_forces_have_the_symmetries_of_distances(structure):
    R, E, F = samples(12, structure=structure)
    field = NeuralForceField((8, 8), epochs=20, rng=0).fit(R, E, F, progress=False)
    report = audit_invariance(field, R)
    for action in ("translation", "rotation", "reflection"):
        assert getattr(report, action) < 1e-10
        assert getattr(report.forces, action) < 1e-10
    assert report.permutation > 1e-3
    _, F = field.predict(R)
    np.testing.assert_allclose(F.sum(axis=1), 0, atol=1e-10)
    centred = R - R.mean(axis=1, keepdims=True)
    torque = np.einsum("mna,mnb->mab", centred, F)
    np.testing.assert_allclose(torque - torque.swapaxes(1, 2), 0, atol=1e-10)


@pytest.mark.parametrize(
    "features",
    [sorted_inverse_distances, RadialSymmetryFunctions([1, 1, 1, 1], eta=[0.5, 2.0, 8.0], cutoff=5.0)],
)
def test_features_without_numbering_make_the_energy_permutation_invariant(features):
    field = fitted(features=features, activation=Tanh)
    R = samples(5, seed=1)[0]
    report = audit_invariance(field, R)
    assert report.permutation < 1e-10
    assert report.forces.permutation < 1e-9


@pytest.mark.parametrize("features", [positions, distances, CoulombMatrix([1, 6, 1, 8])], ids=repr)
def test_any_features_have_exact_forces(features):
    field = fitted(features=features)
    R, h = samples(3, seed=1)[0], 1e-4
    step = np.random.default_rng(2).standard_normal(R.shape)
    slope = (field.predict(R + h * step)[0] - field.predict(R - h * step)[0]) / (2 * h)
    np.testing.assert_allclose((field.predict(R)[1] * step).sum(axis=(1, 2)), -slope, rtol=1e-5, atol=1e-6)


def test_it_learns_the_coulomb_molecule_in_two_dimensions():
    R, E, F = samples(400)
    field = NeuralForceField((32, 32), epochs=300, rng=0).fit(R[:200], E[:200], F[:200], progress=False)
    E_test, F_test = field.predict(R[200:])
    assert r2_score(E[200:], E_test) > 0.999
    assert r2_score(F[200:].ravel(), F_test.ravel()) > 0.999


@pytest.mark.parametrize(
    "potential", [CoulombPairPotential(), LennardJones()], ids=["Coulomb", "Lennard-Jones"]
)
def test_forces_teach_more_than_energies(potential):
    structure = SQUARE if isinstance(potential, CoulombPairPotential) else TETRAHEDRON
    R, E, F = samples(300, potential, structure, width=0.05)
    test, n = slice(100, None), 60
    errors = {}
    for name, given in {"E": (E[:n], None), "F": (None, F[:n]), "both": (E[:n], F[:n])}.items():
        field = NeuralForceField((32, 32), epochs=200, rng=0).fit(R[:n], *given, progress=False)
        E_test, F_test = field.predict(R[test])
        error = E_test - E[test]
        errors[name] = abs(F_test - F[test]).mean(), abs(error - error.mean()).mean()
    for quantity in (0, 1):
        assert errors["both"][quantity] < errors["E"][quantity]
        assert errors["F"][quantity] < errors["E"][quantity]


def test_forces_alone_leave_the_constant_open():
    field = fitted(forces_only=True)
    R, _, _ = samples(20)
    assert field.predict(R)[0].mean() == pytest.approx(0, abs=1e-10)
    R, E, F = samples(20, offset=7.0)
    anchored = NeuralForceField((8, 8), energy_weight=0, epochs=20, rng=0).fit(R, E, F, progress=False)
    assert anchored.predict(R)[0].mean() == pytest.approx(E.mean(), abs=1e-10)


def test_units_do_not_matter():
    R, E, F = samples(20)
    one = NeuralForceField((8,), epochs=5, rng=0).fit(R, E, F, progress=False)
    other = NeuralForceField((8,), epochs=5, rng=0).fit(10 * R, 23 * E, 2.3 * F, progress=False)
    for a, b, factor in zip(one.predict(R), other.predict(10 * R), (23, 2.3), strict=True):
        np.testing.assert_allclose(b, factor * a, rtol=1e-6, atol=1e-8)


def test_same_seed_same_bits():
    R = samples(5, seed=1)[0]
    for a, b in zip(fitted(rng=3).predict(R), fitted(rng=3).predict(R), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (fitted(rng=3).predict(R)[0] != fitted(rng=4).predict(R)[0]).any()


def test_a_single_configuration_and_blocks(monkeypatch):
    field = fitted()
    R = samples(7, seed=1)[0]
    E, F = field.predict(R)
    assert (E.shape, F.shape) == ((7,), R.shape)
    E_0, F_0 = field.predict(R[0])
    assert np.ndim(E_0) == 0
    np.testing.assert_allclose(E_0, E[0], rtol=1e-14)
    np.testing.assert_allclose(F_0, F[0], rtol=1e-12, atol=1e-13)
    monkeypatch.setattr(force_field, "BLOCK", 3)
    for a, b in zip(field.predict(R), (E, F), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_float32_stays_float32():
    R, E, F = samples(20)
    field = NeuralForceField((8, 8), epochs=20, rng=0).fit(R.astype(np.float32), E, F, progress=False)
    assert field.model_.dtype == np.float32
    exact = fitted().predict(R)
    for dtype in (np.float32, np.float64):
        for x, y in zip(field.predict(R.astype(dtype)), exact, strict=True):
            assert x.dtype == dtype
            np.testing.assert_allclose(x, y, atol=1e-3 * abs(y).max())


def test_arguments_are_left_alone():
    arrays = samples(10)
    before = [x.copy() for x in arrays]
    for x in arrays:
        x.flags.writeable = False
    fitted_ = NeuralForceField((8,), epochs=2, rng=0).fit(*arrays, validation=arrays, progress=False)
    fitted_.predict(arrays[0])
    for x, y in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_early_stopping_goes_back_to_the_best_epoch():
    R, E, F = samples(60)
    field = NeuralForceField((16,), epochs=60, learning_rate=0.05, rng=0)
    held_out = R[20:], E[20:], F[20:]
    field.fit(R[:20], E[:20], F[:20], validation=held_out, callbacks=[EarlyStopping(3)], progress=False)
    losses = field.history_.validation_loss
    assert len(losses) < 60
    assert losses.index(min(losses)) == len(losses) - 4
    E_held, F_held = field.predict(held_out[0])
    E_held += (held_out[1] - E_held).mean()  # the constant was moved after the training
    relative = np.mean((F_held - held_out[2]) ** 2) / np.mean(F[:20] ** 2)
    assert relative < min(losses) * (1 + 1e-10)


def test_an_interrupted_training_continues_with_the_same_bits(tmp_path):
    R, E, F = samples(20)
    field = NeuralForceField((8,), epochs=6, rng=0)
    whole = field.fit(R, E, F, progress=False).model_.theta.copy()

    class Interrupt(Checkpoint):
        def on_epoch_end(self, training):
            super().on_epoch_end(training)
            if training.epoch == 3:
                raise KeyboardInterrupt

    path = tmp_path / "half.safetensors"
    Interrupt.__name__ = "Checkpoint"  # a checkpoint remembers the callbacks of its training
    with pytest.raises(KeyboardInterrupt):
        NeuralForceField((8,), epochs=6, rng=0).fit(R, E, F, callbacks=[Interrupt(path)], progress=False)
    field.fit(R, E, F, callbacks=[Checkpoint(path)], resume=path, progress=False)
    np.testing.assert_array_equal(field.model_.theta, whole)


def test_a_divergence_is_reported_and_the_field_stays_what_it_was():
    R, E, F = samples(20)
    field = fitted()
    before = field.predict(R)[0]
    field.set_params(learning_rate=1e200)
    with pytest.raises(DivergenceError, match="lower the rate"):
        field.fit(R, E, F, progress=False)
    np.testing.assert_array_equal(field.predict(R)[0], before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("features", [None, RadialSymmetryFunctions([1, 1, 1, 1], eta=1.0, cutoff=5.0)])
def test_a_file_brings_everything_back(tmp_path, dtype, features):
    R, E, F = samples(12, offset=-500.0)
    options = {"hidden": (8, 4), "activation": Tanh} | ({} if features is None else {"features": features})
    field = NeuralForceField(**options, epochs=3, rng=0).fit(R.astype(dtype), E, F, progress=False)
    path = tmp_path / "field.safetensors"
    field.save(path)
    twin = NeuralForceField(**options).load(path)
    for a, b in zip(twin.predict(R), field.predict(R), strict=True):
        np.testing.assert_array_equal(a, b)
    assert twin.model_.dtype == dtype
    twin.save(path)
    again = pickle.loads(pickle.dumps(NeuralForceField(**options).load(path)))
    np.testing.assert_array_equal(again.predict(R)[1], field.predict(R)[1])


def test_files_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "field.safetensors"
    fitted(hidden=(8, 8), activation=Tanh).save(path)
    wrong = [
        ({"hidden": (8, 4), "activation": Tanh}, r"another kind \(hidden: \[8, 8\] there, \[8, 4\] here\)"),
        ({"hidden": (8, 8)}, r"another kind \(activation: Tanh\(\) there, SiLU\(\) here\)"),
        (
            {"hidden": (8, 8), "activation": Tanh, "features": distances},
            r"features: InverseDistances\(\) there",
        ),
    ]
    for parameters, words in wrong:
        with pytest.raises(ValueError, match=words):
            NeuralForceField(**parameters).load(path)
    field = NeuralForceField((8, 8), Tanh)
    with pytest.raises(ValueError, match=r"^backend must be.*torch"):
        field.load(path, backend="torch")
    with pytest.raises(TypeError, match=r"^activation must make a layer.*got 'tanh'"):
        NeuralForceField((8, 8), "tanh").load(path)
    tensors, metadata = load_tensors(path)
    for name in ("energy", "network.0.2.weight", "shape"):
        save_tensors(path, {k: v for k, v in tensors.items() if k != name}, metadata)
        with pytest.raises(ValueError, match=r"field\.safetensors' is damaged"):
            field.load(path)
    save_tensors(path, tensors)
    with pytest.raises(ValueError, match=r"not one of NeuralForceField\.save"):
        field.load(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        field.load(tmp_path / "nothing")
    with pytest.raises(NotFittedError):
        field.predict(SQUARE)
    with pytest.raises(NotFittedError):
        field.save(path)


def test_a_foreign_library_gives_the_same(device, tmp_path):
    R, E, F = samples(20)
    expected = fitted(epochs=5).predict(R)
    moved = [asarray(x, device) for x in (R, E, F)]
    field = NeuralForceField((8, 8), epochs=5, rng=0)
    field.fit(*moved, validation=tuple(moved), progress=False)
    assert field.model_.backend == device
    field.save(tmp_path / "field.safetensors")
    loaded = NeuralForceField((8, 8)).load(tmp_path / "field.safetensors", backend=device)
    for model in (field, loaded):
        for found, wanted in zip(model.predict(moved[0]), expected, strict=True):
            assert type(found) is type(moved[0])
            np.testing.assert_allclose(to_numpy(found), wanted, rtol=1e-8, atol=1e-9)
    with pytest.raises(TypeError, match="R is a numpy array but model"):
        field.predict(R)


R, E, F = samples(5)
NAN = R.copy()
NAN[1, 2, 0] = np.nan
COINCIDENT = R.copy()
COINCIDENT[3, 1] = COINCIDENT[3, 0]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((R,), ValueError, "^E and F are both missing; wanted energies, forces or both"),
        ((R, E[:4], F), ValueError, r"^E has shape \(4,\); wanted \(5\)"),
        ((R, E[:, None], F), ValueError, r"^E has shape \(5, 1\); wanted \(5\)"),
        ((R, E, F[:4]), ValueError, r"^F has shape \(4, 4, 2\); wanted \(5, 4, 2\)"),
        ((R, E, F.reshape(5, -1)), ValueError, r"^F has shape \(5, 8\)"),
        ((R, E, np.full_like(F, np.inf)), ValueError, "^F contains 40 inf"),
        ((R, [1, 2, np.nan, 4, 5], F), ValueError, "^E contains 1 NaN"),
        ((NAN, E, F), ValueError, "^R contains 1 NaN"),
        ((COINCIDENT, E, F), ValueError, "^R has coincident atoms: atoms 0 and 1 of sample 3"),
        ((R[:, :1], E, F[:, :1]), ValueError, r"^R holds 1 atom \(shape \(5, 1, 2\)\)"),
        ((R[0], E[0], F[0]), ValueError, r"^R has 2 dimensions \(shape \(4, 2\)\); wanted 3"),
        ((None, E, F), TypeError, "^R has dtype object"),
    ],
)
def test_bad_data_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        NeuralForceField((4,), epochs=1).fit(*arguments, progress=False)
    if len(arguments) == 3:
        field = NeuralForceField((4,), epochs=1)
        with pytest.raises(error, match="validation: " + words.removeprefix("^")):
            field.fit(R, E, F, validation=arguments, progress=False)
        assert not hasattr(field, "model_")


@pytest.mark.parametrize(
    ("validation", "error", "words"),
    [
        ((R, E), TypeError, r"validation must be a tuple \(R, E, F\)"),
        ((R, None, F), ValueError, "validation: E is missing, but the training set has some"),
        ((R, E, None), ValueError, "validation: F is missing, but the training set has some"),
        ((R[:, :3], E, F[:, :3]), ValueError, r"validation: R has shape \(5, 3, 2\); the training set has"),
    ],
)
def test_bad_validation_data_are_named(validation, error, words):
    with pytest.raises(error, match=words):
        NeuralForceField((4,), epochs=1).fit(R, E, F, validation=validation, progress=False)


def test_validation_energies_without_training_energies_are_refused():
    with pytest.raises(ValueError, match="validation: E is given, but the training set has none"):
        NeuralForceField((4,), epochs=1).fit(R, None, F, validation=(R, E, F), progress=False)


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"features": "distances"}, TypeError, "features must be Features, with a Jacobian; got 'distances'"),
        ({"activation": ReLU}, TypeError, r"layer 1, ReLU\(\), has no tangents"),
        ({"activation": LeakyReLU}, TypeError, r"layer 1, LeakyReLU\(0\.01\), has no tangents"),
        ({"activation": Dropout}, TypeError, r"layer 1, Dropout\(0\.5\), has no tangents"),
        (
            {"activation": "tanh"},
            TypeError,
            "activation must make a layer, like the class tinynn.nn.SiLU; got 'tanh'",
        ),
        ({"activation": Tanh()}, TypeError, r"activation must make a layer.*got Tanh\(\)"),
        ({"activation": lambda: np.tanh}, TypeError, "layer 1 is <ufunc 'tanh'>; wanted an instance"),
        ({"activation": lambda: Dense(3, 3)}, ValueError, "wants 3 inputs but is given 4"),
        ({"hidden": (4, 0)}, ValueError, "hidden must be at least 1; got 0"),
        ({"hidden": 2.5}, TypeError, "hidden must be an integer"),
        ({"energy_weight": -1}, ValueError, "energy_weight must lie in"),
        ({"force_weight": "1"}, TypeError, "force_weight must be a number"),
        (
            {"energy_weight": 0, "force_weight": 0},
            ValueError,
            "nothing to learn from: what is given has weight 0",
        ),
        ({"learning_rate": -1.0}, ValueError, "lr must lie in"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ],
)
def test_bad_parameters_are_named(parameters, error, words):
    options = {"hidden": (4,), "epochs": 1} | parameters
    with pytest.raises(error, match=words):
        NeuralForceField(**options).fit(R, E, F, progress=False)


def test_energies_of_weight_zero_alone_teach_nothing():
    with pytest.raises(ValueError, match="nothing to learn from"):
        NeuralForceField((4,), energy_weight=0).fit(R, E, progress=False)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            R[:, :3],
            r"R has shape \(5, 3, 2\): 3 atoms in 2 dimensions; this NeuralForceField knows molecules of 4",
        ),
        (configurations(2, 4, 3), r"R has shape \(2, 4, 3\): 4 atoms in 3 dimensions"),
        (NAN, "R contains 1 NaN"),
        (COINCIDENT, "R has coincident atoms: atoms 0 and 1 of sample 3"),
        (R[None], "R has 4 dimensions"),
    ],
)
def test_bad_positions_are_named_at_predict(wrong, words):
    with pytest.raises(ValueError, match=words):
        fitted(epochs=1).predict(wrong)


def test_it_is_an_estimator():
    field = NeuralForceField((4,), Tanh, force_weight=3.0)
    assert field.get_params(deep=False)["force_weight"] == 3.0
    assert field.set_params(epochs=7).epochs == 7
    assert repr(field).startswith("NeuralForceField(hidden=(4,), activation=")


def test_degenerate_training_sets():
    """One sample has no spread, a molecule at rest no forces: their scales count as 1."""
    one = NeuralForceField((4,), epochs=2, rng=0).fit(R[:1], E[:1], F[:1], progress=False)
    assert one.predict(R[:1])[0] == pytest.approx(E[:1])
    rest = NeuralForceField((4,), epochs=2, rng=0).fit(R, None, np.zeros_like(F), progress=False)
    assert np.isfinite(rest.predict(R)[1]).all()


@pytest.mark.slow
@pytest.mark.real_data
def test_ethanol():
    """rMD17: 1000 configurations, each numbered in 6 ways; half a minute of computing."""
    train, test = rmd17("ethanol")
    group = feasible_permutations(train.R, train.z)
    assert len(group) == 6
    R, F = (np.concatenate([permute(x, p) for p in group]) for x in (train.R, train.F))
    field = NeuralForceField((128, 128), epochs=400, batch_size=32, learning_rate=5e-3, rng=0)
    field.fit(R.astype(np.float32), np.tile(train.E, 6), F, progress=False)
    E, F = field.predict(test.R)
    assert abs(E - test.E).mean() < 0.14  # kcal/mol
    assert abs(F - test.F).mean() < 0.75  # kcal/mol/Å
