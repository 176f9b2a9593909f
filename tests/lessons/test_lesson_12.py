import numpy as np
import pytest
from lesson_outcomes import values, verdicts


def test_lesson_12_the_gaussian_is_the_inner_product_of_bells_and_of_powers(full):
    outcome = full("12")
    found, lesson = values(outcome), outcome.namespace
    for distance in (0, 1, 2):
        law = np.sqrt(np.pi / 2) * np.exp(-(distance**2) / 2)
        assert found[f"bells {distance} apart: integral"] == pytest.approx(law, rel=1e-9)
        assert verdicts(outcome)[f"bells {distance} apart: integral"] == "reproduced"
    np.testing.assert_allclose(lesson["overlap"], lesson["gaussian"], atol=1e-9)
    finite = lesson["finite"]
    assert finite["bells", 27] < 1e-7 < 1e-3 < finite["bells", 14], "a few bells are enough, fewer are not"
    assert finite["powers", 80] < 1e-12 < 0.1 < finite["powers", 30], "a countable list has the same kernel"
    assert lesson["squares"][0, 1] > lesson["squares"][0, 0], "no largest similarity at x = y"


def test_lesson_12_primal_and_dual(full):
    lesson = full("12").namespace
    assert set(lesson["refused"]) == {"φ - Y", "φ Y"}, "shapes of the notes"
    assert lesson["slope"] < 1e-10
    assert lesson["right_misses"] < 1e-9 < 1 < lesson["printed_misses"], "φ'Y, not φ Y"
    assert lesson["misses"]["1, r, r², r³, r⁴", 10] == pytest.approx(lesson["misses"]["1, r, r², r³, r⁴", 0])
    assert lesson["misses"]["r, r², r³, r⁴", 10] > 1.5 * lesson["misses"]["r, r², r³, r⁴", 0]
    assert lesson["invertible"] == {4: [True, False], 6: [True, True], 12: [False, True]}, "φ'φ and φφ'"
    assert max(lesson["sides"].values()) < 1e-10, "with λ they agree whatever M and E"
    assert lesson["outer_gap"] < 1e-12
    assert lesson["shortest_gap"] < 1e-6
    conditions = lesson["conditions"]
    assert conditions[1] < conditions[1e-3] < conditions[1e-8] < 1e-6 * conditions[0], "λI is the cure"


def test_lesson_12_the_trick_saves_what_it_says(full):
    lesson = full("12").namespace
    assert lesson["occurs"].tolist() == [1, 4, 6, 4, 1]
    for right, without_roots in lesson["expansion"].values():
        assert right < 1e-12 < 0.5 < without_roots
    assert lesson["into"] == {"x·y": 5, "φ(x)·φ(y)": 25, "K(x, y)": 25, "K(φ(x), φ(y))": 625}
    assert lesson["ways_gap"] < 1e-10
    few, many = lesson["by_features"][0], lesson["by_features"][-1]
    assert many[0] > 3 * max(many[2], few[0]), "the primal pays for features"
    assert many[2] < 10 * few[2], "the kernel does not"
    assert lesson["by_samples"][-1][0] < lesson["by_samples"][-1][2], (
        "but the primal is better for many samples"
    )


def test_lesson_12_kernels_are_positive_semidefinite(full):
    outcome = full("12")
    lesson = outcome.namespace
    kernels = {"x·y", "(1 + x·y)³", "Gaussian", "Laplacian", "Gaussian + x·y", "Gaussian · (1 + x·y)³"}
    refuted = lesson["refuted"]
    assert {name for name, share in refuted.items() if share == 0} == {*kernels, "(45) corrected, 4 terms"}
    assert min(share for share in refuted.values() if share) > 0.9
    assert refuted["Gaussian, 0 from |x - y| = 2 on"] < 1, "points that refute nothing prove nothing"
    assert lesson["zeros"] == 10, "semidefinite: x·y has rank 2 in the plane"
    assert lesson["converse"] < 1e-12
    assert lesson["negative_length"] < 0
    assert list(lesson["solved"].values()) == [False, True]
    assert lesson["step"] < 0, "the solution is no minimum"
    corrected = [quantity for quantity, verdict in verdicts(outcome).items() if verdict == "corrected"]
    assert len(corrected) == 11
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


def test_lesson_12_learns_a_potential_and_its_force(full):
    lesson = full("12").namespace
    training, validation = lesson["typical"]
    assert training[0] < 0.1 * lesson["NOISE"], "too short a length scale learns by heart"
    assert 0.2 < lesson["best"] < 0.8
    assert validation.min() < 0.16 < min(2 * validation.min(), 0.4) < min(validation[0], validation[-1])
    assert training[-1] > 0.3, "too long a one cannot bend"
    assert lesson["derivative_gap"] < 1e-6
    errors = lesson["force_errors"]
    assert errors["Gaussian"][1] < errors["Matern52"][1] < errors["Laplacian"][1] < 1
    for at_contact, far in lesson["at_contact"].values():
        assert at_contact < 0 < 10 < lesson["h2"].v(np.array(0.2)), "no wall where no samples are"
        assert abs(far) < 1e-3
    assert lesson["mean_gap"] < 1e-10
    assert 0.8 < lesson["held"] < 1
