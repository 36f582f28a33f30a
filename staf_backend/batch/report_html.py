"""The report as one page that needs nothing else: sortable, with pictures, in any browser."""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4em .8em; border-bottom: 1px solid #ddd; }
th { cursor: pointer; background: #f4f4f4; position: sticky; top: 0; }
img { width: 160px; display: block; }
.failed { color: #a40000; } .done { color: #1a6b1a; } .waiting { color: #777; }
.number { text-align: right; }
"""
_SCRIPT = """
document.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
  const body = document.querySelector("tbody"), down = head.dataset.down !== "yes";
  head.dataset.down = down ? "yes" : "no";
  const key = row => row.children[column].dataset.key;
  const order = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
  [...body.rows].sort((a, b) => (down ? 1 : -1) * order(key(a), key(b)))
    .forEach(row => body.append(row));
}));
"""
_COLUMNS = ("Picture", "Clip", "Status", "People", "Seen", "What it says of itself", "Time")
_COLUMNS += ("Files or reason",)
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(
    report: dict[str, Any], picture_of: Callable[[str], bytes], *, links: bool
) -> Iterator[str]:
    """HTML of `report.values`, piece by piece, for pictures of ten thousand clips are large; every
    word of a file is escaped, and nothing is loaded.

    Args:
        picture_of: the JPEG of a clip's place; empty where there is none.
        links: whether the clips' files lie beside the page.
    """
    totals = report["totals"]
    heads = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    counts = ", ".join(f"{totals[word]} {word}" for word in ("done", "failed", "waiting"))
    yield f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>STAF batch</title>
<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style></head>
<body><h1>{totals["clips"]} clips</h1>
<p>{counts}; {totals["people"]} people; {totals["seconds"]:.1f} s with {totals["workers"]} workers;
staf {escape(report["version"])}. Click a column's head to sort by it.</p>
<table><thead><tr>{heads}</tr></thead><tbody>
"""
    for number, clip in enumerate(report["clips"]):
        yield _row(number, clip, _picture(picture_of(clip["place"])), links) + "\n"
    yield f"</tbody></table>{_characters(report['characters'], links)}"
    yield f"<script>{_SCRIPT}</script></body></html>\n"


def _characters(characters: Sequence[dict[str, Any]], links: bool) -> str:
    """A list of the people whose takes are in one file."""
    if not characters:
        return ""
    lines = "".join(
        f"<li>{escape(_plain(one['name']))}: {escape(one['status'])}, {len(one['takes'])} takes "
        f"{_files(one['files'], links)}{escape(_plain(one.get('message', '')))}</li>"
        for one in characters
    )
    return f"<h2>{len(characters)} characters</h2><ul>{lines}</ul>"


def _picture(jpeg: bytes) -> str:
    """An image element; nothing where there is no picture."""
    data = base64.b64encode(jpeg).decode("ascii")
    return f'<img alt="" src="data:image/jpeg;base64,{data}">' if jpeg else ""


def _row(number: int, clip: dict[str, Any], picture: str, links: bool) -> str:
    people = clip.get("people", [])
    seen = [person["coverage"] for person in people]
    words = _words(people)
    status, seconds = clip["status"], clip.get("seconds", 0.0)
    cells = (
        (number, picture),
        (clip["place"], _name(clip, links)),
        (status, f'<span class="{status}">{status}</span>' + (" (before)" * clip["before"])),
        (len(people), str(len(people))),
        (min(seen, default=0), ", ".join(f"{value:.0%}" for value in seen)),
        (len(words), "<br>".join(escape(_plain(word)) for word in words)),
        (seconds, f"{seconds:.1f}&nbsp;s" if seconds else ""),
        (len(clip.get("files", ())), _told(clip, links)),
    )
    columns = "".join(
        f'<td data-key="{escape(_plain(str(key)))}">{cell}</td>' for key, cell in cells
    )
    return f"<tr>{columns}</tr>"


def _words(people: Sequence[dict[str, Any]]) -> list[str]:
    """What a clip's motions say of themselves: once what all of them say, else with whose it is."""
    said = [person.get("words", ()) for person in people]
    shared = [word for word in (said[0] if said else ()) if all(word in one for one in said)]
    of_each = [
        f"Person {person['person']}: {word}"
        for person, words in zip(people, said, strict=True)
        for word in words
        if word not in shared
    ]
    return of_each + shared


def _name(clip: dict[str, Any], links: bool) -> str:
    """The clip's name, which leads to its own page where there is one."""
    pages = [name for name in clip.get("files", ()) if name.endswith(".html")]
    return _link(pages[0], clip["place"]) if pages and links else escape(_plain(clip["place"]))


def _told(clip: dict[str, Any], links: bool) -> str:
    if clip["status"] != "failed":
        return _files(clip.get("files", ()), links)
    reason = f"{clip['message']} {clip.get('advice', '')}".strip()
    return f"{escape(_plain(reason))} {_link(clip['log'], 'log')}"


def _files(names: Iterable[str], links: bool) -> str:
    told = (_link(name, name) if links else escape(_plain(name)) for name in names)
    return "<br>".join(told)


def _link(path: str, text: str) -> str:
    return f'<a href="{quote(path, errors="surrogateescape")}">{escape(_plain(text))}</a>'


def _plain(text: str) -> str:
    """Without the halves of letters by which Python keeps names that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
