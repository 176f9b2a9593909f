"""What happened while a model learned on the fly: every step, every answer, and how right it was."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from tinynn.files import replace_file
from tinynn.molecules.reference import Answer, ask, describe, get_reference
from tinynn.molecules.units import import_ase
from tinynn.plotting import get_pyplot
from tinynn.validation import check_integer

FORMAT = "tinynn on the fly 1"


class Step(NamedTuple):
    """One step of the dynamics on the model, Å, eV and ASE's unit of time.

    Attributes
    ----------
    R, momenta : array (N, 3)
    E, E_std : float
        Energy and its standard deviation, after learning.
    F, F_std : array (N, 3)
        Forces, which moved the atoms, and their standard deviations, after learning.
    uncertainty : float
        Largest standard deviation of a force component before asking.
    asked : bool
        Whether it was above the threshold, so that the reference was asked.
    """

    R: np.ndarray
    momenta: np.ndarray
    E: float
    E_std: float
    F: np.ndarray
    F_std: np.ndarray
    uncertainty: float
    asked: bool


@dataclass(frozen=True)
class Comparison:
    """Predictions along the trajectory beside the truth, where the reference was not asked.

    Attributes
    ----------
    steps : array of int (K,)
        Which steps.
    E : array (K,)
        True energies in eV.
    E_error, E_std : array (K,)
        Prediction minus truth, and the standard deviation the model claimed.
    F_error, F_std : array (K, N, 3)
        The same for forces, eV/Å.
    """

    steps: np.ndarray
    E: np.ndarray
    E_error: np.ndarray
    E_std: np.ndarray
    F_error: np.ndarray
    F_std: np.ndarray

    @property
    def energy_rmse(self) -> float:
        """Root mean square error of the energies in eV."""
        return float(np.sqrt((self.E_error**2).mean()))

    @property
    def force_rmse(self) -> float:
        """Root mean square error of all force components in eV/Å."""
        return float(np.sqrt((self.F_error**2).mean()))

    @property
    def force_max(self) -> float:
        """Largest error of a force component in eV/Å."""
        return float(abs(self.F_error).max())

    def energies_within(self, k: float) -> float:
        """Share of the energies that are at most k standard deviations off."""
        return float((abs(self.E_error) <= k * self.E_std).mean())

    def forces_within(self, k: float) -> float:
        """Share of the force components that are at most k standard deviations off."""
        return float((abs(self.F_error) <= k * self.F_std).mean())

    def __str__(self) -> str:
        within = [
            f"{100 * share(k):.0f} %" for share in (self.forces_within, self.energies_within) for k in (1, 2)
        ]
        return "\n".join(
            [
                f"true errors at {len(self.steps)} steps at which the reference was not asked:",
                f"  forces: root mean square {self.force_rmse:.3f} eV/Å, largest {self.force_max:.3f} eV/Å",
                f"  energy: root mean square {self.energy_rmse:.3f} eV",
                "within one and two claimed standard deviations (68 % and 95 % if they are right):",
                f"  forces: {within[0]} and {within[1]}",
                f"  energy: {within[2]} and {within[3]}",
            ]
        )


class OnTheFlyLog:
    """The record of `learn_on_the_fly`.

    ``len(log)`` is the number of steps taken, ``log["F_std"]`` that field of every `Step` as an array,
    the start first, and ``print(log)`` a summary.

    Parameters
    ----------
    z : array of int (N,)
        Atomic numbers.
    timestep : float
        fs.
    threshold : float
        eV/Å.
    settings : mapping
        What else a run has to have in common with a file to go on from it; names and JSON values.
        "reference" is what `compare` has to be given again, as a text.

    Attributes
    ----------
    steps : list of Step
        The start and every step after it.
    learned : list of Answer
        In the order in which they were learned, those before the first step first.
    """

    def __init__(
        self, z: np.ndarray, timestep: float, threshold: float, settings: Mapping[str, Any] | None = None
    ) -> None:
        self.z, self.timestep, self.threshold = z, timestep, threshold
        self.settings = dict(settings or {})
        self.steps: list[Step] = []
        self.learned: list[Answer] = []

    def __len__(self) -> int:
        return max(len(self.steps) - 1, 0)

    def __getitem__(self, field: str) -> np.ndarray:
        return np.array([getattr(step, field) for step in self.steps])

    @property
    def time(self) -> np.ndarray:
        """Of every step in fs, the start at 0."""
        return self.timestep * np.arange(len(self.steps))

    @property
    def calls(self) -> int:
        """How often the reference was asked, those before the first step included."""
        return len(self.learned)

    def __str__(self) -> str:
        return (
            f"{len(self)} steps of {self.timestep:g} fs, {self.calls} calls of the reference "
            f"({self.calls - int(self['asked'].sum())} before the first step): "
            f"one in {len(self) / max(self.calls, 1):.3g} steps"
        )

    def compare(self, reference: Any = None, every: int = 10, progress: bool = True) -> Comparison:
        """Ask the reference for the truth along the trajectory; the model does not learn it.

        Parameters
        ----------
        reference : ASE calculator, optional
            The one of the run, by default ASE's EMT.
        every : int
            Every how many steps; those at which it was asked already are left out.
        progress : bool
            Show a bar.

        Raises
        ------
        ValueError
            If it is not the reference of the run, by class and parameters, or no step is left.
        RuntimeError
            If the reference fails.
        """
        every = check_integer(every, "every", low=1)
        reference = get_reference(reference)
        given, wanted = describe(reference), self.settings.get("reference")
        if wanted not in (None, given):
            raise ValueError(f"reference is {given}; wanted that of the run, {wanted}")
        chosen = [k for k in range(every, len(self.steps), every) if not self.steps[k].asked]
        if not chosen:
            raise ValueError(
                f"every={every} leaves none of {len(self)} steps at which the reference was not asked"
            )
        make = import_ase("ase").Atoms
        bar = tqdm(chosen, desc="true forces", unit="step", disable=not progress)
        true = [ask(reference, make(self.z, self.steps[k].R)) for k in bar]
        E, F = np.array([answer.E for answer in true]), np.array([answer.F for answer in true])
        return Comparison(
            np.array(chosen),
            E,
            self["E"][chosen] - E,
            self["E_std"][chosen],
            self["F"][chosen] - F,
            self["F_std"][chosen],
        )

    def _identity(self) -> dict[str, Any]:
        """What has to be the same for a file to belong to this run."""
        return {
            "z": self.z.tolist(),
            "timestep": self.timestep,
            "threshold": self.threshold,
            **self.settings,
        }

    def save(self, path: str | os.PathLike, rng: np.random.Generator) -> None:
        """Write everything, and the state of `rng`, to an npz file, whole or not at all."""
        arrays: dict[str, Any] = {field: self[field] for field in Step._fields}
        arrays |= {f"learned_{f}": np.array([getattr(a, f) for a in self.learned]) for f in Answer._fields}
        state = json.dumps(rng.bit_generator.state, default=lambda x: x.tolist())

        def write(aside: str) -> None:
            with open(aside, "wb") as file:
                np.savez(file, format=FORMAT, identity=json.dumps(self._identity()), rng=state, **arrays)

        replace_file(path, write)

    def load(self, path: str | os.PathLike, rng: np.random.Generator) -> None:
        """Read what `save` wrote, and put `rng` into the state of the file.

        Raises
        ------
        ValueError
            If it is damaged, no such file, or one of another run; says in what it differs.
        """
        name = repr(os.fspath(path))
        damaged = f"{name} is damaged or does not keep a run of learn_on_the_fly"
        try:
            with open(path, "rb") as file:
                arrays = dict(np.load(file, allow_pickle=False))
            if arrays["format"] != FORMAT:
                raise ValueError(f"its format is {arrays['format']!r}")
            identity, state = json.loads(str(arrays["identity"])), json.loads(str(arrays["rng"]))
            steps = [Step(*row) for row in zip(*(arrays[f] for f in Step._fields), strict=True)]
            learned = [
                Answer(*row) for row in zip(*(arrays[f"learned_{f}"] for f in Answer._fields), strict=True)
            ]
            if not (isinstance(identity, dict) and steps and learned):
                raise ValueError("it holds no run")
        except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise ValueError(f"{damaged} ({error})") from error
        own = json.loads(json.dumps(self._identity()))
        differs = [f"{k}: {identity.get(k)} there, {v} here" for k, v in own.items() if identity.get(k) != v]
        if differs:
            raise ValueError(f"{name} keeps another run ({'; '.join(differs)})")
        try:
            rng.bit_generator.state = state
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"{damaged} (its state of rng: {error})") from error
        self.steps, self.learned = steps, learned

    def plot(self, comparison: Comparison | None = None, axes: Any = None) -> Any:
        """Draw energy, uncertainty and calls of the reference against time.

        Parameters
        ----------
        comparison : Comparison, optional
            True energies and errors, to be drawn too.
        axes : array of three matplotlib Axes, optional
            Drawn on; otherwise a figure is made.

        Returns
        -------
        array of three matplotlib Axes

        Raises
        ------
        ImportError
            Without matplotlib (extra "lessons").
        """
        if axes is None:
            _, axes = get_pyplot().subplots(3, 1, sharex=True, figsize=(8, 8), layout="constrained")
        above, middle, below = axes
        t, E, two_sigma, asked = self.time, self["E"], 2 * self["E_std"], self["asked"]
        first = len(self.learned) - int(asked.sum())

        above.plot(t, E, label="predicted", linewidth=1)
        above.fill_between(t, E - two_sigma, E + two_sigma, alpha=0.4, label="± 2 standard deviations")
        answers = [answer.E for answer in self.learned[first:]]
        above.plot(t[asked], answers, "k.", markersize=4, label="answers of the reference")
        middle.plot(t, self["uncertainty"], label="largest standard deviation", linewidth=1)
        middle.axhline(self.threshold, color="k", linestyle="--", linewidth=1, label="threshold")
        middle.plot(t[asked], self["uncertainty"][asked], "k.", markersize=4, label="reference asked")
        below.step(t, first + asked.cumsum(), where="post", color="k", label="calls of the reference")
        if comparison is not None:
            at = t[comparison.steps]
            above.plot(at, comparison.E, "C1x", markersize=4, label="true")
            largest = abs(comparison.F_error).max(axis=(1, 2))
            middle.plot(at, largest, "C1x", markersize=4, label="largest true error")
        above.set(ylabel="energy (eV)", title=f"{self.calls} calls of the reference in {len(self)} steps")
        middle.set(ylabel="force component (eV/Å)", yscale="log")
        below.set(ylabel="calls", xlabel="time (fs)", ylim=(0, None))
        for ax in axes:
            ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        return axes
