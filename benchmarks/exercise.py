"""A whole exercise, from molecules to test errors: eight trainings of small networks."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import OURS, Contestant, Workload
from benchmarks.networks import Exercise
from benchmarks.peers import in_torch
from tinynn.backend import Array, asarray, get_backend
from tinynn.data import Dataset
from tinynn.metrics import mean_squared_error
from tinynn.molecules import CoulombPairPotential, distances, permute, positions, rotate
from tinynn.nn import MeanSquaredError, Sequential
from tinynn.optim import Adam
from tinynn.training import fit

FEATURES = {"positions": positions, "distances": distances}


def tinynn_exercise(problem: Exercise, backend: str) -> Contestant:
    """The whole exercise, as lesson 11 does it."""
    xp = get_backend(backend)
    R_train, R_test = (asarray(R, backend) for R in problem.molecules())
    energy = CoulombPairPotential().energy

    def moved(R: Array) -> dict[str, Array]:
        return {
            "original": R,
            "rotated": rotate(R, problem.angle),
            "permuted": permute(R, problem.permutation),
        }

    def run() -> Sequence[float]:
        networks, data = [], []
        for feature, parts in problem.cases:
            R = xp.concatenate([moved(R_train)[part] for part in parts])
            X = FEATURES[feature](R)
            data.append(Dataset(X, energy(R)))
            networks.append(problem.training(X.shape[1], len(X)).model(backend))
        histories = train_all(problem, networks, data)
        errors = [
            mean_squared_error(energy(Q), network.predict(FEATURES[feature](Q))[:, 0])
            for network, (feature, _) in zip(networks, problem.cases, strict=True)
            for Q in moved(R_test).values()
        ]
        return problem.summary(histories, errors)

    return run


def train_all(
    problem: Exercise, networks: Sequence[Sequential], data: Sequence[Dataset]
) -> list[list[float]]:
    """Train one network after the other; returns the losses of their epochs."""
    return [
        fit(
            network,
            dataset,
            loss=MeanSquaredError(),
            optimizer=Adam(),
            epochs=problem.epochs,
            batch_size=problem.batch_size,
            rng=problem.seed,
            progress=False,
        ).train_loss
        for network, dataset in zip(networks, data, strict=True)
    ]


EXERCISES = {
    "exercise-7": Workload(
        what="an exercise from molecules to test errors: eight trainings of 1000 epochs, batch 16",
        problem=Exercise(epochs=1000),
        unit="exercise",
        units=1,
        contestants={OURS: tinynn_exercise, "torch": in_torch.exercise},
        targets={"torch": 1 / 8},
        on_request=True,
    ),
}
