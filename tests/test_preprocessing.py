import numpy as np
import pytest
import sklearn.preprocessing as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinynn.estimator import NotFittedError
from tinynn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler, one_hot

property_test = settings(deadline=None, max_examples=80)
SCALERS = [StandardScaler, MinMaxScaler]

# Columns of different scale and offset, equal values among them.
matrices = st.builds(
    lambda X, scale, offset: X * 10.0**scale + offset,
    arrays(int, st.tuples(st.integers(1, 12), st.just(3)), elements=st.integers(-1000, 1000)),
    arrays(int, 3, elements=st.integers(-6, 6)),
    arrays(int, 3, elements=st.integers(-10, 10)),
)


def sample(M=50, dtype=np.float64):
    X = np.random.default_rng(0).normal([5.0, -300.0, 0.0, 0.1], [1.0, 40.0, 1e-5, 0.0], (M, 4))
    return X.astype(dtype)


def spread(X):
    return X.max(axis=0) - X.min(axis=0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (StandardScaler(), reference.StandardScaler()),
        (StandardScaler(with_mean=False), reference.StandardScaler(with_mean=False)),
        (StandardScaler(with_std=False), reference.StandardScaler(with_std=False)),
        (MinMaxScaler(), reference.MinMaxScaler()),
        (MinMaxScaler(feature_range=(-2, 3)), reference.MinMaxScaler(feature_range=(-2, 3))),
    ],
)
def test_agrees_with_scikit_learn(ours, theirs):
    X, new = sample(), np.random.default_rng(1).normal(size=(7, 4))
    Z = ours.fit_transform(X)
    for mine, reference_ in [
        (Z, theirs.fit_transform(X)),
        (ours.transform(new), theirs.transform(new)),
        (ours.inverse_transform(new), theirs.inverse_transform(new)),
    ]:
        np.testing.assert_allclose(mine, reference_, rtol=1e-12, atol=1e-12)
    for name in ("mean_", "var_", "scale_", "data_min_", "data_max_", "min_", "n_features_in_"):
        if getattr(theirs, name, None) is not None:
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), 1e-12, 1e-12, err_msg=name)


def test_standard_deviation_by_hand():
    # sqrt(|x - mu|^2 / M) = 1; without the square the slide's formula gives 0.84.
    np.testing.assert_array_equal(StandardScaler().fit_transform([[3], [5]]), [[-1.0], [1.0]])


@property_test
@given(matrices)
def test_standard_scaling_gives_mean_zero_and_variance_one(X):
    Z = StandardScaler().fit_transform(X)
    varies = spread(X) > 1e-9 * np.abs(X).max(axis=0)
    tolerance = 1e-9 + 1e-13 * np.abs(X).max(axis=0) / np.where(varies, X.std(axis=0), 1)
    assert (np.abs(Z.mean(axis=0)) <= tolerance)[varies].all()
    np.testing.assert_allclose(Z.var(axis=0)[varies], 1, rtol=1e-6)


@property_test
@given(matrices, st.integers(-3, 3), st.integers(1, 4))
def test_minmax_scaling_fills_the_range(X, low, width):
    Z = MinMaxScaler(feature_range=(low, low + width)).fit_transform(X)
    varies = spread(X) > 0
    np.testing.assert_array_equal(Z.min(axis=0), low)
    np.testing.assert_allclose(Z.max(axis=0)[varies], low + width, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(Z[:, ~varies], low)


@pytest.mark.parametrize("Scaler", SCALERS)
@property_test
@given(X=matrices)
def test_inverse_undoes_transform(Scaler, X):
    scaler = Scaler().fit(X)
    error = np.abs(scaler.inverse_transform(scaler.transform(X)) - X)
    assert (error <= 1e-14 * (np.abs(X).max(axis=0) + 1e-300)).all()


@pytest.mark.parametrize("Scaler", SCALERS)
@pytest.mark.parametrize("M", [1, 3, 10, 1000])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e8 / 3])
def test_constant_column_is_only_shifted(Scaler, M, value):
    scaler = Scaler().fit(np.full((M, 1), value))
    np.testing.assert_array_equal(scaler.scale_, 1)
    np.testing.assert_allclose(scaler.transform([[value], [value + 1]]), [[0], [1]], atol=1e-6)


def test_minmax_stays_exact_far_from_zero():
    X = 1e9 + np.array([[0.0], [0.25], [1.0]])
    np.testing.assert_array_equal(MinMaxScaler().fit_transform(X), [[0.0], [0.25], [1.0]])


