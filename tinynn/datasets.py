"""Data sets of the course: digits, MNIST, Fashion-MNIST, the NIST problems of linear regression, rMD17.

A file is looked for in the folder that the environment variable ``TINYNN_DATA`` names, then in the
user's cache, and is downloaded into that cache if it is in neither. Wherever it comes from, the
checksum of its uncompressed content has to be right.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinynn.data import Configurations, Dataset
from tinynn.validation import check_integer


class DatasetError(OSError):
    """A data file cannot be had or is damaged; the message says which one, why, and what to do."""


class _File(NamedTuple):
    """A gzipped file: its place under the data folder, where to download it, and its checksums."""

    name: str
    url: str
    md5_gz: str
    md5: str  # of the content: compressing the same data again changes the container only


def _idx_files(folder: str, url: str, *checksums: tuple[str, str]) -> list[_File]:
    """Images and labels to train, images and labels to test."""
    names = [
        f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    ]
    return [_File(f"{folder}/{name}", url + name, *md5) for name, md5 in zip(names, checksums, strict=True)]


_MNIST = _idx_files(  # LeCun, Cortes, Burges: The MNIST database of handwritten digits
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
    ("d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
    ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
    ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
)
_FASHION_MNIST = _idx_files(  # Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
    ("25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
    ("bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
    ("bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
)


def digits() -> Dataset:
    """1797 handwritten digits of 8 x 8 pixels, the copy that comes with scikit-learn.

    Returns
    -------
    Dataset
        X (1797, 64) float64, grey values in [0, 1]; y (1797,) int64, the digits 0 .. 9.

    Raises
    ------
    ImportError
        Without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError('digits come with scikit-learn: pip install "tinynn[lessons]"') from error
    X, y = load_digits(return_X_y=True)
    return Dataset(X / 16, y)


def mnist() -> tuple[Dataset, Dataset]:
    """70,000 handwritten digits of 28 x 28 pixels.

    Returns
    -------
    train, test : Dataset
        60,000 and 10,000 samples: X (M, 784) float32, grey values in [0, 1], row by row; y (M,)
        int64, the digits 0 .. 9.

    Raises
    ------
    DatasetError
        If a file is damaged, or neither found nor to be downloaded.
    """
    return _labelled_images(*_MNIST[:2]), _labelled_images(*_MNIST[2:])


def fashion_mnist() -> tuple[Dataset, Dataset]:
    """70,000 pictures of clothing, in the format of MNIST but harder.

    Returns
    -------
    train, test : Dataset
        As `mnist`; y is 0 T-shirt or top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt,
        7 sneaker, 8 bag, 9 ankle boot.

    Raises
    ------
    DatasetError
        As `mnist`.
    """
    return _labelled_images(*_FASHION_MNIST[:2]), _labelled_images(*_FASHION_MNIST[2:])


NIST = (
    "norris",
    "pontius",
    "noint1",
    "noint2",
    "longley",
    "filip",
    "wampler1",
    "wampler2",
    "wampler3",
    "wampler4",
    "wampler5",
)
_NIST_MD5 = {
    "certified.json": "81c392a523067a1701cc5e82f040143a",
    "filip.csv": "33b9d38d01dfcd57a325d8bbeb686b76",
    "longley.csv": "f87af7a533cd0d1a3cc42e955abcba77",
    "norris.csv": "1e2c79c21b3f41594eefe08bb1463f44",
    "pontius.csv": "adfb93b25712f8d0c4fbd3f735307317",
}
_WAMPLER_NOISE = [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048]  # then mirrored


