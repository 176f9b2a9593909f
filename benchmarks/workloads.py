"""All that is timed, by name."""

from benchmarks.kernel_methods import KERNEL_METHODS
from benchmarks.inference import INFERENCES
from benchmarks.solvers import SOLVERS
from benchmarks.training import TRAININGS

WORKLOADS = TRAININGS | INFERENCES | SOLVERS | KERNEL_METHODS
