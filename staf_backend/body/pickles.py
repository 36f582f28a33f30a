"""Read the official SMPL pickles without letting them run anything, or take more than they hold.

A pickle is a program: it names functions, and the reader calls them.  Here every name leads to an
inert stand-in of our own that only keeps what it is handed, and any name that a body file has no
need of is refused before anything is made.  So neither chumpy nor scipy nor any numpy constructor
is ever called with a stranger's arguments.

    bytes ── scan_pickle ──► sound ── _Unpickler ──► stand-ins ── _Numbers ──► arrays
             steps, lengths, keys                                 within the budget

Names met in files of SMPL (Python 2, protocol 2, chumpy), SMPL-H and SMPL-X:

    numpy arrays, scalars and dtypes        -> _Array, _Scalar, _DType
    scipy.sparse csc, csr and coo matrices  -> _Sparse
    chumpy.ch.Ch, chumpy.reordering.Select  -> _Chumpy
"""

import io
import math
import pickle
import re
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from staf_backend.files import Budget, TooLargeError
from staf_backend.files.pickle_scan import PickleError, RefusedNameError, scan_pickle

__all__ = ["RefusedNameError", "read_pickled_arrays", "read_pickled_lists"]

_MOST_AXES = 8
"""Chosen: official arrays have at most three."""
_LONGEST_CHAIN = 50
"""Arrays that are made of others.  Chosen: chumpy's selections of selections reach about five."""
_BYTES_A_PLACE = 8
"""Of a place in an array, as it is kept for a moment: an int64."""
_NUMERIC_TYPE = re.compile("[biuf][1248]")
_SPARSE = {f"{form}_{kind}" for form in ("csc", "csr", "coo") for kind in ("matrix", "array")}


def read_pickled_arrays(data: bytes) -> dict[str, np.ndarray]:
    """The numeric arrays of a pickled dictionary; entries that are not numbers are left out.

    Raises:
        RefusedNameError: the pickle names a function or class outside the short list above.
        ValueError: damaged, not a dictionary, or it would take more time or memory than real ones.
    """
    return _entries(data, _Numbers.array_or_none)


def read_pickled_lists(data: bytes) -> dict[str, Any]:
    """The arrays and text of a pickled dictionary, also in lists of them; the rest is left out.

    3DPW's sequences are such: for each entry a list with one array, or one word, per person.

    Raises:
        RefusedNameError, ValueError: as `read_pickled_arrays`.
    """
    return _entries(data, _Numbers.entry)


