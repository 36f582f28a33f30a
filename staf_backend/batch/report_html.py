"""The report as one page that needs nothing else: sortable, with pictures, in any browser."""

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
_COLUMNS = ("Picture", "Clip", "Status", "People", "Seen", "Jitter", "Time", "Files or reason")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(report: dict[str, Any]) -> str:
    """HTML of `report.values`; every word of a file is escaped, and nothing is loaded."""
    totals = report["totals"]
    heads = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    rows = "\n".join(_row(number, clip) for number, clip in enumerate(report["clips"]))
    counts = ", ".join(f"{totals[word]} {word}" for word in ("done", "failed", "waiting"))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>STAF batch</title>
<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style></head>
<body><h1>{totals["clips"]} clips</h1>
<p>{counts}; {totals["people"]} people; {totals["seconds"]:.1f} s with {totals["workers"]} workers;
staf {escape(report["version"])}. Click a column's head to sort by it.</p>
<table><thead><tr>{heads}</tr></thead><tbody>
{rows}
</tbody></table><script>{_SCRIPT}</script></body></html>
"""


def _row(number: int, clip: dict[str, Any]) -> str:
    people = clip.get("people", [])
    seen = [person["coverage"] for person in people]
    jitters = [person["quality"].get("jitter_mm_per_frame2", 0.0) for person in people]
    status, seconds = clip["status"], clip.get("seconds", 0.0)
    picture = f'<img alt="" src="data:image/jpeg;base64,{escape(clip["thumbnail"])}">'
    cells = (
        (number, picture if clip["thumbnail"] else ""),
        (clip["place"], escape(_plain(clip["place"]))),
        (status, f'<span class="{status}">{status}</span>' + (" (before)" * clip["before"])),
        (len(people), str(len(people))),
        (min(seen, default=0), ", ".join(f"{value:.0%}" for value in seen)),
        (max(jitters, default=0), ", ".join(f"{value:.1f} mm/frame²" for value in jitters)),
        (seconds, f"{seconds:.1f} s" if seconds else ""),
        (len(clip.get("files", ())), _told(clip)),
    )
    columns = "".join(
        f'<td data-key="{escape(_plain(str(key)))}">{cell}</td>' for key, cell in cells
    )
    return f"<tr>{columns}</tr>"


def _told(clip: dict[str, Any]) -> str:
    if clip["status"] == "failed":
        reason = f"{clip['message']} {clip.get('advice', '')}".strip()
        log = quote(clip["log"], errors="surrogateescape")
        return f'{escape(_plain(reason))} <a href="{log}">log</a>'
    links = (
        f'<a href="{quote(name, errors="surrogateescape")}">{escape(_plain(name))}</a>'
        for name in clip.get("files", ())
    )
    return "<br>".join(links)


def _plain(text: str) -> str:
    """Without the halves of letters by which Python keeps names that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
