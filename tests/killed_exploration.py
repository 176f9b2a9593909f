"""Learning on the fly that can be killed: a copper cluster, long enough to ask the reference many times.

As a script, `python killed_exploration.py FILE [MOMENT]` goes on from the file, if there is one; with
a MOMENT it kills itself while it writes the file for the fourth time.
"""

import os
import signal
import sys

import ase
import numpy as np

import tinynn.files
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


def kill_self(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_fourth_save(moment):
    replace, saves = os.replace, []

    def replace_or_die(aside, path):
        saves.append(path)
        if len(saves) == 4:
            if moment == "half written":
                os.truncate(aside, os.path.getsize(aside) // 2)
            kill_self()
        replace(aside, path)

    tinynn.files.os.replace = replace_or_die


if __name__ == "__main__":
    if len(sys.argv) > 2:
        die_in_the_fourth_save(sys.argv[2])
    print("exploring", flush=True)
    explore(sys.argv[1])
