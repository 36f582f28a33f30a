"""What the user chose to run from now on: a name in a small file of the user's data folder."""

import json
from pathlib import Path

from staf_backend.body import data_folder
from staf_backend.files import OutputError, make_folder, replace_atomically, shown
from staf_backend.weights.error import WeightsError
from staf_backend.weights.info import check_name, read_text

_FORMAT = 1


class Choice:
    """One choice.

    Args:
        file: name of its file.
    """

    def __init__(self, file: str) -> None:
        self._file = file

    @property
    def path(self) -> Path:
        """Of its file, which is there only once something was chosen."""
        return data_folder() / self._file

    def name(self) -> str | None:
        """What was chosen; None: nothing.

        Raises:
            WeightsError: the file cannot be read.
        """
        try:
            content = json.loads(read_text(self.path))
            if content["format"] != _FORMAT:
                raise ValueError("another version of this software wrote it")
            check_name(content["name"])
            return content["name"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, WeightsError) as error:
            reason = shown(str(error))
            advice = "Choose again with: staf weights use NAME"
            raise WeightsError(f"{self.path} cannot be read: {reason}.", advice) from error

    def keep(self, name: str) -> None:
        """Choose; raises OutputError where that cannot be kept."""
        make_folder(data_folder())
        with replace_atomically(self.path) as temporary:
            content = {"format": _FORMAT, "name": name}
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def forget(self) -> None:
        """As if nothing had ever been chosen; raises OutputError where the file stays."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError.from_os(self.path, error) from error

    def forget_if(self, name: str) -> None:
        """Forget a choice of what is no longer there; one that cannot be read stays."""
        try:
            chosen = self.name()
        except WeightsError:
            return
        if chosen == name:
            self.forget()
