import copy
import pickle
import re
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference import torch_forces as in_torch
from sklearn.base import clone

from tinynn.backend import asarray, to_numpy
from tinynn.datasets import rmd17
from tinynn.estimator import NotFittedError
from tinynn.kernels import Gaussian, Linear, Matern32, Matern52
from tinynn.linalg import NotPositiveDefiniteError, memory
from tinynn.molecules import (
    CoulombMatrix,
    CoulombPairPotential,
    EnergyForceRegressor,
    RadialSymmetryFunctions,
    audit_invariance,
    derivative_kernel,
    force_field,
    inverse_distances,
    observations,
    permute,
    positions,
)
from tinynn.molecules.derivative_kernel import covariance, internal_directions, renumbered_copies

from .cases import configurations

ZIGZAG = np.array([[0.0, 0.0], [1.3, 0.5], [2.5, 0.1], [3.5, 1.1]])
SQUARE = np.array([[0.0, 0.0], [1.5, 0.0], [1.5, 1.5], [0.0, 1.5]])
COULOMB = CoulombPairPotential()
TARGETS = ["forces", "energies", "both"]
every_target = pytest.mark.parametrize("targets", TARGETS)

# kernels, and the same in torch
KERNELS = {
    "matern52": (Matern52(1.5), in_torch.matern52),
    "gaussian": (Gaussian(1.5), in_torch.gaussian),
    "matern32": (Matern32(1.5), in_torch.matern32),
}
SWAPS = [[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [0, 1, 2, 4, 3], [1, 0, 2, 4, 3]]  # a group of five atoms


def labelled(R):
    """R with an energy of its pairs that has no other symmetry than theirs, and its forces."""
    return R, COULOMB.energy(R), COULOMB.forces(R)


def coulomb(M, seed=0, molecule=ZIGZAG):
    """The molecule of exercise 7: 4 equal charges in the plane, displaced by 0.1."""
    return labelled(molecule + 0.1 * np.random.default_rng(seed).normal(size=(M, 4, 2)))


def errors(model, R, E, F):
    predicted_E, predicted_F = model.predict(R)
    return abs(predicted_E - E).mean(), abs(predicted_F - F).mean()


# the covariances


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(
    ("N", "D", "group"),
    [(5, 3, SWAPS), (5, 3, SWAPS[:1]), (4, 2, [[0, 1, 2, 3], [1, 2, 0, 3], [2, 0, 1, 3]])],
)
def test_covariances_equal_torch(name, N, D, group):
    kernel, radial = KERNELS[name]
    R = configurations(3, N, D)
    copies = renumbered_copies(inverse_distances, R, np.array(group))
    for j in range(len(R)):
        for i in range(len(R)):
            found = covariance(kernel, copies[i : i + 1], copies[j : j + 1])[0]
            expected = in_torch.covariance(R[i], R[j], radial, 1.5, group)
            assert_allclose(found, expected, atol=1e-10 * abs(expected).max())


def test_covariances_along_internal_directions_are_all_there_are():
    R = configurations(3, 5, 3)
    Q = internal_directions(inverse_distances, R)
    assert Q.shape == (3, 15, 9)
    assert_allclose(np.swapaxes(Q, 1, 2) @ Q, np.broadcast_to(np.eye(9), (3, 9, 9)), atol=1e-14)
    copies = [
        renumbered_copies(inverse_distances, R, np.array(SWAPS), directions) for directions in (None, Q)
    ]
    whole, part = (covariance(Matern52(), a, a[:1])[:, 1:, 1:] for a in copies)
    assert_allclose(Q @ part @ Q[0].T, whole, atol=1e-12)


@pytest.mark.parametrize(
    ("features", "N", "D", "rank"),
    [
        (inverse_distances, 2, 3, 1),
        (inverse_distances, 3, 3, 3),
        (inverse_distances, 4, 2, 5),
        (inverse_distances, 9, 3, 21),
        (positions, 4, 3, 12),
    ],
)
def test_number_of_internal_directions(features, N, D, rank):
    assert internal_directions(features, configurations(2, N, D)).shape == (2, N * D, rank)


SHORT_SIGHTED = RadialSymmetryFunctions([1] * 4, eta=[0.1, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0], cutoff=4.0)


def with_an_atom_far_away(M):
    """Configurations of which the first has an atom beyond the cutoff."""
    R = configurations(M, 4, 3)
    R[0, 3] += 10
    return labelled(R)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["first", "last"])
