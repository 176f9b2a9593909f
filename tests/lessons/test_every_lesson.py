"""All lessons keep their form, and run in their quick form."""

import ast
import json
import re
import time

import pytest
from lesson_outcomes import LESSONS, run, values


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_form_of_a_lesson(lesson):
    text = lesson.path.read_text(encoding="utf-8")
    assert text.startswith(f"# %% [markdown]\n# # Lesson {int(lesson.number)}: ")
    assert "you can\n" in text, "what the reader will be able to do"
    assert "It builds on" in text
    assert "*Predict" in text or "*predict" in text
    assert re.search(r"^# ## Exercises\n#\n# 1\. (.*\n)+# 2\. (.*\n)+# 3\. ", text, re.MULTILINE)
    assert re.search(r"^BACKEND = \"numpy\"", text, re.MULTILINE)
    knobs = re.findall(r"^([A-Z_]+) = .*?(#.*)?$", text.split("# ## 1.")[0], re.MULTILINE)
    assert all(reason for _, reason in knobs), f"every knob needs its reason: {knobs}"


@pytest.mark.parametrize("number", ["07", "12", "13", "14", "15"])
def test_what_a_lesson_corrects_has_to_be_so(number):
    path = next(lesson.path for lesson in LESSONS if lesson.number == number)
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    for call in calls:
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert options.get("corrected") != "True" or {"at_least", "at_most"} & set(options), ast.unparse(call)


PATTERNS = {  # what the quick form still has to show
    "01": lambda v: (
        v["noisy labels: error of network / line"] > 2 and 0.5 < v["MSE test, [0, 100], scaled"] < 2
    ),
    "02": lambda v: (
        v["digits lost for each digit of κ, qr"] < 1.3 < 1.6 < v["digits lost for each digit of κ, cholesky"]
    ),
    "03": lambda v: (
        v["degree 20 / 2: training error"] < 1 < 10 < v["degree 20 / 2: validation error"]
        and v["L(h_S) - min L, M = 30, degree 12 / 5"] > 2
        and v["largest c in 2 exp(-c n ε²), n = 20 000"] == pytest.approx(2, abs=0.05)
    ),
    "04": lambda v: (
        max(v["maximum likelihood - least squares"], v["maximum a posteriori - ridge"]) < 1e-5
        and v["prior N(0, I), σ = 0.5: λ"] < 0.26 < 0.9 < v["95 % band holds the truth"] < 0.97
    ),
    "05": lambda v: (
        v["counts that contradict Cover's formula"] == 0
        and 0.2 < v["60 points in 30 dimensions: fraction separable"] < 0.8
        and v["wines, raw: accuracy with 1 component"] < 0.8
    ),
    "06": lambda v: (
        v["(32) with brackets: best p for 30 % ones"] == pytest.approx(0.3)
        and v["shifted ellipse, φ(x) of (38)"] < 0.92 < 0.97 < v["shifted ellipse, all up to degree 2"]
        and v["tumours: loss left by descent, unscaled / scaled"] > 30
    ),
    "07": lambda v: (
        v["labels 0, 1: share called positive"] == 1
        and v["overlapping: max dual, bound 10⁴ / 10³"] > 9
        and v["(36), slides' C: SVC(C) - SVC(C/M)"] > 0.1
        and v["K = x'x̃ on the ring: right"] < 0.7
        and v["digits, Gaussian, l = 2"] > 0.98
    ),
    "08": lambda v: min(x for name, x in v.items() if name.startswith("digits")) > 0.96,
    "11": lambda v: all(
        v[f"right labels: {feature}, + nothing, {moved}"]
        > 5 * v[f"right labels: {feature}, + {moved}, {moved}"]
        for feature, moved in (("positions", "rotated"), ("positions", "permuted"), ("distances", "permuted"))
    ),
    "12": lambda v: (
        v["bells 0 apart: integral"] == pytest.approx(1.2533141373, rel=1e-9)
        and v["three ways to fit agree to"] < 1e-9
        and 0.2 < v["length scale of least validation error (Å)"] < 0.8
        and v["force from 9 energies, Gaussian: mean error (eV/Å)"]
        < v["force from 9 energies, Laplacian: mean error (eV/Å)"]
    ),
    "13": lambda v: (
        v["sum over atom pairs: invariant under"] == "permutation"
        and v["both isomers: R² with all 24 permutations"]
        < 0.1
        < v["both isomers: R² with those of like atoms"]
        and v["models invariant under all four"] == 8
        and v["their digits lost, at most"] < 0.01 < 1 < v["digits lost with four motions added"]
    ),
    "14": lambda v: (
        v["energy gained / -∫F·dR"] == pytest.approx(1, abs=1e-3)
        and v["total energy changes by (meV), F = +dE/dR"] > 1000
        and v["argon, n = 40, forces: force error (meV/Å)"]
        < 0.5 * v["argon, n = 40, energies: force error (meV/Å)"]
        and v["Ar7, kernel, n = 40: order of the drift"] == pytest.approx(2, abs=0.1)
    ),
    "15": lambda v: (
        v["mean of the process - kernel ridge (eV), λ = σ²"] < 1e-8
        and 10 * v["largest error (eV), 14 energies: where unsure"]
        < v["largest error (eV), 14 energies: random in r"]
        and v["steps for each call of the reference"] > 10
        and v["force error along the trajectory (eV/Å)"] < 0.05
        and v["hardly asked: shortest distance (Å)"] < 1.8
    ),
    "19": lambda v: (
        v["time of a call, 1000 / 10 numbers"] < 5
        and v["time of a call, 10000000 / 1000 numbers"] > 100
        and v["losses of numpy float32 / numpy float64, - 1"] < 1e-2
        and v["numpy, training: a sample alone / in a batch of 512"] > 5
    ),
}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_quick_form_runs_and_writes_its_results(lesson, tmp_path, capsys):
    start = time.process_time()
    outcome = run(lesson.number, tmp_path, quick=True)
    assert time.process_time() - start < 10
    figures = [path for path in outcome.written if path.suffix == ".png"]
    assert figures
    assert all(path.stat().st_size > 5000 for path in figures)
    assert not any(path.name.startswith("figure_") for path in figures), "figures need names"
    rows = json.loads((tmp_path / lesson.name / "results.json").read_text(encoding="utf-8"))
    assert [set(row) for row in rows] == [{"quantity", "seed", "value", "verdict", "note"}] * len(rows)
    assert len({row["quantity"] for row in rows}) == len(rows)
    assert str(outcome.results) in capsys.readouterr().out
    assert PATTERNS[lesson.number](values(outcome))
