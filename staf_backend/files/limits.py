"""What a stranger's file may cost: room in memory, and room in an error's sentence."""

SPARE_BYTES = 64_000_000
"""What any file may grow to, however small.  Chosen: SMPL-X's sparse joint regressor, 5 MB when
written out, is the largest thing that real body files hold in few bytes."""
ARRAYS_SPARE_BYTES = 128_000_000
"""The same of an archive of arrays.  Chosen: an hour of somebody who never moves, fingers and all,
takes 90 MB."""
GROWTH = 4
"""How often a file's own size may come on top.  Chosen: chumpy's selections hold what they pick
from and what they pick, beside the indices."""
MOST_LABEL_BYTES = 4_000_000_000
"""Of one file of a data set that is read whole.  Chosen: several times MPI-INF-3DHP's largest."""
LARGEST_LABEL = 1e6
"""Of any number in a label, whatever its unit.  Chosen: a kilometre in millimetres, and wider in
pixels than any picture; beyond it float32 tells no millimetre from the next."""
LONGEST_NAME = 500
"""Characters of a picture's name.  Chosen: a folder's and a file's name of 255 each, almost."""
NATIVE_SPARE_BYTES = 1_000_000_000
"""Address space of a process that reads a file with a native library, however small the file.
Chosen: seven times what Python takes of it with NumPy, SciPy, HDF5."""
NATIVE_GROWTH = 100
"""How often the file's size may come on top.  Measured: a compressed release of MPII's size, 13 MB,
takes 45 times that as Python's objects."""
NATIVE_SPARE_S = 6.0
"""How long such a process may read, however small the file.  Chosen: 200 times what small ones
take, and an answer within ten seconds."""
NATIVE_S_PER_MB = 10.0
"""How much longer for each megabyte.  Measured: the same release takes 2 s for each, on a busy
machine."""
JOURNAL_LINE_BYTES = 4_000_000
"""Of what a batch's journal says of one clip.  Measured: 0.4 kB, and 0.7 kB for each person; this
is room for two thousand people with three times as many words."""
JOURNAL_BYTES = 256_000_000
"""Of a batch's journal.  Chosen: 25 kB for each of 10,000 clips, as a dozen runs of all of them or
thirty people in each."""
JOURNAL_LINES = 300_000
"""Of a batch's journal.  Chosen: thirty of each of 10,000 clips; real ones have a kilobyte a
line, so that `JOURNAL_BYTES` ends them before."""
JOURNAL_VALUES = 10_000_000
"""Of a batch's journal: commas and opening brackets.  Measured: a real one has one in 31 bytes."""
JOURNAL_FILES = 3_000_000
"""That a batch's journal may name, each as often as it stands there.  Chosen: motions and bodies of
thirty people in each of 10,000 clips, put into a store, are named nine times a person."""
JOURNAL_STRANGE_LINES = 1_000
"""Of those that no batch wrote, and of torn ones.  Chosen: far more than crashes and a careless
editor leave."""
THUMBNAIL_BYTES = 200_000
"""Of a clip's small picture in a report.  Chosen: forty times the usual one."""
_LONGEST_WORDS = 80
"""Characters of a file's own words in a message.  Chosen: one line of a terminal."""
_LONGEST_MESSAGE = 240
"""Characters of a whole message.  Chosen: three lines of a terminal, which paths fill."""


class TooLargeError(ValueError):
    """A file stands for far more numbers than it holds."""

    def __init__(self) -> None:
        super().__init__("it stands for far more numbers than it holds")


class Budget:
    """Bytes that one file may still grow to.

    Args:
        file_bytes: the file's size.
        spare_bytes: what it may grow to, however small.
    """

    def __init__(self, file_bytes: int, spare_bytes: int = SPARE_BYTES) -> None:
        self._left = spare_bytes + GROWTH * file_bytes

    def spend(self, count_bytes: int) -> None:
        """Ask before memory is taken.

        Raises:
            TooLargeError: nothing is left.
        """
        self._left -= count_bytes
        if self._left < 0:
            raise TooLargeError


def shown_message(text: str) -> str:
    """A message that a worker or a journal gave, as `shown`; a long one loses its middle, for a
    reason stands at the end, after paths."""
    half = _LONGEST_MESSAGE // 2
    whole = len(text) <= _LONGEST_MESSAGE
    return shown(text if whole else f"{text[:half]}...{text[-half:]}", 2 * half + 3)


def shown(text: str, most: int = _LONGEST_WORDS) -> str:
    """Words out of a file as they may stand in a message: a terminal obeys none of them, and no
    file can fill the screen with more than `most` characters."""
    short = text if len(text) <= most else text[:most] + "..."
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in short
    )
