"""Reading PyTorch checkpoints of others: tensors and plain values only, never code.

`torch.load(weights_only=True)` runs no code either, but a file of two kilobytes can make it hang,
take all memory or crash.  So this reads them by itself, in proportion to the file's size:

    zip (PyTorch 1.6 and newer)     `checkpoint_archive`: NAME/data.pkl and NAME/data/KEY
    in a row (older)                pickles: magic, version, machine, content, keys;
                                    then for each key: how many numbers (8 bytes), the numbers

The content is walked through first (`pickle_scan`).  Of the names in it those of tensors and
dictionaries lead to what makes them here; what else checkpoints hold, such as the validation error
that the authors' trainer keeps as a NumPy scalar, leads to a stand-in that is empty.
"""

import io
import math
import mmap
import pickle
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from staf_backend.files import Budget, TooLargeError, shown
from staf_backend.files.pickle_scan import PickleError, RefusedNameError, scan_pickle
from staf_backend.weights.checkpoint_archive import CheckpointArchive
from staf_backend.weights.error import WeightsError

_AGAIN = "Fetch the file again."
_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_COUNT = struct.Struct("<q")
_MOST_AXES = 8
"""Chosen: real tensors have at most five."""
_LARGEST_SIZE = 2**31
"""Of one axis.  Chosen: no more than indices of 32 bits reach."""
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LEFT_EMPTY = {
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "_codecs.encode",
    "collections.Counter",
    "collections.defaultdict",
    "torch.Size",
    "torch.device",
    *(
        f"{module}.{name}"
        for module in ("builtins", "__builtin__")
        for name in ("set", "complex", "bytearray", "dict")
    ),
    *(f"torch.{name}" for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32")),
}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dictionary inside a PyTorch checkpoint, tensors on the CPU.

    Raises:
        WeightsError: the file is missing, empty, a web page, not PyTorch's, damaged, asks for
            code to be run, or would take far more time or memory than its size explains.
    """
    head = _checked_head(path)
    try:
        content = _read_zip(path) if head.startswith(b"PK") else _read_row(path)
    except RefusedNameError as error:
        raise _refusal(path, error.name) from None
    except (PickleError, TooLargeError, MemoryError) as error:
        reason = error.reason if isinstance(error, PickleError) else str(error) or "out of memory"
        raise WeightsError(f"{path} is damaged or cut short ({reason}).", _AGAIN) from error
    except Exception as error:  # a damaged file can raise anything
        reason = shown(str(error).split("\n")[0])
        raise WeightsError(f"{path} is damaged or cut short ({reason}).", _AGAIN) from error
    if not isinstance(content, dict):
        raise WeightsError(
            f"{path} holds a {type(content).__name__.strip('_')}, not a dictionary of tensors.",
            "Give base_model.pt, 3dpw_model_best.pth.tar, or weights made by this software.",
        )
    return content


def state_dicts(content: Mapping[str, Any]) -> list[dict[str, Tensor]]:
    """The state dicts of a checkpoint: its own level and those under the usual names."""
    levels = [content, *(content.get(name) for name in ("gen_state_dict", "model", "state_dict"))]
    tensors = [
        {str(name): t for name, t in level.items() if isinstance(t, Tensor)}
        for level in levels
        if isinstance(level, Mapping)
    ]
    return [state for state in tensors if state]


def optimised_shapes(content: Mapping[str, Any]) -> set[tuple[int, ...]] | None:
    """Shapes of the parameters that the saved optimiser (Adam) has moved, or None without one."""
    optimiser = content.get("gen_optimizer")
    state = optimiser.get("state") if isinstance(optimiser, Mapping) else None
    if not isinstance(state, Mapping):
        return None
    moments: list[Any] = [
        entry.get("exp_avg") for entry in state.values() if isinstance(entry, Mapping)
    ]
    return {tuple(moment.shape) for moment in moments if isinstance(moment, Tensor)}


def first_bytes(path: Path, count: int = 512) -> bytes:
    """The head of a file.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(f"{path} cannot be read: {reason}.", "Check the path.") from error


def _checked_head(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise WeightsError(f"{path} cannot be read: it is no file.", "Check the path.")
    head = first_bytes(path)
    if not head:
        raise WeightsError(f"{path} is empty.", _AGAIN)
    if re.match(rb"\s*<(!doctype|html|\?xml|head|body)", head, re.IGNORECASE):
        raise WeightsError(
            f"{path} is a web page, not a checkpoint.",
            "The download link led to a page; open it in a browser and save the file itself.",
        )
    if not head.startswith((b"PK\x03\x04", b"\x80")):
        raise WeightsError(f"{path} is not a PyTorch checkpoint.", "Give a .pt or .pth.tar file.")
    return head


def _refusal(path: Path, name: str) -> WeightsError:
    """The error for a name that weights have no need of."""
    if name.startswith("torch."):
        what = f"holds what weights never do ({name}); it was not read."
    else:
        what = f"asks to run code ({name}), which weights never need; it was not run."
    return WeightsError(
        f"{path} {what}", "Do not use this file unless you know where it comes from."
    )


def _read_zip(path: Path) -> Any:
    with CheckpointArchive(path) as archive:
        content = archive.content()
        scan_pickle(content, _check_name)
        tensors = _Tensors(path.stat().st_size, archive.read_storage)
        return _Machine(content, tensors).load()


def _read_row(path: Path) -> Any:
    """Reads the older kind, whose numbers follow the pickles."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tensors, place, values = _Tensors(len(data)), 0, []
        for _ in range(5):
            end = scan_pickle(data, _check_name, place)
            values.append(_Machine(data[place:end], tensors).load())
            place = end
            if values[0] != _MAGIC:
                raise PickleError("it is none of PyTorch's")
        _, version, machine, content, keys = values
        if version != _VERSION or not isinstance(machine, dict) or not isinstance(keys, list):
            raise PickleError("of another version of PyTorch")
        if machine.get("little_endian") is False:
            raise PickleError("its numbers are stored in another order than this machine's")
        file.seek(place)
        tensors.fill_in_a_row(file, keys)
    return content


class _Empty:
    """Stands for what is allowed to be there and never read."""

    def __init__(self, *_arguments: Any) -> None:
        """Whatever it is made of, nothing is kept."""

    def __setstate__(self, _state: Any) -> None:
        """Nothing is kept."""

    def __setitem__(self, _key: Any, _value: Any) -> None:
        """Nothing is kept."""


class _Dictionary(dict[Any, Any]):
    """Stands for `OrderedDict`; dictionaries keep their order now."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        if arguments:
            raise ValueError("a dictionary of Python 2")

    def __setstate__(self, _state: Any) -> None:
        """A state dict's versions, which nobody reads."""


class _StorageKind:
    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Storage:
    """Numbers that tensors are views of, (N,)."""

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    def bytes(self) -> memoryview:
        return self.numbers.view(torch.uint8).numpy().data


class _Tensors:
    """Makes storages and tensors, as far as the file's size goes.

    Args:
        file_bytes: the file's size.
        read: fills the bytes of the storage of a key; without it, `fill_in_a_row` does so later.
    """

    def __init__(
        self, file_bytes: int, read: Callable[[str, memoryview], None] | None = None
    ) -> None:
        self._left_bytes, self._read = file_bytes, read
        self._views = Budget(file_bytes)
        self._storages: dict[str, _Storage] = {}

    def storage(
        self, word: Any, kind: Any, key: Any, _location: Any, count: Any, *view: Any
    ) -> Any:
        """The storage that a pickle's persistent reference names."""
        if word != "storage" or not isinstance(kind, _StorageKind) or type(key) is not str:
            raise PickleError("a reference to something else than numbers")
        if type(count) is not int or count < 0 or view not in ((), (None,)):
            raise PickleError("a storage of no size")
        known = self._storages.get(key)
        if known is not None:
            if known.numbers.dtype != kind.dtype:
                raise PickleError("a storage of two types")
            return known
        self._left_bytes -= count * kind.dtype.itemsize
        if self._left_bytes < 0:
            raise PickleError("it ends in the middle")
        made = self._storages[key] = _Storage(torch.empty(count, dtype=kind.dtype))
        if self._read is not None:
            self._read(key, made.bytes())
        return made

    def tensor(self, storage: Any, offset: Any, sizes: Any, strides: Any, *_rest: Any) -> Tensor:
        """A view of a storage, wholly inside it.

        Raises:
            PickleError: it is not.
            TooLargeError: written out, the file's tensors are far larger than the file.
        """
        if not isinstance(storage, _Storage) or not _are_sizes((offset,), sizes, strides):
            raise PickleError("a tensor of no shape")
        count = math.prod(sizes)
        last = offset + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
        if count and last >= len(storage.numbers):
            raise PickleError("a tensor beyond its numbers")
        self._views.spend(count * storage.numbers.itemsize)
        return storage.numbers.as_strided(sizes, strides, offset if count else 0)

    def fill_in_a_row(self, file: io.BufferedReader, keys: list[Any]) -> None:
        """Read the numbers of all storages from where the file stands."""
        if len(keys) != len(self._storages):
            raise PickleError("numbers that its content does not name")
        for key in keys:
            storage = self._storages.pop(key, None) if isinstance(key, str) else None
            if storage is None:
                raise PickleError("numbers that its content does not name")
            count = file.read(_COUNT.size)
            if count != _COUNT.pack(len(storage.numbers)):
                raise PickleError("it ends in the middle")
            if file.readinto(storage.bytes()) != storage.numbers.nbytes:
                raise PickleError("it ends in the middle")


def _are_sizes(offset: Any, sizes: Any, strides: Any) -> bool:
    for numbers in (offset, sizes, strides):
        if not isinstance(numbers, tuple) or len(numbers) > _MOST_AXES:
            return False
        if not all(type(n) is int and 0 <= n <= _LARGEST_SIZE for n in numbers):
            return False
    return len(sizes) == len(strides)


def _check_name(module: str, name: str) -> None:
    _meaning(module, name, _Tensors(0))


def _meaning(module: str, name: str, tensors: _Tensors) -> Any:
    """What a name in a checkpoint leads to."""
    whole = f"{module}.{name}"
    if module in ("torch", "torch.cuda") and name in _STORAGES:
        return _StorageKind(_STORAGES[name])
    if whole == "collections.OrderedDict":
        return _Dictionary
    if whole in ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"):
        return tensors.tensor
    if whole == "torch._utils._rebuild_parameter":
        return _only_data
    if whole in _LEFT_EMPTY:
        return _Empty
    raise RefusedNameError(whole)


def _only_data(data: Any, *_rest: Any) -> Any:
    """Of a parameter."""
    return data


def _checked(code: bytes, check: Callable[[Any], None]) -> Any:
    """A step of the reader with a check before it."""
    step: Any = pickle._Unpickler.dispatch[code[0]]

    def checked(machine: Any) -> None:
        check(machine)
        step(machine)

    return checked


def _check_state(machine: Any) -> None:
    """Only ours have states: a tensor's own would let a file write where it likes."""
    if not isinstance(machine.stack[-2], _Empty | _Dictionary):
        raise PickleError("a state of something that has none")


def _check_entry(machine: Any) -> None:
    _check_is_dictionary(machine.stack[-3])


def _check_entries(machine: Any) -> None:
    _check_is_dictionary(machine.metastack[-1][-1])


def _check_is_dictionary(value: Any) -> None:
    if not isinstance(value, dict | _Empty):
        raise PickleError("an entry of something that has none")


def _check_members(machine: Any) -> None:
    """Only sets have members: a tensor's own `add` would go through all its numbers for each."""
    if not isinstance(machine.metastack[-1][-1], set):
        raise PickleError("a member of something that has none")


class _Machine(pickle._Unpickler):
    """The reader in Python, which takes no more memory than the walk before it foresaw.

    Args:
        data: a pickle that `scan_pickle` let through.
        tensors: makes them.
    """

    def __init__(self, data: bytes, tensors: _Tensors) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._tensors = tensors

    def find_class(self, module: str, name: str) -> Any:
        return _meaning(module, name, self._tensors)

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple):
            raise PickleError("a reference to something else than numbers")
        return self._tensors.storage(*pid)

    dispatch = pickle._Unpickler.dispatch | {
        pickle.BUILD[0]: _checked(pickle.BUILD, _check_state),
        pickle.SETITEM[0]: _checked(pickle.SETITEM, _check_entry),
        pickle.SETITEMS[0]: _checked(pickle.SETITEMS, _check_entries),
        pickle.ADDITEMS[0]: _checked(pickle.ADDITEMS, _check_members),
    }
