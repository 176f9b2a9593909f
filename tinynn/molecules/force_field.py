"""What models of a molecule's energy and forces share: the checks and blocks of their predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.estimator import Estimator, check_is_fitted
from tinynn.molecules.features import Features
from tinynn.molecules.geometry import check_positions
from tinynn.validation import check_array

BLOCK = 256  # configurations whose Jacobians a prediction holds at a time


class ForceField(Estimator):
    """Base of the models: a subclass gives `_weights` and `_predict`, its `fit` sets `_shape`."""

    features: Features
    _shape: tuple[int, int]  # atoms and dimensions

    @property
    def _weights(self) -> Array:
        """What it has learned, an array of the library in which it computes."""
        raise NotImplementedError(f"{type(self).__name__} does not define _weights")

    def _predict(self, R: Array) -> tuple[Array, Array]:
        """Energies (M,) and forces (M, N, D) of a block of configurations R (M, N, D)."""
        raise NotImplementedError(f"{type(self).__name__} does not define _predict")

    @property
    def xp(self) -> ModuleType:
        """The array library of what `fit` was given."""
        check_is_fitted(self)
        return get_array_module(self._weights)

    def predict(self, R: Array) -> tuple[Array, Array]:
        """Energy and forces.

        Parameters
        ----------
        R : array (M, N, D) or (N, D)

        Returns
        -------
        E : array (M,), or a number for a single configuration
        F : array of the shape of R
            Minus the gradient of E.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If R has another shape than in `fit`, or two atoms coincide.
        """
        return self._in_blocks(self._predict, R)

    def _in_blocks(self, predict: Callable[[Array], tuple[Array, Array]], R: Array) -> tuple[Array, Array]:
        """What `predict` says of R (M, N, D) or (N, D), which is checked, a block at a time."""
        R = self._check_positions(R)
        samples = R.reshape(-1, *self._shape)
        blocks = [predict(samples[i : i + BLOCK]) for i in range(0, len(samples), BLOCK)]
        E, F = (self.xp.concatenate(parts) for parts in zip(*blocks, strict=True))
        return (E, F) if R.ndim == 3 else (E[0], F[0])

    def _check_positions(self, R: Array, ndim: int | Sequence[int] = (2, 3)) -> Array:
        """R, once it is known to be of the molecule that `fit` saw."""
        check_is_fitted(self)
        R = check_positions(R, ndim=ndim)
        get_array_module(R=R, model=self._weights)
        if R.shape[-2:] != self._shape:
            n_atoms, dimensions = self._shape
            raise ValueError(
                f"R has shape {R.shape}: {R.shape[-2]} atoms in {R.shape[-1]} dimensions; this "
                f"{type(self).__name__} knows molecules of {n_atoms} atoms in {dimensions} dimensions"
            )
        return R

    def _check_data(self, R: Array, E: Array, F: Array) -> tuple[Array, Array, Array]:
        """What to learn from: E (M,) in float64, F (M, N, D) in the dtype of R, None where not given."""
        get_array_module(R=R, E=E, F=F)
        if not isinstance(self.features, Features):
            raise TypeError(f"features must be Features, with a Jacobian; got {self.features!r}")
        R = check_positions(R, min_atoms=2, ndim=3)
        E = None if E is None else check_array(E, "E", shape=R.shape[:1], dtype=np.float64, like=R)
        F = None if F is None else check_array(F, "F", shape=R.shape, dtype=R.dtype, like=R)
        return R, E, F
