import numpy as np
import pytest

from tinynn.datasets import RMD17, DatasetError, rmd17


@pytest.mark.real_data
@pytest.mark.parametrize("molecule", RMD17)
def test_frames_are_those_of_the_source(molecule):
    train, test = rmd17(molecule)
    N = len(train.z)
    for part in (train, test):
        assert part.R.shape == part.F.shape == (1000, N, 3)
        assert part.E.shape == (1000,)
        assert np.abs(part.F.sum(axis=1)).max() < 6e-6
        assert np.abs(np.cross(part.R, part.F).sum(axis=1)).max() < 0.05
    assert not {*train.E.tolist()} & {*test.E.tolist()}


@pytest.mark.real_data
def test_energies_and_forces_belong_together():
    """Between neighbouring frames dE = -(F1 + F2)/2 dR, up to the third order."""
    train, _ = rmd17("ethanol")
    d = train.R - train.R[:, None]
    distance = np.sqrt((d**2).sum(axis=(2, 3))) + 1e9 * np.eye(1000)
    i = np.arange(1000)
    j = distance.argmin(axis=1)
    near = distance[i, j] < 0.35
    i, j = i[near], j[near]
    work = -((train.F[i] + train.F[j]) / 2 * (train.R[j] - train.R[i])).sum(axis=(1, 2))
    slope = np.polyfit(work, train.E[j] - train.E[i], 1)[0]
    assert len(i) > 10
    assert slope == pytest.approx(1, abs=0.1)


@pytest.mark.real_data
def test_splits_differ():
    first, third = rmd17("ethanol", 1)[0], rmd17("ethanol", split=3)[0]
    assert not np.array_equal(first.E, third.E)
    with pytest.raises(ValueError, match=r"^split must be at most 5 for ethanol; got 6"):
        rmd17("ethanol", split=6)


@pytest.mark.parametrize(
    ("split", "error", "message"),
    [
        (1.0, TypeError, "^split must be an integer; got 1.0"),
        (True, TypeError, "^split must be an integer; got True"),
        (0, ValueError, "^split must be at least 1; got 0"),
    ],
)
def test_bad_split(split, error, message):
    with pytest.raises(error, match=message):
        rmd17("ethanol", split)


def test_unknown_molecule_and_missing_file(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="molecule must be one of ethanol, benzene; got 'aspirin'"):
        rmd17("aspirin")
    monkeypatch.delenv("TINYNN_DATA", raising=False)
    with pytest.raises(
        DatasetError, match=r"rmd17_ethanol.npz is not in \$TINYNN_DATA \(not set\); set TINYNN"
    ):
        rmd17()
    monkeypatch.setenv("TINYNN_DATA", str(tmp_path))
    (tmp_path / "md17").mkdir()
    (tmp_path / "md17" / "rmd17_ethanol.npz").write_bytes(b"something else")
    with pytest.raises(DatasetError, match="is not the original: it has MD5"):
        rmd17()
