"""All that is timed, by name."""

from benchmarks.exercise import EXERCISES
from benchmarks.inference import INFERENCES
from benchmarks.kernel_methods import KERNEL_METHODS
from benchmarks.molecules import MOLECULES
from benchmarks.solvers import SOLVERS
from benchmarks.start import START_UP
from benchmarks.training import TRAININGS

WORKLOADS = TRAININGS | INFERENCES | EXERCISES | SOLVERS | KERNEL_METHODS | MOLECULES | START_UP
