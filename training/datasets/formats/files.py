"""JSON, MATLAB and CDF files of others, with one line of what is wrong where something is."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.datasets.store import SetError

_AGAIN = "Fetch it again; if the authors changed the layout, this reader needs a change."


def need(content: Any, keys: Iterable[str], path: Path) -> None:
    """Check that a mapping has the keys.

    Raises:
        SetError: names the first that is not there.
    """
    if not isinstance(content, Mapping):
        raise SetError(f"{path} holds no named entries.", _AGAIN)
    for key in keys:
        if key not in content:
            raise SetError(f"{path} lacks the entry {key!r}.", _AGAIN)


def read_json(path: Path, *keys: str) -> Any:
    """The content of a JSON file, with these keys at its top.

    Raises:
        SetError: missing, damaged, or another layout.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise SetError(f"{path} is missing ({error.strerror}).", "Finish the download.") from error
    except ValueError as error:
        raise SetError(f"{path} is damaged or cut short: {error}.", _AGAIN) from error
    if keys:
        need(content, keys, path)
    return content


def filed_under(content: Any, keys: Iterable[str]) -> Any:
    """What stands under the keys, one within the other, or None."""
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def read_mat(path: Path, *keys: str, structs: bool = False) -> dict[str, Any]:
    """The variables of a MATLAB file up to version 7.

    Args:
        structs: give structs as objects with attributes and drop axes of length one.

    Raises:
        SetError: missing, damaged, or another layout.
    """
    from scipy.io import loadmat

    _there(path)
    try:
        content = loadmat(path, squeeze_me=structs, struct_as_record=not structs)
    except Exception as error:  # scipy lets a damaged file fail in any way
        raise SetError(f"{path} is damaged or cut short: {error}.", _AGAIN) from error
    need(content, keys, path)
    return content


def read_hdf(path: Path, *keys: str) -> dict[str, np.ndarray]:
    """Arrays of a MATLAB file of version 7.3, which is HDF5, with MATLAB's axes reversed.

    Raises:
        SetError: missing, damaged, another layout, or h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise SetError(f"{path} needs the package h5py.", "pip install h5py") from error
    _there(path)
    try:
        with h5py.File(path, "r") as file:
            need(file, keys, path)
            return {key: np.array(file[key]) for key in keys}
    except (OSError, RuntimeError, TypeError) as error:
        raise SetError(f"{path} is damaged or cut short: {error}.", _AGAIN) from error


def read_cdf(path: Path, variable: str) -> np.ndarray:
    """One variable of a NASA Common Data Format file.

    Raises:
        SetError: missing, damaged, without it, or cdflib is not installed.
    """
    try:
        import cdflib
    except ImportError as error:
        raise SetError(f"{path} needs the package cdflib.", "pip install cdflib") from error
    _there(path)
    try:
        file = cdflib.CDF(str(path))
        names = [*file.cdf_info().zVariables, *file.cdf_info().rVariables]
        values = np.asarray(file.varget(variable)) if variable in names else None
    except Exception as error:  # a damaged file can fail in any way
        raise SetError(f"{path} is damaged or cut short: {error}.", _AGAIN) from error
    if values is None:
        raise SetError(f"{path} lacks the entry {variable!r}.", _AGAIN)
    return values


def shaped(values: Any, shape: tuple[int, ...], what: str, path: Path) -> np.ndarray:
    """Values as an array of a shape, in which -1 stands for any length.

    Raises:
        SetError: another shape, or not numbers.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise SetError(f"{path}: {what} is not an array of numbers.", _AGAIN) from error
    fits = array.ndim == len(shape) and all(s in (-1, n) for s, n in zip(shape, array.shape))
    if not fits:
        raise SetError(f"{path}: {what} is {array.shape}, not {shape}.", _AGAIN)
    return array


def _there(path: Path) -> None:
    if not path.is_file():
        raise SetError(f"{path} is missing.", "Finish the download.")