def test_an_atom_out_of_sight_takes_no_directions_from_the_others(order):
    R = with_an_atom_far_away(3)[0][order]
    assert internal_directions(SHORT_SIGHTED, R).shape == (3, 12, 6)


def test_a_planar_molecule_has_the_directions_of_others():
    """At the configuration itself no distance changes to first order when an atom leaves the plane."""
    R = configurations(2, 6, 3)
    R[:, :, 2] = 0
    assert internal_directions(inverse_distances, R).shape == (2, 18, 12)


# the model


@every_target
@pytest.mark.parametrize("kernel", ["matern52", "gaussian"])
def test_mean_and_variance_equal_a_dense_gaussian_process_in_torch(targets, kernel):
    R, E, F = labelled(configurations(4, 4, 3))
    T = configurations(2, 4, 3, seed=1)
    noise, group = (1e-4, 1e-3), [[0, 1, 2, 3], [1, 0, 2, 3]]
    model = EnergyForceRegressor(kernel, length_scale=1.5, alpha=noise, targets=targets, permutations=group)
    predicted_E, predicted_F = model.fit(R, E, F).predict(T)
    E_variance, F_variance = model.predict_variance(T)
    y = np.column_stack([E, F.reshape(4, -1)])
    radial = KERNELS[kernel][1]
    mean, variance = in_torch.posterior(R, y, T, targets, noise, radial, 1.5, group)
    assert_allclose(predicted_E - E.mean(), mean[:, 0], atol=1e-8 * abs(E).max())
    assert_allclose(predicted_F.reshape(2, -1), mean[:, 1:], atol=1e-8 * abs(F).max())
    variance *= model.amplitude_
    assert_allclose(E_variance, variance[:, 0], rtol=1e-6, atol=1e-9 * variance[:, 0].max())
    assert_allclose(F_variance.reshape(2, -1), variance[:, 1:], rtol=1e-6, atol=1e-9 * variance[:, 1:].max())


@every_target
@pytest.mark.parametrize("features", [inverse_distances, CoulombMatrix([1, 1, 6, 8, 8]), positions], ids=repr)
def test_forces_are_minus_the_gradient_of_the_energy(targets, features):
    # A smaller alpha means larger coefficients; difference quotients see how their sum is rounded.
    model = EnergyForceRegressor(targets=targets, features=features, alpha=1e-4).fit(
        *labelled(configurations(8, 5, 3))
    )
    R = configurations(3, 5, 3, seed=1)
    _, F = model.predict(R)
    gradient = np.zeros_like(R)
    h = 1e-3
    for k in np.ndindex(*R.shape[1:]):
        step = np.zeros(R.shape[1:])
        step[k] = h
        E = {i: model.predict(R + i * step)[0] for i in (-2, -1, 1, 2)}
        gradient[:, *k] = (8 * (E[1] - E[-1]) - (E[2] - E[-2])) / (12 * h)
    assert_allclose(F, -gradient, atol=1e-8 * abs(F).max())


@every_target
@pytest.mark.parametrize("D", [2, 3])
def test_net_force_and_torque_vanish(targets, D):
    model = EnergyForceRegressor(targets=targets, permutations=SWAPS).fit(*labelled(configurations(8, 5, D)))
    R = configurations(20, 5, D, seed=1)
    _, F = model.predict(R)
    torque = np.einsum("mni,mnj->mij", R, F)
    assert abs(F.sum(axis=1)).max() < 1e-10
    assert abs(torque - np.swapaxes(torque, 1, 2)).max() < 1e-10


def test_energy_is_invariant_under_rigid_motion_and_the_permutations_given():
    model = EnergyForceRegressor(permutations=SWAPS).fit(*labelled(configurations(8, 5, 3)))
    R = configurations(20, 5, 3, seed=1)
    E, F = model.predict(R)
    for p in SWAPS:
        permuted_E, permuted_F = model.predict(permute(R, p))
        assert_allclose(permuted_E, E, rtol=1e-10)
        assert_allclose(permuted_F, permute(F, p), atol=1e-10)
    assert abs(model.predict(permute(R, [2, 1, 0, 3, 4]))[0] - E).max() > 1e-5
    audit = audit_invariance(model, R)
    assert audit.invariant_under() == ("translation", "rotation", "reflection")
    assert audit.forces.invariant_under() == ("translation", "rotation", "reflection")


