import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tinynn.molecules import bond_graph, feasible_permutations, generate_permutations
from tinynn.molecules.bonds import check_permutation_group

from .cases import BAD_POSITIONS

T = np.sqrt(8) / 3  # of a tetrahedron's corners three lie that far from the axis through the fourth


def around(axis, angles):
    """Unit vectors at the tetrahedral angle from the x axis (+1 or -1), turned about it by degrees."""
    angles = np.deg2rad(angles)
    return np.stack([np.full(len(angles), -axis / 3), T * np.cos(angles), T * np.sin(angles)], axis=1)


def ethanol(torsion=60.0, hydroxyl=180.0):
    """C, C, O, then the hydrogens of the CH2 group, the methyl group and the hydroxyl group."""
    C, C_methyl = np.zeros(3), np.array([-1.52, 0, 0])
    O, *H = C + around(-1, [0, 120, 240]) * [[1.43], [1.09], [1.09]]
    methyl = C_methyl + 1.09 * around(1, torsion + np.array([0, 120, 240]))
    H_O = O + 0.96 * np.array([np.cos(np.deg2rad(hydroxyl / 2)), np.sin(np.deg2rad(hydroxyl / 2)), 0.2])
    return np.vstack([C, C_methyl, O, H, methyl, H_O]), [6, 6, 8, 1, 1, 1, 1, 1, 1]


def ring(n, z):
    """Atoms at the corners of a polygon, each with a hydrogen outside."""
    angles = 2 * np.pi * np.arange(n) / n
    corners = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1) * 1.4
    return np.vstack([corners, corners * 2.48 / 1.4]), [z] * n + [1] * n


def pyramid(height):
    """A nitrogen atom above three hydrogens."""
    angles = np.deg2rad([0, 120, 240])
    return np.vstack(
        [[[0, 0, height]], 0.95 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)]
    ), [7, 1, 1, 1]


def cyclohexane():
    """A chair of carbon atoms, then at each of them an axial and an equatorial hydrogen."""
    angles = np.deg2rad(60 * np.arange(6))
    out = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    up = np.outer((-1) ** np.arange(6), [0, 0, 1])
    C = 1.47 * out + 0.25 * up
    return np.vstack([C, C + 1.1 * up, C + 1.04 * out - 0.36 * up]), [6] * 6 + [1] * 12


METHANE = np.vstack([np.zeros(3), 1.09 * np.vstack([[[1, 0, 0]], around(1, [0, 120, 240])])]), [6, 1, 1, 1, 1]
WATER = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]), [8, 1, 1]
ETHENE = (
    np.array([[0.67, 0, 0], [-0.67, 0, 0]] + [[x, y, 0] for x in (1.24, -1.24) for y in (0.92, -0.92)]),
    [6, 6, 1, 1, 1, 1],
)
MOLECULES = {
    "water": (WATER, 2),
    "methane": (METHANE, 24),
    "ammonia": (pyramid(0.38), 6),
    "ethanol": (ethanol(), 6),
    "ethanol, eclipsed": (ethanol(torsion=0.0), 6),
    "ethanol, gauche": (ethanol(hydroxyl=70.0), 6),
    "benzene": (ring(6, 6), 12),
    "cyclohexane": (cyclohexane(), 24),  # 12 of the ring; all carbons keep their handedness or none
    "ethene": (ETHENE, 8),  # 4 that keep it flat, and those with one end turned
    "hydrogen chloride": ((np.array([[0, 0, 0], [1.27, 0, 0]]), [17, 1]), 1),
    "argon": ((4.0 * np.eye(4, 3), [18] * 4), 24),
    "water in the plane": ((WATER[0][:, :2], WATER[1]), 2),
}
every_molecule = pytest.mark.parametrize("name", MOLECULES)


def test_bonds_of_ethanol():
    i, j = np.nonzero(np.triu(bond_graph(*ethanol())))
    assert list(zip(i, j, strict=True)) == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 5), (1, 6), (1, 7), (2, 8)]
    assert_array_equal(bond_graph(*ethanol()), bond_graph(*ethanol()).T)


@every_molecule
def test_how_many_permutations_are_feasible(name):
    (R, z), expected = MOLECULES[name]
    found = feasible_permutations(R, z)
    assert len(found) == expected
    assert_array_equal(check_permutation_group(found, len(z), z), found)  # the identity first, and closed