@pytest.mark.parametrize("Scaler", SCALERS)
def test_dtype_is_kept_and_input_untouched(Scaler):
    for dtype in (np.float32, np.float64):
        X = sample(dtype=dtype)
        before = X.copy()
        scaler = Scaler().fit(X)
        Z = scaler.transform(X)
        assert Z.dtype == scaler.inverse_transform(Z).dtype == dtype
        np.testing.assert_array_equal(X, before)
        assert not np.shares_memory(Z, X)
    assert Scaler().fit_transform([[1], [2]]).dtype == np.float64
    exact = Scaler().fit_transform(sample(dtype=np.float32).astype(np.float64))
    np.testing.assert_allclose(Scaler().fit_transform(sample(dtype=np.float32)), exact, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("Scaler", SCALERS)
@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
def test_scalers_refuse_before_and_after_fit(Scaler, method):
    with pytest.raises(NotFittedError, match="call fit before"):
        getattr(Scaler(), method)(sample())
    scaler = Scaler().fit(sample())
    for X, error, message in [
        (sample()[:, :2], ValueError, "X has 2 features, but .*Scaler is expecting 4"),
        (sample()[0], ValueError, "Reshape your data"),
        (sample() * np.nan, ValueError, "X contains 200 NaN"),
        (np.full((50, 4), "water", object), TypeError, "X has dtype object"),
        (sample().astype(complex), ValueError, "Complex data not supported"),
    ]:
        with pytest.raises(error, match=message):
            getattr(scaler, method)(X)


@pytest.mark.parametrize("Scaler", SCALERS)
@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([1.0, 2.0], r"X\[:, None\]"),
        ([[np.inf]], "X contains 1 inf"),
        (np.ones((0, 2)), r"X is empty: 0 sample\(s\)"),
        (np.ones((3, 0)), r"X is empty: 0 feature\(s\)"),
    ],
)
def test_fit_refuses_and_leaves_the_scaler_as_it_was(Scaler, X, message):
    scaler = Scaler().fit(sample())
    before = vars(scaler).copy()
    with pytest.raises(ValueError, match=message):
        scaler.fit(X)
    assert vars(scaler) == before


@pytest.mark.parametrize("feature_range", [(1, 0), (0, 0), (0, np.inf), (0, 1, 2), 1, (0, np.nan)])
def test_feature_range_is_checked_by_fit(feature_range):
    with pytest.raises(ValueError, match="feature_range"):
        MinMaxScaler(feature_range=feature_range).fit(sample())


def test_numbers_in_an_object_array_are_numbers():
    np.testing.assert_array_equal(
        StandardScaler().fit_transform(sample().astype(object)), StandardScaler().fit_transform(sample())
    )


# PolynomialFeatures


@pytest.mark.parametrize("degree", [0, 1, 2, 4])
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("interaction_only", [False, True])
def test_polynomials_agree_with_scikit_learn(degree, n, interaction_only):
    options = {"degree": degree, "interaction_only": interaction_only, "include_bias": degree < 2}
    X = np.random.default_rng(0).normal(size=(7, n))
    ours, theirs = PolynomialFeatures(**options), reference.PolynomialFeatures(**options)
    np.testing.assert_allclose(ours.fit_transform(X), theirs.fit_transform(X), rtol=1e-13)
    np.testing.assert_array_equal(ours.powers_, theirs.powers_)
    assert ours.n_output_features_ == theirs.n_output_features_
    assert list(ours.get_feature_names_out()) == list(theirs.get_feature_names_out())
    names = ["a", "b", "c"][:n]
    assert list(ours.get_feature_names_out(names)) == list(theirs.get_feature_names_out(names))


def test_one_feature_gives_the_vandermonde_matrix():
    x = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(
        PolynomialFeatures(20).fit_transform(x[:, None]), np.vander(x, 21, increasing=True), rtol=1e-13
    )


def test_polynomials_keep_the_dtype():
    assert PolynomialFeatures(3).fit_transform(np.ones((2, 2), np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"degree": -1}, ValueError, "degree must be at least 0"),
        ({"degree": 2.0}, TypeError, "degree must be an integer"),
        ({"degree": 0, "include_bias": False}, ValueError, "leaves no feature"),
    ],
)
def test_polynomials_refuse(params, error, message):
    with pytest.raises(error, match=message):
        PolynomialFeatures(**params).fit(sample())


def test_feature_names_are_counted():
    with pytest.raises(ValueError, match="input_features has 1 names; wanted one for each of 4 features"):
        PolynomialFeatures().fit(sample()).get_feature_names_out(["a"])
    with pytest.raises(NotFittedError):
        PolynomialFeatures().get_feature_names_out()


# one_hot


def test_one_hot():
    np.testing.assert_array_equal(one_hot([2, 0], 4), [[0, 0, 1, 0], [1, 0, 0, 0]])
    assert one_hot([2, 0]).shape == (2, 3)
    assert one_hot([0]).dtype == np.float64
    assert one_hot(np.array([[1], [0]]), dtype=np.float32).dtype == np.float32


@property_test
@given(arrays(int, st.integers(1, 20), elements=st.integers(0, 6)))
def test_argmax_undoes_one_hot(labels):
    rows = one_hot(labels, 7)
    np.testing.assert_array_equal(rows.argmax(axis=1), labels)
    np.testing.assert_array_equal(rows.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("labels", "n_classes", "error", "message"),
    [
        ([0, 3, 5], 3, ValueError, r"labels\[1\] is 3; with 3 classes the labels are 0 to 2"),
        ([0, -1], None, ValueError, r"labels\[1\] is -1"),
        ([0, 0.5], 2, ValueError, r"labels\[1\] is 0.5; wanted integer labels"),
        ([[0, 1], [1, 0]], 2, ValueError, r"labels has shape \(2, 2\); wanted one label per sample"),
        ([0, np.nan], 2, ValueError, "labels contains 1 NaN"),
        ([], 2, ValueError, "labels is empty"),
        (["a"], 2, TypeError, "labels has dtype"),
        ([0], 0, ValueError, "n_classes must be at least 1"),
        ([0], 2.5, TypeError, "n_classes must be an integer"),
    ],
)
def test_one_hot_refuses(labels, n_classes, error, message):
    with pytest.raises(error, match=message):
        one_hot(labels, n_classes)