def test_without_noise_it_interpolates():
    R, E, F = coulomb(8)
    scale = {"alpha": 0.0, "length_scale": 2.0}
    assert_allclose(EnergyForceRegressor(**scale).fit(R, E, F).predict(R)[1], F, atol=1e-8)
    assert_allclose(EnergyForceRegressor(targets="energies", **scale).fit(R, E).predict(R)[0], E, atol=1e-8)
    both = EnergyForceRegressor(targets="both", **scale).fit(R, E, F)
    assert_allclose(both.predict(R)[0], E, atol=1e-7)
    assert_allclose(both.predict(R)[1], F, atol=1e-7)


@pytest.mark.parametrize("molecule", [ZIGZAG, SQUARE], ids=["zigzag", "square"])
def test_twenty_forces_determine_the_coulomb_energy(molecule):
    test = coulomb(200, seed=1, molecule=molecule)
    E_error, F_error = errors(EnergyForceRegressor().fit(*coulomb(20, molecule=molecule)), *test)
    assert F_error < 1e-4
    assert E_error < 1e-4
    assert test[1].std() > 0.1


def test_what_each_target_is_worth():
    """Forces count more than energies, both more than either, permutations more than none."""
    train, test = coulomb(20), coulomb(200, seed=1)
    auto = EnergyForceRegressor(permutations="auto").fit(*train, z=[1] * 4)
    E_error = {t: errors(EnergyForceRegressor(targets=t).fit(*train), *test)[0] for t in TARGETS}
    assert E_error["both"] < E_error["forces"] < E_error["energies"] < 0.1 * test[1].std()
    assert len(auto.permutations_) == 24
    assert errors(auto, *test)[0] < 0.5 * E_error["forces"]


def test_forces_leave_the_constant_to_the_energies():
    R, E, F = coulomb(10)
    T, *_ = coulomb(5, seed=1)
    with_E, without = EnergyForceRegressor().fit(R, E, F), EnergyForceRegressor().fit(R, F=F)
    shifted = EnergyForceRegressor().fit(R, E + 1000, F)
    assert_allclose(with_E.predict(R)[0].mean(), E.mean(), rtol=1e-12)
    assert_allclose(without.predict(R)[0].mean(), 0, atol=1e-12)
    assert_allclose(shifted.predict(T)[0] - with_E.predict(T)[0], 1000, rtol=1e-12)
    assert_array_equal(without.predict(T)[1], with_E.predict(T)[1])


@every_target
def test_shifting_the_energies_shifts_their_prediction(targets):
    R, E, F = coulomb(10)
    model, shifted = (EnergyForceRegressor(targets=targets).fit(R, E + c, F).predict(R) for c in (0, 64.0))
    assert_allclose(shifted[0] - model[0], 64, rtol=1e-7)
    assert_allclose(shifted[1], model[1], atol=1e-6)


def test_noise_of_energies_and_forces_is_separate():
    R, E, F = coulomb(10)
    wrong = E + np.random.default_rng(0).normal(size=10)
    test = coulomb(50, seed=1)
    trusting, doubting = (
        errors(EnergyForceRegressor(targets="both", alpha=alpha, length_scale=2.0).fit(R, wrong, F), *test)[1]
        for alpha in ((1e-8, 1e-8), (1e3, 1e-8))
    )
    assert doubting < 0.05 * trusting


def test_one_configuration_alone_is_enough_to_begin():
    R, E, F = coulomb(1)
    model = EnergyForceRegressor().fit(R, E, F)
    assert_allclose(model.predict(R)[1], F, atol=1e-8)


@every_target
def test_a_single_configuration_is_one_sample_without_its_axis(targets):
    model = EnergyForceRegressor(targets=targets).fit(*coulomb(6))
    R, *_ = coulomb(3, seed=1)
    for method in (model.predict, model.predict_variance):
        assert_allclose(method(R[1])[0], method(R)[0][1], rtol=1e-12)
        assert_allclose(method(R[1])[1], method(R)[1][1], rtol=1e-12)


