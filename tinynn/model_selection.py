"""How to judge a model: data it has not seen, k-fold cross-validation, validation and learning curve.

Whatever was used to choose (a degree, a penalty, a scaler) has seen the data it was chosen on; the
final number comes from a test set that nothing has touched. S3 4.2, 5.1.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinynn.backend import Array, get_array_module, to_numpy
from tinynn.estimator import Classifier, Estimator
from tinynn.metrics import mean_absolute_error, mean_squared_error
from tinynn.validation import check_integer, check_number, check_same_length

Scoring = str | Callable[[Any, Array, Array], float] | None
RandomState = int | np.random.Generator | None

# The larger the better, whatever the score: an error counts with a minus sign.
SCORES: dict[str, Callable[[Array, Array], float]] = {
    "neg_mean_squared_error": lambda y, y_pred: -mean_squared_error(y, y_pred),
    "neg_mean_absolute_error": lambda y, y_pred: -mean_absolute_error(y, y_pred),
}


def train_test_split(
    *arrays: Array,
    test_size: float | None = None,
    train_size: float | None = None,
    random_state: RandomState = None,
    shuffle: bool = True,
) -> list[Array]:
    """Split each array into a training and a test part, all by the same samples.

    Parameters
    ----------
    *arrays : array (M, ...)
        X, y, ... with one row a sample.
    test_size, train_size : float or int, optional
        Fraction of the M samples, or their number. By default what the other leaves, or a quarter
        for the test. A fraction of the test is rounded up, of the training down.
    random_state : int, Generator or None
        Where the order comes from.
    shuffle : bool
        Draw samples at random; else the last ones are the test.

    Returns
    -------
    list of arrays
        train and test part of the first array, then of the second ...

    Raises
    ------
    TypeError, ValueError
        If there is no array, the numbers of samples differ, or a part would be empty or too large.
    """
    if not arrays:
        raise ValueError("train_test_split needs at least one array")
    xp = get_array_module(*arrays)
    samples = [xp.asarray(a) for a in arrays]
    M = check_same_length(**{f"array {i}": a for i, a in enumerate(samples)})
    n_test = None if test_size is None else _count(test_size, "test_size", M, np.ceil)
    n_train = None if train_size is None else _count(train_size, "train_size", M, np.floor)
    if n_test is None:
        n_test = int(np.ceil(0.25 * M)) if n_train is None else M - n_train
    if n_train is None:
        n_train = M - n_test
    if n_train < 1 or n_test < 1 or n_train + n_test > M:
        raise ValueError(f"{M} samples cannot give {n_train} for training and {n_test} for the test")
    order = np.random.default_rng(random_state).permutation(M) if shuffle else np.arange(M)
    train, test = xp.asarray(order[:n_train]), xp.asarray(order[n_train : n_train + n_test])
    return [part for a in samples for part in (a[train], a[test])]


def _count(size: float, name: str, M: int, rounded: Callable[[float], float]) -> int:
    """A number of samples given as such or as a fraction of M."""
    if isinstance(size, float | np.floating):
        return int(rounded(check_number(size, name, low=0, high=1, closed="right") * M))
    return check_integer(size, name, low=1)


class KFold:
    """k folds of the samples; each fold is the test once, with the others to train on.

    Parameters
    ----------
    n_splits : int
        k, at least 2. The first M % k folds have one sample more.
    shuffle : bool
        Draw the folds at random; else they are consecutive, which is wrong for sorted data.
    random_state : int, Generator or None
        Where the order comes from.

    References
    ----------
    S3 5.1.
    """

    def __init__(self, n_splits: int = 5, *, shuffle: bool = False, random_state: RandomState = None):
        self.n_splits = check_integer(n_splits, "n_splits", low=2)
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(self, X: Array = None, y: Array = None, groups: Any = None) -> int:
        """k; the arguments are ignored."""
        return self.n_splits

    def split(self, X: Array, y: Array = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices (train, test) of the samples of X, k times; `groups` is ignored.

        Raises
        ------
        ValueError
            If there are fewer samples than folds.
        """
        M = len(X)
        if self.n_splits > M:
            raise ValueError(f"n_splits={self.n_splits} folds need as many samples; X has {M}")
        fold = self._folds(M, y, np.random.default_rng(self.random_state))
        for k in range(self.n_splits):
            yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)

    def _folds(self, M: int, y: Array, rng: np.random.Generator) -> np.ndarray:
        """The fold (M,) that each sample belongs to."""
        fold = np.sort(np.arange(M) % self.n_splits)
        return rng.permutation(fold) if self.shuffle else fold

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n_splits={self.n_splits}, shuffle={self.shuffle})"


