"""What every linear model refuses, and in which words; and what it may be given instead of an array."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import DataConversionWarning as TheirWarning
from sklearn.exceptions import NotFittedError as TheirError

from tinynn.backend import asarray, to_numpy
from tinynn.estimator import DataConversionWarning, NotFittedError
from tinynn.linear_model import ElasticNet, Lasso, LinearRegression, LinearSVC, LogisticRegression, Ridge

SEVERAL_OUTPUTS = [LinearRegression(), Ridge()]
ONE_OUTPUT = [Lasso(0.1), ElasticNet(0.1)]
CLASSIFIERS = [LogisticRegression(), LinearSVC(random_state=0)]
ALL = SEVERAL_OUTPUTS + ONE_OUTPUT + CLASSIFIERS

X = np.random.default_rng(0).normal(size=(20, 3))
y = np.arange(20) % 2


def spoiled(a, value):
    a = a.astype(float)
    a[7, ...] = value
    return a


@pytest.mark.parametrize("model", ALL, ids=repr)
@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (spoiled(X, np.nan), y, ValueError, r"X contains 3 NaN, the first at index \(7, 0\)"),
        (spoiled(X, np.inf), y, ValueError, "X contains 3 inf"),
        (X, spoiled(y, np.nan), ValueError, "y contains 1 NaN"),
        (X, spoiled(y, np.inf), ValueError, "y contains 1 inf"),
        (X + 1j, y, ValueError, "X is complex .* Complex data not supported"),
        (X, y + 1j, ValueError, "y is complex .* Complex data not supported"),
        (scipy.sparse.csr_array(X), y, TypeError, r"X is a sparse matrix; .* pass X.toarray\(\)"),
        (X, scipy.sparse.coo_array(y[:, None]), TypeError, r"y is a sparse matrix; .* pass y.toarray\(\)"),
        (X[:, 0], y, ValueError, r"X has shape \(20,\); wanted \(M, n\). Reshape your data"),
        (X[:0], y[:0], ValueError, r"X is empty: 0 sample\(s\)"),
        (X[:, :0], y, ValueError, r"0 feature\(s\)"),
        (X, y[:-1], ValueError, "the number of samples differs: X has 20, y has 19"),
        (X, None, ValueError, "fit requires y"),
        (X, np.ones((20, 2, 2)), ValueError, "y has"),
        ([["a", "b"]] * 20, y, TypeError, "X has dtype <U1"),
    ],
)
def test_fit_refuses_and_leaves_the_model_as_it_was(model, X, y, error, message):
    before = vars(model).copy()
    with pytest.raises(error, match=message):
        model.fit(X, y)
    assert vars(model) == before


@pytest.mark.parametrize("model", ONE_OUTPUT + CLASSIFIERS, ids=repr)
def test_two_columns_where_one_is_meant(model):
    with pytest.raises(ValueError, match=r"y has shape \(20, 2\); .* takes one target per sample"):
        model.fit(X, np.column_stack([y, y]))


@pytest.mark.parametrize("model", ONE_OUTPUT + CLASSIFIERS, ids=repr)
@pytest.mark.parametrize("category", [DataConversionWarning, TheirWarning])
def test_one_column_is_taken_for_a_vector_with_a_warning(model, category):
    expected = type(model)(**model.get_params()).fit(X, y).predict(X)
    with pytest.warns(category, match=r"A column-vector y was passed .* shape \(20, 1\); pass y.ravel\(\)"):
        prediction = type(model)(**model.get_params()).fit(X, y[:, None]).predict(X)
    np.testing.assert_allclose(prediction, expected)


@pytest.mark.parametrize("model", SEVERAL_OUTPUTS, ids=repr)
def test_a_column_is_a_column_where_several_are_allowed(model):
    assert type(model)().fit(X, y[:, None]).predict(X).shape == (20, 1)


@pytest.mark.parametrize("model", CLASSIFIERS, ids=repr)
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones(20), "y has one class only, .*1.0.*; a classifier needs at least two"),
        (np.linspace(0, 1, 20), "Unknown label type: y is continuous"),
        (np.array([1, "a"] * 10, dtype=object), "Unknown label type: y mixes labels"),
    ],
)
def test_labels_that_are_none(model, y, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


@pytest.mark.parametrize("Model", [Ridge, Lasso, ElasticNet])
@pytest.mark.parametrize("alpha", [-1, -1e-9, np.nan, np.inf])
def test_alpha_must_not_be_negative(Model, alpha):
    with pytest.raises(ValueError, match="alpha must lie in"):
        Model(alpha).fit(X, y)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (Ridge("1"), TypeError, "alpha must be a number"),
        (Lasso(0), ValueError, r"alpha must lie in \(0, inf\)"),
        (ElasticNet(l1_ratio=0), ValueError, r"l1_ratio must lie in \(0, 1\]"),
        (ElasticNet(l1_ratio=1.1), ValueError, "l1_ratio"),
        (Lasso(tol=-1), ValueError, "tol"),
        (Lasso(max_iter=0), ValueError, "max_iter must be at least 1"),
        (Lasso(max_iter=1e3), TypeError, "max_iter must be an integer"),
        (LinearRegression(method="magic"), ValueError, "method"),
    ],
)
def test_parameters_are_checked_by_fit(model, error, message):
    with pytest.raises(error, match=message):
        model.fit(X, y)


@pytest.mark.parametrize("model", ALL, ids=repr)
def test_prediction_needs_a_fit_and_its_features(model):
    fresh = type(model)(**model.get_params())
    for category in (NotFittedError, TheirError):
        with pytest.raises(category, match="is not fitted yet"):
            fresh.predict(X)
    fresh.fit(X, y)
    with pytest.raises(ValueError, match=r"X has 2 features, but \w+ is expecting 3"):
        fresh.predict(X[:, :2])
    with pytest.raises(ValueError, match="X contains"):
        fresh.predict(spoiled(X, np.nan))
    with pytest.raises(ValueError, match="samples differs"):
        fresh.score(X, y[:-1])


@pytest.mark.parametrize("model", ALL, ids=repr)
def test_constant_and_duplicated_columns_and_one_feature(model):
    assert np.isfinite(model.fit(np.insert(X, 1, 3.0, axis=1), y).coef_).all()
    assert np.isfinite(model.fit(X[:, [0, 1, 1]], y).coef_).all()
    assert model.fit(X[:, :1], y).coef_.shape[-1] == 1


@pytest.mark.parametrize("model", SEVERAL_OUTPUTS + ONE_OUTPUT, ids=repr)
def test_one_sample_gives_its_target(model):
    assert model.fit(X[:1], [4.0]).predict(X[:2]).tolist() == [4.0, 4.0]


@pytest.mark.parametrize("model", CLASSIFIERS, ids=repr)
def test_one_sample_is_one_class(model):
    with pytest.raises(ValueError, match="one class only"):
        model.fit(X[:1], [1])


@pytest.mark.parametrize("model", ALL, ids=repr)
def test_on_another_array_library(model, device):
    expected = model.fit(X, y).predict(X)
    moved = model.fit(asarray(X, device), asarray(y, device))
    np.testing.assert_allclose(to_numpy(moved.predict(asarray(X, device))), expected, atol=1e-9)
    assert moved.score(asarray(X, device), asarray(y, device)) == pytest.approx(
        type(model)(**model.get_params()).fit(X, y).score(X, y)
    )
