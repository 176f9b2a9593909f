import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinynn.data import DataLoader, Dataset, split

property_test = settings(deadline=None, max_examples=60)


def numbered(M, n=3):
    """A dataset whose sample i has X[i, 0] == y[i] == i, so that every batch tells what it holds."""
    X = np.random.default_rng(0).normal(size=(M, n))
    X[:, 0] = np.arange(M)
    return Dataset(X, np.arange(M))


# Dataset


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_kept_and_not_copied(dtype):
    X, y = np.ones((4, 2), dtype), np.ones((4, 1), dtype)
    data = Dataset(X, y)
    assert np.shares_memory(data.X, X)
    assert np.shares_memory(data.y, y)
    assert data.X.dtype == data.y.dtype == dtype


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8"])
def test_integers_become_floats_in_X_but_stay_labels_in_y(dtype):
    data = Dataset(np.ones((4, 2), dtype), np.arange(4, dtype=dtype))
    assert data.X.dtype == np.float64
    assert data.y.dtype == dtype


def test_lists_configurations_and_booleans():
    data = Dataset(np.zeros((2, 5, 3)).tolist(), [True, False])
    assert data.X.shape == (2, 5, 3)
    assert data.y.dtype == np.float64


@pytest.mark.parametrize("index", [2, -1, slice(1, 4), np.array([3, 0, 3]), [1, 2]])
def test_index_gives_samples_with_their_targets(index):
    data = numbered(5)
    X, y = data[index]
    np.testing.assert_array_equal(X, data.X[index])
    np.testing.assert_array_equal(y, data.y[index])


def test_dataset_length_repr_and_iteration():
    data = numbered(5)
    assert len(data) == 5
    assert repr(data) == "Dataset(X: float64 (5, 3), y: int64 (5,))"
    assert [int(y) for _, y in data] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (np.ones((3, 2)), np.ones(4), ValueError, "X has 3, y has 4"),
        (np.ones((0, 2)), np.ones(0), ValueError, "X is empty"),
        (np.ones((3, 0)), np.ones(3), ValueError, "X is empty"),
        ([[1.0, np.nan]], [1.0], ValueError, "X contains 1 NaN"),
        ([[1.0, 2.0]], [np.inf], ValueError, "y contains 1 inf"),
        (1.0, [1.0], ValueError, "X is a single number"),
        ([[1.0]], 1, ValueError, "y is a single number"),
        (np.array([[1, None]]), [1], TypeError, "X has dtype object"),
        ([[1.0]], ["water"], TypeError, "y has dtype"),
        ([[1.0], [1.0, 2.0]], [1, 2], ValueError, "X is not a rectangular array"),
    ],
)
def test_dataset_refuses(X, y, error, message):
    with pytest.raises(error, match=message):
        Dataset(X, y)


# DataLoader


@property_test
@given(st.integers(1, 60), st.integers(1, 70), st.booleans(), st.booleans(), st.integers(0, 99))
def test_an_epoch_holds_every_sample_once(M, size, shuffle, drop_last, seed):
    assume(not (drop_last and size > M))
    loader = DataLoader(numbered(M), size, shuffle, seed, drop_last)
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader)
        assert all(len(X) == len(y) == size for X, y in batches[:-1])
        X, y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
        np.testing.assert_array_equal(X, loader.dataset.X[y])  # rows whole, targets beside them
        assert len(np.unique(y)) == len(y) == (M - M % size if drop_last else M)
        if not shuffle:
            np.testing.assert_array_equal(y, np.arange(len(y)))


def test_each_epoch_draws_the_next_permutation_of_the_seed():
    loader, rng = DataLoader(numbered(40), 16, rng=7), np.random.default_rng(7)
    for _ in range(3):
        order = np.concatenate([y for _, y in loader])
        np.testing.assert_array_equal(order, rng.permutation(40))


def test_same_bits_again_from_the_saved_state_of_rng():
    loader = DataLoader(numbered(40), rng=0)
    list(loader)
    state = loader.rng.bit_generator.state
    expected = [y for _, y in loader]
    loader.rng.bit_generator.state = state
    np.testing.assert_equal([y for _, y in loader], expected)


def test_without_shuffling_batches_are_views_and_nothing_is_drawn():
    loader = DataLoader(numbered(40), shuffle=False, rng=0)
    state = loader.rng.bit_generator.state
    assert all(np.shares_memory(X, loader.dataset.X) for X, _ in loader)
    assert loader.rng.bit_generator.state == state


def test_batches_keep_the_dtypes():
    loader = DataLoader(Dataset(np.ones((5, 2), np.float32), np.arange(5, dtype=np.int16)), 2)
    assert all(X.dtype == np.float32 and y.dtype == np.int16 for X, y in loader)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer"),
        ({"batch_size": 11, "drop_last": True}, ValueError, "batch_size is 11 but the data have 10"),
    ],
)
def test_loader_refuses(kwargs, error, message):
    with pytest.raises(error, match=message):
        DataLoader(numbered(10), **kwargs)


def test_only_datasets_are_taken():
    with pytest.raises(TypeError, match=r"dataset must be a tinynn\.data\.Dataset; got tuple"):
        DataLoader((np.ones((3, 1)), np.ones(3)))
    with pytest.raises(TypeError, match=r"dataset must be a tinynn\.data\.Dataset; got ndarray"):
        split(np.ones((3, 1)))


# split


def test_split_is_60_20_20():
    assert [len(part) for part in split(numbered(500), rng=0)] == [300, 100, 100]


@property_test
@given(st.integers(1, 200), st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 99))
def test_split_is_disjoint_and_complete(M, weights, seed):
    fractions = np.array(weights) / sum(weights)
    assume((M * fractions > 1).all())  # rounding takes less than one sample from a part
    parts = split(numbered(M), fractions, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([part.y for part in parts])), np.arange(M))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - M * fraction) <= 1
        np.testing.assert_array_equal(part.X[:, 0], part.y)


def test_split_is_random_and_repeatable():
    first, second, other = (split(numbered(50), rng=seed) for seed in (0, 0, 1))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.y, b.y)
    assert (first[0].y != other[0].y).any()
    assert (np.sort(first[0].y) != np.arange(30)).any()


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.6, 0.2), r"fractions must sum to 1; \(0.6, 0.2\) sum to 0.8"),
        (0.8, "fractions must sum to 1"),
        ((1.2, -0.2), r"fractions must lie in \(0, 1\]"),
        ((1.0, 0.0), r"fractions must lie in \(0, 1\]"),
        ((0.98, 0.01, 0.01), r"10 samples are \(10, 0, 0\): a part is empty"),
    ],
)
def test_split_refuses(fractions, message):
    with pytest.raises(ValueError, match=message):
        split(numbered(10), fractions)
