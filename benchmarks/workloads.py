"""All that is timed, by name."""

from benchmarks.kernel_methods import KERNEL_METHODS
from benchmarks.molecules import MOLECULES
from benchmarks.solvers import SOLVERS
from benchmarks.start import START_UP
from benchmarks.training import TRAININGS

WORKLOADS = TRAININGS | SOLVERS | KERNEL_METHODS | MOLECULES | START_UP