def test_many_samples_are_predicted_in_batches(monkeypatch):
    model = EnergyForceRegressor().fit(*coulomb(6))
    R, *_ = coulomb(11, seed=1)
    expected = *model.predict(R), *model.predict_variance(R)
    monkeypatch.setattr(derivative_kernel, "BATCH", 100)
    monkeypatch.setattr(force_field, "BLOCK", 4)
    jacobian, held = inverse_distances.jacobian, []
    monkeypatch.setattr(inverse_distances, "jacobian", lambda R: held.append(len(R)) or jacobian(R))
    for found, whole in zip((*model.predict(R), *model.predict_variance(R)), expected, strict=True):
        assert_allclose(found, whole, rtol=1e-12)
    assert held == 2 * [4, 4, 3]


def test_configurations_may_be_lists_of_integers_or_float32():
    R, E, F = coulomb(6)
    model = EnergyForceRegressor().fit(R.astype(np.float32), E.astype(np.float32), F.tolist())
    predicted_E, predicted_F = model.predict([[0, 0], [1, 1], [3, 0], [4, 1]])
    assert predicted_E.dtype == predicted_F.dtype == np.float64
    assert model.predict(R.astype(np.float32))[1].dtype == np.float64


@pytest.mark.parametrize("kernel", ["matern32", "matern52", "rbf", Gaussian(2.0)], ids=str)
def test_kernels_by_name_or_as_they_are(kernel):
    model = EnergyForceRegressor(kernel, length_scale=3.0).fit(*coulomb(20))
    assert model.kernel_.length_scale == (2.0 if isinstance(kernel, Gaussian) else 3.0)
    assert errors(model, *coulomb(50, seed=1))[1] < 0.02


# the variance


@every_target
def test_variance_tells_the_size_of_the_error(targets):
    model = EnergyForceRegressor(targets=targets).fit(*coulomb(20))
    R, E, F = coulomb(200, seed=1)
    for found, predicted, true in zip(model.predict_variance(R), model.predict(R), (E, F), strict=True):
        z = np.sqrt(((predicted - true) ** 2).mean() / found.mean())
        assert 0.1 < z < 0.5  # surer of itself it would be wrong, and less sure of no use


def test_variance_grows_away_from_the_data_and_shrinks_with_more():
    R, E, F = coulomb(10)
    model = EnergyForceRegressor(length_scale=2.0).fit(R, E, F)
    at_data, near, far = (model.predict_variance(S)[1].mean() for S in (R, R + 0.02 * R**2, R + 0.2 * R**2))
    assert at_data < 1e-4 * near < near < 0.1 * far


# learning from more


@every_target
@pytest.mark.parametrize("steps", [[10], [1, 1, 8], [3, 4, 3]])
def test_update_equals_a_fit_to_everything(targets, steps):
    R, E, F = labelled(configurations(14, 5, 3))
    T = configurations(5, 5, 3, seed=1)
    parameters = {"targets": targets, "permutations": SWAPS, "length_scale": 1.5, "alpha": (1e-6, 1e-6)}
    model = EnergyForceRegressor(**parameters).fit(R[:4], E[:4], F[:4])
    model.predict_variance(T)
    start = 4
    for m in steps:
        rows = slice(start, start + m)
        model.update(R[rows], E[rows], F[rows])
        start += m
    fresh = EnergyForceRegressor(**parameters).fit(R, E, F)
    assert_allclose(model.dual_coef_, fresh.dual_coef_, rtol=1e-8, atol=1e-9 * abs(fresh.dual_coef_).max())
    for found, expected in zip(
        (*model.predict(T), *model.predict_variance(T), model.constant_, model.amplitude_),
        (*fresh.predict(T), *fresh.predict_variance(T), fresh.constant_, fresh.amplitude_),
        strict=True,
    ):
        assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_update_after_a_planar_configuration():
    """Motions out of the plane, which mean nothing to the first configuration, come with the second."""
    R, E, F = labelled(configurations(6, 6, 3))
    R[0, :, 2] = 0
    R, E, F = labelled(R)
    model = EnergyForceRegressor(length_scale=1.5).fit(R[:1], E[:1], F[:1]).update(R[1:], E[1:], F[1:])
    fresh = EnergyForceRegressor(length_scale=1.5).fit(R, E, F)
    assert_allclose(model.predict(R)[1], fresh.predict(R)[1], rtol=1e-8)


