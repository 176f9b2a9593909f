"""How often numbers cross between host and device in a training: each time, one waits for the other."""

from collections import Counter

import numpy as np
import pytest
from strict_array import crossings

from tinynn.backend import asarray
from tinynn.kernels import GaussianProcessRegressor, KernelRidge
from tinynn.linear_model import Ridge
from tinynn.molecules import EnergyForceRegressor, LennardJones
from tinynn.nn import BinaryCrossEntropy, CrossEntropy, Dense, Dropout, MeanSquaredError, Sequential, Tanh
from tinynn.optim import Adam, CosineDecay
from tinynn.training import EarlyStopping, fit

BATCH = 8
READS_A_STEP = 2  # step by step: the loss, and whether its gradient is finite


def of_training(backend, n_batches, epochs, layer=Tanh, loss=MeanSquaredError, targets=None, stop=None):
    """Crossings of a training with so many batches and epochs."""
    rng = np.random.default_rng(0)
    X = asarray(rng.standard_normal((n_batches * BATCH, 3)), backend, "float32")
    y = rng.standard_normal((len(X), 2)) if targets is None else targets(rng, len(X))
    model = Sequential(Dense(3, 4), layer(), Dense(4, 2), rng=0, backend=backend)
    data, callbacks = (X, asarray(y, backend)), [] if stop is None else [EarlyStopping(stop)]
    crossings.clear()
    fit(
        model,
        data,
        loss=loss(),
        optimizer=Adam(CosineDecay(1e-3, 100)),
        epochs=epochs,
        batch_size=BATCH,
        validation=data if callbacks else None,
        callbacks=callbacks,
        progress=False,
        rng=0,
    )
    return Counter(crossings)


def total(counts):
    return sum(counts.values())


CASES = {
    "numbers": {},
    "labels": {"loss": CrossEntropy, "targets": lambda rng, M: rng.integers(0, 2, M)},
    "probabilities": {"loss": BinaryCrossEntropy, "targets": lambda rng, M: rng.random((M, 2))},
    "early stopping": {"stop": 9},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_data_stay_on_the_device_for_a_whole_fit(strict_backend, options):
    few, many = (of_training(strict_backend, n, 2, **options) for n in (3, 13))
    more = many - few
    assert not {"array", "get", "tolist"} & more.keys()  # numbers one by one, never an array
    assert total(more) == 0  # steps are recorded, and losses read once an epoch
    long = of_training(strict_backend, 3, 12, **options)
    an_epoch = {way: (long - few)[way] / 10 for way in long}
    # an order of the samples enters; two losses leave, and whether all is finite
    assert an_epoch.get("array", 0) <= 2
    assert total(an_epoch) <= 6
    assert total(few) < 30  # the checks before, of data and network


def test_of_dropout_a_mask_enters_in_every_step(strict_backend):
    """NumPy draws it, so that it is the same on every library."""
    few, many = (of_training(strict_backend, n, 1, layer=lambda: Dropout(0.2)) for n in (3, 13))
    assert (many - few)["array"] <= 10
    assert total(many - few) <= (READS_A_STEP + 1) * 10


def of_fit(backend, fit, *shapes):
    """Crossings of a fit to M samples, for two M."""
    counts = []
    for arrays in shapes:
        moved = [asarray(a, backend) for a in arrays]
        crossings.clear()
        fit(*moved)
        counts.append(Counter(crossings))
    return counts


rng = np.random.default_rng(0)
R = rng.standard_normal((12, 3, 3)) + 2 * np.eye(3)
E, F = LennardJones().predict(R)


@pytest.mark.parametrize(
    "fit",
    [
        Ridge().fit,
        KernelRidge(kernel="rbf").fit,
        GaussianProcessRegressor(optimizer=None, alpha=0.1).fit,
    ],
    ids=["Ridge", "KernelRidge", "GaussianProcessRegressor"],
)
def test_estimators_read_no_more_of_more_data(strict_backend, fit):
    samples = [(rng.standard_normal((M, 3)), rng.standard_normal(M)) for M in (20, 200)]
    few, many = of_fit(strict_backend, fit, *samples)
    assert few == many
    assert "get" not in few


def test_a_force_field_reads_no_forces(strict_backend):
    model = EnergyForceRegressor(alpha=1e-6)
    few, many = of_fit(
        strict_backend, lambda *a: model.fit(*a, progress=False), *((R[:M], E[:M], F[:M]) for M in (4, 12))
    )
    assert "get" not in few | many
    assert total(many) == total(few) < 40


def test_early_stopping_keeps_the_best_parameters_where_they_are(strict_backend):
    X = asarray(rng.standard_normal((9, 3)), strict_backend, "float32")
    model, stop = Sequential(Dense(3, 2), rng=0, backend=strict_backend), EarlyStopping(2)
    data = X, X[:, :2]
    fit(
        model,
        data,
        loss=MeanSquaredError(),
        optimizer=Adam(),
        epochs=2,
        validation=data,
        callbacks=[stop],
        progress=False,
    )
    assert type(stop.best_theta) is type(model.theta)
    assert type(stop.state_dict()["best_theta"]) is np.ndarray