class StratifiedKFold(KFold):
    """`KFold` with about the same share of every class in every fold, for classifiers.

    Parameters
    ----------
    n_splits, shuffle, random_state
        As for `KFold`; y is needed by `split`.
    """

    def _folds(self, M: int, y: Array, rng: np.random.Generator) -> np.ndarray:
        classes, index = np.unique(to_numpy(y), return_inverse=True)
        # Deal the samples out in the order of their class: fold k gets every k-th, as of cards.
        dealt = np.sort(index)
        fold = np.empty(M, int)
        for c in range(len(classes)):
            counts = [np.count_nonzero(dealt[k :: self.n_splits] == c) for k in range(self.n_splits)]
            folds = np.repeat(np.arange(self.n_splits), counts)
            fold[index == c] = rng.permutation(folds) if self.shuffle else folds
        return fold


def cross_val_score(
    estimator: Any, X: Array, y: Array, *, cv: Any = None, scoring: Scoring = None
) -> np.ndarray:
    """Score of the estimator on each fold, fitted on the other folds.

    Parameters
    ----------
    estimator : Estimator
        Left as it is; a copy is fitted for each fold.
    X : array (M, n)
    y : array (M,) or (M, n_outputs)
    cv : int, splitter or iterable of (train, test), optional
        A number of folds (5 by default) means `KFold`, for classifiers `StratifiedKFold`, without
        shuffling.
    scoring : str or callable, optional
        "neg_mean_squared_error", "neg_mean_absolute_error", or a function of (estimator, X, y); by
        default the estimator's own score: R2, or accuracy.

    Returns
    -------
    array (k,)

    Raises
    ------
    TypeError, ValueError
        If the numbers of samples differ, there are fewer samples than folds, `scoring` is unknown,
        or the estimator refuses the data.

    References
    ----------
    S3 5.1.
    """
    X, y, folds, score = _prepare(estimator, X, y, cv, scoring)
    models = [_clone(estimator).fit(X[train], y[train]) for train, _ in folds]
    return np.array([score(model, X[test], y[test]) for model, (_, test) in zip(models, folds, strict=True)])


