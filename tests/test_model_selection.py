import numpy as np
import pytest
import sklearn.model_selection as reference
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.pipeline import make_pipeline

from tinynn.linear_model import LinearRegression, LogisticRegression, Ridge
from tinynn.model_selection import (
    KFold,
    StratifiedKFold,
    cross_val_score,
    learning_curve,
    train_test_split,
    validation_curve,
)
from tinynn.preprocessing import PolynomialFeatures, StandardScaler

DIABETES = load_diabetes(return_X_y=True)


# train_test_split


@given(st.integers(2, 50), st.floats(0.05, 0.95), st.integers(0, 9))
def test_split_parts_are_disjoint_and_complete(M, test_size, seed):
    X, y = np.arange(2 * M).reshape(M, 2), np.arange(M)
    n_test = int(np.ceil(test_size * M))
    if n_test == M:
        with pytest.raises(ValueError, match="samples cannot give 0 for training"):
            train_test_split(X, y, test_size=test_size)
        return
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=test_size, random_state=seed)
    assert len(y_test) == n_test
    assert sorted([*y_train, *y_test]) == list(range(M))
    np.testing.assert_array_equal(X_train[:, 0], 2 * y_train)
    np.testing.assert_array_equal(X_test[:, 0], 2 * y_test)
    np.testing.assert_array_equal(y_test, train_test_split(y, test_size=test_size, random_state=seed)[1])


@pytest.mark.parametrize(
    "sizes",
    [{}, {"test_size": 7}, {"train_size": 7}, {"train_size": 0.31}, {"train_size": 0.5, "test_size": 3}],
)
def test_split_sizes_and_order_are_those_of_scikit_learn(sizes):
    x = np.arange(23)
    ours, theirs = (
        split(x, shuffle=False, **sizes) for split in (train_test_split, reference.train_test_split)
    )
    for mine, reference_ in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, reference_)


def test_split_takes_lists_of_text():
    train, test = train_test_split(["a", "b", "c", "d"], shuffle=False)
    assert (train.tolist(), test.tolist()) == (["a", "b", "c"], ["d"])


@pytest.mark.parametrize(
    ("arrays", "sizes", "error", "message"),
    [
        ((), {}, ValueError, "at least one array"),
        (([1, 2], [1]), {}, ValueError, "array 0 has 2, array 1 has 1"),
        (([1, 2],), {"test_size": 1.5}, ValueError, r"test_size must lie in \(0, 1\]"),
        (([1, 2],), {"test_size": -1}, ValueError, "test_size must be at least 1"),
        (([1, 2],), {"test_size": "half"}, TypeError, "test_size must be an integer"),
        (([1, 2],), {"test_size": 2}, ValueError, "2 samples cannot give 0 for training and 2"),
        (([1, 2],), {"test_size": 1, "train_size": 2}, ValueError, "2 samples cannot give 2"),
    ],
)
def test_split_refuses(arrays, sizes, error, message):
    with pytest.raises(error, match=message):
        train_test_split(*arrays, **sizes)


# Folds


@given(st.integers(2, 6), st.integers(6, 40), st.booleans())
def test_every_sample_is_tested_once(k, M, shuffle):
    folds = list(KFold(k, shuffle=shuffle, random_state=0).split(np.zeros(M)))
    assert len(folds) == k
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(M))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(M))
    sizes = [len(test) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("M", "k"), [(10, 5), (11, 3), (7, 7)])
def test_folds_in_order_are_those_of_scikit_learn(M, k):
    for ours, theirs in zip(KFold(k).split(np.zeros(M)), reference.KFold(k).split(np.zeros(M)), strict=True):
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_shuffled_folds_follow_the_seed():
    def tests(seed):
        return [test.tolist() for _, test in KFold(3, shuffle=True, random_state=seed).split(range(12))]

    assert tests(1) == tests(1) != tests(2)


@pytest.mark.parametrize("shuffle", [False, True])
def test_stratified_folds_share_every_class(shuffle):
    y = np.repeat(["a", "b", "c"], [10, 7, 25])
    folds = list(StratifiedKFold(5, shuffle=shuffle, random_state=0).split(y, y))
    counts = np.array([[np.count_nonzero(y[test] == c) for c in "abc"] for _, test in folds])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1
    if shuffle:
        again, other = (list(StratifiedKFold(5, shuffle=True, random_state=s).split(y, y)) for s in (0, 1))
        assert [test.tolist() for _, test in again] == [test.tolist() for _, test in folds]
        assert [test.tolist() for _, test in other] != [test.tolist() for _, test in folds]
    else:
        for ours, theirs in zip(folds, reference.StratifiedKFold(5).split(y, y), strict=True):
            np.testing.assert_array_equal(ours[1], theirs[1])


