"""The command line of the lessons, on small lessons made for the purpose."""

import json

import pytest

from lessons import __main__ as command
from lessons import runner
from tinynn.plotting import get_pyplot

GOOD = """# %% [markdown]
# # Lesson 1: A good one
import matplotlib.pyplot as plt
from tinynn.results import ResultsTable
STEPS = 5  # quick: 2; enough
BACKEND = "numpy"  # or "cupy"
NAMES = ("a", "b")
fig, ax = plt.subplots(num="a line")
ax.plot(range(STEPS))
plt.show()
plt.figure()
results = ResultsTable("good")
results.add("steps", STEPS, seed=5, tolerance=0.0)
results.add("backend", BACKEND)
print(results)
"""
BAD = "# # Lesson 2: A bad one\nx = 1\nraise RuntimeError('on purpose')\n"
NO_TABLE = "# # Lesson 3: Without a table\nx = 1\n"
QUITS = "# # Lesson 4: One that leaves\nraise SystemExit(3)\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    monkeypatch.setattr(runner, "FOLDER", lessons)
    (lessons / "01_good.py").write_text(GOOD)
    return lessons


def test_without_a_command_it_lists_the_lessons(folder, capsys):
    (folder / "02_bad.py").write_text(BAD)
    assert command.main([]) == 0
    out = capsys.readouterr().out
    assert "01  A good one" in out
    assert "02  A bad one" in out
    assert "python -m lessons run" in out


def test_it_writes_figures_and_results(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert command.main(["run", "1", "--out", str(out)]) == 0
    assert {p.name for p in (out / "01_good").iterdir()} == {"a_line.png", "figure_2.png", "results.json"}
    rows = json.loads((out / "01_good" / "results.json").read_text())
    assert rows[0] == {"quantity": "steps", "seed": 5, "value": 5.0, "verdict": "reproduced", "note": ""}
    printed = capsys.readouterr().out
    assert "reproduced" in printed
    assert "a_line.png" in printed


def test_figures_that_were_open_before_are_left_alone(folder, tmp_path):
    mine = get_pyplot().figure()
    outcome = runner.run_lesson(runner.find_lessons()[0], tmp_path)
    assert [path.name for path in outcome.written] == ["a_line.png", "figure_2.png", "results.json"]
    assert get_pyplot().get_fignums() == [mine.number]


def test_quick_turns_the_knobs_that_have_a_quick_value(folder, tmp_path):
    assert command.main(["run", "--quick", "--out", str(tmp_path / "out")]) == 0
    rows = json.loads((tmp_path / "out" / "01_good" / "results.json").read_text())
    assert [row["value"] for row in rows] == [2.0, "numpy"]


def test_turning_knobs_changes_nothing_else():
    turned = runner.turn_knobs(GOOD, quick=True, backend="cupy")
    assert "STEPS = 2  # quick: 2; enough" in turned
    assert "BACKEND = 'cupy'" in turned
    assert 'NAMES = ("a", "b")' in turned
    assert len(turned.splitlines()) == len(GOOD.splitlines())
    assert runner.turn_knobs(GOOD) == GOOD


def test_a_failing_lesson_does_not_stop_the_others(folder, tmp_path, capsys):
    (folder / "00_bad.py").write_text(BAD)
    (folder / "03_no_table.py").write_text(NO_TABLE)
    (folder / "04_quits.py").write_text(QUITS)
    assert command.main(["run", "--out", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert (tmp_path / "out" / "01_good" / "results.json").exists()
    assert "3 of 4 lessons failed: 00, 03, 04" in captured.err
    assert "on purpose" in captured.err
    assert "03_no_table.py ends without a table called results" in captured.err


def test_results_of_an_earlier_run_are_not_passed_off_as_new(folder, tmp_path, capsys):
    out = tmp_path / "out"
    command.main(["run", "--out", str(out)])
    (folder / "01_good.py").write_text(GOOD.replace("print(results)", "raise ValueError('late')"))
    capsys.readouterr()
    assert command.main(["run", "--out", str(out)]) == 1
    assert "results.json" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "7"], "there is no lesson 07"),
        (["run", "--backend", "torch"], "invalid choice"),
        (["walk"], "invalid choice"),
    ],
)
def test_wrong_calls_are_explained(folder, arguments, words, capsys):
    with pytest.raises(SystemExit) as error:
        command.main(arguments)
    assert error.value.code == 2
    assert words in capsys.readouterr().err


def test_a_missing_cupy_is_said_before_anything_runs(folder, tmp_path, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(SystemExit):
        command.main(["run", "--backend", "cupy", "--out", str(tmp_path / "out")])
    assert "tinynn[gpu]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
