"""What all estimators share: parameters named in ``__init__``, results of ``fit`` ending in ``_``.

The conventions are scikit-learn's (Buitinck et al. 2013, arXiv:1309.0238): ``__init__`` stores its
arguments untouched, `fit` checks them, learns attributes whose names end in an underscore and
returns the estimator itself. So every estimator works in a Pipeline or GridSearchCV of
scikit-learn, which is not needed here: it asks for `__sklearn_tags__` itself, and its exception
classes are used where it is loaded already.
"""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.metrics import r2_score
from tinynn.validation import check_array, check_dense, check_same_length


class NotFittedError(ValueError, AttributeError):
    """An estimator is used before `fit`."""


class ConvergenceWarning(UserWarning):
    """An iteration stopped at `max_iter`, before it was as accurate as `tol` wants it."""


class DataConversionWarning(UserWarning):
    """A target (M, 1) came where a vector (M,) is meant."""


_parameter_names: Callable[[type], tuple[str, ...]] = functools.cache(
    lambda kind: tuple(inspect.signature(kind).parameters)
)


class Parametrised:
    """Base of what is made of parameters, estimators and kernels: reads and sets those of ``__init__``."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; `deep` adds those of nested objects as ``outer__inner``."""
        own = {name: getattr(self, name) for name in _parameter_names(type(self))}
        nested = {
            f"{name}__{inner}": value
            for name, part in own.items()
            if deep and isinstance(part, Parametrised)
            for inner, value in part.get_params().items()
        }
        return own | nested

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, those of a nested object by ``outer__inner``.

        Raises
        ------
        ValueError
            If there is no parameter of that name.
        """
        names = self.get_params(deep=False)
        for key in params:
            if key.partition("__")[0] not in names:
                known = ", ".join(names) or "none"
                raise ValueError(f"{type(self).__name__} has no parameter {key!r}; its parameters: {known}")
        for key in sorted(params):  # "kernel" before "kernel__length_scale"
            name, _, inner = key.partition("__")
            if inner:
                getattr(self, name).set_params(**{inner: params[key]})
            else:
                setattr(self, name, params[key])
        return self

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.get_params(deep=False).items())
        return f"{type(self).__name__}({params})"


class Estimator(Parametrised):
    """Base of all estimators."""

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn wants to know of an estimator; only scikit-learn calls this."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))


class Transformer(Estimator):
    """Base of estimators that map X to a new X: `fit`, `transform` and both in one."""

    def fit(self, X: Array, y: object = None) -> Self:
        """Learn the map from X (M, n); `y` is ignored, it is there for pipelines."""
        raise NotImplementedError

    def transform(self, X: Array) -> Array:
        """X (M, n) mapped."""
        raise NotImplementedError

    def fit_transform(self, X: Array, y: object = None) -> Array:
        """``fit(X, y).transform(X)``."""
        return self.fit(X, y).transform(X)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import TransformerTags

        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=["float64", "float32"])
        return tags


class Regressor(Estimator):
    """Base of estimators that predict numbers; `multi_output` says whether y may have columns."""

    multi_output = False

    def predict(self, X: Array) -> Array:
        """The prediction (M,) or (M, n_outputs) for X (M, n)."""
        raise NotImplementedError

    def score(self, X: Array, y: Array) -> float:
        """R2 of the prediction for X (M, n) against y; see `tinynn.metrics.r2_score`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X or y does not fit, or there is one sample only.
        """
        return r2_score(y, self.predict(X))

    def _check_fit(self, X: Array, y: Array) -> tuple[ModuleType, Array, Array]:
        """The array library, X (M, n) and y in float64: (M,), or (M, n_outputs) if that is allowed."""
        xp, X = _check_training(X, y)
        y = check_array(y, "y", ndim=(1, 2), dtype=np.float64, objects=True)
        if not self.multi_output:
            y = _as_vector(y, type(self).__name__)
        check_same_length(X=X, y=y)
        return xp, X.astype(np.float64, copy=False), y

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags

        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        tags.target_tags.required, tags.target_tags.multi_output = True, self.multi_output
        return tags


class Classifier(Estimator):
    """Base of estimators that predict labels: integers or, in NumPy, text."""

    classes_: Array

    def predict(self, X: Array) -> Array:
        """The most likely label (M,) for X (M, n)."""
        raise NotImplementedError

    def score(self, X: Array, y: Array) -> float:
        """Accuracy: the fraction of X (M, n) whose predicted label is y (M,).

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X or y does not fit.
        """
        xp = get_array_module(X=X, y=y)
        predicted, y = self.predict(X), _as_vector(xp.asarray(y), type(self).__name__)
        check_same_length(X=predicted, y=y)
        return float(xp.mean(predicted == y))

    def _check_fit(self, X: Array, y: Array) -> tuple[ModuleType, Array, Array, Array]:
        """The array library, X (M, n) in float64, the K sorted classes and the class index of each sample."""
        xp, X = _check_training(X, y)
        check_dense(y, "y")
        y = xp.asarray(y)
        if y.dtype.kind in "cf":
            y = check_array(y, "y")
            if (y % 1 != 0).any():
                raise ValueError("Unknown label type: y is continuous; labels are integers or text")
        y = _as_vector(y, type(self).__name__)
        check_same_length(X=X, y=y)
        try:
            classes, index = xp.unique(y, return_inverse=True)
        except TypeError as error:
            raise ValueError(f"Unknown label type: y mixes labels that cannot be sorted ({error})") from error
        if len(classes) < 2:
            raise ValueError(f"y has one class only, {classes[0]!r}; a classifier needs at least two")
        return xp, X.astype(np.float64, copy=False), classes, index

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags

        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        tags.target_tags.required = True
        return tags


def check_samples(X: Array) -> Array:
    """`X` as a finite floating-point matrix (M, n), one row a sample.

    Raises
    ------
    TypeError, ValueError
        As `tinynn.validation.check_array`; for a vector it says how to make it a matrix.
    """
    X = check_array(X, "X", ndim=(1, 2), empty=True, objects=True)
    if X.ndim == 1:
        raise ValueError(
            f"X has shape {X.shape}; wanted (M, n). Reshape your data: "
            "X[:, None] if it is one feature of M samples, X[None, :] if it is one sample"
        )
    for count, what in zip(X.shape, ("sample(s)", "feature(s)"), strict=True):
        if count == 0:
            raise ValueError(f"X is empty: 0 {what} (shape={X.shape}) while a minimum of 1 is required.")
    return X


def check_is_fitted(estimator: Estimator) -> None:
    """Raise NotFittedError unless `fit` has left an attribute whose name ends in an underscore."""
    if not any(name.endswith("_") and not name.startswith("_") for name in vars(estimator)):
        name = type(estimator).__name__
        error = as_sklearn(NotFittedError)
        raise error(f"this {name} is not fitted yet; call fit before anything that needs its result")


def check_features(estimator: Any, X: Array) -> Array:
    """`X` (M, n) checked for a fitted estimator: n is the number of features that `fit` saw.

    Raises
    ------
    NotFittedError
        Before `fit`.
    TypeError, ValueError
        As `check_samples`, and for the wrong number of features.
    """
    check_is_fitted(estimator)
    X = check_samples(X)
    if X.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input: those it was fitted on"
        )
    return X


def warn_not_converged(estimator: Any, what: str, advice: str) -> None:
    """Warn that `fit` stopped at ``max_iter``: `what` is not yet small enough; `advice` may help as well."""
    warnings.warn(
        f"{type(estimator).__name__} did not converge in max_iter={np.max(estimator.n_iter_)} iterations: "
        f"{what}. Raise max_iter, {advice}.",
        as_sklearn(ConvergenceWarning),
        stacklevel=3,
    )


def as_sklearn(kind: Any) -> type[Any]:
    """The exception or warning `kind`, also catchable as scikit-learn's of that name if that is loaded."""
    exceptions = sys.modules.get("sklearn.exceptions")
    return kind if exceptions is None else _twin(kind, getattr(exceptions, kind.__name__))


@functools.cache
def _twin(ours: Any, theirs: Any) -> type[Any]:
    # A class made here cannot be pickled by its name, so what travels between processes is ours.
    reduce = {"__reduce__": lambda self: (ours, self.args), "__module__": ours.__module__}
    return type(ours.__name__, (ours, theirs), reduce)


def _check_training(X: Array, y: Array) -> tuple[ModuleType, Array]:
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None")
    return get_array_module(X=X, y=y), check_samples(X)


def _as_vector(y: Array, estimator: str) -> Array:
    """`y` (M,) as it is, a column (M, 1) with a warning."""
    if y.ndim == 2 and y.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected: "
            f"y has shape {y.shape}; pass y.ravel()",
            as_sklearn(DataConversionWarning),
            stacklevel=4,
        )
        return y.ravel()
    if y.ndim != 1:
        raise ValueError(f"y has shape {y.shape}; {estimator} takes one target per sample, wanted (M,)")
    return y
