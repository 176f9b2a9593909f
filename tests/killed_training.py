"""A training of lesson size that can be killed: everything a resumed training has to get right is in it."""

from pathlib import Path

import killed
import numpy as np

from tinynn.nn import Dense, Dropout, MeanSquaredError, Residual, Sequential, SiLU, Tanh
from tinynn.optim import Adam, CosineDecay
from tinynn.training import Checkpoint, EarlyStopping, fit

EPOCHS = 80


def train(checkpoint, epochs=EPOCHS, every=1, **kwargs):
    """The model, its optimizer, history and early stopping after training with this checkpoint file."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(170, 8))  # batches of 16, the last one of 10
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.3 * rng.normal(size=170)
    model = Sequential(
        *(Dense(8, 32), Tanh(), Dropout(0.1), Dense(32, 64), SiLU()),
        *(Residual(Dense(64, 64), Dropout(0.2), Tanh()), Dense(64, 32), SiLU(), Dense(32, 1)),
        rng=1,
    )
    optimizer, early = Adam(CosineDecay(1e-2, steps=600)), EarlyStopping(patience=40)
    history = fit(
        model,
        (X[:130], y[:130]),
        loss=MeanSquaredError(),
        optimizer=optimizer,
        epochs=epochs,
        validation=(X[130:], y[130:]),
        callbacks=[Checkpoint(checkpoint, every=every), early, *kwargs.pop("callbacks", ())],
        rng=2,
        progress=False,
        **kwargs,
    )
    return model, optimizer, history, early


def resume(checkpoint, **kwargs):
    return train(checkpoint, resume=checkpoint if Path(checkpoint).exists() else None, **kwargs)


if __name__ == "__main__":
    killed.run(resume)
