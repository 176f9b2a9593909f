"""Learned features: what a network makes of the features of a molecule."""

from __future__ import annotations

from tinynn.backend import Array, get_array_module
from tinynn.molecules.features import Features
from tinynn.nn import Sequential


class NetworkFeatures(Features):
    """phi(R) = network(features(R)); P is the number of the network's outputs.

    Under a kernel they make a deep kernel, k(phi(R), phi(S)); see `FeatureKernel`. What is invariant for the
    features below is so for phi. To learn them, train a network to predict energies from the
    features, then take what its last hidden layer says::

        phi = NetworkFeatures(Sequential(*copy.deepcopy(network).layers[:-1], dtype=network.dtype), features)

    Parameters
    ----------
    network : Sequential
        Its outputs are computed in the network's dtype and returned in that of R.
    features : Features
        What the network sees.

    References
    ----------
    S3, 21.1; Wilson, Hu, Salakhutdinov and Xing, Deep kernel learning, AISTATS 2016.
    """

    def __init__(self, network: Sequential, features: Features) -> None:
        self.network = network
        self.features = features

    def __call__(self, R: Array) -> Array:
        X = self.features(R)
        rows = X.reshape(-1, X.shape[-1])  # a single configuration is one row
        return self.network.predict(rows).astype(X.dtype).reshape(*X.shape[:-1], -1)

    def jacobian(self, R: Array) -> Array:
        X, dX = self.features(R), self.features.jacobian(R)
        xp = get_array_module(X)
        network = self.network.inference_copy()
        Y = network.forward(X.reshape(-1, X.shape[-1]))
        rows = []
        for k in range(Y.shape[1]):
            dY = xp.zeros(Y.shape, dtype=Y.dtype)
            dY[:, k] = 1
            rows.append(network.backward_input(dY))  # d phi_k / dX
        dphi = xp.stack(rows, axis=1).astype(X.dtype).reshape(*X.shape[:-1], -1, X.shape[-1])
        J = dphi @ dX.reshape(*dX.shape[:-2], -1)  # d phi / dR = d phi / dX dX / dR
        return J.reshape(*J.shape[:-1], *dX.shape[-2:])
