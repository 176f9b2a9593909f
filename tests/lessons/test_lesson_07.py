import os
from pathlib import Path

import numpy as np
import pytest
from lesson_outcomes import values, verdicts

DATA = Path(os.environ.get("TINYNN_DATA", "nowhere"))


def test_lesson_07_reproduces_and_corrects(full):
    found = verdicts(full("07"))
    assert not {"differs", "missed"} & set(found.values())
    assert sum(verdict == "corrected" for verdict in found.values()) == 5


def test_lesson_07_finds_the_widest_street(full):
    lesson = full("07").namespace
    assert lesson["width"] == pytest.approx(lesson["widths"].max(), rel=1e-3)
    assert lesson["touched"][:3] == pytest.approx(1, abs=1e-6)
    assert lesson["touched"][3] > 1.01


def test_lesson_07_needs_the_labels_minus_and_plus_one(full):
    lesson = full("07").namespace
    assert lesson["positives"]["0, 1"] == 1
    assert np.linalg.norm(lesson["w_01"]) < 0.1
    assert 0.3 < lesson["positives"]["-1, +1"] < 0.7
    assert "-1 or +1" in lesson["refused"]


def test_lesson_07_translates_c(full):
    lesson = full("07").namespace
    right, wrong = lesson["soft_values"]["C/M"], lesson["soft_values"]["C"]
    assert right == pytest.approx(lesson["slow"][-1], rel=1e-4)
    assert wrong > right + 0.1
    assert lesson["moved"][0.5] < 1e-6 < 1e-2 < lesson["moved"][1.0]


def test_lesson_07_reaches_the_hard_margin_only_if_there_is_one(full):
    lesson = full("07").namespace
    below, above, *further = (lesson["streets"]["separable", price] for price in lesson["prices"][4:])
    assert below > 1.005 * lesson["width"]
    assert [above, *further] == pytest.approx(3 * [lesson["width"]], rel=1e-5)
    soft = [lesson["streets"]["overlapping", price] for price in lesson["prices"]]
    assert np.all(np.diff(soft) < 1e-6)


def test_lesson_07_maximises_the_dual_under_all_of_its_constraints(full):
    lesson = full("07").namespace
    assert lesson["rays"][1] == pytest.approx(lesson["w_hard"] @ lesson["w_hard"] / 2, rel=1e-6)
    assert max(lesson["rays"], key=lesson["rays"].get) == 1
    assert lesson["rays"][1000] < -1e5, "no minimum"
    growth = {name: top[-1] / top[-2] for name, top in lesson["tops"].items()}
    assert growth["separable"] == pytest.approx(1, rel=1e-6)
    assert growth["overlapping"] > 9, "without a bound the dual of a soft margin has no maximum"
    a, y = lesson["a_soft"], lesson["y"]
    assert abs(a @ y) < 1e-5
    assert a.min() >= 0
    assert a.max() <= lesson["C_soft"]


def test_lesson_07_closes_the_duality_gap(full):
    lesson = full("07").namespace
    lower, upper = lesson["lower"], lesson["upper"]
    assert np.all(np.diff(lower) >= -1e-9)
    assert np.all(upper >= lower - 1e-6)
    assert upper[-1] == pytest.approx(lower[-1], rel=1e-6)
    assert not np.all(np.diff(upper) <= 0), "the text says that the primal goes up and down"
    assert np.all(np.array(lesson["slow"]) >= lower[-1] - 1e-6), "the dual is a guarantee"


def test_lesson_07_tells_from_a_weight_where_its_sample_lies(full):
    lesson = full("07").namespace
    kinds = lesson["kinds"].values()
    assert sum(which.sum() for which in kinds) == lesson["M_SAMPLES"]
    assert all(which.any() for which in kinds)
    assert lesson["rule_error"] < 1e-6
    changes = lesson["changes"]
    assert changes["only the support vectors"] < 1e-6 < 1e-3 < changes["one on the edge less"]
    assert changes["only these, logistic"] > 0.1


def test_lesson_07_computes_features_without_forming_them(full):
    lesson = full("07").namespace
    assert lesson["trick_error"] < 1e-12
    assert lesson["same_error"] < 1e-5
    assert lesson["ring_scores"][lesson["RIGHT"]] > 0.95
    assert lesson["ring_scores"]["K = x'x̃"] < lesson["larger"] + 0.05
    assert lesson["fourth"].shape[1] == 9
    assert lesson["five"].shape[1] == 5


def test_lesson_07_shows_short_right_and_long_length_scales(full):
    lesson = full("07").namespace
    short, right, long, too_long = lesson["gaussians"].values()
    assert short[0] > 0.99
    assert short[2] > 0.95
    assert right[1] > max(short[1], long[1], too_long[1]) + 0.05
    assert right[2] < 0.5
    assert too_long[2] == 1
    one, _, three, twelve = (found[1] for found in lesson["polynomials"].values())
    assert three > max(one, twelve) + 0.02


def test_lesson_07_is_better_than_a_line_on_digits(full):
    scores = {name: np.mean(found) for name, found in full("07").namespace["digit_scores"].items()}
    assert scores["Gaussian, l = 2"] > 0.985 > scores["linear"] > 0.97


@pytest.mark.real_data
@pytest.mark.skipif(
    not ((DATA / "mnist").is_dir() and (DATA / "fashion-mnist").is_dir()), reason="no images in $TINYNN_DATA"
)
def test_lesson_07_has_a_trend_that_leads_to_the_published_errors(full):
    found = values(full("07"))
    assert found["MNIST, 8000 images: error"] < 0.04
    assert found["MNIST, 60,000: error by the trend"] == pytest.approx(0.014, rel=0.2)
    assert found["Fashion-MNIST, 60,000: error by the trend"] == pytest.approx(0.103, rel=0.1)
