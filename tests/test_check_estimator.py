"""scikit-learn's own checks of what it calls an estimator, all of them, on every one of ours."""

import pytest
from sklearn.utils.estimator_checks import check_estimator

from tinynn.decomposition import PCA, GaussianRandomProjection
from tinynn.kernels import SVC, Gaussian, GaussianProcessRegressor, KernelRidge, White
from tinynn.linear_model import ElasticNet, Lasso, LinearRegression, LinearSVC, LogisticRegression, Ridge
from tinynn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

ESTIMATORS = [
    StandardScaler(),
    MinMaxScaler(),
    PolynomialFeatures(),
    PCA(),
    GaussianRandomProjection(n_components=2),  # its data have too few features for "auto"
    LinearRegression(),
    Ridge(),
    Lasso(),
    ElasticNet(),
    LogisticRegression(),
    LogisticRegression(solver="gradient_descent"),
    LinearSVC(),
    LinearSVC(loss="hinge"),
    KernelRidge(),
    KernelRidge(kernel="rbf"),
    GaussianProcessRegressor(),
    GaussianProcessRegressor(Gaussian() + White()),
    SVC(),
    SVC(kernel="linear"),
]

# What scikit-learn skips for its own estimators as well, without these optional parts.
SKIPPED = {"SCIPY_ARRAY_API is not set", "pandas is not installed"}


# Some of its data are unscaled on purpose, and nothing converges on them in the default max_iter.
@pytest.mark.filterwarnings("ignore:.* did not converge in max_iter")
# It says that ours do not inherit from its BaseEstimator, which is so: they do not need scikit-learn.
@pytest.mark.filterwarnings("ignore:Estimator .* does not inherit from:UserWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_scikit_learn_accepts(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert len(results) > 40
    for result in results:
        reason = f"{result['check_name']}: {result['exception']}"
        assert result["status"] in ("passed", "skipped"), reason
        assert result["status"] == "passed" or str(result["exception"]).split(":")[0] in SKIPPED, reason
