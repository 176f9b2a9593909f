import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference import torch_molecules

from tinynn.molecules import (
    CoulombPairPotential,
    LennardJones,
    Morse,
    PairPotential,
    pair_distances,
    pair_distances_gradient,
)

from .cases import BAD_POSITIONS, COINCIDENT, ONE_ATOM, POTENTIALS, SHAPES, configurations

IN_TORCH = {
    CoulombPairPotential: torch_molecules.coulomb,
    LennardJones: torch_molecules.lennard_jones,
    Morse: torch_molecules.morse,
}
every_potential = pytest.mark.parametrize("potential", POTENTIALS, ids=lambda p: type(p).__name__)
every_shape = pytest.mark.parametrize("shape", SHAPES)


def relative_error(value, expected):
    return abs(value - expected).max() / abs(expected).max()


@every_potential
@every_shape
def test_energy_and_forces_equal_torch(potential, shape):
    R = configurations(*shape)
    E, F = torch_molecules.energy_and_forces(IN_TORCH[type(potential)], R, **vars(potential))
    assert potential.energy(R).shape == E.shape
    assert potential.forces(R).shape == F.shape
    assert relative_error(potential.energy(R), E) < 1e-12
    assert relative_error(potential.forces(R), F) < 1e-12


@every_potential
@every_shape
def test_total_force_and_torque_vanish(potential, shape):
    R = configurations(*shape)
    F = potential.forces(R)
    rounding = 1e-15 * shape[1] * abs(F).max()
    assert abs(F.sum(axis=1)).max() < rounding
    torque = R[..., :, None] * F[..., None, :]  # the antisymmetric part of sum_i r_i F_i', in any dimension
    torque = (torque - torque.swapaxes(-1, -2)).sum(axis=1)
    assert abs(torque).max() < 4 * rounding * abs(R).max()


@every_potential
def test_forces_are_the_chain_rule_on_distances(potential):
    R = configurations(5, 6, 3)
    dE_dr = potential.dv(pair_distances(R))
    F = -np.einsum("mp,mpnd->mnd", dE_dr, pair_distances_gradient(R))
    assert_allclose(potential.forces(R), F, rtol=1e-12, atol=1e-12)


@every_potential
def test_single_configuration_is_one_sample_without_its_axis(potential):
    R = configurations(3, 4, 2)
    assert_array_equal(potential.energy(R[1]), potential.energy(R)[1])
    assert_array_equal(potential.forces(R[1]), potential.forces(R)[1])


@every_potential
def test_dtype_is_kept(potential):
    R = configurations(5, 4, 2).astype(np.float32)
    E, F = potential.energy(R), potential.forces(R)
    assert E.dtype == F.dtype == np.float32
    assert_allclose(E, potential.energy(R.astype(np.float64)), rtol=1e-4)
    integers = [[0, 0], [2, 0], [0, 3]]
    assert potential.energy(integers).dtype == potential.forces(integers).dtype == np.float64


def test_numpy_parameters_do_not_promote():
    assert CoulombPairPotential(np.float64(2)).energy(np.eye(3, dtype=np.float32)).dtype == np.float32


def test_input_is_left_alone():
    R = configurations(3, 4, 2)
    before = R.copy()
    LennardJones().forces(R)
    assert_array_equal(R, before)


def test_coulomb_by_hand():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    assert_allclose(CoulombPairPotential(k=2).energy(square), 2 * (4 + 2 / np.sqrt(2)))
    outwards = 1 + 0.5 / np.sqrt(2)  # a neighbour along each axis, and the diagonal
    assert_allclose(CoulombPairPotential().forces(square), outwards * (2 * square - 1))


def test_lennard_jones_landmarks():
    potential = LennardJones(epsilon=0.7, sigma=1.3)
    minimum = 2 ** (1 / 6) * 1.3
    assert_allclose(potential.v(np.array([1.3, minimum])), [0, -0.7], atol=1e-14)
    assert abs(potential.dv(minimum)) < 1e-14


def test_morse_landmarks():
    potential = Morse(D_e=4.5, a=1.9, r_e=0.74)
    assert_allclose(potential.v(np.array([0.74, 1e3])), [-4.5, 0])
    assert potential.dv(0.74) == 0
    h = 1e-4
    curvature = (potential.dv(0.74 + h) - potential.dv(0.74 - h)) / (2 * h)
    assert_allclose(curvature, 2 * 4.5 * 1.9**2, rtol=1e-6)


def test_a_potential_of_ones_own_needs_v_and_its_derivative_only():
    class Spring(PairPotential):
        def v(self, r):
            return 0.5 * (r - 1) ** 2

        def dv(self, r):
            return r - 1

    assert_allclose(Spring().energy([[0, 0], [3, 0]]), 2)
    assert_allclose(Spring().forces([[0, 0], [3, 0]]), [[2, 0], [-2, 0]])


def test_many_atoms():
    R = configurations(1, 300, 3)
    potential = LennardJones()
    E, F = torch_molecules.energy_and_forces(torch_molecules.lennard_jones, R, **vars(potential))
    assert relative_error(potential.energy(R), E) < 1e-12
    assert relative_error(potential.forces(R), F) < 1e-12


@pytest.mark.parametrize("method", ["energy", "forces"])
@pytest.mark.parametrize(("R", "error", "message"), BAD_POSITIONS + ONE_ATOM + COINCIDENT)
def test_bad_positions(method, R, error, message):
    with pytest.raises(error, match=message):
        getattr(CoulombPairPotential(), method)(R)


@pytest.mark.parametrize(
    ("potential", "name"),
    [
        (lambda x: CoulombPairPotential(k=x), "k"),
        (lambda x: LennardJones(epsilon=x), "epsilon"),
        (lambda x: LennardJones(sigma=x), "sigma"),
        (lambda x: Morse(D_e=x, a=1, r_e=1), "D_e"),
        (lambda x: Morse(D_e=1, a=x, r_e=1), "a"),
        (lambda x: Morse(D_e=1, a=1, r_e=x), "r_e"),
    ],
    ids=["k", "epsilon", "sigma", "D_e", "a", "r_e"],
)
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1.0, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("1", TypeError)],
)
def test_bad_parameters(potential, name, value, error):
    with pytest.raises(error, match=f"^{name} must"):
        potential(value)
