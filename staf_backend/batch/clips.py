"""Which clips there are, and where each one's files go: outputs mirror folders, and never meet.

FOLDER, LIST.txt, VIDEO ...  ──find_clips──►  Clip(source, place) ...
"""

import fnmatch
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from staf_backend.files import real_path
from staf_backend.video import VideoError

PATTERNS = ("*.mp4", "*.mov", "*.mkv", "*.webm", "*.avi", "*.m4v")
"""Of a folder's videos, in lower case; those of the add-on's file browser."""
_ENDINGS = (r"-\d+", r"\.\d+", "_amass")
"""Patterns of what `motion.names` and `export.deliver` put behind a clip's name."""
REPORT = "report"
"""Name of the batch's own files at the top of the output folder."""
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")
"""How a path begins that was an address of a store."""
_LONGEST_LIST_BYTES = 64_000_000
"""Of a list of clips.  Chosen: several hundred thousand paths."""
_MOST_LISTED = 300_000
"""Paths in a list.  Chosen: no more have room in a journal."""


@dataclass(frozen=True)
class Clip:
    """A video, and where its files go.

    Attributes:
        source: absolute path.
        place: path below the output folder, with "/" and without suffix.
    """

    source: Path
    place: str


def find_clips(
    given: Sequence[Path],
    patterns: Sequence[str],
    depth: int | None,
    out: Path,
    endings: Sequence[str] = (),
) -> list[Clip]:
    """Every clip of folders, lists and videos, once, in order.

    Args:
        given: folders to walk; lists, text files with a path a line; videos.
        patterns: of names in folders, any case; names that begin with a dot are left out.
        depth: how many folders deep, 0 for no folder in the folder; None is all the way.
        out: not walked into.
        endings: what else is put behind a clip's name, as "-hero.blend".

    Raises:
        VideoError: a path is missing, a list cannot be read, or there is no clip at all.
    """
    roots, sources = [], {}
    for path in _with_lists(given):
        whole = _whole(path)
        if _is_dir(whole):
            roots.append(whole)
            sources |= dict.fromkeys(_walk(whole, patterns, depth, real_path(out)))
        else:
            roots.append(whole.parent)
            sources[whole] = None
    if not sources:
        raise VideoError("There is no video in it.", f"Patterns tried: {' '.join(patterns)}.")
    return _placed(list(sources), Path(os.path.commonpath(roots)), endings)


def _with_lists(given: Sequence[Path]) -> Iterator[Path]:
    for path in given:
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            store = _URL.match(str(path))
            advice = "Copy or mount it: clips are read from disks." if store else "Check the path."
            raise VideoError(f"{path} cannot be taken: {reason}.", advice) from error
        if path.suffix.lower() == ".txt" and stat.S_ISREG(mode):
            yield from _listed(path)
        else:
            yield path


def _whole(path: Path) -> Path:
    """An absolute path without "..", which would lead out of the output folder."""
    whole = path.absolute()
    if ".." not in whole.parts:
        return whole
    return real_path(whole) if whole.name == ".." else real_path(whole.parent) / whole.name


def _is_dir(path: Path) -> bool:
    """Whether it is a folder; not where the system cannot look, which is told in its turn."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _listed(path: Path) -> Iterator[Path]:
    """Paths of a list, relative ones from where it lies; lines with # in front are remarks.  What
    is missing is told when its turn comes."""
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_LIST_BYTES + 1).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VideoError(
            f"The list {path} cannot be read: {error}.", "Write it as UTF-8."
        ) from error
    if len(text) > _LONGEST_LIST_BYTES or "\0" in text:
        raise VideoError(f"{path} is no list of clips.", "Write one path a line.")
    lines = [line.strip() for line in text.splitlines()]
    named = [line for line in lines if line and not line.startswith("#")]
    if len(named) > _MOST_LISTED:
        raise VideoError(f"{path} names more than {_MOST_LISTED} clips.", "Write several lists.")
    yield from (path.parent / line for line in named)


def _walk(root: Path, patterns: Sequence[str], depth: int | None, out: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(root):
        level = len(Path(where).relative_to(root).parts)
        deeper = depth is None or level < depth
        folders[:] = sorted(
            name
            for name in folders
            if deeper and not name.startswith(".") and real_path(Path(where, name)) != out
        )
        for name in sorted(names):
            lower = name.lower()
            matches = any(fnmatch.fnmatchcase(lower, pattern.lower()) for pattern in patterns)
            if matches and not name.startswith("."):
                yield Path(where, name)


def _placed(sources: Sequence[Path], shared: Path, endings: Sequence[str]) -> list[Clip]:
    """Clips whose files could meet keep their suffixes, and then get numbers; none takes the name
    of a report."""
    more = [re.escape(Path(ending).stem.casefold()) for ending in endings]
    behind = re.compile(f"({'|'.join([*_ENDINGS, *more])})+$")

    def root(place: str) -> str:
        """What all its files' names begin with, in small letters: some disks know no others."""
        return behind.sub("", place.casefold())

    shorts = [source.relative_to(shared).with_suffix("").as_posix() for source in sources]
    uses = Counter(map(root, [*shorts, REPORT]))
    numbers: Counter[str] = Counter()
    taken = {REPORT}
    clips = []
    for source, short in zip(sources, shorts, strict=True):
        whole = source.relative_to(shared).as_posix()
        name = place = short if uses[root(short)] == 1 else whole
        while root(place) in taken:
            numbers[root(name)] += 1
            place = f"{name}~{numbers[root(name)] + 1}"
        taken.add(root(place))
        clips.append(Clip(source, place))
    return clips
