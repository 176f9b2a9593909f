"""Learning on the fly: the dynamics run on the model, and ask the reference where the model is unsure.

A Gaussian process knows how far it may be off. At every step of the dynamics the largest standard
deviation of its force components is compared with a threshold. Below it the model's forces move the
atoms. Above it the reference is asked, the model learns the answer (its Cholesky factor grows by a block),
and the forces of the better model move the atoms. The known region grows along the trajectory, and the
questions become rare.

A run can be killed at any moment: with a `path`, the same call goes on where the file ends, to the
same bits.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from tinynn.backend import Array, to_numpy
from tinynn.files import check_folder
from tinynn.molecules.calculator import ModelCalculator, check_atoms
from tinynn.molecules.on_the_fly_log import OnTheFlyLog, Step
from tinynn.molecules.reference import Answer, ask, describe, get_reference
from tinynn.molecules.units import import_ase
from tinynn.validation import check_array, check_integer, check_number

RATTLE = 0.1  # Å, the standard deviation of the first displacements: forces of the size of thermal ones


class GrowingModel(Protocol):
    """What learning on the fly asks of a model; `EnergyForceRegressor` offers it.

    To go on from a file, its repr has to state its parameters: by it the same model is known again.
    """

    def fit(self, R: Array, E: Array, F: Array, z: Array, *, progress: bool) -> Any:
        """Learn from configurations R (M, N, 3) with energies (M,) and forces (M, N, 3)."""

    def update(self, R: Array, E: Array, F: Array) -> Any:
        """Learn from further ones."""

    def predict(self, R: Array) -> tuple[Array, Array]:
        """Energies and forces."""

    def predict_variance(self, R: Array) -> tuple[Array, Array]:
        """Variances of both, (M,) and (M, N, 3)."""


class LearningCalculator(ModelCalculator):
    """An ASE calculator that asks a reference where its model is unsure, and learns the answer.

    Parameters
    ----------
    model : GrowingModel
        Fitted by `begin`, and then updated with every answer. Energies in eV, lengths in Å.
    z : sequence of N ints
        Atomic numbers.
    reference : ASE calculator
        It has to give the same answer whatever it was asked before; it is reset before every question.
    threshold : float
        eV/Å, positive. The reference is asked where the standard deviation of any component of a force
        is larger.

    Attributes
    ----------
    learned : list of Answer
        All answers of the reference, in the order in which they were learned.
    uncertainty : float
        Largest standard deviation of a force component in the last calculation, eV/Å, before asking.
    asked : bool
        Whether the last calculation asked the reference.
    E_std : float
        Standard deviation of the energy of the last calculation in eV, after learning.
    F_std : array (N, 3)
        Those of its forces in eV/Å, after learning.

    Raises
    ------
    TypeError, ValueError
        A model that lacks a method, no calculator, a threshold that is not positive.
    RuntimeError
        In use, if the reference fails or returns NaN or inf.
    """

    model: Any

    def __init__(
        self, model: GrowingModel, z: Sequence[int] | Array, reference: Any, threshold: float
    ) -> None:
        super().__init__(model, z, energy_unit="eV")
        for method in ("fit", "update", "predict_variance"):
            if not callable(getattr(model, method, None)):
                raise TypeError(f"model must have a method {method}; got {type(model).__name__}")
        self.reference = get_reference(reference)
        self.threshold = check_number(threshold, "threshold", low=0, high=np.inf, closed="neither")
        self.learned: list[Answer] = []

    def begin(self, answers: Sequence[Answer]) -> None:
        """Fit the model to the first answers."""
        R, E, F = (np.array(values) for values in zip(*answers, strict=True))
        self.model.fit(R, E, F, z=self.z, progress=False)
        self.learned = list(answers)

    def learn(self, answer: Answer) -> None:
        """Update the model with one more answer."""
        self.model.update(answer.R[None], np.array([answer.E]), answer.F[None])
        self.learned.append(answer)

    def calculate(
        self, atoms: Any = None, properties: Sequence[str] = ("energy",), system_changes: Sequence[str] = ()
    ) -> None:
        atoms = self.atoms if atoms is None else atoms
        check_atoms(atoms, self.z)
        E_std, F_std = self._standard_deviations(atoms.positions)
        self.uncertainty = float(F_std.max())
        self.asked = self.uncertainty > self.threshold
        if self.asked:
            self.learn(ask(self.reference, atoms))
            E_std, F_std = self._standard_deviations(atoms.positions)
        self.E_std, self.F_std = E_std, F_std
        super().calculate(atoms, properties, system_changes)

    def _standard_deviations(self, R: np.ndarray) -> tuple[float, np.ndarray]:
        R = R[None]
        E, F = (to_numpy(v) for v in self.model.predict_variance(R))
        E = check_array(E, "the model's variance of the energy", shape=(1,))[0]
        F = check_array(F, "the model's variance of the forces", shape=R.shape)[0]
        return float(np.sqrt(max(E, 0))), np.sqrt(np.maximum(F, 0))  # below zero by rounding


def learn_on_the_fly(
    atoms: Any,
    model: GrowingModel,
    reference: Any = None,
    *,
    steps: int,
    temperature: float | None = None,
    timestep: float = 4.0,
    friction: float = 0.01,
    threshold: float = 0.06,
    n_initial: int = 5,
    rng: int | np.random.Generator | None = None,
    path: str | os.PathLike | None = None,
    save_every: int = 100,
    progress: bool = True,
) -> OnTheFlyLog:
    """Run molecular dynamics on a model that learns from a reference where it is unsure.

    The model starts from `n_initial` answers: for the atoms as they are, and displaced at random by
    0.1 Å in every coordinate. From then on `LearningCalculator` decides. The dynamics are ASE's: with
    a `temperature` Langevin's, without one velocity Verlet at constant energy.

    Parameters
    ----------
    atoms : ase.Atoms
        A molecule or cluster near a minimum. It moves, and leaves with the `LearningCalculator`.
    model : GrowingModel
        An EnergyForceRegressor, for example ``EnergyForceRegressor(targets="both")``; it
        is fitted anew.
    reference : ASE calculator, optional
        By default ASE's EMT, which knows Al, Cu, Ag, Au, Ni, Pd, Pt and, roughly, H, C, N, O.
    steps : int
        How many the run is to have, those in the file included.
    temperature : float, optional
        Of the thermostat in K. Atoms without velocities get random ones of this temperature; the
        molecule as a whole then drifts and turns, which changes no energy.
    timestep : float
        fs.
    friction : float
        Of the thermostat, 1/fs.
    threshold : float
        eV/Å. The reference is asked where the standard deviation of any force component is larger.
        If the variance is right, this bounds the typical error of the least certain component; the
        root mean square over all components is about half of it.
    n_initial : int
        At least 2: the scale of the variance is estimated from forces, and at a minimum there are none.
    rng : int or Generator
        For displacements, velocities and thermostat.
    path : path, optional
        An npz file that keeps the run: replaced after every answer of the reference and every
        `save_every` steps. If it exists, the run goes on from it; call with the same arguments and
        with the atoms as they were at first.
    save_every : int
    progress : bool
        Show a bar.

    Returns
    -------
    OnTheFlyLog
        All steps and answers, with `compare` for the true errors and `plot`.

    Raises
    ------
    TypeError, ValueError
        Bad arguments; atoms that are periodic, or have neither velocities nor a temperature; a file
        that is damaged or of another run, or has more than `steps` steps; with a `path`, a model whose
        repr is an address.
    RuntimeError
        If the reference fails; a note says in which step. With a `path`, the same call goes on once
        it works again.
    FileNotFoundError
        If the folder of `path` does not exist.
    ImportError
        Without ASE (extra "molecules").
    """
    steps = check_integer(steps, "steps", low=0)
    n_initial = check_integer(n_initial, "n_initial", low=2)
    save_every = check_integer(save_every, "save_every", low=1)
    timestep = check_number(timestep, "timestep", low=0, high=np.inf, closed="neither")
    friction = check_number(friction, "friction", low=0, high=np.inf, closed="left")
    if temperature is not None:
        temperature = check_number(temperature, "temperature", low=0, high=np.inf, closed="neither")
    elif not atoms.get_momenta().any():
        raise ValueError("atoms have no velocities: pass temperature= in K, or set their momenta")
    if path is not None:
        check_folder(path)
        if " at 0x" in repr(model):
            raise TypeError(f"model must have a repr of its parameters, to go on from path; got {model!r}")
    calculator = LearningCalculator(model, atoms.numbers, reference, threshold)
    check_atoms(atoms, calculator.z)
    seeded, rng = rng is not None, np.random.default_rng(rng)
    settings = {
        "model": repr(model),
        "reference": describe(calculator.reference),
        "temperature": temperature,
        "friction": friction,
        "n_initial": n_initial,
        "start": _checksum(atoms.positions, atoms.get_momenta(), atoms.get_masses()),
        "rng": _checksum(rng.bit_generator.state) if seeded else None,
    }
    log = OnTheFlyLog(calculator.z, timestep, calculator.threshold, settings)

    if path is not None and Path(path).exists():
        log.load(path, rng)
        if len(log) > steps:
            raise ValueError(f"{os.fspath(path)!r} has had {len(log)} steps; steps={steps} is fewer")
        _go_on(atoms, calculator, log, n_initial)
    else:
        _begin(atoms, calculator, log, n_initial, temperature, rng)
        if path is not None:
            log.save(path, rng)
    dynamics = _dynamics(atoms, timestep, temperature, friction, rng)
    with tqdm(total=steps, initial=len(log), disable=not progress, unit="step") as bar:
        while len(log) < steps:
            try:
                dynamics.step()
            except Exception as error:
                error.add_note(f"in step {len(log) + 1} of learning on the fly")
                raise
            log.steps.append(_step(atoms))
            bar.set_postfix(calls=log.calls, refresh=False)
            bar.update()
            if path is not None and (calculator.asked or len(log) % save_every == 0 or len(log) == steps):
                log.save(path, rng)
    return log


def _begin(
    atoms: Any,
    calculator: LearningCalculator,
    log: OnTheFlyLog,
    n_initial: int,
    temperature: float | None,
    rng: np.random.Generator,
) -> None:
    """The first answers, velocities, and the start of the trajectory."""
    answers = [ask(calculator.reference, atoms)]
    for _ in range(n_initial - 1):
        rattled = atoms.copy()
        rattled.positions += RATTLE * rng.normal(size=atoms.positions.shape)
        answers.append(ask(calculator.reference, rattled))
    if temperature is not None and not atoms.get_momenta().any():
        spread = np.sqrt(atoms.get_masses() * import_ase("ase.units").kB * temperature)
        atoms.set_momenta(spread[:, None] * rng.normal(size=atoms.positions.shape))
    calculator.begin(answers)
    log.learned = calculator.learned
    atoms.calc = calculator
    atoms.get_forces()
    log.steps = [_step(atoms)]


def _go_on(atoms: Any, calculator: LearningCalculator, log: OnTheFlyLog, n_initial: int) -> None:
    """Atoms, model and calculator as they were at the last step of the log."""
    answers, last = log.learned, log.steps[-1]
    calculator.begin(answers[:n_initial])
    for answer in answers[n_initial:]:  # one by one, as they came: the same bits
        calculator.learn(answer)
    log.learned = calculator.learned
    atoms.set_positions(last.R, apply_constraint=False)
    atoms.set_momenta(last.momenta, apply_constraint=False)
    calculator.atoms, calculator.results = atoms.copy(), {"energy": last.E, "forces": last.F}
    calculator.E_std, calculator.F_std = last.E_std, last.F_std
    calculator.uncertainty, calculator.asked = last.uncertainty, last.asked
    atoms.calc = calculator


def _step(atoms: Any) -> Step:
    calculator = atoms.calc
    return Step(
        atoms.get_positions(),
        atoms.get_momenta(),
        calculator.results["energy"],
        calculator.E_std,
        calculator.results["forces"],
        calculator.F_std,
        calculator.uncertainty,
        calculator.asked,
    )


def _dynamics(
    atoms: Any, timestep: float, temperature: float | None, friction: float, rng: np.random.Generator
) -> Any:
    fs = import_ase("ase.units").fs
    if temperature is None:
        return import_ase("ase.md.verlet").VelocityVerlet(atoms, timestep * fs)
    return import_ase("ase.md.langevin").Langevin(
        atoms, timestep * fs, temperature_K=temperature, friction=friction / fs, fixcm=False, rng=rng
    )


def _checksum(*values: Any) -> str:
    text = json.dumps(values, default=lambda x: x.tolist())
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