def _entries(data: bytes, convert: Callable[["_Numbers", Any], Any]) -> dict[str, Any]:
    content, numbers = _read(data), _Numbers(Budget(len(data)))
    plain = {str(name): convert(numbers, value) for name, value in content.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _read(data: bytes) -> dict[Any, Any]:
    scan_pickle(data, _known)
    try:
        content = _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can fail in any way; none of it is ours
        raise PickleError(type(error).__name__) from error
    if not isinstance(content, dict):
        raise ValueError("the pickle does not hold a dictionary")
    return content


class _Inert:
    """Keeps what the pickle hands over; does nothing with it."""

    def __new__(cls, *_arguments: Any) -> Self:
        return object.__new__(cls)

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def entries(self) -> dict[str, Any]:
        """The object's attributes as the pickle gave them."""
        state = getattr(self, "state", None)
        if isinstance(state, tuple) and state and isinstance(state[0], dict):
            state = state[0]
        return state if isinstance(state, dict) else {}


class _DType(_Inert):
    def dtype(self) -> np.dtype:
        code, state = self.arguments[0], self.state
        if not (isinstance(code, str) and _NUMERIC_TYPE.fullmatch(code)):
            raise ValueError("not a numeric type")
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        return np.dtype(code).newbyteorder(order if order in ("<", ">") else "=")


class _Array(_Inert):
    def array(self, numbers: "_Numbers") -> np.ndarray:
        _version, shape, dtype, fortran, raw = self.state
        return numbers.from_bytes(raw, dtype, shape, "F" if fortran is True else "C")


class _Scalar(_Inert):
    def array(self, numbers: "_Numbers") -> np.ndarray:
        dtype, raw = self.arguments
        return numbers.from_bytes(raw, dtype, (), "C")


class _Buffer(_Inert):
    """numpy's protocol 5 form: buffer, dtype, shape, order."""

    def array(self, numbers: "_Numbers") -> np.ndarray:
        raw, dtype, shape, order = self.arguments
        return numbers.from_bytes(raw, dtype, shape, order)


class _Sparse(_Inert):
    def array(self, numbers: "_Numbers") -> np.ndarray:
        parts = self.entries()
        values = numbers.line(parts["data"])
        rows, columns, shape = self._places(numbers, parts)
        if not len(values) == len(rows) == len(columns):
            raise ValueError("damaged sparse matrix")
        numbers.budget.spend(_BYTES_A_PLACE * len(values))
        dense = numbers.zeros(shape)
        np.add.at(dense, (_within(rows, shape[0]), _within(columns, shape[1])), values)
        return dense

    def _places(self, numbers: "_Numbers", parts: dict[str, Any]) -> tuple[Any, Any, Any]:
        shape = numbers.shape(parts.get("_shape", parts.get("shape")))
        if len(shape) != 2:
            raise ValueError("damaged sparse matrix")
        if "indptr" not in parts:
            rows, columns = parts.get("coords") or (parts["row"], parts["col"])
            return numbers.line(rows), numbers.line(columns), shape
        minor, starts = numbers.line(parts["indices"]), numbers.line(parts["indptr"])
        numbers.budget.spend(_BYTES_A_PLACE * len(starts))
        starts = _within(starts, len(minor) + 1)
        counts = np.diff(starts)
        if (counts < 0).any() or starts[0] != 0 or starts[-1] != len(minor):
            raise ValueError("damaged sparse matrix")
        major = np.repeat(np.arange(len(counts)), counts)
        if len(counts) == shape[1] and type(self) is _SparseColumns:
            return minor, major, shape
        return major, minor, shape


class _SparseColumns(_Sparse):
    pass


class _Chumpy(_Inert):
    def array(self, numbers: "_Numbers") -> np.ndarray:
        parts = self.entries()
        if "x" in parts:
            return numbers.array(parts["x"])
        if {"a", "idxs"} <= parts.keys():
            whole, places = numbers.array(parts["a"]), numbers.line(parts["idxs"])
            numbers.budget.spend((whole.itemsize + _BYTES_A_PLACE) * len(places))
            picked = whole.reshape(-1)[_within(places, whole.size)]
            shape = parts.get("preferred_shape")
            return picked if shape is None else picked.reshape(numbers.shape(shape))
        raise ValueError("a chumpy expression, not a stored array")


class _Encoded(_Inert):
    """`_codecs.encode(text, "latin1")`: how Python 3 writes bytes in protocol 2."""

    def raw(self) -> bytes:
        text, codec = self.arguments
        if codec != "latin1" or not isinstance(text, str):
            raise ValueError("not bytes as Python 3 writes them")
        return text.encode("latin1")


class _NoBytes(_Encoded):
    """`bytes()`: how Python 3 writes no bytes in protocol 2."""

    def raw(self) -> bytes:
        if self.arguments:
            raise ValueError("bytes made of something")
        return b""


class _Empty(_Inert):
    """Stands for `object`, `set` and the like: allowed to be there, never read."""

    def __setitem__(self, _key: Any, _value: Any) -> None:
        """Filled like a dictionary; nothing is kept."""


class _Rebuilt(_Inert):
    """`copyreg._reconstructor`, for our stand-ins alone: gives an instance of its argument."""

    def __new__(cls, kind: Any, *_rest: Any) -> Any:
        if not (isinstance(kind, type) and issubclass(kind, _Inert)):
            raise ValueError("not a class of a body file")
        return kind()


class _NewArray(_Inert):
    """numpy's `_reconstruct`: an array whose content follows."""

    def __new__(cls, *_arguments: Any) -> Any:
        return _Array()


def _known_names() -> dict[tuple[str, str], Any]:
    names: dict[tuple[str, str], Any] = {("numpy", "ndarray"): _Empty, ("numpy", "dtype"): _DType}
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = _NewArray
        names[f"{core}.multiarray", "scalar"] = _Scalar
        names[f"{core}.numeric", "_frombuffer"] = _Buffer
    for module in ("copyreg", "copy_reg"):
        names[module, "_reconstructor"] = _Rebuilt
    for module in ("builtins", "__builtin__"):
        names |= {(module, name): _Empty for name in ("object", "set", "frozenset")}
        names[module, "bytes"] = _NoBytes
    names["_codecs", "encode"] = _Encoded
    names["collections", "OrderedDict"] = _Empty
    return names


_KNOWN = _known_names()


def _known(module: str, name: str) -> Any:
    """The stand-in for a name."""
    if (module, name) in _KNOWN:
        return _KNOWN[module, name]
    if module.split(".")[0] == "chumpy" and "." not in name:
        return _Chumpy
    if module.startswith("scipy.sparse") and name in _SPARSE:
        return _SparseColumns if name.startswith("csc") else _Sparse
    raise RefusedNameError(f"{module}.{name}")


class _Unpickler(pickle._Unpickler):
    """The reader in Python: the one in C takes as much memory as a single damaged byte asks for
    (the index of a memo entry), this one keeps its memo in a dictionary."""

    def find_class(self, module: str, name: str) -> Any:
        return _known(module, name)


_NOT_NUMBERS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError)