def validation_curve(
    estimator: Any,
    X: Array,
    y: Array,
    *,
    param_name: str,
    param_range: Iterable[Any],
    cv: Any = None,
    scoring: Scoring = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores against one parameter: where training and test part ways, the model overfits.

    Parameters
    ----------
    estimator, X, y, cv, scoring
        As for `cross_val_score`.
    param_name : str
        What `set_params` takes, ``step__name`` in a pipeline.
    param_range : iterable
        Its values.

    Returns
    -------
    train_scores, test_scores : array (number of values, k)

    Raises
    ------
    TypeError, ValueError
        As `cross_val_score`, and for an unknown parameter.

    References
    ----------
    S3 4.2.
    """
    X, y, folds, score = _prepare(estimator, X, y, cv, scoring)
    models = [_clone(estimator).set_params(**{param_name: value}) for value in param_range]
    scores = [[_fit_and_score(model, X, y, train, test, score) for train, test in folds] for model in models]
    return _train_and_test(scores)


def learning_curve(
    estimator: Any,
    X: Array,
    y: Array,
    *,
    train_sizes: Sequence[float] = (0.1, 0.325, 0.55, 0.775, 1.0),
    cv: Any = None,
    scoring: Scoring = None,
    shuffle: bool = False,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores against the number of training samples: whether more data would help.

    Parameters
    ----------
    estimator, X, y, cv, scoring
        As for `cross_val_score`.
    train_sizes : sequence of float or int
        Fractions of the training part of a fold, or numbers of samples.
    shuffle : bool
        Draw which training samples come first; else it is their order in X.
    random_state : int, Generator or None
        Where that order comes from.

    Returns
    -------
    train_sizes : int array (number of sizes,)
        Numbers of samples.
    train_scores, test_scores : array (number of sizes, k)

    Raises
    ------
    TypeError, ValueError
        As `cross_val_score`, and for a size outside the training part.

    References
    ----------
    S3 4.2.
    """
    X, y, folds, score = _prepare(estimator, X, y, cv, scoring)
    largest = min(len(train) for train, _ in folds)
    sizes = [_count(size, "train_sizes", largest, np.floor) for size in train_sizes]
    if not all(1 <= size <= largest for size in sizes):
        raise ValueError(f"train_sizes are {sizes} samples; a fold has 1 to {largest}")
    if shuffle:
        rng = np.random.default_rng(random_state)
        folds = [(rng.permutation(train), test) for train, test in folds]
    scores = [
        [_fit_and_score(estimator, X, y, train[:size], test, score) for train, test in folds]
        for size in sizes
    ]
    return np.array(sizes), *_train_and_test(scores)


def _prepare(
    estimator: Any, X: Array, y: Array, cv: Any, scoring: Scoring
) -> tuple[Array, Array, list[tuple[Array, Array]], Callable[[Any, Array, Array], float]]:
    """X and y as arrays, the indices (train, test) of each fold, and the score of (estimator, X, y)."""
    xp = get_array_module(X=X, y=y)
    X, y = xp.asarray(X), xp.asarray(y)
    check_same_length(X=X, y=y)
    if cv is None or isinstance(cv, int | np.integer):
        cv = (StratifiedKFold if _is_classifier(estimator) else KFold)(5 if cv is None else int(cv))
    folds = cv.split(X, y) if hasattr(cv, "split") else cv
    return X, y, [(xp.asarray(train), xp.asarray(test)) for train, test in folds], _check_scoring(scoring)


def _check_scoring(scoring: Scoring) -> Callable[[Any, Array, Array], float]:
    if scoring is None:
        return lambda estimator, X, y: estimator.score(X, y)
    if callable(scoring):
        return scoring
    if scoring not in SCORES:
        raise ValueError(f"scoring must be a function or one of {', '.join(SCORES)}; got {scoring!r}")
    return lambda estimator, X, y: SCORES[scoring](y, estimator.predict(X))


def _is_classifier(estimator: Any) -> bool:
    if isinstance(estimator, Estimator):
        return isinstance(estimator, Classifier)
    return estimator.__sklearn_tags__().estimator_type == "classifier"  # scikit-learn's, a Pipeline say


def _clone(estimator: Any) -> Any:
    """A new estimator with copies of the parameters; what `fit` learned stays behind."""
    return type(estimator)(**copy.deepcopy(estimator.get_params(deep=False)))


def _fit_and_score(
    estimator: Any, X: Array, y: Array, train: Array, test: Array, score: Callable[[Any, Array, Array], float]
) -> tuple[float, float]:
    """Score on the training and on the test samples of a copy fitted on the training samples."""
    model = _clone(estimator).fit(X[train], y[train])
    return score(model, X[train], y[train]), score(model, X[test], y[test])


def _train_and_test(scores: list[list[tuple[float, float]]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(scores)  # (values, folds, 2)
    return pairs[..., 0], pairs[..., 1]
