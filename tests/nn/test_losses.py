"""Losses: values by hand, targets that are refused, and what holds for every loss."""

import numpy as np
import pytest
import scipy.sparse
from cases import LOSSES
from hypothesis import given
from hypothesis import strategies as st

from tinynn.nn import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
)

# Values by hand


def check(loss, prediction, target, value, gradient):
    assert loss.forward(np.array(prediction), np.array(target)) == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-14)


def test_the_softmax_example_of_the_slides():
    p = np.array([[0.15, 0.01, 0.04, 0.80]])
    for target in (np.array([3]), np.array([[0, 0, 0, 1]])):
        loss = CrossEntropy()
        assert loss.forward(np.log(p), target) == pytest.approx(0.2231, abs=5e-5)
        assert loss.forward(np.log(p) + 5, target) == pytest.approx(-np.log(0.8), rel=1e-14)
        np.testing.assert_allclose(loss.backward(), [[0.15, 0.01, 0.04, -0.2]], rtol=1e-13)  # a - y


def test_mean_squared_error():
    check(MeanSquaredError(), [[1.0, 2.0], [3.0, 4.0]], [[1, 0], [0, 4]], 6.5, [[0, 2], [3, 0]])


def test_mean_absolute_error():
    check(MeanAbsoluteError(), [[1.0, 2.0], [3.0, 4.0]], [[1, 0], [5, 4]], 2.0, [[0, 0.5], [-0.5, 0]])


def test_huber_is_quadratic_inside_and_linear_outside():
    check(Huber(2.0), [[1.0], [3.0]], [[0], [0]], (0.5 + 2 * (3 - 1)) / 2, [[0.5], [1.0]])
    check(Huber(2.0), [[2.0], [-5.0]], [[0], [0]], (2 + 2 * (5 - 1)) / 2, [[1.0], [-1.0]])


def test_binary_cross_entropy():
    z = [[np.log(3)], [0.0]]  # p = 3/4 and 1/2
    check(BinaryCrossEntropy(), z, [[1], [0]], (np.log(4 / 3) + np.log(2)) / 2, [[-0.125], [0.25]])
    check(BinaryCrossEntropy(), z[:1], [[0.5]], -0.5 * np.log(3 / 16), [[0.25]])


def test_hinge():
    check(
        Hinge(),
        [[2.0], [0.5], [-1.0], [1.0]],
        [[1], [1], [1], [-1]],
        4.5 / 4,
        [[0], [-0.25], [-0.25], [0.25]],
    )
    check(Hinge(), [[1.0], [-1.0]], [[1], [-1]], 0.0, [[0], [0]])  # on the margin


def test_two_classes_are_the_same_with_a_softmax_or_a_sigmoid():
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((5, 2)), rng.integers(0, 2, 5)
    assert CrossEntropy().forward(z, y) == pytest.approx(BinaryCrossEntropy().forward(z[:, 1:] - z[:, :1], y))


# What prediction and target may be


def test_a_vector_of_targets_fits_one_output():
    prediction = np.array([[1.0], [2.0], [-1.0]])
    for loss in (MeanSquaredError(), MeanAbsoluteError(), Huber(), BinaryCrossEntropy(), Hinge()):
        for y in ([1, 1, -1] if isinstance(loss, Hinge) else [1, 0, 1], [1.0, 1.0, 1.0]):
            value = loss.forward(prediction, y)
            gradient = loss.backward()
            assert gradient.shape == (3, 1)
            assert loss.forward(prediction, np.array(y)[:, None]) == value
            np.testing.assert_array_equal(loss.backward(), gradient)
    assert MeanSquaredError().forward([[1], [2]], [1, 4]) == 2.0


TWO = np.array([[0.5, -1.0], [2.0, 0.0], [1.0, 1.0]])
PLAIN = (MeanSquaredError, MeanAbsoluteError, Huber, BinaryCrossEntropy, Hinge)


