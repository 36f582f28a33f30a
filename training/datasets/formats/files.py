"""What files of others say, checked at the door: one sentence of what is wrong with which file."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from staf_backend.files import check_values, read_json_text, shown
from staf_backend.files.limits import LARGEST_LABEL, LONGEST_NAME, MOST_LABEL_BYTES
from staf_backend.files.strict_json import LABELS_GROWTH
from training.datasets.store import SetError

_AGAIN = "Fetch it again; if the authors changed the layout, this reader needs a change."
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError)
_MOST_NUMBER = 2**31 - 1  # frames are written as int32


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """The door of a reader: what content of an unexpected form lets fail is the file's fault.

    Raises:
        SetError: names the file.
    """
    try:
        yield
    except _DAMAGE as error:
        what = f"{type(error).__name__}: {error}"
        raise SetError(
            f"{path} is damaged or of another layout ({shown(what)}).", _AGAIN
        ) from error


def read_whole(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        SetError: missing, or far larger than any set's.
    """
    try:
        if not path.is_file():
            raise SetError(f"{path} is missing.", "Finish the download.")
        if path.stat().st_size > MOST_LABEL_BYTES:
            raise SetError(f"{path} is larger than any set's labels.", _AGAIN)
        return path.read_bytes()
    except OSError as error:
        raise SetError(f"{path} cannot be read ({error.strerror}).", "Check the disk.") from error


def need(content: Any, keys: Iterable[str], path: Path) -> None:
    """Check that a mapping has the keys.

    Raises:
        SetError: names the first that is not there.
    """
    if not isinstance(content, Mapping):
        raise SetError(f"{path} holds no named entries.", _AGAIN)
    for key in keys:
        if key not in content:
            raise SetError(f"{path} lacks the entry {shown(key)!r}.", _AGAIN)


def read_json(path: Path, *keys: str) -> Any:
    """The content of a JSON file, with these keys at its top.

    Raises:
        SetError: missing, damaged, another layout, or with numbers that JSON does not have.
    """
    try:
        text = read_whole(path)
        check_values(text, LABELS_GROWTH)
        content = read_json_text(text)
    except ValueError as error:
        message = f"{path} is damaged or cut short: {shown(str(error))}."
        raise SetError(message, _AGAIN) from error
    if keys:
        need(content, keys, path)
    return content


def filed_under(content: Any, keys: Iterable[str]) -> Any:
    """What stands under the keys, one within the other, or None."""
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def shaped(
    values: Any, shape: tuple[int, ...], what: str, path: Path, *, missing: bool = False
) -> np.ndarray:
    """Values as an array of a shape, in which -1 stands for any length: the one place where
    labels become numbers, so that all of them are finite and of a size that labels have.

    Args:
        missing: give NaN for those that are not, for sets whose rows may lack some.

    Raises:
        SetError: another shape, or not numbers.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise SetError(f"{path}: {what} is not an array of numbers.", _AGAIN) from error
    fits = array.ndim == len(shape) and all(s in (-1, n) for s, n in zip(shape, array.shape))
    if not fits:
        raise SetError(f"{path}: {what} is {array.shape}, not {shape}.", _AGAIN)
    sound = np.abs(array) <= LARGEST_LABEL  # False for NaN
    if sound.all():
        return array
    if missing:
        return np.where(sound, array, np.nan)
    raise SetError(f"{path}: {what} holds a number that no label has.", _AGAIN)


def whole_number(entry: Mapping[str, Any], key: str, path: Path) -> int:
    """A number of an entry that counts something, such as frames.

    Raises:
        SetError: it is none, or counts more than there can be.
    """
    value = entry[key]
    if not isinstance(value, int) or not 0 <= value <= _MOST_NUMBER:
        raise SetError(f"{path}: {key} is {shown(repr(value))}, not a number that counts.", _AGAIN)
    return value


def name_below(name: Any, path: Path) -> str:
    """A picture's name as a file gives it: it stays below the set's root.

    Raises:
        SetError: no text, or a path that leads elsewhere.
    """
    sound = isinstance(name, str) and len(name) <= LONGEST_NAME and name.isprintable()
    # what ends in # and digits is taken for a video's frame
    sound = sound and not re.search(r"#\d+$", name)
    if sound and not PureWindowsPath(name).anchor and ".." not in PureWindowsPath(name).parts:
        return name
    raise SetError(f"{path} names a picture {shown(str(name))!r}, which is no name of one.", _AGAIN)
