"""A whole exercise, from molecules to test errors: eight trainings of small networks."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import OURS, Contestant, Target, Workload
from benchmarks.networks import Exercise
from benchmarks.peers import in_torch
from tinynn.backend import Array, asarray, get_backend
from tinynn.data import Dataset
from tinynn.metrics import mean_squared_error
from tinynn.molecules import CoulombPairPotential, distances, permute, positions, rotate
from tinynn.nn import MeanSquaredError
from tinynn.optim import Adam
from tinynn.training import fit_many

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
        histories = fit_many(
            networks,
            data,
            loss=MeanSquaredError(),
            optimizers=[Adam() for _ in networks],
            epochs=problem.epochs,
            batch_size=problem.batch_size,
            rngs=[problem.seed] * len(networks),
            progress=False,
        )
        errors = [
            mean_squared_error(energy(Q), network.predict(FEATURES[feature](Q))[:, 0])
            for network, (feature, _) in zip(networks, problem.cases, strict=True)
            for Q in moved(R_test).values()
        ]
        return problem.summary([history.train_loss for history in histories], errors)

    return run


def _exercise(epochs: int, rounds: int) -> Workload:
    return Workload(
        what=f"an exercise from molecules to test errors: eight trainings of {epochs} epochs, batch 16",
        problems=[Exercise(epochs=epochs)],
        unit="exercise",
        contestants={OURS: tinynn_exercise, "torch": in_torch.exercise},
        targets=[Target("torch", 1 / 8)],
        on_request=True,
        rounds=rounds,
    )


EXERCISES = {"exercise-7": _exercise(1000, rounds=1), "exercise-7-short": _exercise(50, rounds=7)}
