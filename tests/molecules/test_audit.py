import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tinynn.molecules import (
    CoulombPairPotential,
    audit_invariance,
    distances,
    inverse_distances,
    positions,
    sorted_inverse_distances,
)

RIGID = ("translation", "rotation", "reflection")
ALL = (*RIGID, "permutation")


@pytest.fixture
def R():
    """The molecule of the exercise: 4 atoms in two dimensions, shaken by 0.1."""
    equilibrium = np.array([[0.0, 0.0], [1.2, 0.1], [0.3, 1.4], [2.0, 1.6]])
    return equilibrium + 0.1 * np.random.default_rng(0).normal(size=(200, 4, 2))


def weighted_labels(R):
    """The seed's energy loop: its sums count the pairs 0, 1, 2, 3, 4, 5 times (erratum of S1)."""
    return inverse_distances(R) @ np.arange(6.0)


def charged(R):
    """Atoms 0 and 1 carry charge 1, atoms 2 and 3 charge 2."""
    return inverse_distances(R) @ np.array([1.0, 2, 2, 2, 2, 4])


@pytest.mark.parametrize(
    ("function", "passes"),
    [
        (CoulombPairPotential().energy, ALL),
        (weighted_labels, RIGID),
        (positions, ()),
        (lambda R: positions(R - R.mean(axis=1, keepdims=True)), ("translation",)),
        (distances, RIGID),
        (inverse_distances, RIGID),
        (sorted_inverse_distances, ALL),
        (CoulombPairPotential().forces, ("translation",)),
        (lambda R: CoulombPairPotential().energy(R.astype(np.float32)), ALL),
        (lambda R: np.zeros(len(R)), ALL),
        (lambda R: np.ones(len(R), dtype=int), ALL),
    ],
    ids=[
        "plain energy",
        "weighted labels",
        "positions",
        "centred positions",
        "distances",
        "inverse distances",
        "sorted inverse distances",
        "forces",
        "float32 outputs",
        "zero",
        "integers",
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_audit_finds_what_each_function_depends_on(function, passes, dtype, R):
    audit = audit_invariance(function, R.astype(dtype))
    assert audit.invariant_under() == passes
    assert audit.is_invariant() == (passes == ALL)


def test_audit_tells_rounding_from_a_broken_symmetry(R):
    plain, weighted = (audit_invariance(f, R) for f in (CoulombPairPotential().energy, weighted_labels))
    assert max(plain.relative(action) for action in ALL) < 1e-14
    assert weighted.relative("permutation") > 0.1
    assert max(weighted.relative(action) for action in RIGID) < 1e-14


def test_audit_reports_the_largest_change(R):
    audit = audit_invariance(weighted_labels, R, permutation=[3, 0, 1, 2])
    change = weighted_labels(R[:, [3, 0, 1, 2]]) - weighted_labels(R)
    assert audit.permutation == abs(change).max()
    assert audit.scale == abs(weighted_labels(R)).max()
    assert audit.relative("permutation") == audit.permutation / audit.scale


def test_audit_sees_handedness():
    def signed_volume(R):
        return np.linalg.det(R[:, 1:] - R[:, :1])

    R = np.random.default_rng(0).normal(size=(20, 4, 3))
    assert audit_invariance(signed_volume, R).invariant_under() == ("translation", "rotation")
    even = audit_invariance(signed_volume, R, permutation=[1, 2, 0, 3])
    assert even.invariant_under() == ("translation", "rotation", "permutation")


def test_audit_is_not_fooled_by_a_ring(R):
    """Cyclic shifts leave the way around a ring as it is; not so the exchange of two atoms."""

    def perimeter(R):
        return np.linalg.norm(R - np.roll(R, 1, axis=1), axis=-1).sum(axis=-1)

    assert audit_invariance(perimeter, R, permutation=[3, 0, 1, 2]).is_invariant()
    assert audit_invariance(perimeter, R).invariant_under() == RIGID


def test_audit_permutes_like_atoms_only_when_told(R):
    assert not audit_invariance(charged, R).is_invariant()
    assert audit_invariance(charged, R, permutation=[1, 0, 3, 2]).is_invariant()


def test_audit_exchanges_atoms_of_one_element_when_it_knows_them(R):
    assert audit_invariance(charged, R, z=[1, 1, 2, 2]).is_invariant()
    assert audit_invariance(charged, R, z=[1, 2, 1, 2]).invariant_under() == RIGID
    assert audit_invariance(weighted_labels, R, z=[1, 2, 3, 4]).is_invariant()  # no two atoms are alike
    with pytest.raises(ValueError, match=r"^permutation puts atom 2 \(element 2\) in the place of atom 1"):
        audit_invariance(charged, R, z=[1, 1, 2, 2], permutation=[0, 2, 1, 3])


class Model:
    """Energies and forces of a potential, with mistakes on demand."""

    def __init__(self, mistake=lambda R, E, F: (E, F)):
        self.mistake = mistake

    def predict(self, R):
        return self.mistake(R, CoulombPairPotential().energy(R), CoulombPairPotential().forces(R))


def test_audit_of_a_model_with_forces(R):
    audit = audit_invariance(Model(), R)
    assert audit.is_invariant()
    assert audit.forces.invariant_under() == ALL
    assert max(a.relative(action) for a in (audit, audit.forces) for action in ALL) < 1e-10
    assert audit.scale == CoulombPairPotential().energy(R).max()
    assert audit.forces.scale == abs(CoulombPairPotential().forces(R)).max()


@pytest.mark.parametrize(
    ("mistake", "energy", "forces"),
    [
        (lambda R, E, F: (E + R[:, 0, 0], F), (), ALL),
        (lambda R, E, F: (E, F + np.array([1, 0])), ALL, ("translation", "permutation")),
        (lambda R, E, F: (E, F * R), ALL, ("permutation",)),
        (lambda R, E, F: (E, F * np.arange(4)[:, None]), ALL, RIGID),
        (
            lambda R, E, F: (E, F @ np.array([[0, 1], [-1, 0]])),
            ALL,
            ("translation", "rotation", "permutation"),
        ),
    ],
    ids=["energy of the place", "constant", "forces of the place", "weights of atoms", "turned"],
)
def test_audit_tells_energies_from_forces(mistake, energy, forces, R):
    audit = audit_invariance(Model(mistake), R)
    assert audit.invariant_under() == energy
    assert audit.forces.invariant_under() == forces
    assert not audit.is_invariant()


def test_audit_of_a_model_without_forces(R):
    audit = audit_invariance(Model(lambda R, E, F: E), R)
    assert audit.is_invariant()
    assert audit.forces is None


def test_audit_prints_a_table_for_energies_and_one_for_forces(R):
    audit = audit_invariance(Model(lambda R, E, F: (E, F * R)), R)
    lines = str(audit).splitlines()
    assert len(lines) == 12
    assert [line.split()[-1] for line in lines[1:5]] == ["yes"] * 4
    assert lines[6].split()[-1] == "equivariant"
    assert [line.split()[-1] for line in lines[7:11]] == ["no", "no", "no", "yes"]


def test_audit_is_not_fooled_by_a_reused_output(R):
    buffer = np.empty(len(R))

    def first_coordinate(R):
        buffer[:] = R[:, 0, 0]
        return buffer

    assert audit_invariance(first_coordinate, R).invariant_under() == ()


def test_audit_tolerance_can_be_chosen(R):
    audit = audit_invariance(lambda R: 1 + 1e-5 * R[:, 0, 0], R)
    assert audit.invariant_under() == ()
    assert audit.is_invariant(tol=1e-3)
    assert audit_invariance(lambda R: np.ones(len(R)), R).is_invariant(tol=0)
    with pytest.raises(ValueError, match=r"^tol must"):
        audit.is_invariant(tol=-1)


def test_audit_is_repeatable_and_leaves_everything_alone(R):
    before = R.copy()
    assert audit_invariance(positions, R) == audit_invariance(positions, R)
    assert audit_invariance(positions, R) != audit_invariance(positions, R, rng=1)
    assert_array_equal(R, before)


def test_audit_prints_a_table(R):
    table = str(audit_invariance(weighted_labels, R)).splitlines()
    assert table[0].split() == ["action", "largest", "change", "relative", "invariant"]
    assert [(line.split()[0], line.split()[-1]) for line in table[1:5]] == [
        ("translation", "yes"),
        ("rotation", "yes"),
        ("reflection", "yes"),
        ("permutation", "no"),
    ]
    assert len({len(line.rsplit(maxsplit=1)[0]) for line in table[1:5]}) == 1  # the columns line up


def test_audit_is_frozen(R):
    with pytest.raises(dataclasses.FrozenInstanceError):
        audit_invariance(positions, R).rotation = 0.0


def writes_into_its_argument(R):
    R -= R.mean(axis=1, keepdims=True)
    return R[:, 0]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (None, TypeError, "^function must be callable, a kernel or a model with predict; got None"),
        (np.zeros(200), TypeError, "pass the function that computes them$"),
        (lambda R: (R[:, 0, 0], R, R), ValueError, r"^function\(R\) returns 3 arrays; wanted one, or"),
        (
            lambda R: (R[:, 0, 0], R[:, 0]),
            ValueError,
            r"^forces of function\(R\) has shape \(200, 2\); wanted \(200, 4, 2\)",
        ),
        (
            lambda R: (R[:3, 0, 0], R),
            ValueError,
            r"^energies of function\(R\) has shape \(3,\); wanted one row",
        ),
        (lambda R: R.sum(), ValueError, r"^function\(R\) has shape \(\); wanted one row for each of 200"),
        (
            lambda R: R[:3],
            ValueError,
            r"^function\(R\) has shape \(3, 4, 2\); wanted one row",
        ),
        (lambda R: np.full(len(R), np.nan), ValueError, r"^function\(R\) contains 200 NaN"),
        (lambda R: None, TypeError, r"^function\(R\) has dtype object"),
        (writes_into_its_argument, ValueError, "^function changed its argument R in place"),
    ],
)
def test_bad_functions(function, error, message, R):
    with pytest.raises(error, match=message):
        audit_invariance(function, R)


@pytest.mark.parametrize(
    ("R", "error", "message"),
    [
        (np.ones((4, 2)), ValueError, "^R has 2 dimensions .* wanted 3"),
        (np.ones((5, 1, 2)), ValueError, "^R holds 1 atom"),
        (np.full((5, 4, 2), np.nan), ValueError, "^R contains 40 NaN"),
        (np.full((5, 4, 2), None), TypeError, "^R has dtype object"),
    ],
)
def test_audit_of_bad_positions(R, error, message):
    with pytest.raises(error, match=message):
        audit_invariance(positions, R)


def test_audit_with_a_bad_permutation(R):
    with pytest.raises(ValueError, match=r"^permutation must hold every atom 0 to 3 once"):
        audit_invariance(positions, R, permutation=[0, 0, 1, 2])