class _Numbers:
    """Turns stand-ins into arrays: each once, however often the file names it, and none that is
    made of itself or of a long chain of others.

    Args:
        budget: what all arrays of the file may take together.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._made: dict[int, Any] = {}  # by identity; the file's content outlives this
        self._chain = 0

    def entry(self, value: Any) -> Any:
        """An array, a word, or a list of either (one level, so that its size is the file's); None
        for anything else."""
        if isinstance(value, str):
            return value
        if not isinstance(value, list):
            return self.array_or_none(value)
        if id(value) not in self._made:
            entries = [e if isinstance(e, str) else self.array_or_none(e) for e in value]
            self._made[id(value)] = None if any(e is None for e in entries) else entries
        return self._made[id(value)]

    def array_or_none(self, value: Any) -> np.ndarray | None:
        """The array that a value stands for, or None where it is not one of numbers.

        Raises:
            TooLargeError: the file's arrays take more than the budget.
        """
        try:
            return self.array(value)
        except TooLargeError:
            raise
        except _NOT_NUMBERS:
            return None

    def array(self, value: Any) -> np.ndarray:
        """The array that a value stands for."""
        if isinstance(value, _Inert):
            if id(value) not in self._made:
                self._made[id(value)] = None  # what is made of itself finds this
                self._made[id(value)] = self._deeper(value)
            if self._made[id(value)] is None:
                raise ValueError("not numbers")
            return self._made[id(value)]
        # no lists: a few nested ones that share their parts can stand for any amount of memory
        if not isinstance(value, int | float):
            raise ValueError("not numbers")
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError("a whole number beyond 64 bits")
        return array

    def _deeper(self, value: Any) -> np.ndarray:
        if self._chain >= _LONGEST_CHAIN:
            raise ValueError("made of a long chain of others")
        self._chain += 1
        try:
            return value.array(self)  # AttributeError for stand-ins of no array
        finally:
            self._chain -= 1

    def line(self, value: Any) -> np.ndarray:
        """An array (N,)."""
        array = self.array(value)
        if array.ndim != 1:
            raise ValueError("not a line of numbers")
        return array

    def shape(self, value: Any) -> tuple[int, ...]:
        """Sizes of axes, which a file holds as a tuple or as an array."""
        if isinstance(value, _Inert):
            value = self.line(value)[: _MOST_AXES + 1].tolist()
        if not isinstance(value, tuple | list) or len(value) > _MOST_AXES:
            raise ValueError("not a shape")
        sizes = tuple(int(size) if isinstance(size, int) else -1 for size in value)
        if min(sizes, default=1) < 0:
            raise ValueError("not a shape")
        return sizes

    def zeros(self, shape: tuple[int, ...]) -> np.ndarray:
        """As much room as the budget allows."""
        self.budget.spend(8 * math.prod(shape))
        return np.zeros(shape)

    def from_bytes(self, raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
        """What numpy's own reader makes of an array's raw bytes."""
        if not isinstance(dtype, _DType) or order not in ("C", "F"):
            raise ValueError("not a numeric array")
        self.budget.spend(_size_bytes(raw))
        data = raw.raw() if isinstance(raw, _Encoded) else raw
        data = data.encode("latin1") if isinstance(data, str) else data
        array = np.frombuffer(data, dtype.dtype()).reshape(self.shape(shape), order=order)
        return array.astype(array.dtype.newbyteorder("="))


def _size_bytes(raw: Any) -> int:
    """Of an array's raw bytes, before they are copied."""
    if isinstance(raw, _Encoded):
        raw = raw.arguments[0] if raw.arguments else b""
    if not isinstance(raw, str | bytes | bytearray):
        raise ValueError("not raw bytes")
    return len(raw)


def _within(places: np.ndarray, count: int) -> np.ndarray:
    """Places (N,) as int64, all of them from 0 to `count` - 1."""
    if places.dtype.kind not in "iu":
        raise ValueError("places that are no whole numbers")
    if places.size and not (places.min() >= 0 and places.max() < count):
        raise ValueError("places that are not there")
    return places.astype(np.int64)