def test_update_with_an_atom_out_of_sight():
    """It has fewer internal directions than those before it, and does not come first."""
    R, E, F = with_an_atom_far_away(5)
    options = {"features": SHORT_SIGHTED, "length_scale": 1.5, "alpha": 1e-6}
    model = EnergyForceRegressor(**options).fit(R[1:], E[1:], F[1:]).update(R[:1], E[:1], F[:1])
    fresh = EnergyForceRegressor(**options).fit(R, E, F)
    assert_allclose(model.predict(R)[1], fresh.predict(R)[1], rtol=1e-6, atol=1e-8)


def test_update_with_more_directions_than_fit_is_refused():
    R, E, F = with_an_atom_far_away(3)
    model = EnergyForceRegressor(features=SHORT_SIGHTED).fit(R[:1], E[:1], F[:1])
    before = model.predict(R)[1]
    with pytest.raises(ValueError, match=r"^R has a configuration whose .* 6 directions of .* with 3$"):
        model.update(R, E, F)
    assert_array_equal(model.predict(R)[1], before)


@pytest.mark.parametrize("targets", ["both", "energies"])
def test_update_learns_from_what_fit_did(targets):
    R, E, F = coulomb(6)
    model = EnergyForceRegressor(length_scale=2.0).fit(R[:4], E[:4], F[:4])
    model.set_params(targets=targets).update(R[4:], E[4:], F[4:])
    fresh = EnergyForceRegressor(length_scale=2.0).fit(R, E, F)
    assert_allclose(model.predict(R)[1], fresh.predict(R)[1], rtol=1e-6, atol=1e-8)


def test_failed_update_changes_nothing():
    R, E, F = coulomb(6)
    model = EnergyForceRegressor(alpha=0.0).fit(R, E, F)
    before = model.predict(R), model.predict_variance(R)
    for arguments, error in [
        ((R[:2], E[:2], F[:2]), NotPositiveDefiniteError),
        ((R[:2], None, F[:2]), ValueError),
        ((R[:2], E[:2]), ValueError),
        ((R[:2], E[:3], F[:2]), ValueError),
        ((R[:2, :3], E[:2], F[:2, :3]), ValueError),
    ]:
        with pytest.raises(error):
            model.update(*arguments)
    for found, expected in zip((model.predict(R), model.predict_variance(R)), before, strict=True):
        assert_array_equal(found[0], expected[0])
        assert_array_equal(found[1], expected[1])


# the estimator


def test_parameters_are_read_set_and_cloned():
    model = EnergyForceRegressor(kernel=Matern52(3.0), alpha=1e-8)
    assert model.get_params()["kernel__length_scale"] == 3.0
    assert model.set_params(targets="both", kernel__length_scale=2.0).kernel.length_scale == 2.0
    assert clone(model).get_params(deep=False).keys() == model.get_params(deep=False).keys()
    assert repr(EnergyForceRegressor()).startswith(
        "EnergyForceRegressor(kernel='matern52', length_scale=None"
    )


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_predicts_and_learns_on_its_own(duplicate):
    R, E, F = coulomb(8)
    model = EnergyForceRegressor().fit(R[:6], E[:6], F[:6])
    expected = model.predict(R)
    other = duplicate(model)
    other.update(R[6:], E[6:], F[6:])
    assert_array_equal(model.predict(R)[1], expected[1])
    assert errors(other, R, E, F)[1] < errors(model, R, E, F)[1]


def test_fitting_again_forgets():
    model = EnergyForceRegressor().fit(*coulomb(9, seed=5))
    fresh = EnergyForceRegressor().fit(*coulomb(6))
    R, *_ = coulomb(3, seed=1)
    assert_array_equal(model.fit(*coulomb(6)).predict(R)[1], fresh.predict(R)[1])


def test_arguments_are_left_alone():
    arguments = coulomb(5)
    before = [a.copy() for a in arguments]
    EnergyForceRegressor().fit(*arguments).predict(arguments[0])
    for a, b in zip(arguments, before, strict=True):
        assert_array_equal(a, b)


def test_progress_says_how_much_memory_it_takes(capsys, monkeypatch):
    EnergyForceRegressor().fit(*coulomb(5))
    assert capsys.readouterr().err == ""  # too small to be worth a bar
    monkeypatch.setattr(observations, "LONG", 0)
    EnergyForceRegressor().fit(*coulomb(5))
    assert re.search(r"kernel matrix of 5e-06 GB \([\d.e+]+ GB available\)", capsys.readouterr().err)
    EnergyForceRegressor().fit(*coulomb(5), progress=False)
    assert capsys.readouterr().err == ""


