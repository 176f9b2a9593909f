import pytest
from lesson_outcomes import values


def test_lesson_11_tells_the_labels_apart(full):
    found = values(full("11"))
    assert found["S1 labels: least squares on 1/d"] == "[0, 1, 2, 3, 4, 5]"
    assert found["right labels: least squares on 1/d"] == "[1, 1, 1, 1, 1, 1]"
    assert found["S1 labels: change under permutation"] > 1
    assert found["right labels: change under permutation"] < 1e-12


def test_lesson_11_meets_the_target_for_both_features(full):
    found = values(full("11"))
    for feature in ("positions", "distances"):
        assert found[f"right labels: {feature}, test MSE"] < 1e-3
        assert found[f"right labels: {feature}, test R2"] > 0.95


def test_lesson_11_shows_the_pattern(full):
    found = values(full("11"))

    def error(labels, feature, added, action):
        return found[f"{labels} labels: {feature}, + {added}, {action}"]

    for labels in ("S1", "right"):
        assert error(labels, "positions", "nothing", "rotated") > 100 * error(
            labels, "positions", "nothing", "original"
        )
        assert error(labels, "positions", "rotated", "rotated") < 1e-2
        assert error(labels, "positions", "rotated", "permuted") > 0.1
        assert error(labels, "positions", "permuted", "permuted") < 1e-2
        assert error(labels, "positions", "permuted", "rotated") > 0.1
        assert error(labels, "distances", "permuted", "permuted") < 1e-2
        assert error(labels, "distances", "nothing", "rotated") == pytest.approx(
            error(labels, "distances", "nothing", "original"), rel=1e-4
        )
    largest_ratio = found["right labels: permuted, distances / positions"].split()[-1]
    assert float(largest_ratio) < 1
    assert found["square: distances, permuted"] < 1e-3 < 0.1 < found["square: positions, permuted"]
    assert found["network on sorted 1/d: invariant under"] == "translation, rotation, reflection, permutation"
    assert found["network on distances: invariant under"] == "translation, rotation, reflection"
    assert found["network on positions: invariant under"] == "nothing"
