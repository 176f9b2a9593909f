import itertools
import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tinynn.molecules import (
    CoulombPairPotential,
    are_equivalent,
    audit_invariance,
    direct_product,
    distances,
    generate_permutations,
    group_average,
    identity,
    inverse_distances,
    like_atom_generators,
    orbit,
    permutation_group,
    permute,
    positions,
    reflect,
    reflection_group,
    rotate,
    rotation_group,
    sample_rotations,
    translate,
)

from .cases import configurations

ETHANOL = [6, 6, 8, 1, 1, 1, 1, 1, 1]
GROUPS = {
    "permutations": permutation_group([1, 1, 1]),
    "like atoms": permutation_group([8, 1, 1]),
    "rotations": rotation_group(6),
    "reflections": reflection_group(1),
    "rotations and reflections": direct_product(rotation_group(4), reflection_group()),
    "permutations and reflections": direct_product(permutation_group([1, 1, 1]), reflection_group()),
}
every_group = pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)


@pytest.fixture
def R():
    return configurations(5, 3, 2)


# groups


@every_group
def test_orbits_have_the_structure_of_a_group(group, R):
    """Two actions in a row are an action of the group, one of them undoes the first, one moves nothing."""
    images = orbit(R[0], group)
    assert images.shape == (len(group), 3, 2)
    assert_array_equal(images[0], R[0])
    for g in group:
        again = g(images)
        nearest = abs(again[:, None] - images).max(axis=(-2, -1))
        assert_array_equal(np.sort(nearest.argmin(axis=1)), np.arange(len(group)))  # each one once
        assert nearest.min(axis=1).max() < 1e-14


@pytest.mark.parametrize("n_atoms", [1, 2, 3, 4, 5])
def test_all_permutations_of_like_atoms(n_atoms):
    permutations = generate_permutations([1] * n_atoms)
    assert_array_equal(permutations[0], np.arange(n_atoms))
    assert sorted(map(tuple, permutations)) == list(itertools.permutations(range(n_atoms)))


def test_permutations_of_ethanol_keep_the_elements():
    permutations = generate_permutations(ETHANOL)
    assert len(permutations) == len(set(map(tuple, permutations))) == 2 * math.factorial(6)
    assert (np.array(ETHANOL)[permutations] == ETHANOL).all()


def test_permutations_of_generators():
    methyl = [0, 1, 2, 4, 5, 3, 6, 7, 8]  # the three atoms of a methyl group turn
    mirror = [0, 1, 2, 4, 3, 5, 7, 6, 8]
    permutations = generate_permutations(ETHANOL, [methyl, mirror])
    assert len(permutations) == 6
    assert len(generate_permutations(ETHANOL, [methyl])) == 3
    assert len(generate_permutations(ETHANOL, [])) == 1


def test_like_atom_generators():
    assert like_atom_generators([1, 1, 1]) == [[2, 0, 1], [1, 0, 2]]
    assert like_atom_generators([6, 1, 8]) == [[0, 1, 2]]
    assert like_atom_generators([8, 1, 8, 1]) == [[0, 3, 2, 1], [0, 3, 2, 1], [2, 1, 0, 3], [2, 1, 0, 3]]


def test_rotation_group_turns_by_equal_angles(R):
    assert_allclose(rotation_group(4)[1](R), rotate(R, np.pi / 2), atol=1e-15)
    assert len(rotation_group(7)) == 7


def test_groups_can_be_pickled(R):
    for group in GROUPS.values():
        assert_array_equal(orbit(R, pickle.loads(pickle.dumps(group))), orbit(R, group))


# orbits and equivalence


def test_orbit_of_a_symmetric_molecule_repeats():
    triangle = np.array([[np.cos(a), np.sin(a)] for a in 2 * np.pi / 3 * np.arange(3)])
    turned = orbit(triangle, direct_product(permutation_group([1, 1, 1]), rotation_group(3)))
    assert len(turned) == 18
    assert len({tuple(image.round(8).ravel() + 0.0) for image in turned}) == 6


def test_equivalence_is_to_lie_in_one_orbit(R):
    X, group = R[0], permutation_group([1, 1, 1])
    assert are_equivalent(X, permute(X, [2, 0, 1]), group)
    assert not are_equivalent(X, R[1], group)
    assert not are_equivalent(X, translate(X, [1, 0]), group)
    assert not are_equivalent(X, permute(X, [2, 0, 1]), permutation_group([8, 1, 1]))
    assert are_equivalent(X, X + 1e-3, group, tol=1e-2)


def test_equivalent_molecules_have_equal_orbits(R):
    group = direct_product(permutation_group([1, 1, 1]), rotation_group(3))
    X, Y = orbit(R[0], group), orbit(group[7](R[0]), group)
    assert abs(X[:, None] - Y).max(axis=(-2, -1)).min(axis=1).max() < 1e-14


# averages


@every_group
def test_the_mean_over_a_group_is_invariant(group, R):
    def anything(R):
        return np.exp(positions(R) @ np.arange(6.0) / 10)

    mean = group_average(anything, group)
    for g in group:
        assert_allclose(mean(g(R)), mean(R), rtol=1e-13)
    changes = [abs(anything(g(R)) - anything(R)).max() for g in group[1:]]
    assert min(changes) > 0.01
    assert_allclose(mean(R), np.mean([anything(g(R)) for g in group], axis=0), rtol=1e-13)


