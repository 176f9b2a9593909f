import json
import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tinynn import datasets
from tinynn.datasets import NIST, DatasetError

FOLDER = Path(os.environ.get("TINYNN_DATA") or "/nowhere", "nist")
BY_FORMULA = [name for name in NIST if name.startswith(("wampler", "noint"))]
FROM_FILES = [name for name in NIST if name not in BY_FORMULA]


@pytest.fixture
def without_files(monkeypatch):
    monkeypatch.delenv("TINYNN_DATA", raising=False)


def needs_files():
    if not FOLDER.is_dir():
        pytest.skip("$TINYNN_DATA has no folder nist")


def assert_certified(data):
    """Solve in exact rational arithmetic: the normal equations hold for the certified coefficients."""
    A = [[Fraction(v) for v in row] for row in data.design.tolist()]
    y = [Fraction(v) for v in data.y.tolist()]
    n = len(A[0])
    G = [[sum(row[i] * row[j] for row in A) for j in range(n)] for i in range(n)]
    b = [sum(row[i] * v for row, v in zip(A, y, strict=True)) for i in range(n)]
    for k in range(n):
        for i in range(n):
            if i != k:
                factor = G[i][k] / G[k][k]
                G[i] = [g - factor * h for g, h in zip(G[i], G[k], strict=True)]
                b[i] -= factor * b[k]
    w = np.array([float(b[i] / G[i][i]) for i in range(n)])
    assert data.correct_digits(w) >= 7.5  # the decimal data are rounded to float64, which Filip magnifies
    residual = data.y - data.design @ data.coefficients
    assert residual @ residual == pytest.approx(data.residual_sum_of_squares, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", BY_FORMULA)
def test_sets_made_by_formula(name, without_files):
    data = datasets.nist(name)
    assert data.name == name
    assert data.X.dtype == data.y.dtype == data.coefficients.dtype == np.float64
    assert_certified(data)


@pytest.mark.real_data
@pytest.mark.parametrize("name", FROM_FILES)
def test_sets_from_files(name):
    needs_files()
    assert_certified(datasets.nist(name))


@pytest.mark.real_data
@pytest.mark.parametrize("name", BY_FORMULA)
def test_formulas_give_the_files(name):
    needs_files()
    table = np.loadtxt(FOLDER / f"{name}.csv", delimiter=",", skiprows=1)
    data = datasets.nist(name)
    np.testing.assert_array_equal(np.column_stack([data.y, data.X]), table)
    certified = json.loads((FOLDER / "certified.json").read_text())[name]
    np.testing.assert_array_equal(data.coefficients, [float(c) for c in certified["coefficients"]])
    assert data.residual_sum_of_squares == float(certified["residual_sum_of_squares"])
    assert (data.model, data.degree) == (certified["model"], certified["degree"])


def test_known_values(without_files):
    data = datasets.nist("wampler4")
    assert data.y[:2].tolist() == [75901, -204794]
    assert data.residual_sum_of_squares == 8.3554268e11
    assert data.design.shape == (21, 6)
    assert data.design[2].tolist() == [1, 2, 4, 8, 16, 32]
    assert datasets.nist("wampler2").y[:2].tolist() == [1, 1.11111]
    assert datasets.nist("noint1").coefficients[0] == pytest.approx(2.07438016528926, rel=1e-14)
    assert datasets.nist("noint2").design.tolist() == [[4], [5], [6]]


@pytest.mark.real_data
def test_linear_model_has_a_column_of_ones():
    needs_files()
    data = datasets.nist("longley")
    assert data.design.shape == (16, 7)
    np.testing.assert_array_equal(data.design[:, 0], 1)
    assert datasets.nist("filip").design.shape == (82, 11)


def test_correct_digits(without_files):
    data = datasets.nist("wampler2")
    assert data.correct_digits(data.coefficients) == 15
    assert data.correct_digits(data.coefficients * (1 + 1e-7)) == pytest.approx(7, abs=1e-6)
    worst = data.coefficients.copy()
    worst[5] *= 1.001
    assert data.correct_digits(worst) == pytest.approx(3, abs=1e-6)
    assert data.correct_digits(-data.coefficients) == 0


def test_unknown_name(without_files):
    with pytest.raises(ValueError, match=r"name must be one of norris, .*wampler5; got 'iris'"):
        datasets.nist("iris")


def test_missing_files_say_what_to_do(monkeypatch, tmp_path, without_files):
    remedy = r"set TINYNN_DATA to a folder that contains nist/certified\.json"
    with pytest.raises(DatasetError, match=rf"is not in \$TINYNN_DATA \(not set\); {remedy}"):
        datasets.nist("filip")
    monkeypatch.setenv("TINYNN_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=f"{tmp_path}.*{remedy}"):
        datasets.nist("filip")


@pytest.mark.real_data
@pytest.mark.parametrize("file", ["certified.json", "filip.csv"])
def test_damaged_file(monkeypatch, tmp_path, file):
    needs_files()
    shutil.copytree(FOLDER, tmp_path / "nist", copy_function=shutil.copyfile)
    (tmp_path / "nist").chmod(0o755)
    monkeypatch.setenv("TINYNN_DATA", str(tmp_path))
    assert len(datasets.nist("filip").y) == 82
    path = tmp_path / "nist" / file
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"2", 1))
    with pytest.raises(DatasetError, match=f"{path} is not the original"):
        datasets.nist("filip")
    path.unlink()
    path.mkdir()
    with pytest.raises(DatasetError, match=f"{path} cannot be read"):
        datasets.nist("filip")
