import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tinynn.molecules import (
    CoulombPairPotential,
    audit_invariance,
    distances,
    inverse_distances,
    permute,
    positions,
    random_rotation,
    reflect,
    rotate,
    sorted_inverse_distances,
    translate,
)

from .cases import BAD_POSITIONS

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


# the four actions


def test_translate():
    assert_array_equal(translate([[0, 0], [1, 2]], [3, -1]), [[3, -1], [4, 1]])


def test_rotate_by_an_angle_is_anticlockwise():
    assert_allclose(rotate([[1, 0], [0, 2]], np.pi / 2), [[0, 1], [-2, 0]], atol=1e-15)


def test_rotate_by_a_matrix():
    about_z = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    assert_array_equal(rotate([[1, 0, 5], [0, 2, 6]], about_z), [[0, 1, 5], [-2, 0, 6]])


def test_angle_and_matrix_agree(R):
    c, s = np.cos(0.3), np.sin(0.3)
    assert_array_equal(rotate(R, 0.3), rotate(R, [[c, -s], [s, c]]))


def test_reflect():
    assert_array_equal(reflect([[1, 2], [3, 4]]), [[-1, 2], [-3, 4]])
    assert_array_equal(reflect([[1, 2], [3, 4]], axis=1), [[1, -2], [3, -4]])


def test_permute(R):
    assert_array_equal(permute(R, [3, 0, 1, 2]), R[:, [3, 0, 1, 2]])
    assert_array_equal(permute(R[0], np.array([1, 0, 3, 2])), R[0, [1, 0, 3, 2]])


@pytest.mark.parametrize(
    "action",
    [
        lambda R: translate(R, [1, 2]),
        lambda R: rotate(R, 1.0),
        lambda R: rotate(R, random_rotation(2, 0)),
        lambda R: reflect(R),
        lambda R: permute(R, [3, 0, 1, 2]),
    ],
    ids=["translate", "rotate by angle", "rotate by matrix", "reflect", "permute"],
)
def test_actions_return_new_arrays_of_the_same_dtype(action, R):
    R = R.astype(np.float32)
    before = R.copy()
    moved = action(R)
    assert moved.dtype == np.float32
    assert moved.shape == R.shape
    assert not np.shares_memory(moved, R)
    assert_array_equal(R, before)
    assert_allclose(action(R[3]), moved[3], rtol=1e-6)


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_random_rotation_is_a_rotation(dimension):
    Q = random_rotation(dimension, rng=7)
    assert_allclose(Q @ Q.T, np.eye(dimension), atol=1e-14)
    assert_allclose(np.linalg.det(Q), 1)
    assert_array_equal(Q, random_rotation(dimension, rng=np.random.default_rng(7)))


@pytest.mark.parametrize("dimension", [2, 3])
def test_random_rotations_favour_no_orientation(dimension):
    rng = np.random.default_rng(0)
    Q = np.array([random_rotation(dimension, rng) for _ in range(2000)])
    # E[Q_ij] = 0 and E[Q_ij^2] = 1/D for the uniform distribution; 5 standard errors
    assert abs(Q.mean(axis=0)).max() < 5 / np.sqrt(dimension * len(Q))
    assert abs((Q**2).mean(axis=0) - 1 / dimension).max() < 5 * 0.36 / np.sqrt(len(Q))


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda R: translate(R, [1, 2, 3]), ValueError, r"^vector has shape \(3,\); wanted \(2\)"),
        (lambda R: translate(R, [np.nan, 0]), ValueError, "^vector contains 1 NaN"),
        (lambda R: translate(R, np.array([1, None])), TypeError, "^vector has dtype object"),
        (lambda R: rotate(R, np.nan), ValueError, "^rotation must"),
        (lambda R: rotate(R, np.inf), ValueError, "^rotation must"),
        (lambda R: rotate(R, "90"), TypeError, "^rotation has dtype <U2"),
        (lambda R: rotate(R, np.eye(3)), ValueError, r"^rotation has shape \(3, 3\); wanted \(2, 2\)"),
        (lambda R: rotate(R, [[1, 0], [1]]), ValueError, "^rotation is not a rectangular array"),
        (lambda R: rotate(R, [[1, 0], [0.1, 1]]), ValueError, "^rotation is not orthogonal.*1.0e-01"),
        (lambda R: rotate(R, [[1, 0], [0, -1]]), ValueError, "^rotation has determinant -1"),
        (lambda R: rotate(np.ones((4, 3)), 0.5), ValueError, "^rotation is an angle.*R has 3"),
        (lambda R: reflect(R, axis=2), ValueError, "^axis is 2, but R has 2 coordinates"),
        (lambda R: reflect(R, axis=-1), ValueError, "^axis must be at least 0"),
        (lambda R: reflect(R, axis=0.0), TypeError, "^axis must be an integer"),
        (lambda R: permute(R, [0, 1, 2]), ValueError, r"^permutation has shape \(3,\); wanted \(4\)"),
        (lambda R: permute(R, [0, 1, 2, 2]), ValueError, "^permutation must hold every atom 0 to 3 once"),
        (lambda R: permute(R, [1, 2, 3, 4]), ValueError, "^permutation must hold every atom 0 to 3 once"),
        (lambda R: permute(R, [0, 1, 2, -1]), ValueError, "^permutation must hold every atom 0 to 3 once"),
        (lambda R: permute(R, [0, 1, 2, 2.5]), ValueError, "^permutation must hold every atom 0 to 3 once"),
        (lambda R: permute(R, "0123"), TypeError, "^permutation has dtype <U4"),
        (lambda R: permute(R, np.array([0, 1, 2, None])), TypeError, "^permutation has dtype object"),
        (lambda R: random_rotation(0), ValueError, "^dimension must be at least 1"),
        (lambda R: random_rotation(2.0), TypeError, "^dimension must be an integer"),
    ],
)
def test_bad_actions(action, error, message, R):
    with pytest.raises(error, match=message):
        action(R)


@pytest.mark.parametrize(
    "action",
    [
        lambda R: translate(R, [1, 2]),
        lambda R: rotate(R, 1.0),
        lambda R: reflect(R),
        lambda R: permute(R, [1, 0]),
    ],
    ids=["translate", "rotate", "reflect", "permute"],
)
@pytest.mark.parametrize(("R", "error", "message"), BAD_POSITIONS)
def test_bad_positions(action, R, error, message):
    with pytest.raises(error, match=message):
        action(R)


# the audit


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
    def charged(R):  # atoms 0 and 1 carry charge 1, atoms 2 and 3 charge 2
        return inverse_distances(R) @ np.array([1.0, 2, 2, 2, 2, 4])

    assert not audit_invariance(charged, R).is_invariant()
    assert audit_invariance(charged, R, permutation=[1, 0, 3, 2]).is_invariant()


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
        (None, TypeError, "^function must be callable; got None"),
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
