"""Walk through a pickle, step by step, before anything of it is made.

A pickle is a program for a machine with a stack.  Refusing names keeps it from running code, but
not from running for ever: thirty bytes nest a tuple so that hashing it takes longer than the
universe has, thirteen ask for gigabytes.  This walk makes nothing; of each value it only knows

    how deep it nests      whether it may be a key      its text, if short      how many arguments

and it refuses what no file of ours needs: keys other than words and whole numbers, lengths beyond
the file's end, long numbers, deep nesting, calls with many arguments, more steps than a file of
arrays takes.  After it, a machine that does the same steps takes time and memory in proportion to
the file.  Long byte strings are stepped over, never copied.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from staf_backend.files.limits import shown

MOST_STEPS = 300_000
"""Chosen: official body files and checkpoints take under 40,000; this many run in a second."""
_DEEPEST = 100
"""Containers in containers.  Chosen: chumpy's selections of selections reach about 20."""
_LONGEST_KEY_BYTES = 1000
"""Chosen: the longest key of a checkpoint has about 70; comparing keys must stay cheap."""
_LONGEST_NAME_BYTES = 200
"""Of a module or class.  Chosen: the longest that is allowed has 40."""
_LONGEST_INTEGER_BYTES = 16
"""Chosen: PyTorch's magic number takes ten; turning long ones into text is quadratic."""
_LONGEST_KEY_INTEGER_BYTES = 8
"""Longer ones can be chosen so that all have one hash."""
_LONGEST_KEY_DIGITS = 18
"""As many as eight bytes hold."""
_LONGEST_NUMBER_DIGITS = 40
"""Of numbers written as text.  Chosen: enough for 16 bytes, and for every float."""
_MOST_ARGUMENTS = 16
"""Of one call.  Chosen: the longest real one, a tensor's, has seven."""
_NEWEST_PROTOCOL = 5
"""Of pickles, PEP 574."""

CheckName = Callable[[str, str], object]
"""Takes a module and a name in it; raises `RefusedNameError` for what a file may not ask for."""


class Bytes(Protocol):
    """What `bytes` and a mapped file have in common."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes: ...
    def find(self, part: bytes, start: int, end: int, /) -> int: ...


class RefusedNameError(Exception):
    """The pickle asks for something that no file of ours needs.

    Args:
        name: what it asked for, for example "os.system"; kept as it may be shown.
    """

    def __init__(self, name: str) -> None:
        self.name = shown(name)
        super().__init__(self.name)


class PickleError(ValueError):
    """The pickle is damaged, or would cost more than any real one; the reason is fit to show."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"damaged pickle ({reason})")
        self.reason = reason


def scan_pickle(data: Bytes, check_name: CheckName, start: int = 0) -> int:
    """Check one pickle.

    Args:
        data: holds it.
        check_name: is asked about every function and class that the pickle names.
        start: where in `data` it begins.

    Returns:
        where in `data` it ends: the offset after its last step.

    Raises:
        PickleError: damaged, or it would cost too much.
        RefusedNameError: from `check_name`.
    """
    return _Walk(data, check_name, start).to_the_end()


class _Value(NamedTuple):
    depth: int = 0
    is_key: bool = False
    text: str | None = None
    """Where it is short and written plainly, so that it can be part of a name"""
    arguments: int | None = None
    """How many, where it is a tuple"""


_DATA = _Value()
_KEY = _Value(is_key=True)


