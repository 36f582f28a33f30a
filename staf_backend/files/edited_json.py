"""JSON that people edit by hand: read strictly, and refused with the line of what is wrong."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from staf_backend import StafError
from staf_backend.files.json_lines import line_of, line_of_no_number, repeated_key
from staf_backend.files.json_place import Place, WrongAtError
from staf_backend.files.limits import TooLargeError, shown
from staf_backend.files.regular import open_file
from staf_backend.files.strict_json import check_values, read_json_text

Read = TypeVar("Read")


@dataclass(frozen=True)
class EditedJson:
    """One kind of such a file.

    Attributes:
        kind: as in "tracks", for messages.
        error: what is raised, with a message and advice.
        advice: for whoever made a mistake.
        largest_bytes: of a file.
    """

    kind: str
    error: type[StafError]
    advice: str
    largest_bytes: int

    def read(
        self, path: Path, checked: Callable[[Place], Read], largest_bytes: int | None = None
    ) -> Read:
        """What `checked` makes of a file.

        Args:
            path: of the file.
            checked: of the outermost value; refuses by `Place.wrong`.
            largest_bytes: of this one, where it is known; never more than of its kind.

        Raises:
            StafError: `self.error`: the file cannot be read, or something in it is wrong; the
                message names the line.
        """
        text = self._text(path, min(largest_bytes or self.largest_bytes, self.largest_bytes))
        try:
            return checked(Place(self._values(text, path)))
        except WrongAtError as error:
            reason = "".join(letter if letter.isprintable() else "?" for letter in str(error))
            where = f"{path}, line {line_of(text, error.path)}"
            raise self.error(f"{where}: {reason}.", self.advice) from None

    def _text(self, path: Path, largest_bytes: int) -> str:
        try:
            with open_file(path) as file:
                size = os.fstat(file.fileno()).st_size
                if size > largest_bytes:
                    raise self.error(f"{path} is too large for a {self.kind} file.", self.advice)
                return file.read(size).decode("utf-8-sig")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise self.error(f"{path} cannot be read: {reason}.", "Check the path.") from error
        except UnicodeDecodeError as error:
            raise self.error(f"{path} is no text in UTF-8.", self.advice) from error

    def _values(self, text: str, path: Path) -> Any:
        try:
            check_values(text)
            values = read_json_text(text)
        except json.JSONDecodeError as error:
            message = f"{path}, line {error.lineno}: this is no JSON: {error.msg}."
            raise self.error(message, self.advice) from error
        except TooLargeError as error:
            raise self.error(f"{path}: no strict JSON: {error}.", self.advice) from error
        except ValueError as error:
            line = line_of_no_number(text)
            where = "" if line is None else f", line {line}"
            raise self.error(f"{path}{where}: no strict JSON: {error}.", self.advice) from error
        twice = repeated_key(text)
        if twice:
            message = f'{path}, line {twice[1]}: "{shown(twice[0])}" stands twice in one object.'
            raise self.error(message, self.advice)
        return values
