"""All that is timed, by name."""

from benchmarks.solvers import SOLVERS
from benchmarks.training import TRAININGS

WORKLOADS = TRAININGS | SOLVERS