@every_molecule
def test_shaken_samples_of_the_molecule_have_the_same_group(name):
    (R, z), _ = MOLECULES[name]
    samples = R + 0.05 * np.random.default_rng(0).normal(size=(20, *R.shape))
    assert_array_equal(feasible_permutations(samples, z), feasible_permutations(R, z))


@every_molecule
def test_the_numbering_does_not_matter(name):
    (R, z), expected = MOLECULES[name]
    order = np.random.default_rng(1).permutation(len(z))
    assert len(feasible_permutations(R[order], np.array(z)[order])) == expected


def test_hydrogens_may_come_first():
    """Among 12 hydrogens without their carbons, 12! renumberings look feasible."""
    R, z = cyclohexane()
    assert len(feasible_permutations(R[::-1], z[::-1])) == 24


def test_ethanol_turns_its_methyl_group_and_may_become_its_mirror_image():
    rotation, mirror = [0, 1, 2, 3, 4, 6, 7, 5, 8], [0, 1, 2, 4, 3, 5, 7, 6, 8]
    R, z = ethanol()
    expected = sorted(generate_permutations(z, [rotation, mirror]).tolist())
    assert feasible_permutations(R, z).tolist() == expected
    assert [0, 1, 2, 3, 4, 5, 7, 6, 8] not in expected  # two hydrogens of the methyl group alone


def test_an_atom_that_inverts_has_no_handedness():
    """Samples with the nitrogen above and below; two hydrogens may be exchanged in any case."""
    samples = np.stack([pyramid(0.38)[0], pyramid(-0.38)[0]])
    assert len(feasible_permutations(samples, pyramid(0.38)[1])) == 6


@pytest.mark.parametrize(("R", "error", "message"), BAD_POSITIONS)
def test_bad_positions(R, error, message):
    with pytest.raises(error, match=message):
        bond_graph(R, [1, 1, 1])


@pytest.mark.parametrize(
    ("z", "error", "message"),
    [
        ([8, 1], ValueError, "^z has 2 atomic numbers, but R has 3 atoms"),
        ([8, 1, 0], ValueError, r"^z\[2\] is 0; atomic numbers"),
        ([92, 1, 1], ValueError, r"^z holds element 92; covalent radii are known up to 54"),
        (["O", "H", "H"], TypeError, "^z has dtype <U1"),
    ],
)
def test_bad_atomic_numbers(z, error, message):
    with pytest.raises(error, match=message):
        feasible_permutations(WATER[0], z)


def test_coincident_atoms():
    with pytest.raises(ValueError, match=r"^R has coincident atoms: atoms 0 and 2 are at distance zero"):
        bond_graph(WATER[0][[0, 1, 0]], [8, 1, 8])


def test_a_single_atom():
    assert feasible_permutations(np.zeros((1, 3)), [18]).tolist() == [[0]]


def test_too_many_permutations():
    gas = 10.0 * np.arange(9)[:, None] * np.ones(3)
    with pytest.raises(ValueError, match=r"^more than 50000 permutations keep the bonds"):
        feasible_permutations(gas, [2] * 9)


@pytest.mark.parametrize(
    ("permutations", "error", "message"),
    [
        ([], ValueError, "^permutations is empty"),
        (
            [[0, 1, 2], [1, 0, 2]],
            ValueError,
            r"^permutation puts atom 1 \(element 1\) in the place of atom 0",
        ),
        ([[0, 1, 2], [0, 2, 1, 3]], ValueError, r"^permutation has shape \(4,\)"),
        ([[0, 1, 2], [0, 2, 2]], ValueError, "^permutation must hold every atom 0 to 2 once"),
        ([[0, 2, 1]], ValueError, r"^permutations form no group: .* are \[0, 1, 2\], which is missing"),
    ],
)
def test_bad_groups(permutations, error, message):
    with pytest.raises(error, match=message):
        check_permutation_group(permutations, 3, [8, 1, 1])


def test_a_cycle_alone_is_no_group():
    with pytest.raises(ValueError, match=r"form no group.*generate_permutations"):
        check_permutation_group([[0, 1, 2], [1, 2, 0]], 3)
    assert len(check_permutation_group([[1, 2, 0], [2, 0, 1], [0, 1, 2], [0, 1, 2]], 3)) == 3