def test_too_little_memory_is_said_before_the_matrix_is_filled(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda backend: 50_000)
    monkeypatch.setattr(observations, "available_bytes", lambda backend: 50_000)
    monkeypatch.setattr(observations, "fill_lower", lambda *arguments: pytest.fail("it starts to compute"))
    model = EnergyForceRegressor()
    with pytest.raises(
        MemoryError, match=r"100 x 100 .* 0.00 GB are available: learn from at most 15 of these 20 "
    ):
        model.fit(*coulomb(20))
    with pytest.raises(NotFittedError):
        model.predict(ZIGZAG)


@every_target
def test_on_another_array_library(targets, device):
    R, E, F = labelled(configurations(6, 5, 3))
    T = configurations(3, 5, 3, seed=1)
    ours, theirs = (EnergyForceRegressor(targets=targets, permutations=SWAPS, alpha=1e-6) for _ in range(2))
    ours.fit(R[:5], E[:5], F[:5]).update(R[5:], E[5:], F[5:])
    moved = [asarray(a, device) for a in (R, E, F)]
    theirs.fit(*(a[:5] for a in moved)).update(*(a[5:] for a in moved))
    for method in ("predict", "predict_variance"):
        expected, found = getattr(ours, method)(T), getattr(theirs, method)(asarray(T, device))
        assert_allclose(to_numpy(found[0]), expected[0], rtol=1e-6)
        assert_allclose(to_numpy(found[1]), expected[1], rtol=1e-6, atol=1e-9)
    with pytest.raises(TypeError, match="R is a numpy array but model is"):
        theirs.predict(T)


# bad input


def fit_fails(error, message, *arguments, z=None, **parameters):
    model = EnergyForceRegressor(**parameters)
    with pytest.raises(error, match=message):
        model.fit(*arguments, z=z)
    with pytest.raises(NotFittedError):
        model.predict(ZIGZAG)


THREE = np.ones((1, 3, 2))


@pytest.mark.parametrize(
    ("R", "error", "message"),
    [
        ([[[0, 0], [np.nan, 1], [1, 0]]], ValueError, r"^R contains 1 NaN, the first at index \(0, 1, 0\)"),
        (np.ones((0, 3, 2)), ValueError, r"^R is empty \(shape \(0, 3, 2\)\)"),
        (np.ones((4, 1, 3)), ValueError, r"^R holds 1 atom \(shape \(4, 1, 3\)\)"),
        (np.ones((3, 2)), ValueError, r"^R has 2 dimensions .* wanted 3"),
        ([[[0, 0], [1, 1], [0, 0]]], ValueError, "^R has coincident atoms: atoms 0 and 2 of sample 0 are"),
        ([[["0", "1"]]], TypeError, "^R has dtype <U1"),
    ],
)
def test_bad_positions(R, error, message):
    fit_fails(error, message, R, None, np.zeros(np.shape(R)))


R, E, F = coulomb(5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((R, E), ValueError, '^F is missing: targets="forces" learns from it'),
        ((R, E[:4], F), ValueError, r"^E has shape \(4,\); wanted \(5\)"),
        ((R, E[:, None], F), ValueError, r"^E has shape \(5, 1\); wanted \(5\)"),
        ((R, E, F[:, :3]), ValueError, r"^F has shape \(5, 3, 2\); wanted \(5, 4, 2\)"),
        ((R, E, F[:4]), ValueError, r"^F has shape \(4, 4, 2\); wanted \(5, 4, 2\)"),
        ((R, E * np.nan, F), ValueError, "^E contains 5 NaN"),
        ((R, E, F * np.inf), ValueError, "^F contains 40 inf"),
        ((R, E, [["a"]]), TypeError, "^F has dtype <U1"),
    ],
)
def test_bad_data(arguments, error, message):
    fit_fails(error, message, *arguments)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"targets": "force"}, ValueError, "^targets must be one of .*; got 'force'"),
        ({"kernel": "matern"}, ValueError, "^kernel must be a Kernel or one of"),
        ({"kernel": "laplacian"}, ValueError, "^kernel must be radial, such as matern52"),
        ({"kernel": Linear()}, ValueError, "^kernel must be radial, such as matern52"),
        ({"kernel": Gaussian(-1.0)}, ValueError, "^length_scale must"),
        ({"kernel": Gaussian(0.0)}, ValueError, "^length_scale must"),
        ({"kernel": Matern52("long")}, TypeError, "^length_scale must"),
        ({"length_scale": 0}, ValueError, r"^length_scale must lie in \(0, inf\)"),
        ({"length_scale": "long"}, TypeError, "^length_scale must be a number"),
        ({"alpha": -1e-9}, ValueError, r"^alpha must lie in \[0, inf\)"),
        ({"alpha": (1e-9, 1e-9, 1e-9)}, ValueError, "^alpha must be a number or a pair"),
        ({"alpha": None}, TypeError, "^alpha must be a number"),
        ({"permutations": "all"}, ValueError, '^permutations must be None, "auto" or a list'),
        ({"permutations": "auto"}, ValueError, "^z is missing"),
        ({"permutations": [[1, 2, 3, 0]]}, ValueError, "^permutations form no group"),
        ({"permutations": [[0, 1, 2]]}, ValueError, r"^permutation has shape \(3,\)"),
        ({"features": lambda R: R}, TypeError, "^features must be Features"),
    ],
)
def test_bad_parameters(parameters, error, message):
    fit_fails(error, message, R, E, F, **parameters)


