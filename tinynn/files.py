"""Files that are whole or not there: written under another name, then renamed.

Arrays go to safetensors (no pickle: reading a file never runs code).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file


def replace_file(path: str | os.PathLike, write: Callable[[str], None]) -> None:
    """Call `write` with a temporary name beside `path`, then rename; a failure leaves `path` as it was.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    path = Path(path)
    check_folder(path)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        write(aside)
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(aside, 0o666 & ~_umask())
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def check_folder(path: str | os.PathLike) -> None:
    """Make sure that a file can be put at `path`.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r} to put {Path(path).name!r} into")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save_tensors(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named arrays (and text) to a safetensors file, whole or not at all."""
    contiguous = {name: np.asarray(x, order="C") for name, x in tensors.items()}
    # None, for safetensors cannot read its own file of no tensors and empty metadata
    text = dict(metadata) if metadata else None
    replace_file(path, lambda aside: save_file(contiguous, aside, metadata=text))


def load_tensors(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata of a safetensors file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is truncated or no safetensors file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {os.fspath(path)!r}")
    try:
        with safe_open(path, framework="np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        for name, x in tensors.items():
            if x.dtype.kind not in "biufc":  # ml_dtypes, which JAX brings, teaches NumPy bfloat16
                raise TypeError(f"{name} has dtype {x.dtype}")
        return tensors, metadata
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} is truncated or no safetensors file of NumPy arrays ({error})"
        ) from error
