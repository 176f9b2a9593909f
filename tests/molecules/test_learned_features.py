"""NetworkFeatures: their Jacobian is that of the prediction, whatever the network has been through."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tinynn.molecules import NetworkFeatures, inverse_distances
from tinynn.nn import Chain, Dense, Dropout, Sequential, Tanh

from .cases import configurations


class Doubled(Chain):
    """A user's own layer, with what a layer needs and no more."""

    def forward(self, X):
        return 2 * super().forward(X)

    def backward(self, dY):
        return super().backward(2 * dY)


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("layer", [Dropout(0.5), Doubled(Dense(8, 8))], ids=repr)
def test_the_jacobian_is_that_of_the_prediction(layer, trained):
    network = Sequential(Dense(6, 8), Tanh(), layer, Dense(8, 3), rng=0, dtype="float64")
    features, R = NetworkFeatures(network, inverse_distances), configurations(5, 4, 3)
    if trained:
        network.backward(network.forward(inverse_distances(R)))
    grad = network.grad.copy()
    step = 1e-5 * np.random.default_rng(0).standard_normal(R.shape)
    difference = (features(R + step) - features(R - step)) / 2
    assert_allclose((features.jacobian(R) * step[:, None]).sum(axis=(2, 3)), difference, atol=1e-12)
    assert_array_equal(network.grad, grad)
