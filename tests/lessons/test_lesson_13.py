import numpy as np
import pytest
from lesson_outcomes import values, verdicts

MOTIONS = ("translation", "rotation", "reflection", "permutation")


def test_lesson_13_knows_orbits_and_centring(full):
    outcome = full("13")
    lesson = outcome.namespace
    assert lesson["different"] == {"zigzag": 192, "square": 24}
    assert lesson["turned_is_permuted"] == {"zigzag": False, "square": True}
    assert max(lesson["shifted"], lesson["back"]) < 1e-12 < 0.1 < lesson["other"]
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


def test_lesson_13_audits_labels_features_and_kernels(full):
    outcome = full("13")
    audits = outcome.namespace["audits"]
    rigid = MOTIONS[:3]
    for name, passed in {
        "energies": MOTIONS,
        "labels of S1": rigid,
        "energies, 2 elements": rigid,
        "energies, 2 elements, z given": MOTIONS,
        "positions": (),
        "centred positions": ("translation",),
        "distances": rigid,
        "sorted distances": MOTIONS,
        "symmetry functions": MOTIONS,
        "k: centred positions": ("translation",),
        "k: distances": rigid,
        "k: distances, 24 permutations": MOTIONS,
        "k: sum over atom pairs": ("permutation",),
        "k: atom pairs, centred": ("translation", "permutation"),
        "k: atom pairs, centred, turned": MOTIONS,
        "f: that kernel, random weights": MOTIONS,
    }.items():
        assert audits[name].invariant_under() == passed, name
    curves = outcome.namespace["curves"]
    assert curves["k even angles"][-1] < 1e-12 < 1e-2 < curves["k random angles"][-1]
    assert verdicts(outcome)["sum over atom pairs: invariant under"] == "corrected"


def test_lesson_13_symmetry_alone_is_not_enough_and_can_be_too_much(full):
    outcome = full("13")
    found, lesson = values(outcome), outcome.namespace
    assert found["sum over atom pairs, not centred: interaction"] < 1e-5
    assert lesson["interaction"](lesson["notes"]) > 1e-4, "centring couples the atoms"
    assert lesson["interaction"](lesson["energy"]) > 1e-2
    assert (
        found["atom pairs, its square: test R²"]
        < 0.95
        < 0.999
        < found["atom pairs, mean of squares: test R²"]
    )
    assert lesson["apart"]["sorted distances"] < 1e-12 < 0.1 < lesson["apart"]["symmetrised kernel"]
    assert found["rectangle and T, symmetry functions apart"] < 1e-12
    isomers = lesson["isomers"]
    assert min(isomers["mean over permutations of like atoms"]) > 0.9999
    assert (
        isomers["mean over all 24 permutations"][1]
        < 0.1
        < 0.999
        < isomers["mean over all 24 permutations"][0]
    )
    assert isomers["sorted distances"][0] < 0.97, "720 orders are more than 24 permutations"
    assert "only atoms of one element" in lesson["refusal"]


def test_lesson_13_the_symmetric_models_do_not_lose_a_digit(full):
    lesson = full("13").namespace
    errors, lost = lesson["errors"], lesson["digits_lost"]
    assert set(lesson["built_in"]) == {
        "kernel: sorted distances",
        "kernel: distances, mean over 24 permutations",
        "kernel: atom pairs squared, centred, turned",
        "kernel: deep: sorted distances",
        "network: sorted distances",
        "network: symmetry functions",
        "network: distances, averaged",
        "network: distances, 24 numberings, averaged",
    }
    for name in lesson["built_in"]:
        assert list(errors[name].values()) == pytest.approx([errors[name]["original"]] * 6, rel=1e-4)
    for name in ("kernel: positions", "kernel: distances", "network: positions", "network: distances"):
        assert lost(name) > 3
    added = errors["network: positions, four motions added"]
    assert max(error for motion, error in added.items() if motion != "random") < 2e-3 < 0.1 < added["random"]
    plain, averaged = (errors[f"network: distances{rest}"] for rest in ("", ", averaged"))
    assert averaged["original"] > 100 * plain["original"], "averaged after training on one numbering"
    plain, averaged = (errors[f"network: distances, 24 numberings{rest}"] for rest in ("", ", averaged"))
    assert averaged["original"] < plain["original"]


def test_lesson_13_answers_the_question_of_s1(full):
    lesson = full("13").namespace
    medians = [np.median(found) for found in lesson["copies_error"].values()]
    assert np.all(np.diff(medians) < 0), "more copies are better"
    for found in lesson["built_in_error"].values():
        assert np.max(found) < 0.2 * medians[-1], "but not as good as none with the symmetry built in"
    by_hand, deep = (
        lesson["errors"][f"kernel: {name}sorted distances"]["original"] for name in ("", "deep: ")
    )
    assert by_hand < 1e-3 * deep
    assert lesson["change_of_many"] < 1e-12
