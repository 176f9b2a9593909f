import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tinynn.molecules import center, permute, random_rotation, reflect, rotate, translate

from .cases import BAD_POSITIONS


@pytest.fixture
def R():
    """The molecule of the exercise: 4 atoms in two dimensions, shaken by 0.1."""
    equilibrium = np.array([[0.0, 0.0], [1.2, 0.1], [0.3, 1.4], [2.0, 1.6]])
    return equilibrium + 0.1 * np.random.default_rng(0).normal(size=(200, 4, 2))


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


def test_like_atoms_may_be_permuted(R):
    assert_array_equal(permute(R, [0, 3, 2, 1], z=[6, 1, 8, 1]), R[:, [0, 3, 2, 1]])


def test_centring_makes_translated_copies_equal_and_nothing_else(R):
    assert_allclose(center(translate(R, [5, -3])), center(R), atol=1e-14)
    assert_allclose(center(R).mean(axis=1), 0, atol=1e-15)
    assert_allclose(center(R) - center(R)[:, :1], R - R[:, :1], atol=1e-15)  # still the same molecule
    assert abs(center(R[1:]) - center(R[:-1])).max() > 0.1


@pytest.mark.parametrize(
    "action",
    [
        lambda R: translate(R, [1, 2]),
        lambda R: rotate(R, 1.0),
        lambda R: rotate(R, random_rotation(2, 0)),
        lambda R: reflect(R),
        lambda R: permute(R, [3, 0, 1, 2]),
        center,
    ],
    ids=["translate", "rotate by angle", "rotate by matrix", "reflect", "permute", "center"],
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
        (
            lambda R: permute(R, [0, 2, 1, 3], z=[6, 1, 8, 1]),
            ValueError,
            r"^permutation puts atom 2 \(element 8\) in the place of atom 1 \(element 1\)",
        ),
        (lambda R: permute(R, [0, 3, 2, 1], z=[6, 1, 8]), ValueError, "^z has 3 atomic numbers, but R has 4"),
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
        center,
    ],
    ids=["translate", "rotate", "reflect", "permute", "center"],
)
@pytest.mark.parametrize(("R", "error", "message"), BAD_POSITIONS)
def test_bad_positions(action, R, error, message):
    with pytest.raises(error, match=message):
        action(R)
