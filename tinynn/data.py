"""Samples and mini-batches: Dataset, DataLoader, split; and configurations of a molecule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tinynn.backend import Array, asarray, get_array_module
from tinynn.validation import check_array, check_integer, check_number, check_same_length


class Configurations(NamedTuple):
    """M configurations of the same N atoms.

    Attributes
    ----------
    z : array of int (N,)
        Atomic numbers.
    R : array (M, N, 3)
        Positions in Å.
    E : array (M,) or None
        Energies, in the unit that their source states or was asked for.
    F : array (M, N, 3) or None
        Forces -dE/dR in that unit per Å.
    """

    z: np.ndarray
    R: np.ndarray
    E: np.ndarray | None
    F: np.ndarray | None


class Dataset:
    """M samples with their targets.

    Parameters
    ----------
    X : array (M, ...)
        Inputs, one sample a row: features (M, n), configurations (M, N, D). float32 and float64 are kept
        and not copied, integers become float64.
    y : array (M, ...)
        Targets. Integers stay integers, for they are class labels; anything else is treated like X.

    Raises
    ------
    TypeError
        Sparse or text data, objects that are no numbers, or NumPy mixed with CuPy.
    ValueError
        Complex data, different numbers of samples, no samples, NaN or inf.
    """

    def __init__(self, X: Array, y: Array):
        xp = get_array_module(X=X, y=y)
        self.X = check_array(X, "X")
        self.y = check_array(y, "y")
        for name, a in (("X", self.X), ("y", self.y)):
            if a.ndim == 0:
                raise ValueError(f"{name} is a single number; wanted (M, ...), one row a sample")
        check_same_length(X=self.X, y=self.y)
        labels = xp.asarray(y)
        if labels.dtype.kind in "iu":
            self.y = labels  # the checks saw them as floats

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: int | slice | Array) -> tuple[Array, Array]:
        return self.X[index], self.y[index]

    def __repr__(self) -> str:
        return f"Dataset(X: {self.X.dtype} {self.X.shape}, y: {self.y.dtype} {self.y.shape})"


class DataLoader:
    """Mini-batches: iterating over it is one epoch, in which every sample occurs once.

    Parameters
    ----------
    dataset : Dataset
    batch_size : int
        Samples per batch; the last batch may be smaller.
    shuffle : bool
        Draw a new order each epoch. If not, the batches are views of the data in their order.
    rng : int, Generator or None
        Where the orders come from. Both array libraries get the same orders from the same seed.
    drop_last : bool
        Leave out a smaller last batch, so that all batches have one size. With `shuffle` other
        samples are left out each epoch.

    Attributes
    ----------
    rng : numpy.random.Generator
        Its state, ``rng.bit_generator.state``, is all that a later epoch depends on.

    Raises
    ------
    TypeError, ValueError
        If `dataset` is no Dataset, or `batch_size` not a positive integer, or with `drop_last` larger
        than the data, which would leave no batch.

    References
    ----------
    S0 1.2.2; S4, training strategy.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 16,
        shuffle: bool = True,
        rng: int | np.random.Generator | None = None,
        drop_last: bool = False,
    ):
        _check_dataset(dataset)
        batch_size = check_integer(batch_size, "batch_size", low=1)
        if drop_last and batch_size > len(dataset):
            raise ValueError(
                f"batch_size is {batch_size} but the data have {len(dataset)} samples: "
                "drop_last=True would leave no batch"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.rng = np.random.default_rng(rng)
        self.drop_last = drop_last

    def __len__(self) -> int:
        """Batches per epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def order(self) -> Array:
        """The row numbers (M,) in the order of the next epoch."""
        X = self.dataset.X
        return _random_order(X, self.rng) if self.shuffle else get_array_module(X).arange(len(X))

    def cut(self, order: Array) -> list[Array]:
        """Row numbers (..., M) cut into those of the batches, views of them."""
        size = self.batch_size
        return [order[..., start : start + size] for start in range(0, len(self) * size, size)]

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        X, y = self.dataset.X, self.dataset.y
        if not self.shuffle:
            size = self.batch_size
            yield from (self.dataset[i * size : (i + 1) * size] for i in range(len(self)))
            return
        for rows in self.cut(self.order()):
            yield X.take(rows, axis=0), y.take(rows, axis=0)


def split(
    dataset: Dataset,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    rng: int | np.random.Generator | None = None,
) -> tuple[Dataset, ...]:
    """Divide the samples at random: by default 60 % to train, 20 % to validate, 20 % to test.

    Every sample goes to exactly one part. Augment after splitting, not before, or copies of one
    sample end up on both sides.

    Parameters
    ----------
    dataset : Dataset
        M samples.
    fractions : sequence of float
        Share of each part, summing to one; part k ends at M (f_1 + ... + f_k), rounded.
    rng : int, Generator or None
        Draws the order.

    Raises
    ------
    TypeError, ValueError
        If `dataset` is no Dataset, a fraction not in (0, 1], their sum not one, or a part empty.

    References
    ----------
    S4, training strategy.
    """
    _check_dataset(dataset)
    M = len(dataset)
    shares = [check_number(f, "fractions", low=0, high=1, closed="right") for f in np.atleast_1d(fractions)]
    if not np.isclose(sum(shares), 1, rtol=0, atol=1e-9):
        raise ValueError(f"fractions must sum to 1; {tuple(shares)} sum to {sum(shares):g}")
    ends = np.rint(M * np.cumsum(shares)).astype(int)
    sizes = np.diff(ends, prepend=0)
    if not sizes.all():
        raise ValueError(
            f"fractions {tuple(shares)} of {M} samples are {tuple(map(int, sizes))}: a part is empty"
        )
    order = _random_order(dataset.X, np.random.default_rng(rng))
    return tuple(Dataset(*dataset[order[end - size : end]]) for end, size in zip(ends, sizes, strict=True))


def _random_order(X: Array, rng: np.random.Generator) -> Array:
    """The row numbers of X in random order: drawn by NumPy, so that CuPy gets the same ones."""
    return asarray(rng.permutation(len(X)), backend=get_array_module(X).__name__)


def _check_dataset(dataset: object) -> None:
    if not isinstance(dataset, Dataset):
        raise TypeError(f"dataset must be a tinynn.data.Dataset; got {type(dataset).__name__}")
