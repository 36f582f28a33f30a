"""Read the official SMPL pickles without letting them run anything.

A pickle is a program: it names functions, and the reader calls them.  Here every name leads to an
inert stand-in of our own that only keeps what it is handed, and any name that a body file has no
need of is refused before anything is made.  So neither chumpy nor scipy nor any numpy constructor
is ever called with a stranger's arguments.

Names met in files of SMPL (Python 2, protocol 2, chumpy), SMPL-H and SMPL-X:

    numpy arrays, scalars and dtypes        -> _Array, _Scalar, _DType
    scipy.sparse csc, csr and coo matrices  -> _Sparse
    chumpy.ch.Ch, chumpy.reordering.Select  -> _Chumpy
"""

import io
import math
import pickle
from typing import Any, Self

import numpy as np

_MOST_NUMBERS = 50_000_000
_SPARSE = {f"{form}_{kind}" for form in ("csc", "csr", "coo") for kind in ("matrix", "array")}


class RefusedNameError(Exception):
    """The pickle asks for something that no body file needs.

    Args:
        name: what it asked for, for example "os.system".
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def read_pickled_arrays(data: bytes) -> dict[str, np.ndarray]:
    """The numeric arrays of a pickled dictionary; entries that are not numbers are left out.

    Raises:
        RefusedNameError: the pickle names a function or class outside the short list above.
        ValueError: damaged, or not a dictionary.
    """
    plain = {str(name): _to_numbers(value) for name, value in _read(data).items()}
    return {name: value for name, value in plain.items() if value is not None}


def read_pickled_lists(data: bytes) -> dict[str, Any]:
    """The arrays and text of a pickled dictionary, also in lists of them; the rest is left out.

    3DPW's sequences are such: for each entry a list with one array, or one word, per person.

    Raises:
        RefusedNameError, ValueError: as `read_pickled_arrays`.
    """
    plain = {str(name): _to_entry(value) for name, value in _read(data).items()}
    return {name: value for name, value in plain.items() if value is not None}


def _read(data: bytes) -> dict[Any, Any]:
    try:
        content = _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except RefusedNameError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way; none of it is ours
        raise ValueError(f"damaged pickle ({error or type(error).__name__})") from error
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
    def numpy(self) -> np.dtype:
        code, state = str(self.arguments[0]), self.state
        if code[:1] not in "biuf":
            raise ValueError("not a numeric type")
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        return np.dtype(code).newbyteorder(order if order in "<>" else "=")


class _Array(_Inert):
    def numpy(self) -> np.ndarray:
        _version, shape, dtype, fortran, raw = self.state
        return _from_bytes(raw, dtype, shape, "F" if fortran else "C")


class _Scalar(_Inert):
    def numpy(self) -> np.ndarray:
        dtype, raw = self.arguments
        return _from_bytes(raw, dtype, (), "C")


class _Buffer(_Inert):
    """numpy's protocol 5 form: buffer, dtype, shape, order."""

    def numpy(self) -> np.ndarray:
        raw, dtype, shape, order = self.arguments
        return _from_bytes(raw, dtype, shape, order)


class _Sparse(_Inert):
    def numpy(self) -> np.ndarray:
        parts = self.entries()
        shape = _checked_shape(parts.get("_shape", parts.get("shape")))
        values = _numbers(parts["data"])
        if "indptr" in parts:
            minor, starts = _numbers(parts["indices"]), _numbers(parts["indptr"])
            if (np.diff(starts) < 0).any() or starts[0] != 0 or starts[-1] != len(minor):
                raise ValueError("damaged sparse matrix")
            major = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            along_columns = len(starts) - 1 == shape[1] and type(self) is _SparseColumns
            rows, columns = (minor, major) if along_columns else (major, minor)
        else:
            rows, columns = (_numbers(p) for p in parts.get("coords") or _row_column(parts))
        dense = np.zeros(shape)
        np.add.at(dense, (rows, columns), values)
        return dense


class _SparseColumns(_Sparse):
    pass


class _Chumpy(_Inert):
    def numpy(self) -> np.ndarray:
        parts = self.entries()
        if "x" in parts:
            return _numbers(parts["x"])
        if {"a", "idxs"} <= parts.keys():
            picked = _numbers(parts["a"]).reshape(-1)[_numbers(parts["idxs"]).astype(np.int64)]
            shape = parts.get("preferred_shape")
            return picked if shape is None else picked.reshape(_checked_shape(shape))
        raise ValueError("a chumpy expression, not a stored array")


class _Encoded(_Inert):
    """`_codecs.encode(text, "latin1")`: how Python 3 writes bytes in protocol 2."""

    def raw(self) -> bytes:
        text, codec = self.arguments
        if codec != "latin1":
            raise ValueError(f"codec {codec!r}")
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


class _Unpickler(pickle._Unpickler):
    """The reader in Python: the one in C takes as much memory as a single damaged byte asks for
    (the index of a memo entry), this one keeps its memo in a dictionary."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module.split(".")[0] == "chumpy" and "." not in name:
            return _Chumpy
        if module.startswith("scipy.sparse") and name in _SPARSE:
            return _SparseColumns if name.startswith("csc") else _Sparse
        raise RefusedNameError(f"{module}.{name}")


_NOT_NUMBERS = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError),
    *(RecursionError, MemoryError),
)


def _to_entry(value: Any) -> Any:
    """An array, a word, or a list of either: one level, so that its size is the file's."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return _to_numbers(value)
    made: dict[int, Any] = {}  # a list may name the same array a million times over
    for entry in value:
        if id(entry) not in made:
            made[id(entry)] = entry if isinstance(entry, str) else _to_numbers(entry)
    entries = [made[id(entry)] for entry in value]
    return None if any(entry is None for entry in entries) else entries


def _to_numbers(value: Any) -> np.ndarray | None:
    """The array that a value stands for, or None where it is not one of numbers."""
    try:
        return _numbers(value)
    except _NOT_NUMBERS:
        return None


def _numbers(value: Any) -> np.ndarray:
    if isinstance(value, _Inert):
        return value.numpy()  # type: ignore[attr-defined]  # AttributeError for the rest
    # no lists: a few nested ones that share their parts can stand for any amount of memory
    if not isinstance(value, int | float):
        raise ValueError("not numbers")
    return np.asarray(value)


def _from_bytes(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(dtype, _DType):
        raise ValueError("not a numeric type")
    data = raw.raw() if isinstance(raw, _Encoded) else raw
    data = data.encode("latin1") if isinstance(data, str) else data
    array = np.frombuffer(data, dtype.numpy()).reshape(_checked_shape(shape), order=order)  # type: ignore[call-overload]
    return array.astype(array.dtype.newbyteorder("="))


def _checked_shape(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, _Inert):
        shape = _numbers(shape).reshape(-1).tolist()
    sizes = tuple(int(size) for size in shape)
    if min(sizes, default=1) < 0 or math.prod(sizes) > _MOST_NUMBERS:
        raise ValueError(f"shape {sizes}")
    return sizes


def _row_column(parts: dict[str, Any]) -> tuple[Any, Any]:
    return parts["row"], parts["col"]