@pytest.mark.parametrize("loss", [*PLAIN, CrossEntropy])
@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (np.ones((2, 2)), ValueError, r"target has shape \(2, 2\) but prediction has shape \(3, 2\)"),
        (np.ones((3, 1)), ValueError, r"target has shape \(3, 1\) but prediction has shape \(3, 2\)"),
        (np.ones((3, 2, 1)), ValueError, r"target has 3 dimensions"),
        (np.ones((3, 2), complex), ValueError, "target is complex"),
        (np.full((3, 2), None), TypeError, "target has dtype object"),
        (np.array(["a", "b", "c"]), TypeError, "target has dtype <U1"),
        (scipy.sparse.eye_array(3, 2), TypeError, "target is a sparse matrix"),
        (
            np.where(np.eye(3, 2) == 1, np.nan, 1),
            ValueError,
            r"target contains 2 NaN, the first at index \(0, 0\)",
        ),
        (np.full((3, 2), np.inf), ValueError, "target contains 6 inf"),
        (np.ones((0, 2)), ValueError, "target is empty"),
    ],
)
def test_targets_that_do_not_fit(loss, target, error, message):
    with pytest.raises(error, match=message):
        loss().forward(TWO, target)


@pytest.mark.parametrize("loss", PLAIN)
def test_a_vector_of_targets_does_not_broadcast_over_outputs(loss):
    with pytest.raises(ValueError, match=r"target has shape \(3,\) but prediction has shape \(3, 2\)"):
        loss().forward(TWO, np.ones(3))
    with pytest.raises(ValueError, match=r"target has shape \(2, 1\) but prediction has shape \(3, 1\)"):
        loss().forward(TWO[:, :1], np.ones(2))


@pytest.mark.parametrize("loss", [*PLAIN, CrossEntropy])
@pytest.mark.parametrize(
    ("prediction", "error", "message"),
    [
        (np.ones(3), ValueError, "prediction has 1 dimensions"),
        (np.array([[1.0, np.nan]]), ValueError, "prediction contains 1 NaN"),
        (np.ones((1, 2), complex), ValueError, "prediction is complex"),
        (np.ones((0, 2)), ValueError, "prediction is empty"),
    ],
)
def test_predictions_that_do_not_fit(loss, prediction, error, message):
    with pytest.raises(error, match=message):
        loss().forward(prediction, np.ones((1, 2)))


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ([0, 1, 2], ValueError, "target has labels from 0 to 2, but prediction has 2 columns.* 0 ... 1"),
        ([0, -1, 1], ValueError, "target has labels from -1 to 1"),
        ([0.0, 1.0, 1.0], TypeError, "target has dtype float64; class labels .* must be integers"),
        ([True, False, True], TypeError, "target has dtype bool"),
        ([0, 1], ValueError, "prediction has 3, target has 2"),
        ([[0], [1], [1]], ValueError, r"target has shape \(3, 1\) but prediction has shape \(3, 2\)"),
        ([[0.5, 0.6], [0, 1], [1, 0]], ValueError, "rows must be probabilities.* sum 1"),
        ([[1.5, -0.5], [0, 1], [1, 0]], ValueError, "rows must be probabilities: not negative"),
        ([[0, 0], [0, 1], [1, 0]], ValueError, "rows must be probabilities"),
    ],
)
def test_class_targets(target, error, message):
    with pytest.raises(error, match=message):
        CrossEntropy().forward(TWO, np.array(target))


@pytest.mark.parametrize(
    ("loss", "target", "message"),
    [
        (
            BinaryCrossEntropy(),
            [[0, 2], [0, 1], [1, 1]],
            r"target must lie in \[0, 1\]; got values from 0.0 to 2.0",
        ),
        (BinaryCrossEntropy(), [[1, -1], [1, 1], [1, 1]], r"target must lie in \[0, 1\]; got values from -1"),
        (Hinge(), [[0, 1], [1, 1], [0, 0]], r"target must be -1 or \+1 .*pass 2 \* y - 1"),
        (Hinge(), [[0.5, 1], [1, 1], [1, 1]], r"target must be -1 or \+1"),
    ],
)
def test_targets_out_of_range(loss, target, message):
    with pytest.raises(ValueError, match=message):
        loss.forward(TWO, target)


@pytest.mark.parametrize("delta", [0, -1, np.nan, np.inf])
def test_huber_needs_a_positive_delta(delta):
    with pytest.raises(ValueError, match="delta must lie in"):
        Huber(delta)


def test_a_refused_target_leaves_the_pending_backward_alone():
    for case in LOSSES.values():
        loss = case.build()
        loss.forward(TWO, case.target(np.random.default_rng(0), TWO.shape))
        gradient = loss.backward()
        with pytest.raises(ValueError, match="target"):
            loss.forward(TWO, np.full((3, 2), np.nan))
        np.testing.assert_array_equal(loss.backward(), gradient)


