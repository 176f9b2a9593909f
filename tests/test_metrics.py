import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinynn.metrics import accuracy, confusion_matrix, mean_absolute_error, mean_squared_error, r2_score

property_test = settings(deadline=None, max_examples=60)
REGRESSION = [mean_squared_error, mean_absolute_error, r2_score]
CLASSIFICATION = [accuracy, confusion_matrix]


@pytest.mark.parametrize("metric", REGRESSION)
@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, int])
def test_agrees_with_scikit_learn(metric, shape, dtype):
    rng = np.random.default_rng(0)
    y_true = (10 * rng.normal(size=shape)).astype(dtype)
    y_pred = (y_true + 5 * rng.normal(size=shape)).astype(dtype)
    expected = getattr(reference, metric.__name__)(y_true.astype(float), y_pred.astype(float))
    value = metric(y_true, y_pred)
    assert type(value) is float
    assert value == pytest.approx(expected, rel=1e-12)


def test_by_hand():
    y_true, y_pred = [1, 2, 3], [1, 2, 6]
    assert mean_squared_error(y_true, y_pred) == 3.0
    assert mean_absolute_error(y_true, y_pred) == 1.0
    assert r2_score(y_true, y_pred) == 1 - 9 / 2


@pytest.mark.parametrize("metric", [*REGRESSION, *CLASSIFICATION])
def test_one_column_counts_as_a_vector(metric):
    y_true, y_pred = np.array([0, 1, 2, 1]), np.array([0, 1, 1, 2])
    expected = metric(y_true, y_pred)
    np.testing.assert_array_equal(metric(y_true[:, None], y_pred), expected)
    np.testing.assert_array_equal(metric(y_true, y_pred[:, None]), expected)


@pytest.mark.parametrize("metric", REGRESSION)
def test_forces_are_averaged_over_all_components(metric):
    F, F_pred = np.random.default_rng(0).normal(size=(2, 20, 9, 3))
    assert metric(F, F_pred) == pytest.approx(metric(F.reshape(20, 27), F_pred.reshape(20, 27)), rel=1e-14)


@pytest.mark.parametrize("metric", REGRESSION)
def test_float32_is_summed_in_float64(metric):
    y = np.random.default_rng(0).normal(1e3, 1, size=(2, 10_000)).astype(np.float32)
    assert metric(*y) == metric(*y.astype(np.float64))


def test_r2_says_how_much_better_than_the_mean():
    y = np.random.default_rng(0).normal(size=40)
    assert r2_score(y, y) == 1
    assert r2_score(y, np.full(40, y.mean())) == pytest.approx(0, abs=1e-15)
    assert r2_score(y, -y) < -2  # worse than the mean: no square of anything


@pytest.mark.parametrize("value", [2.0, 0.1])
def test_r2_of_a_constant_is_one_or_zero(value):
    y = np.full(3, value)  # the mean of three times 0.1 is not 0.1: that rounding is no variance
    assert r2_score(y, y) == 1
    assert r2_score(y, [value, value, 3]) == 0
    assert r2_score(np.c_[y, [1, 2, 3]], np.c_[y + 1, [1, 2, 3]]) == 0.5


@pytest.mark.parametrize("dmax", [1, 10, 20])
def test_perfect_line_through_noise(dmax):
    # y = 2 x + 5 + dmax * randn on [0, 10]: MSE = dmax^2, MAE = dmax sqrt(2 / pi), R2 = v / (v + dmax^2)
    # with the variance of the line v = 4 * 100 / 12.
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, 200_000)
    line = 2 * x + 5
    y = line + dmax * rng.normal(size=x.size)
    assert mean_squared_error(y, line) == pytest.approx(dmax**2, rel=0.01)
    assert mean_absolute_error(y, line) == pytest.approx(dmax * np.sqrt(2 / np.pi), rel=0.01)
    assert r2_score(y, line) == pytest.approx(400 / 12 / (400 / 12 + dmax**2), rel=0.02)


@pytest.mark.parametrize("metric", REGRESSION)
@pytest.mark.parametrize(
    ("y_true", "y_pred", "error", "message"),
    [
        (np.ones(3), np.ones(4), ValueError, "y_true has 3, y_pred has 4"),
        (np.ones((3, 2)), np.ones(3), ValueError, r"y_true has shape \(3, 2\) but y_pred has shape \(3,\)"),
        (np.ones(3), np.ones((1, 3)), ValueError, "y_true has 3, y_pred has 1"),
        ([1.0, np.nan], [1.0, 2.0], ValueError, "y_true contains 1 NaN"),
        ([1.0, 2.0], [1.0, np.inf], ValueError, "y_pred contains 1 inf"),
        ([], [], ValueError, "y_true is empty"),
        (1.0, 1.0, ValueError, "y_true has 0 dimensions"),
        (np.array([1, None]), [1, 2], TypeError, "y_true has dtype object"),
    ],
)
def test_regression_metrics_refuse(metric, y_true, y_pred, error, message):
    with pytest.raises(error, match=message):
        metric(y_true, y_pred)


def test_r2_needs_two_samples():
    with pytest.raises(ValueError, match="y_true has 1 sample"):
        r2_score([1.0], [1.0])


@property_test
@given(st.integers(1, 30).flatmap(lambda M: arrays(int, (2, M), elements=st.integers(0, 4))))
def test_labels_agree_with_scikit_learn(y):
    y_true, y_pred = y
    assert accuracy(y_true, y_pred) == pytest.approx(reference.accuracy_score(y_true, y_pred), rel=1e-15)
    C = confusion_matrix(y_true, y_pred, n_classes=5)
    np.testing.assert_array_equal(C, reference.confusion_matrix(y_true, y_pred, labels=range(5)))
    assert np.trace(C) / C.sum() == accuracy(y_true, y_pred)


def test_accuracy_takes_any_integers():
    assert type(accuracy([1], [1])) is float
    assert accuracy([-1, 1, 1, -1], [-1.0, 1.0, -1.0, -1.0]) == 0.75
    assert accuracy([0.0, 1.0], np.array([False, True])) == 1


def test_rows_of_the_confusion_matrix_are_the_true_classes():
    np.testing.assert_array_equal(confusion_matrix([0, 0, 1], [1, 1, 1]), [[0, 2], [0, 1]])
    np.testing.assert_array_equal(confusion_matrix([0, 0], [0, 2]), [[1, 0, 1], [0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("metric", CLASSIFICATION)
@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([0, 1], [[0.2, 0.8], [0.6, 0.4]], r"y_pred has shape \(2, 2\).*y_pred\.argmax\(axis=1\)"),
        ([0, 1], [0.2, 0.8], r"y_pred\[0\] is 0.2; wanted integer labels"),
        ([0, 1], [0], "y_true has 2, y_pred has 1"),
        ([], [], "y_true is empty"),
        ([np.nan], [0], "y_true contains 1 NaN"),
    ],
)
def test_label_metrics_refuse(metric, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metric(y_true, y_pred)


def test_confusion_matrix_refuses_labels_out_of_range():
    with pytest.raises(ValueError, match=r"y_pred\[1\] is 2; with 2 classes the labels are 0 to 1"):
        confusion_matrix([0, 1], [0, 2], n_classes=2)
    with pytest.raises(ValueError, match=r"y_true\[0\] is -1"):
        confusion_matrix([-1, 1], [1, 1])