@dataclass(frozen=True, eq=False)
class ReferenceRegression:
    """A regression problem whose least-squares solution is known to 15 digits and more.

    Attributes
    ----------
    name : str
    X : array (M, n)
        The predictors as measured, float64; `design` is the matrix to solve with.
    y : array (M,)
    model : str
        "poly" (1, x, ..., x^degree), "linear" (1 and all columns of X), or "noint" (X alone).
    degree : int or None
        Of "poly".
    coefficients : array (p,)
        Certified, constant term first.
    residual_sum_of_squares : float
        Certified.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    model: str
    degree: int | None
    coefficients: np.ndarray
    residual_sum_of_squares: float

    @property
    def design(self) -> np.ndarray:
        """Design matrix (M, p), one column for each coefficient, not scaled."""
        if self.model == "poly":
            return np.vander(self.X[:, 0], self.degree + 1, increasing=True)  # type: ignore[operator]
        return self.X if self.model == "noint" else np.column_stack([np.ones(len(self.X)), self.X])

    def correct_digits(self, coefficients: np.ndarray) -> float:
        """Correct digits of the worst coefficient, -log10(|b - c| / |c|), at most 15 and at least 0."""
        error = np.max(np.abs(coefficients - self.coefficients) / np.abs(self.coefficients))
        return float(np.clip(-np.log10(np.maximum(error, 1e-15)), 0, 15))


def nist(name: str) -> ReferenceRegression:
    """A linear-regression problem of the NIST Statistical Reference Datasets.

    Small problems that expose inaccurate solvers: columns of very different size (Pontius), nearly
    dependent ones (Longley), a polynomial of degree 10 (Filip) or 5 (Wampler, with noise that grows
    from 0 in 1 and 2 to far more than the signal in 5), no intercept (NoInt). NoInt and Wampler are
    defined by formulas and need no file; the others lie in the folder ``nist`` of ``$TINYNN_DATA``.

    Parameters
    ----------
    name : str
        One of ``NIST``.

    Returns
    -------
    ReferenceRegression
        Solved in exact rational arithmetic; it agrees with NIST's certified values.

    Raises
    ------
    ValueError
        If there is no set of this name.
    DatasetError
        If a file is missing or is not the original.

    References
    ----------
    NIST Standard Reference Database 140, https://www.itl.nist.gov/div898/strd/lls/lls.shtml
    """
    if name not in NIST:
        raise ValueError(f"name must be one of {', '.join(NIST)}; got {name!r}")
    if name.startswith("wampler"):
        return _wampler(name)
    if name == "noint1":
        x = np.arange(60.0, 71.0)
        return ReferenceRegression(name, x[:, None], x + 70, "noint", None, np.array([251 / 121]), 1400 / 11)
    if name == "noint2":
        x, y = np.array([4.0, 5.0, 6.0]), np.array([3.0, 4.0, 4.0])
        return ReferenceRegression(name, x[:, None], y, "noint", None, np.array([8 / 11]), 3 / 11)
    certified = json.loads(_read_nist("certified.json"))[name]
    table = np.loadtxt(_read_nist(f"{name}.csv").splitlines(), delimiter=",", skiprows=1)
    return ReferenceRegression(
        name,
        table[:, 1:],
        table[:, 0],
        certified["model"],
        certified["degree"],
        np.array([float(c) for c in certified["coefficients"]]),
        float(certified["residual_sum_of_squares"]),
    )


def _wampler(name: str) -> ReferenceRegression:
    """Wampler 1970: y = sum_k b_k x^k, k = 0 .. 5, x = 0 .. 20, plus noise orthogonal to all x^k."""
    x = np.arange(21)
    tenths = 10 if name == "wampler2" else 1  # b_k = 10^-k in the second set, 1 in the others
    y = sum(tenths ** (5 - k) * x**k for k in range(6)) / tenths**5  # exact but for this division
    strength = {"wampler3": 1, "wampler4": 100, "wampler5": 10_000}.get(name, 0)
    noise = strength * np.array(_WAMPLER_NOISE + _WAMPLER_NOISE[-2::-1])
    b = 1 / tenths ** np.arange(6)
    return ReferenceRegression(name, x[:, None].astype(float), y + noise, "poly", 5, b, float(noise @ noise))


def _read_nist(file: str) -> str:
    return _read_local(f"nist/{file}", _NIST_MD5[file]).decode()


RMD17 = ("ethanol", "benzene")
_RMD17_MD5 = {"ethanol": "ccc8bfcd9c76005408d875fdc4b904ea", "benzene": "6e209de77775e598897a8c9194e904f0"}


def rmd17(molecule: str = "ethanol", split: int = 1) -> tuple[Configurations, Configurations]:
    """Frames of a molecular-dynamics trajectory at 500 K, energies and forces from PBE/def2-SVP.

    The file lies in the folder ``md17`` of ``$TINYNN_DATA``. Neighbouring frames of a trajectory are much
    alike, so the source warns against training on more than its 1000.

    Parameters
    ----------
    molecule : str
        One of ``RMD17``: ethanol has 9 atoms, benzene 12.
    split : int
        Which of the source's splits: 1 to 5 for ethanol, 1 for benzene.

    Returns
    -------
    train, test : Configurations
        1000 frames each, in the order of the source; none is in both. Energies in kcal/mol.

    Raises
    ------
    TypeError, ValueError
        If there is no such molecule or split.
    DatasetError
        If the file is missing or is not the original.

    References
    ----------
    Christensen, von Lilienfeld 2020, Mach. Learn.: Sci. Technol. 1, 045018.
    """
    if molecule not in RMD17:
        raise ValueError(f"molecule must be one of {', '.join(RMD17)}; got {molecule!r}")
    split = check_integer(split, "split", low=1)
    content = _read_local(f"md17/rmd17_{molecule}.npz", _RMD17_MD5[molecule])
    with np.load(io.BytesIO(content)) as arrays:
        splits = sum(name.startswith("train_") for name in arrays)
        if split > splits:
            raise ValueError(f"split must be at most {splits} for {molecule}; got {split}")
        z, R, E, F = (arrays[name] for name in "zREF")
        rows = arrays[f"train_{split:02}"], arrays[f"test_{split:02}"]
    train, test = (Configurations(z, R[part], E[part], F[part]) for part in rows)
    return train, test


def _read_local(name: str, md5: str) -> bytes:
    """The content of a file that is nowhere to download, its checksum verified."""
    folder = os.environ.get("TINYNN_DATA")
    path = Path(folder or "", name).expanduser()
    remedy = f"set TINYNN_DATA to a folder that contains {name}"
    if not folder or not path.exists():
        raise DatasetError(f"{name} is not in $TINYNN_DATA ({folder or 'not set'}); {remedy}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error}); {remedy}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DatasetError(f"{path} is not the original: it has MD5 {found}, wanted {md5}; {remedy}")
    return content


def _labelled_images(images: _File, labels: _File) -> Dataset:
    pixels = _read_idx(images, ndim=3)
    X = np.divide(pixels.reshape(len(pixels), -1), 255, dtype=np.float32)
    return Dataset(X, _read_idx(labels, ndim=1).astype(np.int64))


def _read_idx(file: _File, ndim: int) -> np.ndarray:
    """The array of unsigned bytes in an IDX file.

    Two zero bytes, the type (8: unsigned byte) and the number of dimensions come first, then each
    length as a big-endian 32-bit integer, then the bytes, last index fastest.
    """
    content = _read(file)
    start = 4 + 4 * ndim
    if content[:4] != bytes([0, 0, 8, ndim]) or len(content) < start:
        raise DatasetError(
            f"{file.name} is no IDX file of bytes in {ndim} dimensions: it begins {content[:4]!r}"
        )
    shape = np.frombuffer(content, ">u4", count=ndim, offset=4)
    if len(content) != start + shape.prod():
        raise DatasetError(
            f"{file.name} has {len(content)} bytes; its header promises {start + shape.prod()}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read(file: _File) -> bytes:
    """The uncompressed content of a file, its checksum verified."""
    path = _find(file)
    remedy = "delete it, and it will be downloaded again; or put the original there"
    try:
        with gzip.open(path) as stream:
            content = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read ({error}); {remedy}") from error
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != file.md5:
        raise DatasetError(
            f"{path} is not the original: its content has MD5 {md5}, wanted {file.md5}; {remedy}"
        )
    return content


def _find(file: _File) -> Path:
    """Path of a file in $TINYNN_DATA or, downloaded if need be, in the user's cache."""
    folder = os.environ.get("TINYNN_DATA")
    if folder and (path := Path(folder).expanduser() / file.name).exists():
        return path
    missing = f"{file.name} is not in $TINYNN_DATA ({folder or 'not set'})"
    remedy = f"set TINYNN_DATA to a folder that contains {file.name}"
    try:
        import pooch
    except ImportError as error:
        raise DatasetError(
            f'{missing}, and downloading it takes pooch: pip install "tinynn[lessons]", or {remedy}'
        ) from error
    cached = Path(pooch.os_cache("tinynn"), file.name)
    try:
        return Path(pooch.retrieve(file.url, f"md5:{file.md5_gz}", fname=cached.name, path=cached.parent))
    except (OSError, ValueError) as error:  # no connection, no such page, no space; wrong checksum
        raise DatasetError(
            f"{missing}, and {file.url} could not be downloaded to {cached}. "
            f"Connect and try again, or {remedy}. The reason given: {error}"
        ) from error