# What holds for every loss

every_loss = pytest.mark.parametrize("case", LOSSES.values(), ids=LOSSES.keys())
seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 6), st.integers(2, 4))
sizes = st.sampled_from([1e-3, 1.0, 30.0, 500.0])


def draw(case, seed, shape, size):
    rng = np.random.default_rng(seed)
    target = case.target(rng, shape)
    return rng, size * rng.standard_normal(shape), target


@every_loss
@given(seeds, shapes, sizes)
def test_not_negative(case, seed, shape, size):
    _, prediction, target = draw(case, seed, shape, size)
    assert case.build().forward(prediction, target) >= 0


@every_loss
@given(seeds, shapes, sizes)
def test_mean_over_samples(case, seed, shape, size):
    rng, prediction, target = draw(case, seed, shape, size)
    loss = case.build()
    value = loss.forward(prediction, target)
    gradient = loss.backward()
    twice = loss.forward(np.concatenate([prediction] * 2), np.concatenate([target] * 2))
    assert twice == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), np.concatenate([gradient / 2] * 2), rtol=1e-12, atol=1e-300)
    order = rng.permutation(len(target))
    assert loss.forward(prediction[order], target[order]) == pytest.approx(value, rel=1e-12)
    np.testing.assert_array_equal(loss.backward(), gradient[order])
    one_by_one = [loss.forward(prediction[[m]], target[[m]]) for m in range(len(target))]
    assert np.mean(one_by_one) == pytest.approx(value, rel=1e-12, abs=1e-15)


@every_loss
@given(seeds, shapes, sizes, st.floats(0, 1))
def test_convex_along_a_line(case, seed, shape, size, t):
    """In the prediction every one of these losses is convex, and the gradient is below the chord."""
    rng, a, target = draw(case, seed, shape, size)
    b = size * rng.standard_normal(shape)
    loss = case.build()
    at_b, at_a = loss.forward(b, target), loss.forward(a, target)
    rounding = 1e-12 * (1 + at_a + at_b)
    assert at_b >= at_a + np.vdot(loss.backward(), b - a) - rounding
    assert loss.forward(a + t * (b - a), target) <= (1 - t) * at_a + t * at_b + rounding


PERFECT = {
    "MeanSquaredError": lambda y: y,
    "MeanAbsoluteError": lambda y: y,
    "Huber": lambda y: y,
    "Huber, 0.3": lambda y: y,
    "BinaryCrossEntropy, integers": lambda y: 1000.0 * (2 * y - 1),
    "CrossEntropy, labels": lambda y: 1000.0 * (y[:, None] == np.arange(3)),
    "CrossEntropy, one-hot": lambda y: 1000.0 * y,
    "Hinge": lambda y: 1.0 * y,
}
ENTROPY = {  # against probabilities the least loss is their entropy, reached at their logits
    "BinaryCrossEntropy, probabilities": (
        lambda p: np.log(p / (1 - p)),
        lambda p: -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum() / len(p),
    ),
    "CrossEntropy, probabilities": (np.log, lambda p: -(p * np.log(p)).sum() / len(p)),
}


def test_every_loss_has_its_perfect_fit():
    assert set(PERFECT) | set(ENTROPY) == set(LOSSES)


@pytest.mark.parametrize("name", PERFECT)
@given(seeds, st.integers(1, 6))
def test_zero_at_a_perfect_fit(name, seed, M):
    case = LOSSES[name]
    target = case.target(np.random.default_rng(seed), (M, 3))
    loss = case.build()
    assert loss.forward(PERFECT[name](target), target) == 0
    assert not loss.backward().any()


@pytest.mark.parametrize("name", ENTROPY)
@given(seeds, st.integers(1, 6))
def test_the_entropy_at_a_perfect_fit_to_probabilities(name, seed, M):
    case, (logits, entropy) = LOSSES[name], ENTROPY[name]
    target = case.target(np.random.default_rng(seed), (M, 3))
    loss = case.build()
    assert loss.forward(logits(target), target) == pytest.approx(entropy(target), rel=1e-12)
    np.testing.assert_allclose(loss.backward(), 0, atol=1e-15)
