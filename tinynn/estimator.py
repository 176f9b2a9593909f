"""What all estimators share: parameters named in ``__init__``, results of ``fit`` ending in ``_``.

The conventions are scikit-learn's (Buitinck et al. 2013, arXiv:1309.0238): ``__init__`` stores its
arguments untouched, `fit` checks them, learns attributes whose names end in an underscore and
returns the estimator itself.
"""

from __future__ import annotations

import inspect
from typing import Any, Self

from tinynn.backend import Array
from tinynn.validation import check_array


class NotFittedError(ValueError, AttributeError):
    """An estimator is used before `fit`."""


class Estimator:
    """Base of all estimators: reads and sets the parameters that ``__init__`` names."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; `deep` adds those of nested estimators as ``outer__inner``."""
        own = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        nested = {
            f"{name}__{inner}": value
            for name, estimator in own.items()
            if deep and isinstance(estimator, Estimator)
            for inner, value in estimator.get_params().items()
        }
        return own | nested

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, those of a nested estimator by ``outer__inner``.

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


def check_samples(X: Array) -> Array:
    """`X` as a finite floating-point matrix (M, n), one row a sample.

    Raises
    ------
    TypeError, ValueError
        As `tinynn.validation.check_array`; for a vector it says how to make it a matrix.
    """
    X = check_array(X, "X", ndim=(1, 2))
    if X.ndim == 1:
        raise ValueError(
            f"X has shape {X.shape}; wanted (M, n). Reshape your data: "
            "X[:, None] if it is one feature of M samples, X[None, :] if it is one sample"
        )
    return X


def check_is_fitted(estimator: Estimator) -> None:
    """Raise NotFittedError unless `fit` has left an attribute whose name ends in an underscore."""
    if not any(name.endswith("_") and not name.startswith("_") for name in vars(estimator)):
        name = type(estimator).__name__
        raise NotFittedError(f"this {name} is not fitted yet; call fit before anything that needs its result")


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
