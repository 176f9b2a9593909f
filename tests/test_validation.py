"""Checks of input: what is let through unchanged, what is converted, what is refused and in which words."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

from tinynn.validation import (
    check_array,
    check_classes,
    check_integer,
    check_labels,
    check_number,
    check_same_length,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_point_arrays_are_not_copied(dtype):
    x = np.ones((2, 3), dtype)
    assert check_array(x, "x") is x
    assert check_array(x, "x", dtype=dtype, ndim=2, shape=(2, None)) is x


@pytest.mark.parametrize(
    "x",
    [
        [1, 2],
        (1, 2),
        np.array([1, 2], np.uint8),
        np.array([1, 2], np.float16),
        np.array([1, 2], np.longdouble),
    ],
)
def test_all_other_numbers_become_float64(x):
    a = check_array(x, "x")
    assert a.dtype == np.float64
    assert a.tolist() == [1.0, 2.0]
    assert check_array([True, False], "x").tolist() == [1.0, 0.0]
    numbers = np.array([[1, Fraction(1, 2)]], dtype=object)
    assert check_array(numbers, "x", objects=True).tolist() == [[1.0, 0.5]]
    assert check_array(x, "x", dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        ([[1, 2], [3]], {}, ValueError, "x is not a rectangular array: its rows have different lengths"),
        (["a"], {}, TypeError, "x has dtype <U1; wanted real numbers"),
        ([None], {}, TypeError, "x has dtype object; wanted real numbers"),
        (np.array([1.0], dtype=object), {}, TypeError, "x has dtype object; wanted real numbers"),
        (
            [None],
            {"objects": True},
            TypeError,
            "x has dtype object; wanted real numbers, but .* not 'NoneType'",
        ),
        (np.array(["2020-01-01"], "M8[D]"), {}, TypeError, r"x has dtype datetime64\[D\]"),
        ([1j], {}, ValueError, r"x is complex \(complex128\). Complex data not supported"),
        (scipy.sparse.coo_array([[1]]), {}, TypeError, r"x is a sparse matrix.*pass x.toarray\(\)"),
        ([1.0], {"ndim": 2}, ValueError, r"x has 1 dimensions \(shape \(1,\)\); wanted 2"),
        ([[[1.0]]], {"ndim": (1, 2)}, ValueError, "x has 3 dimensions .* wanted 1 or 2"),
        (np.ones((2, 3)), {"shape": (None, 4)}, ValueError, r"x has shape \(2, 3\); wanted \(any, 4\)"),
        (np.ones(3), {"shape": (3, 1)}, ValueError, r"x has shape \(3,\); wanted \(3, 1\)"),
        (np.ones((0, 3)), {}, ValueError, r"x is empty \(shape \(0, 3\)\)"),
        ([1, np.nan, np.inf], {}, ValueError, r"x contains 1 NaN and 1 inf, the first at index \(1,\)"),
        (np.nan, {}, ValueError, r"x contains 1 NaN, the first at index \(\)"),
        ([1e200], {"dtype": np.float32}, ValueError, "x contains 1 inf.*finite in float32"),
    ],
)
def test_arrays_are_refused_by_name(x, options, error, message):
    with pytest.raises(error, match=message):
        check_array(x, "x", **options)


def test_what_may_be_allowed():
    assert check_array(np.ones((0, 3)), "x", empty=True).shape == (0, 3)
    assert np.isnan(check_array([np.nan], "x", finite=False)).all()
    assert check_array(2, "x").shape == ()


@pytest.mark.parametrize("x", [1, 1.0, np.float32(1), np.int64(1), np.array(1.0), True, Fraction(1)])
def test_numbers(x):
    assert check_number(x, "x", low=0) == 1.0
    assert type(check_number(x, "x")) is float


@pytest.mark.parametrize("x", ["1", b"1", None, [1], np.ones(1), 1j, np.complex64(1), {}, np.str_("1")])
def test_no_numbers(x):
    with pytest.raises(TypeError, match="rate must be a number; got"):
        check_number(x, "rate")


@pytest.mark.parametrize("closed", ["both", "left", "right", "neither"])
def test_intervals(closed):
    ends = {0.0: closed in ("both", "left"), 1.0: closed in ("both", "right")}
    inside = {0.5: True, -0.1: False, 1.1: False, np.nan: False, np.inf: False}
    for x, allowed in (ends | inside).items():
        if allowed:
            assert check_number(x, "x", low=0, high=1, closed=closed) == x
        else:
            interval = ("[" if ends[0.0] else "(") + "0, 1" + ("]" if ends[1.0] else ")")
            with pytest.raises(ValueError, match="x must lie in ") as info:
                check_number(x, "x", low=0, high=1, closed=closed)
            assert interval in str(info.value)


def test_integers():
    assert check_integer(np.uint8(3), "n", low=3) == 3
    assert type(check_integer(np.int64(3), "n")) is int
    for x in (1.0, np.float64(1), "1", None, True, np.True_, [1]):
        with pytest.raises(TypeError, match="n must be an integer; got"):
            check_integer(x, "n")
    with pytest.raises(ValueError, match="n must be at least 1; got 0"):
        check_integer(0, "n", low=1)


def test_lengths():
    assert check_same_length(X=np.ones((3, 2)), y=[1, 2, 3]) == 3
    with pytest.raises(ValueError, match="the number of samples differs: X has 3, y has 2, z has 3"):
        check_same_length(X=np.ones((3, 2)), y=[1, 2], z=np.ones(3))


def test_labels_and_classes():
    for y in ([0, 2, 1], [[0], [2], [1]], [0.0, 2.0, 1.0]):
        labels = check_labels(y, "y")
        assert labels.dtype == np.int64
        assert labels.tolist() == [0, 2, 1]
    with pytest.raises(ValueError, match=r"y\[1\] is 0.5; wanted integer labels"):
        check_labels([0, 0.5], "y")
    with pytest.raises(
        ValueError, match=r"y has shape \(1, 2\); wanted one label per sample.*y.argmax\(axis=1\)"
    ):
        check_labels([[0, 1]], "y")
    assert check_classes(None, y=np.array([0, 2]), p=np.array([4, 1])) == 5
    with pytest.raises(ValueError, match=r"p\[1\] is 3; with 3 classes the labels are 0 to 2"):
        check_classes(3, y=np.array([0, 2]), p=np.array([1, 3]))