def test_unlike_atoms_are_not_exchanged():
    group = [[0, 1, 2, 3], [1, 0, 2, 3]]
    fit_fails(
        ValueError, "^permutation puts atom 1 .element 1. in", R, E, F, z=[6, 1, 1, 1], permutations=group
    )
    EnergyForceRegressor(permutations=group).fit(R, E, F, z=[1, 1, 6, 8])


def test_energies_are_missing():
    fit_fails(ValueError, '^E is missing: targets="both" learns from it', R, None, F, targets="both")


@every_target
def test_repeated_configurations_need_noise_and_are_told_how_much(targets):
    arguments = [np.concatenate([a, a[1:2]]) for a in (R, E, F)]
    model = EnergyForceRegressor(targets=targets, alpha=0.0, length_scale=2.0)
    message = r"configuration 5 repeats others.* allow for noise: alpha=\de-\d+ "
    with pytest.raises(NotPositiveDefiniteError, match=message) as caught:
        model.fit(*arguments)
    model.set_params(alpha=caught.value.alpha).fit(*arguments)


@pytest.mark.parametrize("method", ["predict", "predict_variance", "update"])
def test_before_fit(method):
    with pytest.raises(NotFittedError, match=r"^this EnergyForceRegressor is not fitted yet"):
        getattr(EnergyForceRegressor(), method)(R)


@pytest.mark.parametrize(
    ("R", "message"),
    [
        (
            np.ones((3, 5, 2)),
            r"^R has shape \(3, 5, 2\): 5 atoms .*; this EnergyForceRegressor knows .* of 4 atoms",
        ),
        (ZIGZAG * np.nan, "^R contains 8 NaN"),
        (np.ones((4, 2)), "^R has coincident atoms"),
        (ZIGZAG[:0], "^R is empty"),
    ],
)
def test_bad_positions_to_predict(R, message):
    model = EnergyForceRegressor().fit(*coulomb(5))
    for method in (model.predict, model.predict_variance):
        with pytest.raises(ValueError, match=message):
            method(R)


# a real molecule


def ethanol(n):
    """Training and test set of rMD17's first split, and the atomic numbers; kcal/mol and Å."""
    train, test = rmd17("ethanol")
    return (train.R[:n], train.E[:n], train.F[:n]), (test.R, test.E, test.F), train.z


@pytest.mark.real_data
def test_ethanol_from_200_forces():
    train, test, z = ethanol(200)
    model = EnergyForceRegressor(permutations="auto").fit(*train, z=z, progress=False)
    assert len(model.permutations_) == 6
    E_error, F_error = errors(model, *test)
    assert E_error < 0.16
    assert F_error < 0.85
    variance = model.predict_variance(test[0][:20])[1].mean()
    assert 0.3 < np.sqrt(variance) / np.sqrt(((model.predict(test[0])[1] - test[2]) ** 2).mean()) < 3


@pytest.mark.real_data
@pytest.mark.slow
def test_ethanol_from_1000_forces():
    train, test, z = ethanol(1000)
    start = time.process_time()
    model = EnergyForceRegressor(permutations="auto").fit(*train, z=z, progress=False)
    assert time.process_time() - start < 360
    E_error, F_error = errors(model, *test)
    assert E_error < 0.06
    assert F_error < 0.37