class _Walk:
    """The machine's stack, marks and memo, with shadows in place of values."""

    def __init__(self, data: Bytes, check_name: CheckName, start: int) -> None:
        self._data, self._offset = data, start
        self._check_name = check_name
        self._stack: list[_Value] = []
        self._below_marks: list[list[_Value]] = []
        self._memo: dict[int, _Value] = {}

    def to_the_end(self) -> int:
        for _ in range(MOST_STEPS):
            code = self._take(1)
            if code == b".":
                self._top()
                return self._offset
            step = _STEPS.get(code)
            if step is None:
                raise PickleError(f"step {code!r}, which no file of arrays has")
            step(self)
        raise PickleError(f"more than {MOST_STEPS} steps")

    def _skip(self, count: int) -> int:
        """Step over bytes; returns where they begin."""
        start, self._offset = self._offset, self._offset + count
        if self._offset > len(self._data):
            raise PickleError("it ends in the middle")
        return start

    def _take(self, count: int) -> bytes:
        start = self._skip(count)
        return self._data[start : start + count]

    def _skip_line(self, most_bytes: int) -> int:
        """Step over a line; returns how many bytes it has without its end."""
        start = self._offset
        end = self._data.find(b"\n", start, min(len(self._data), start + most_bytes + 1))
        if end < 0:
            raise PickleError("a line too long or without end")
        self._offset = end + 1
        return end - start

    def _take_line(self, most_bytes: int) -> bytes:
        start = self._offset
        return self._data[start : start + self._skip_line(most_bytes)]

    def _take_size(self, count: int) -> int:
        return int.from_bytes(self._take(count), "little")

    def _push(self, value: _Value) -> None:
        self._stack.append(value)

    def _pop(self) -> _Value:
        value = self._top()
        self._stack.pop()
        return value

    def _top(self) -> _Value:
        if not self._stack:
            raise PickleError("a step without its values")
        return self._stack[-1]

    def _pop_mark(self) -> list[_Value]:
        if not self._below_marks:
            raise PickleError("a step without its values")
        values, self._stack = self._stack, self._below_marks.pop()
        return values

    def _deeper(self, *inside: _Value) -> int:
        depth = 1 + max((value.depth for value in inside), default=0)
        if depth > _DEEPEST:
            raise PickleError(f"nested deeper than {_DEEPEST}")
        return depth

    def _put_into_top(self, *inside: _Value) -> None:
        depth = max(self._top().depth, self._deeper(*inside))
        self._stack[-1] = self._stack[-1]._replace(depth=depth)

    # what the steps do; `_STEPS` says which does what

    def protocol(self) -> None:
        if self._take_size(1) > _NEWEST_PROTOCOL:
            raise PickleError("of a protocol that is not known")

    def frame(self) -> None:
        if self._take_size(8) > len(self._data) - self._offset:
            raise PickleError("it ends in the middle")

    def fixed(self, count: int, value: _Value) -> None:
        self._skip(count)
        self._push(value)

    def sized(self, prefix_bytes: int) -> None:
        """Bytes with their count before them; never a key."""
        self._skip(self._take_size(prefix_bytes))
        self._push(_DATA)

    def text(self, prefix_bytes: int, codec: str) -> None:
        size = self._take_size(prefix_bytes)
        if size > _LONGEST_KEY_BYTES:
            self._skip(size)
            self._push(_DATA)
            return
        try:
            self._push(_Value(is_key=True, text=self._take(size).decode(codec, "surrogatepass")))
        except UnicodeDecodeError:
            raise PickleError("text in no known coding") from None

    def text_line(self) -> None:
        size = self._skip_line(len(self._data))
        self._push(_KEY if size <= _LONGEST_KEY_BYTES else _DATA)

    def number_line(self) -> None:
        line = self._take_line(_LONGEST_NUMBER_DIGITS)
        self._push(_KEY if line.isdigit() and len(line) <= _LONGEST_KEY_DIGITS else _DATA)

    def integer(self, prefix_bytes: int) -> None:
        size = self._take_size(prefix_bytes)
        if size > _LONGEST_INTEGER_BYTES:
            raise PickleError("a number of too many digits")
        self._skip(size)
        self._push(_KEY if size <= _LONGEST_KEY_INTEGER_BYTES else _DATA)

    def mark(self) -> None:
        self._below_marks.append(self._stack)
        self._stack = []

    def pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def duplicate(self) -> None:
        self._push(self._top())

    def tuple_of(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push(_Value(self._deeper(*values), arguments=count))

    def tuple_to_mark(self) -> None:
        values = self._pop_mark()
        self._push(_Value(self._deeper(*values), arguments=len(values)))

    def list_to_mark(self) -> None:
        self._push(_Value(self._deeper(*self._pop_mark())))

    def dictionary_to_mark(self) -> None:
        values = self._pop_mark()
        _check_keys(values[::2])
        self._push(_Value(self._deeper(*values)))

    def set_to_mark(self) -> None:
        values = self._pop_mark()
        _check_keys(values)
        self._push(_Value(self._deeper()))

    def append(self) -> None:
        self._put_into_top(self._pop())

    def append_to_mark(self) -> None:
        self._put_into_top(*self._pop_mark())

    def set_item(self) -> None:
        value, key = self._pop(), self._pop()
        _check_keys([key])
        self._put_into_top(value)

    def set_items_to_mark(self) -> None:
        values = self._pop_mark()
        _check_keys(values[::2])
        self._put_into_top(*values)

    def add_to_mark(self) -> None:
        _check_keys(self._pop_mark())
        self._put_into_top()

    def get(self, slot: int) -> None:
        if slot not in self._memo:
            raise PickleError("it names a value that it does not have")
        self._push(self._memo[slot])

    def get_sized(self, count: int) -> None:
        self.get(self._take_size(count))

    def put_sized(self, count: int) -> None:
        self._memo[self._take_size(count)] = self._top()

    def get_line(self) -> None:
        self.get(self._slot_line())

    def put_line(self) -> None:
        self._memo[self._slot_line()] = self._top()

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self._top()

    def _slot_line(self) -> int:
        line = self._take_line(_LONGEST_NUMBER_DIGITS)
        if not line.isdigit():
            raise PickleError("a place that is no number")
        return int(line)

    def name(self) -> None:
        self._named(*(self._name_line() for _ in range(2)))

    def _name_line(self) -> str:
        try:
            return self._take_line(_LONGEST_NAME_BYTES).decode("utf-8")
        except UnicodeDecodeError:
            raise PickleError("a name in no known coding") from None

    def name_on_stack(self) -> None:
        name, module = self._pop().text, self._pop().text
        if name is None or module is None:
            raise PickleError("a name that is no plain text")
        self._named(module, name)

    def _named(self, module: str, name: str) -> None:
        self._check_name(module, name)
        self._push(_Value(self._deeper()))

    def old_instance(self) -> None:
        """Of a class of Python 2's first kind, which no file of ours has."""
        self.name()
        raise PickleError("an object of Python 2's first kind")

    def call(self) -> None:
        arguments, function = self._pop(), self._pop()
        if arguments.arguments is None or arguments.arguments > _MOST_ARGUMENTS:
            raise PickleError("a call without a short list of arguments")
        self._push(_Value(self._deeper(function, arguments)))

    def build(self) -> None:
        self._put_into_top(self._pop())

    def persistent(self) -> None:
        """A reference to data outside: a tensor's storage."""
        self._push(_Value(self._deeper(self._pop())))


def _check_keys(values: list[_Value]) -> None:
    if not all(value.is_key for value in values):
        raise PickleError("a key that is no word and no number")


def _bind(step: Callable[..., None], *arguments: object) -> Callable[[_Walk], None]:
    return lambda walk: step(walk, *arguments)


_STEPS: dict[bytes, Callable[[_Walk], object]] = {
    b"\x80": _Walk.protocol,
    b"\x95": _Walk.frame,
    # numbers and other small values
    **{code: _bind(_Walk.fixed, 0, _KEY) for code in (b"N", b"\x88", b"\x89")},
    **{code: _bind(_Walk.fixed, size, _KEY) for code, size in ((b"J", 4), (b"K", 1), (b"M", 2))},
    b"G": _bind(_Walk.fixed, 8, _DATA),
    **dict.fromkeys((b"I", b"L", b"F"), _Walk.number_line),
    **{code: _bind(_Walk.integer, size) for code, size in ((b"\x8a", 1), (b"\x8b", 4))},
    # text and bytes
    **{code: _bind(_Walk.text, n, "latin1") for code, n in ((b"T", 4), (b"U", 1))},
    **{code: _bind(_Walk.text, n, "utf-8") for code, n in ((b"X", 4), (b"\x8c", 1), (b"\x8d", 8))},
    **{code: _bind(_Walk.sized, n) for code, n in ((b"B", 4), (b"C", 1), (b"\x8e", 8))},
    b"\x96": _bind(_Walk.sized, 8),
    **dict.fromkeys((b"S", b"V"), _Walk.text_line),
    # containers
    **{code: _bind(_Walk.fixed, 0, _Value(1)) for code in (b"]", b"}", b"\x8f")},
    b")": _bind(_Walk.tuple_of, 0),
    **{code: _bind(_Walk.tuple_of, n) for n, code in enumerate((b"\x85", b"\x86", b"\x87"), 1)},
    b"t": _Walk.tuple_to_mark,
    b"l": _Walk.list_to_mark,
    b"d": _Walk.dictionary_to_mark,
    b"\x91": _Walk.set_to_mark,
    b"a": _Walk.append,
    b"e": _Walk.append_to_mark,
    b"s": _Walk.set_item,
    b"u": _Walk.set_items_to_mark,
    b"\x90": _Walk.add_to_mark,
    # the stack and the memo
    b"(": _Walk.mark,
    b"0": _Walk.pop,
    b"1": _Walk._pop_mark,
    b"2": _Walk.duplicate,
    b"g": _Walk.get_line,
    b"p": _Walk.put_line,
    **{code: _bind(_Walk.get_sized, n) for code, n in ((b"h", 1), (b"j", 4))},
    **{code: _bind(_Walk.put_sized, n) for code, n in ((b"q", 1), (b"r", 4))},
    b"\x94": _Walk.memoize,
    # names and what is made by them
    b"c": _Walk.name,
    b"\x93": _Walk.name_on_stack,
    b"i": _Walk.old_instance,
    **dict.fromkeys((b"R", b"\x81"), _Walk.call),
    b"b": _Walk.build,
    b"Q": _Walk.persistent,
}
