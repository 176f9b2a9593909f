"""Learning on the fly that can be killed: a copper cluster, long enough to ask the reference many times."""

import ase
import killed
import numpy as np

from tinynn.molecules import EnergyForceRegressor, learn_on_the_fly

STEPS = 60
TETRAHEDRON = (
    2.35 / 8**0.5 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
)  # Å, at the minimum


def explore(path=None, **kwargs):
    """The log and the atoms after the run with this file, of four copper atoms at 400 K."""
    atoms = ase.Atoms("Cu4", TETRAHEDRON)
    model = EnergyForceRegressor(targets="both")
    settings = {
        **{"steps": STEPS, "temperature": 400, "threshold": 0.02, "rng": 3},
        **{"save_every": 7, "progress": False},
    }
    return learn_on_the_fly(atoms, model, path=path, **(settings | kwargs)), atoms


if __name__ == "__main__":
    killed.run(explore)
