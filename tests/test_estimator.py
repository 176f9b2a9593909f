import pickle
import sys

import numpy as np
import pytest

from tinynn.estimator import (
    ConvergenceWarning,
    DataConversionWarning,
    Estimator,
    NotFittedError,
    Transformer,
    as_sklearn,
    check_features,
    check_is_fitted,
    check_samples,
)


class Centre(Transformer):
    def __init__(self, point=0.0, *, inner=None):
        self.point = point
        self.inner = inner

    def fit(self, X, y=None):
        self.n_features_in_ = check_samples(X).shape[1]
        return self

    def transform(self, X):
        return check_features(self, X) - self.point


class Bare(Estimator):
    pass


def test_parameters_are_those_of_init_and_nested_ones():
    inner = Centre(3.0)
    outer = Centre(1.0, inner=inner)
    assert outer.get_params(deep=False) == {"point": 1.0, "inner": inner}
    assert outer.get_params() == {"point": 1.0, "inner": inner, "inner__point": 3.0, "inner__inner": None}
    assert Bare().get_params() == {}


def test_set_params_reaches_into_an_estimator_set_in_the_same_call():
    outer = Centre()
    assert outer.set_params(inner__point=5.0, inner=Centre(), point=2.0) is outer
    assert (outer.point, outer.inner.point) == (2.0, 5.0)


def test_unknown_parameter_is_refused_before_anything_changes():
    estimator = Centre(1.0)
    with pytest.raises(ValueError, match="Centre has no parameter 'pint'; its parameters: point, inner"):
        estimator.set_params(point=2.0, pint=3.0)
    assert estimator.point == 1.0
    with pytest.raises(ValueError, match="Bare has no parameter 'x'; its parameters: none"):
        Bare().set_params(x=1)


def test_repr_can_be_read_back():
    estimator = Centre(1.0, inner=Centre())
    assert repr(estimator) == "Centre(point=1.0, inner=Centre(point=0.0, inner=None))"
    assert eval(repr(estimator)).get_params(deep=False).keys() == estimator.get_params(deep=False).keys()


def test_scikit_learn_can_clone():
    from sklearn.base import clone

    estimator = Centre(1.0, inner=Centre(2.0)).fit([[1.0]])
    copy = clone(estimator)
    assert copy.inner.point == 2.0
    assert copy.inner is not estimator.inner
    with pytest.raises(NotFittedError, match="this Centre is not fitted yet"):
        check_is_fitted(copy)


def test_fit_transform_is_fit_then_transform():
    np.testing.assert_array_equal(Centre(1.0).fit_transform([[1, 2]]), [[0.0, 1.0]])


def test_not_fitted_error_is_what_callers_of_scikit_learn_catch():
    with pytest.raises(ValueError, match="not fitted"):
        Centre().transform([[1.0]])
    assert issubclass(NotFittedError, AttributeError)


def test_errors_and_warnings_are_also_those_of_scikit_learn_and_travel_between_processes():
    import sklearn.exceptions

    for kind in (NotFittedError, ConvergenceWarning, DataConversionWarning):
        error = as_sklearn(kind)("because")
        assert isinstance(error, kind)
        assert isinstance(error, getattr(sklearn.exceptions, kind.__name__))
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind
        assert copy.args == ("because",)


def test_without_scikit_learn_errors_are_ours(monkeypatch):
    monkeypatch.delitem(sys.modules, "sklearn.exceptions", raising=False)
    assert as_sklearn(NotFittedError) is NotFittedError


def test_number_of_features_is_that_of_fit():
    with pytest.raises(ValueError, match="X has 1 features, but Centre is expecting 2 features"):
        Centre().fit(np.ones((3, 2))).transform(np.ones((3, 1)))


def test_vector_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"X has shape \(3,\); wanted \(M, n\).*X\[:, None\]"):
        check_samples(np.ones(3))
