"""All that is timed, by name."""

from benchmarks.kernel_methods import KERNEL_METHODS
from benchmarks.solvers import SOLVERS
from benchmarks.training import TRAININGS

WORKLOADS = TRAININGS | SOLVERS | KERNEL_METHODS
