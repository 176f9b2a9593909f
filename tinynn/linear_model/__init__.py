"""Linear models with scikit-learn's names: they predict, or decide by, X w + b."""

from tinynn.linear_model.coordinate_descent import ElasticNet, Lasso
from tinynn.linear_model.logistic import LogisticRegression
from tinynn.linear_model.regression import LinearRegression, Ridge
from tinynn.linear_model.svm import LinearSVC

__all__ = ["ElasticNet", "Lasso", "LinearRegression", "LinearSVC", "LogisticRegression", "Ridge"]
