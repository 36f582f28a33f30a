"""How the people of a clip, and the parts in which one was seen, are called: one rule for all."""

from collections.abc import Iterable, Mapping, Sequence

from staf_backend.motion.ranges import LONGEST_NAME_BYTES


def person_name(
    stem: str, person: int, people: Iterable[int], called: Mapping[int, str] | None = None
) -> str:
    """ "clip" where there is one person, else "clip-1", "clip-2"; "clip-Anna" of a named one."""
    if called and called.get(person):
        return f"{stem}-{called[person]}"
    return f"{stem}-{person}" if len(set(people)) > 1 else stem


def part_names(
    stem: str, people: Sequence[int], called: Mapping[int, str] | None = None
) -> list[str]:
    """One name a part: "clip-1", "clip-2", and "clip-2.2" for the second part of a person.

    Args:
        stem: the clip's name.
        people: whose each part is, parts of one person in order of time.
        called: names that the user gave, by person.
    """
    names = [person_name(stem, person, people, called) for person in people]
    numbers = [people[: i + 1].count(person) for i, person in enumerate(people)]
    return [n if number == 1 else f"{n}.{number}" for n, number in zip(names, numbers, strict=True)]


def plain_name(name: str) -> str:
    """A file's name as a motion may have it: Linux takes line breaks, terminals' orders and bytes
    that are no letters in one, each of which becomes "_" here; what is beyond 255 bytes is cut off.
    """
    plain = "".join("_" if letter < " " or _no_letter(letter) else letter for letter in name)
    while len(plain.encode("utf-8", "surrogatepass")) > LONGEST_NAME_BYTES:
        plain = plain[:-1]
    return plain


def _no_letter(letter: str) -> bool:
    """Whether it stands for a byte of a name that is not in UTF-8, which Blender cannot call."""
    return "\ud800" <= letter <= "\udfff"
