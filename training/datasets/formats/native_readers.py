"""What the process apart reads: files of MATLAB, HDF5 and CDF, each into plain arrays of numbers.

Native libraries may crash, hang or take all memory over a damaged file, so nothing here is called
in the program's own process: see `native`.  A `ReadError` is a sentence's end, after the file's
name.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.files import Budget
from staf_backend.files.limits import LONGEST_NAME

_MOST_CELLS = 64
"""Of one variable.  Chosen: MPI-INF-3DHP has one for each of 14 cameras."""


class ReadError(Exception):
    """The file is not as it should be; the message goes on after the file's name."""


def mat(path: str, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Numeric variables of a MATLAB file up to version 7."""
    content = _loadmat(path, keys)
    return {key: _numbers(content[key], key) for key in keys}


def mat_cells(path: str, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """The same for variables that are cells: "key.0", "key.1", and so on."""
    content = _loadmat(path, keys)
    return {
        f"{key}.{number}": _numbers(np.asarray(cell), f"{key}{{{number + 1}}}")
        for key in keys
        for number, cell in enumerate(content[key].ravel()[:_MOST_CELLS])
    }


def hdf(path: str, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of a MATLAB file of version 7.3, which is HDF5, with MATLAB's axes reversed."""
    import h5py

    arrays, budget = {}, Budget(Path(path).stat().st_size)
    with h5py.File(path, "r") as file:
        for key in keys:
            link, found = file.get(key, getlink=True), None
            if isinstance(link, h5py.HardLink):
                found = file[key]
            elif link is not None:
                raise ReadError(f"keeps the entry {key!r} in another place.")
            if not isinstance(found, h5py.Dataset):
                raise ReadError(f"lacks the entry {key!r}.")
            if found.is_virtual or found.external:
                raise ReadError(f"keeps the entry {key!r} in another file.")
            budget.spend(int(found.nbytes))
            _check_kind(found.dtype, key)
            arrays[key] = _numbers(np.array(found), key)
    return arrays


def cdf(path: str, variable: str) -> dict[str, np.ndarray]:
    """One variable of a NASA Common Data Format file."""
    import cdflib

    file = cdflib.CDF(path)
    if variable not in [*file.cdf_info().zVariables, *file.cdf_info().rVariables]:
        raise ReadError(f"lacks the entry {variable!r}.")
    return {variable: _numbers(np.asarray(file.varget(variable)), variable)}


def release(path: str, points: int) -> dict[str, np.ndarray]:
    """People of the training images of MPII's release, which is structs in structs.

    Args:
        path: of the file.
        points: K, of a person.

    Returns:
        "names" of the training images; of each of their N people "image" (N,), "size" (N, 3) x, y,
        scale, NaN where not all are told, and "points" (N, K, 3) x, y, and whether labelled.
    """
    structs = _loadmat(path, ("RELEASE",), squeeze_me=True, struct_as_record=False)["RELEASE"]
    images, training = _many(_of(structs, "annolist")), _many(_of(structs, "img_train"))
    if len(images) != len(training):
        raise ReadError(f"has {len(images)} images, but {len(training)} flags of training.")
    names, owners, sizes, labelled = [], [], [], []
    for image in (image for image, trains in zip(images, training) if trains):
        name = _of(_of(image, "image"), "name")
        if not isinstance(name, str) or len(name) > LONGEST_NAME:
            raise ReadError("names an image by something that is no name.")
        for person in _many(_of(image, "annorect")):
            owners.append(len(names))
            sizes.append(_size(person))
            labelled.append(_points(person, points))
        names.append(name)
    return {
        "names": np.array(names, np.str_),
        "image": np.array(owners, np.int64),
        "size": np.reshape(np.array(sizes, np.float64), (-1, 3)),
        "points": np.reshape(np.array(labelled, np.float64), (-1, points, 3)),
    }


def _size(person: Any) -> tuple[float, float, float]:
    middle, scale = getattr(person, "objpos", None), np.ravel(getattr(person, "scale", ()))
    if not hasattr(middle, "x") or len(scale) != 1:
        return (np.nan, np.nan, np.nan)
    return float(_of(middle, "x")), float(_of(middle, "y")), float(scale[0])


def _points(person: Any, count: int) -> np.ndarray:
    values = np.zeros((count, 3))
    for point in _many(getattr(getattr(person, "annopoints", None), "point", ())):
        number = int(_of(point, "id"))
        if not 0 <= number < count:
            raise ReadError(f"has a point with the id {number}.")
        values[number] = float(_of(point, "x")), float(_of(point, "y")), 1
    return values


def _loadmat(path: str, keys: Sequence[str], **options: Any) -> dict[str, Any]:
    from scipy.io import loadmat

    content = loadmat(path, variable_names=list(keys), **options)
    for key in keys:
        if key not in content:
            raise ReadError(f"lacks the entry {key!r}.")
    return content


def _of(struct: Any, name: str) -> Any:
    if not hasattr(struct, name):
        raise ReadError(f"lacks the entry {name!r}.")
    return getattr(struct, name)


def _many(value: Any) -> list[Any]:
    """MATLAB's array of structs as a list; one alone loses its axis when read."""
    if isinstance(value, np.ndarray):
        return list(value.ravel())
    return list(value) if isinstance(value, list | tuple) else [value]


def _numbers(values: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    _check_kind(array.dtype, what)
    return array


def _check_kind(dtype: np.dtype, what: str) -> None:
    if dtype.kind not in "biuf":
        raise ReadError(f"has no numbers in {what}.")


READERS: dict[str, Callable[..., dict[str, np.ndarray]]] = {
    reader.__name__: reader for reader in (mat, mat_cells, hdf, cdf, release)
}
PACKAGES = {
    **dict.fromkeys(("mat", "mat_cells", "release"), "scipy.io"),
    **{"hdf": "h5py", "cdf": "cdflib"},
}
"""What each needs."""