def test_the_mean_over_a_group_leaves_an_invariant_function_alone(R):
    energy = CoulombPairPotential().energy
    assert_allclose(group_average(energy, permutation_group([1, 1, 1]))(R), energy(R), rtol=1e-14)


def test_the_mean_over_permutations_repairs_the_weighted_labels():
    R = configurations(50, 4, 2)

    def weighted(R):
        return inverse_distances(R) @ np.arange(6.0)

    assert not audit_invariance(weighted, R).is_invariant()
    repaired = group_average(weighted, permutation_group([1] * 4))
    assert audit_invariance(repaired, R).is_invariant(tol=1e-10)
    assert_allclose(repaired(R), 2.5 * CoulombPairPotential().energy(R), rtol=1e-13)  # the mean weight


def test_equal_angles_average_slow_waves_exactly(R):
    """Of cos(m phi) the mean over k angles leaves the multiples of k only."""

    def waves(R):
        phi = np.arctan2(R[:, 1, 1], R[:, 1, 0])
        return np.cos(np.arange(9) * phi[:, None])

    mean = group_average(waves, rotation_group(4))(R)
    assert_allclose(mean[:, [1, 2, 3, 5, 6, 7]], 0, atol=1e-14)
    assert_allclose(mean[:, [0, 4, 8]], waves(R)[:, [0, 4, 8]], atol=1e-14)


def test_sampled_rotations_come_closer_the_more_they_are():
    R = configurations(20, 3, 3)
    exact = (R[:, 1] ** 2).sum(axis=-1) / 3  # the mean of x^2 over all orientations
    error = {
        n: np.mean(
            [
                abs(group_average(lambda R: R[:, 1, 0] ** 2, sample_rotations(3, n, rng))(R) - exact).mean()
                for rng in range(20)
            ]
        )
        for n in (10, 160)
    }
    assert 2.5 < error[10] / error[160] < 6  # 4, the square root of 16, within its scatter


def test_sampled_rotations_are_repeatable(R):
    X = configurations(2, 3, 3)
    assert_array_equal(orbit(X, sample_rotations(3, 5, 0)), orbit(X, sample_rotations(3, 5, 0)))
    assert abs(orbit(X, sample_rotations(3, 5, 0)) - orbit(X, sample_rotations(3, 5, 1))).max() > 0.1
    assert_allclose(distances(orbit(R, sample_rotations(2, 3, 0))[2]), distances(R), rtol=1e-13)


# mistakes


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda R: generate_permutations([]), ValueError, "^z is empty"),
        (lambda R: generate_permutations([1, 0]), ValueError, r"^z\[1\] is 0"),
        (lambda R: generate_permutations([1] * 9), ValueError, r"^more than 50000 permutations \(362880\)"),
        (
            lambda R: generate_permutations([1] * 20, [np.roll(np.arange(20), 1), [1, 0, *range(2, 20)]]),
            ValueError,
            "^more than 50000 permutations",
        ),
        (
            lambda R: generate_permutations([8, 1, 1], [[1, 0, 2]]),
            ValueError,
            r"^permutation puts atom 1 \(element 1\) in the place of atom 0 \(element 8\)",
        ),
        (
            lambda R: permutation_group([8, 1, 1], [[0, 2]]),
            ValueError,
            r"^permutation has shape \(2,\); wanted \(3\)",
        ),
        (lambda R: rotation_group(0), ValueError, "^k must be at least 1"),
        (lambda R: orbit(np.ones((3, 3)), rotation_group(2)), ValueError, "^rotation is an angle"),
        (lambda R: reflection_group(-1), ValueError, "^axis must be at least 0"),
        (lambda R: orbit(R, reflection_group(2)), ValueError, "^axis is 2, but R has 2 coordinates"),
        (lambda R: sample_rotations(3, 0), ValueError, "^n_rotations must be at least 1"),
        (lambda R: sample_rotations(0, 3), ValueError, "^dimension must be at least 1"),
        (lambda R: orbit(R, []), ValueError, "^group is empty"),
        (lambda R: orbit(R, reflect), TypeError, "^group must be a sequence of functions"),
        (lambda R: orbit(R, [[1, 0, 2]]), TypeError, "^group must be a sequence of functions"),
        (lambda R: direct_product([identity], []), ValueError, "^group is empty"),
        (lambda R: group_average(positions, []), ValueError, "^group is empty"),
        (lambda R: group_average(R, [identity]), TypeError, "^function must be callable"),
        (lambda R: are_equivalent(R, R, [identity]), ValueError, "^R has 3 dimensions"),
        (
            lambda R: are_equivalent(R[0], R[0, :2], [identity]),
            ValueError,
            r"^R has shape \(3, 2\) but S has",
        ),
        (lambda R: are_equivalent(R[0], R[0], [identity], tol=-1), ValueError, "^tol must lie"),
        (lambda R: identity([np.nan]), ValueError, "^R has 1 dimensions"),
        (lambda R: orbit(R * np.nan, [identity]), ValueError, "^R contains 30 NaN"),
    ],
)
def test_mistakes(call, error, message, R):
    with pytest.raises(error, match=message):
        call(R)
