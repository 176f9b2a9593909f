"""A network for the energy of a molecule together with its slope, the forces; and the loss of both.

What the network sees of a molecule is a row ``[x, dx/dR]``: its P features, and their Jacobian by the C
coordinates. What it answers is a row ``[e, f]``: the energy, and f = -de/dR by backpropagation to the
inputs. So it is a layer like any other, and `tinynn.training.fit` trains it.
"""

from __future__ import annotations

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.molecules.features import Features
from tinynn.nn import Chain, Layer, Loss
from tinynn.nn.layers import Cached, Shape
from tinynn.validation import check_integer, check_number


class EnergyAndForces(Chain):
    """Layers that map features to an energy, asked for its forces as well.

    With the Jacobian J = dx/dR of one molecule, by the chain rule::

        e = net(x)
        f = -de/dR = -J' de/dx

    The loss L depends on the parameters θ through both. With v = J dL/df, its gradient is that of
    the sum over molecules::

        dL/de e(x) - v . de/dx(x)

    where dL/de and v are held fixed. The second term is the change of e as x moves along -v. Its gradient is
    the tangent of the backward pass, which carries the first along for nothing: one
    `Layer.backward_tangent` for ẋ = -v, dẎ = dL/de, no differences, no second network.

    Parameters
    ----------
    *layers : Layer
        From P features to one energy; all with tangents: Dense, Residual, Tanh, Sigmoid, Softplus, SiLU,
        or your own. With a kink in the energy, forces would jump and could not be learned.
    n_coordinates : int
        C, the coordinates of all atoms: N atoms in D dimensions have C = N D.

    Raises
    ------
    TypeError, ValueError
        No layers, a layer without tangents, more than one output, or `n_coordinates` no positive integer.

    References
    ----------
    S3 19.1; Pearlmutter, Neural Comput. 6, 147 (1994); Witkoskie and Doren, J. Chem. Theory Comput. 1, 14
    (2005), for networks that learn from energies and forces.
    """

    J, g = Cached(), Cached()

    def __init__(self, *layers: Layer, n_coordinates: int) -> None:
        super().__init__(*layers)
        self.n_coordinates = check_integer(n_coordinates, "n_coordinates", low=1)
        for i, layer in enumerate(layers):
            if not layer.has_tangents:
                raise TypeError(
                    f"layer {i}, {layer!r}, has no tangents. Forces are slopes of the energy, and to learn "
                    "them takes second derivatives: Tanh, Sigmoid, Softplus, SiLU, Dense, Residual have them"
                )
        if super().n_in is None:
            raise ValueError("no layer says how many features it takes; wanted a Dense among them")
        self.n_features: int = super().n_in  # type: ignore[assignment]
        after = super().output_shape((1, self.n_features))
        if after != (1, 1):
            raise ValueError(
                f"the layers map {self.n_features} features to shape {after}; wanted one energy, (1, 1)"
            )

    @property
    def n_in(self) -> int:  # type: ignore[override]
        """P (1 + C), the width of [x, dx/dR]."""
        return self.n_features * (1 + self.n_coordinates)

    def forward(self, X: Array) -> Array:
        """[e, f] (M, 1 + C) for rows [x, dx/dR] (M, P (1 + C)), the Jacobian feature by feature."""
        x, J = X[..., : self.n_features], X[..., self.n_features :]
        self.J = J.reshape(*X.shape[:-1], -1, self.n_coordinates)
        e = super().forward(x)
        self.g = super().backward_input(self.xp.ones_like(e))  # de/dx
        f = -self.xp.einsum("...p,...pc->...c", self.g, self.J)  # f = -de/dR = -J' de/dx              S3 19.1
        return self.xp.concatenate([e, f], axis=-1)

    # no tangents: these would need third derivatives of the layers

    def backward(self, dY: Array) -> Array:
        dx = self._backward_energy(dY)
        dJ = -self.g[..., :, None] * dY[..., None, 1:]
        return self.xp.concatenate([dx, dJ.reshape(*dx.shape[:-1], -1)], axis=-1)

    def backward_parameters(self, dY: Array) -> None:
        self._backward_energy(dY)

    def _backward_energy(self, dY: Array) -> Array:
        de, df = dY[..., :1], dY[..., 1:]
        v = self.xp.einsum("...pc,...c->...p", self.J, df)  # v = J dL/df
        super().forward_tangent(-v)
        _, dx = super().backward_tangent(self.xp.ones_like(de), de)
        return dx

    def output_shape(self, shape: Shape) -> Shape:
        if shape[1:] != (self.n_in,):
            raise ValueError(f"{self!r} wants {self.n_in} inputs but is given {shape[1]}")
        return shape[0], 1 + self.n_coordinates

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, n_coordinates={self.n_coordinates})"


class EnergyForceLoss(Loss):
    """w_E 1/M sum_m (e_m - e*_m)² + w_F 1/(M C) sum_m |f_m - f*_m|², for rows [e, f] and targets [e*, f*].

    Parameters
    ----------
    energy_weight, force_weight : float
        w_E and w_F, not negative; 0 leaves a term out.
    """

    weighted_error = Cached()
    settings = ("energy_weight", "force_weight")

    def __init__(self, energy_weight: float = 1.0, force_weight: float = 1.0) -> None:
        self.energy_weight = check_number(energy_weight, "energy_weight", low=0)
        self.force_weight = check_number(force_weight, "force_weight", low=0)

    def check_target(self, target: Array, shape: Shape, dtype: np.dtype) -> Array:
        if shape[1] < 2:
            raise ValueError(f"prediction has shape {shape}; wanted [e, f], (any, 2 or more)")
        return super().check_target(target, shape, dtype)

    def compute(self, prediction: Array, target: Array) -> Array:
        xp = self._keep(prediction, target)
        error = prediction - target
        e, f = error[..., :1, :1], error[..., :1, 1:]
        weights = [xp.full_like(e, self.energy_weight), xp.full_like(f, self.force_weight / f.shape[-1])]
        self.weighted_error = xp.concatenate(weights, axis=-1) * error
        return self._mean(self.weighted_error * error)

    def backward(self) -> Array:
        return self.weighted_error * (2 / self.weighted_error.shape[-2])

    def __repr__(self) -> str:
        return f"EnergyForceLoss(energy_weight={self.energy_weight:g}, force_weight={self.force_weight:g})"


def energy_rows(features: Features, R: Array, mean: Array, scale: Array) -> Array:
    """[x, dx/dR] (M, P (1 + N D)) of the features x = (x(R) - mean) / scale, in the dtype of R (M, N, D)."""
    x = (features(R) - mean) / scale
    J = features.jacobian(R).reshape(*x.shape, -1) / scale[:, None]
    return get_array_module(R).concatenate([x, J.reshape(len(x), -1)], axis=1).astype(R.dtype, copy=False)


def energy_targets(R: Array, E: Array, F: Array, mean: float, scale: float) -> Array:
    """[e, f] (M, 1 + N D), energies from their mean and both in units of `scale`; what is missing is 0."""
    y = get_array_module(R).zeros((len(R), 1 + R[0].size))
    if E is not None:
        y[:, 0] = (E - mean) / scale
    if F is not None:
        y[:, 1:] = F.reshape(len(R), -1) / scale
    return y