def test_folds_refuse():
    with pytest.raises(ValueError, match="n_splits must be at least 2"):
        KFold(1)
    with pytest.raises(ValueError, match="n_splits=5 folds need as many samples; X has 4"):
        list(KFold().split(np.zeros(4)))


# Scores and curves


@pytest.mark.parametrize("scoring", [None, "neg_mean_squared_error", "neg_mean_absolute_error"])
def test_cross_validation_agrees_with_scikit_learn(scoring):
    X, y = DIABETES
    ours = cross_val_score(Ridge(0.1), X, y, cv=4, scoring=scoring)
    theirs = reference.cross_val_score(Ridge(0.1), X, y, cv=4, scoring=scoring)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_cross_validation_of_classifiers_is_stratified():
    X, y = load_wine(return_X_y=True)  # sorted: plain folds would lack classes
    for model in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        ours = cross_val_score(model, X, y)
        np.testing.assert_array_equal(ours, reference.cross_val_score(model, X, y))
        assert ours.min() > 0.8


def test_splitters_lists_and_functions_are_taken():
    X, y = DIABETES
    folds = KFold(3, shuffle=True, random_state=0)
    expected = cross_val_score(Ridge(), X, y, cv=folds)
    np.testing.assert_array_equal(cross_val_score(Ridge(), X, y, cv=list(folds.split(X))), expected)
    np.testing.assert_array_equal(reference.cross_val_score(Ridge(), X, y, cv=folds), expected)
    own = cross_val_score(Ridge(), X, y, cv=folds, scoring=lambda model, X, y: model.score(X, y) - 1)
    np.testing.assert_allclose(own, expected - 1)


def test_the_estimator_is_left_as_it_is():
    model = Ridge(2.0)
    cross_val_score(model, *DIABETES)
    validation_curve(model, *DIABETES, param_name="alpha", param_range=[1.0])
    assert vars(model) == vars(Ridge(2.0))


def test_validation_curve_agrees_with_scikit_learn():
    model = make_pipeline(StandardScaler(), PolynomialFeatures(include_bias=False), Ridge())
    X, y = DIABETES[0][:, :3], DIABETES[1]
    options = {"param_name": "polynomialfeatures__degree", "param_range": [1, 2, 5], "cv": 3}
    ours = validation_curve(model, X, y, **options)
    theirs = reference.validation_curve(model, X, y, **options)
    for mine, reference_ in zip(ours, theirs, strict=True):
        assert mine.shape == (3, 3)
        np.testing.assert_allclose(mine, reference_, rtol=1e-8)
    assert (np.diff(ours[0].mean(axis=1)) > 0).all()  # the training score only ever rises with the degree


@pytest.mark.parametrize("train_sizes", [[0.1, 0.5, 1.0], [30, 200]])
def test_learning_curve_agrees_with_scikit_learn(train_sizes):
    ours = learning_curve(LinearRegression(), *DIABETES, train_sizes=train_sizes, cv=4)
    theirs = reference.learning_curve(LinearRegression(), *DIABETES, train_sizes=train_sizes, cv=4)
    for mine, reference_ in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, reference_, rtol=1e-7, atol=1e-9)


def test_learning_curve_may_shuffle():
    X, y = load_wine(return_X_y=True)
    X, by_class = StandardScaler().fit_transform(X), KFold(3, shuffle=True, random_state=0)
    options = {"train_sizes": [30], "cv": by_class}
    with pytest.raises(ValueError, match="y has one class only"):  # the first thirty are all of class 0
        learning_curve(LogisticRegression(), X, y, **options)
    _, _, test = learning_curve(LogisticRegression(), X, y, shuffle=True, random_state=1, **options)
    assert test.min() > 0.8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, y: cross_val_score(Ridge(), X, y[:-1]), "the number of samples differs"),
        (lambda X, y: cross_val_score(Ridge(), X, y, scoring="bleu"), "scoring must be .* got 'bleu'"),
        (lambda X, y: cross_val_score(Ridge(), X, y, cv=1000), "n_splits=1000 folds need as many"),
        (
            lambda X, y: validation_curve(Ridge(), X, y, param_name="beta", param_range=[1]),
            "Ridge has no parameter 'beta'",
        ),
        (lambda X, y: learning_curve(Ridge(), X, y, train_sizes=[0.0]), "train_sizes must lie in"),
        (lambda X, y: learning_curve(Ridge(), X, y, train_sizes=[9999]), "a fold has 1 to 353"),
    ],
)
def test_scores_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call(*DIABETES)


def test_estimators_work_in_pipeline_and_grid_search_of_scikit_learn():
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    search = reference.GridSearchCV(model, {"logisticregression__C": [1e-4, 1.0]}, cv=3, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"logisticregression__C": 1.0}
    assert search.best_score_ > 0.97
