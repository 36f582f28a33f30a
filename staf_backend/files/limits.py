"""What a stranger's file may cost: room in memory, and room in an error's sentence."""

SPARE_BYTES = 64_000_000
"""What any file may grow to, however small.  Chosen: SMPL-X's sparse joint regressor, 5 MB when
written out, is the largest thing that real body files hold in few bytes."""
GROWTH = 4
"""How often a file's own size may come on top.  Chosen: chumpy's selections hold what they pick
from and what they pick, beside the numbers of the places."""
_LONGEST_WORDS = 80
"""Characters of a file's own words in a message.  Chosen: one line of a terminal."""


class TooLargeError(ValueError):
    """A file stands for far more numbers than it holds."""

    def __init__(self) -> None:
        super().__init__("it stands for far more numbers than it holds")


class Budget:
    """Bytes that one file may still grow to.

    Args:
        file_bytes: the file's size.
    """

    def __init__(self, file_bytes: int) -> None:
        self._left = SPARE_BYTES + GROWTH * file_bytes

    def spend(self, count_bytes: int) -> None:
        """Ask before memory is taken.

        Raises:
            TooLargeError: nothing is left.
        """
        self._left -= count_bytes
        if self._left < 0:
            raise TooLargeError


def shown(text: str) -> str:
    """Words out of a file as they may stand in a message: a terminal obeys none of them, and no
    file can fill the screen."""
    cut = text if len(text) <= _LONGEST_WORDS else text[:_LONGEST_WORDS] + "..."
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in cut
    )
