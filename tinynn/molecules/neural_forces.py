"""NeuralForceField: a network that learns a molecule's energy, and the forces as its slope."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import numpy as np

from tinynn import training
from tinynn.backend import Array, asarray, get_array_module, get_backend, to_numpy
from tinynn.callbacks import Callback
from tinynn.estimator import check_is_fitted
from tinynn.files import load_tensors, save_tensors
from tinynn.molecules.energy_network import EnergyAndForces, EnergyForceLoss, energy_rows, energy_targets
from tinynn.molecules.features import Features, inverse_distances
from tinynn.molecules.force_field import ForceField
from tinynn.nn import Dense, Layer, Sequential, SiLU
from tinynn.optim import Adam, CosineDecay
from tinynn.preprocessing import StandardScaler
from tinynn.validation import check_integer, check_number

FORMAT = "tinynn force field 1"


class NeuralForceField(ForceField):
    """A network for the energy E(R) of a molecule; its forces are F = -dE/dR, by backpropagation.

    The energy is that of scaled features, with a constant::

        E(R) = constant + scale net((x(R) - mean) / (sigma sqrt(P)))

    and F is its exact slope, so that the forces predicted conserve the energy predicted. Inverse distances
    do not change when the molecule is moved, turned or mirrored; so neither does the energy, and forces
    and torques add up to zero. Mean and standard deviation sigma are those of each of the P features; with
    the sqrt(P), their rows have length 1 on average. Without it the energy begins, and stays, too rough
    between the samples (ethanol, 1000 samples: errors of the forces twice as large).

    Energies and forces are fitted together, by the exact gradient of both errors: see `EnergyAndForces`.
    The loss has no unit::

        L = w_E <(E - E*)²> / var(E*) + w_F <(F - F*)²> / <F*²>

    If E or F is missing, so is its term. Forces leave the constant of the energy open; it is chosen at the
    end such that the mean error of the energies is zero.

    Predictions are in the dtype of R: in float32, an energy of 100 000 has an error of 0.004 from rounding
    alone.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden layers.
    activation : callable
        Makes the layer after each of them, a smooth one: `SiLU`, `Tanh`, `Softplus`, `Sigmoid`.
    features : Features
        What the network sees; see `tinynn.molecules.features`. Where they follow the numbering of like
        atoms, renumbered copies (`permute`) in the training set help.
    energy_weight, force_weight : float
        w_E and w_F.
    learning_rate : float
        Of Adam at the beginning; it falls to zero along half a cosine.
    epochs, batch_size : int
        As in `tinynn.training.fit`.
    rng : int, Generator or None
        Draws the parameters, then the batches.

    Attributes
    ----------
    model_ : Sequential
        ``Sequential(EnergyAndForces(...))``, in the dtype of R.
    feature_mean_, feature_scale_ : array (P,)
        mean and sigma sqrt(P), of the training set.
    energy_scale_ : float
        Standard deviation of the energies; without energies, what gives the untrained network forces
        of the size of those in the data. In the unit of the energy.
    constant_ : float
        In the unit of the energy. Without energies, their mean over the training set is taken as zero.
    history_ : History
        The losses L by epoch.

    References
    ----------
    S3 15, 19.1; Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007).
    """

    def __init__(
        self,
        hidden: Sequence[int] = (64, 64),
        activation: Callable[[], Layer] = SiLU,
        features: Features = inverse_distances,
        energy_weight: float = 1.0,
        force_weight: float = 1.0,
        learning_rate: float = 3e-3,
        epochs: int = 500,
        batch_size: int = 16,
        rng: int | np.random.Generator | None = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.features = features
        self.energy_weight = energy_weight
        self.force_weight = force_weight
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.rng = rng

    def fit(
        self,
        R: Array,
        E: Array = None,
        F: Array = None,
        *,
        validation: tuple[Array, Array, Array] | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = True,
        resume: str | os.PathLike | None = None,
    ) -> Self:
        """Learn from M configurations of one molecule.

        Features and their Jacobians are computed once and kept, M P (1 + N D) numbers.

        Parameters
        ----------
        R : array (M, N, D)
            Positions. The network computes in their dtype.
        E : array (M,), optional
            Energies.
        F : array (M, N, D), optional
            Forces -dE/dR, in units of E over those of R.
        validation : (R, E, F), optional
            Configurations that are not trained on, with the same of E and F (else None); their loss is in
            the history after every epoch.
        callbacks, progress, resume
            As in `tinynn.training.fit`: ``callbacks=[EarlyStopping(50)]`` ends the training when the
            validation loss no longer falls, and goes back to the parameters where it was lowest.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit, both E and F are missing, or their weights are zero; if the
            activation is not smooth.
        DivergenceError, FileNotFoundError
            As `tinynn.training.fit`.
        """
        R, E, F = self._check_training(R, E, F)
        w_E = 0.0 if E is None else check_number(self.energy_weight, "energy_weight", low=0)
        w_F = 0.0 if F is None else check_number(self.force_weight, "force_weight", low=0)
        if w_E == w_F == 0:
            raise ValueError(
                "nothing to learn from: what is given has weight 0 (energy_weight, force_weight)"
            )
        held_out = None if validation is None else self._check_validation(validation, R, E, F)
        n_batches = -(-len(R) // check_integer(self.batch_size, "batch_size", low=1))
        steps = n_batches * check_integer(self.epochs, "epochs", low=1)
        optimizer = Adam(CosineDecay(self.learning_rate, steps))
        rng = np.random.default_rng(self.rng)
        mean_x, sigma = _mean_and_deviation(self.features(R))
        scale_x = sigma * len(sigma) ** 0.5
        model = self._build(len(mean_x), R[0].size, R.dtype, get_array_module(R).__name__, rng)
        rows = energy_rows(self.features, R, mean_x, scale_x)
        size_F = _root_mean_square(F) or 1.0
        if E is None:
            mean_E, scale_E = 0.0, size_F / _root_mean_square(model.predict(rows)[:, 1:])
        else:
            mean_E, scale_E = (float(x[0]) for x in _mean_and_deviation(E[:, None]))
        targets = partial(energy_targets, mean=mean_E, scale=scale_E)
        history = training.fit(
            model,
            (rows, targets(R, E, F)),
            loss=EnergyForceLoss(w_E, w_F * (scale_E / size_F) ** 2),
            optimizer=optimizer,
            epochs=self.epochs,
            batch_size=self.batch_size,
            validation=held_out
            and (energy_rows(self.features, held_out[0], mean_x, scale_x), targets(*held_out)),
            callbacks=callbacks,
            progress=progress,
            rng=rng,
            resume=resume,
        )
        self.model_, self.history_, self._shape = model, history, R.shape[1:]
        self.feature_mean_, self.feature_scale_, self.energy_scale_ = mean_x, scale_x, scale_E
        self.constant_ = mean_E - scale_E * float(model.predict(rows)[:, 0].mean())
        return self

    def save(self, path: str | os.PathLike) -> None:
        """Write all that `predict` needs to a safetensors file: the network, its scales, the constant.

        Raises
        ------
        NotFittedError
            Before `fit` or `load`.
        FileNotFoundError
            If the folder does not exist.
        """
        check_is_fitted(self)
        tensors = {f"network.{name}": x for name, x in self.model_.state_dict().items()}
        tensors["features"] = np.stack([to_numpy(self.feature_mean_), to_numpy(self.feature_scale_)])
        tensors["energy"] = np.array([self.constant_, self.energy_scale_])
        tensors["shape"] = np.array(self._shape)
        save_tensors(path, tensors, {"format": FORMAT, **self._kind()})

    def load(self, path: str | os.PathLike, *, backend: str = "numpy") -> Self:
        """Continue where another one of the same hidden layers, activation and features was saved.

        Raises
        ------
        FileNotFoundError, ValueError
            No file, no safetensors file, not written by `save`, or by one of another kind; no such backend.
        """
        get_backend(backend)
        tensors, metadata = load_tensors(path)
        name = repr(os.fspath(path))
        if metadata.get("format") != FORMAT:
            raise ValueError(f"{name} is a safetensors file, but not one of NeuralForceField.save")
        kind = self._kind()
        differs = [
            f"{k}: {metadata.get(k)} there, {own} here" for k, own in kind.items() if metadata.get(k) != own
        ]
        if differs:
            raise ValueError(f"{name} holds a force field of another kind ({'; '.join(differs)})")
        network = {k.removeprefix("network."): x for k, x in tensors.items() if k.startswith("network.")}
        try:
            mean_x, scale_x = (asarray(x, backend) for x in tensors["features"])
            constant, scale_E = tensors["energy"].tolist()
            n_atoms, dimensions = tensors["shape"].tolist()
            dtype = network["0.0.weight"].dtype
            model = self._build(len(mean_x), n_atoms * dimensions, dtype, backend)
            model.load_state_dict(network)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{name} is damaged: {error!r}") from error
        self.model_, self._shape = model, (n_atoms, dimensions)
        self.feature_mean_, self.feature_scale_ = mean_x, scale_x
        self.constant_, self.energy_scale_ = constant, scale_E
        return self

    @property
    def _weights(self) -> Array:
        return self.model_.theta

    def _predict(self, R: Array) -> tuple[Array, Array]:
        rows = energy_rows(self.features, R, self.feature_mean_, self.feature_scale_)
        predicted = self.model_.predict(rows).astype(R.dtype, copy=False)
        E = self.constant_ + self.energy_scale_ * predicted[:, 0]
        return E, self.energy_scale_ * predicted[:, 1:].reshape(R.shape)

    def _check_training(self, R: Array, E: Array, F: Array) -> tuple[Array, Array, Array]:
        R, E, F = self._check_data(R, E, F)
        if E is None and F is None:
            raise ValueError("E and F are both missing; wanted energies, forces or both")
        self.features(R)  # has more to say about R, that two atoms coincide for one
        return R, E, F

    def _check_validation(
        self, validation: tuple[Array, Array, Array], R: Array, E: Array, F: Array
    ) -> tuple[Array, Array, Array]:
        """The validation set, checked against the training set R, E, F."""
        if not isinstance(validation, (tuple, list)) or len(validation) != 3:
            raise TypeError("validation must be a tuple (R, E, F), with None for what is not trained on")
        try:
            checked = self._check_training(*validation)
            if checked[0].shape[1:] != R.shape[1:]:
                raise ValueError(f"R has shape {checked[0].shape}; the training set has {R.shape}")
            for name, trained, held_out in zip("EF", (E, F), checked[1:], strict=True):
                if (trained is None) != (held_out is None):
                    words = ("given", "none") if trained is None else ("missing", "some")
                    raise ValueError(f"{name} is {words[0]}, but the training set has {words[1]}")
            get_array_module(training=R, validation=checked[0])
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation: {error}") from error
        return checked

    def _build(
        self,
        n_features: int,
        n_coordinates: int,
        dtype: object,
        backend: str,
        rng: np.random.Generator | None = None,
    ) -> Sequential:
        widths = [n_features, *(check_integer(n, "hidden", low=1) for n in np.atleast_1d(self.hidden))]
        layers: list[Layer] = []
        for n_in, n_out in itertools.pairwise(widths):
            layers += [Dense(n_in, n_out), self._make_activation()]
        energy = EnergyAndForces(*layers, Dense(widths[-1], 1), n_coordinates=n_coordinates)
        return Sequential(energy, rng=rng, dtype=dtype, backend=backend)

    def _make_activation(self) -> Layer:
        if not callable(self.activation):
            raise TypeError(
                f"activation must make a layer, like the class tinynn.nn.SiLU; got {self.activation!r}"
            )
        return self.activation()

    def _kind(self) -> dict[str, str]:
        """What a file has to agree in."""
        return {
            "hidden": str(np.atleast_1d(self.hidden).tolist()),
            "activation": repr(self._make_activation()),
            "features": repr(self.features),
        }


def _mean_and_deviation(X: Array) -> tuple[Array, Array]:
    """Of every column of X (M, n); a constant one counts with deviation 1."""
    scaler = StandardScaler().fit(X)
    return scaler.mean_, scaler.scale_


def _root_mean_square(F: Array) -> float:
    return 0.0 if F is None else float(get_array_module(F).sqrt((F**2).mean()))
