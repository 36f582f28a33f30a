"""What became of a batch: report.json for programs, report.html and a table for people."""

import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from staf_backend import __version__
from staf_backend.batch.clips import Clip
from staf_backend.batch.entry import STATE_FOLDER
from staf_backend.batch.journal import Journal
from staf_backend.batch.report_html import page
from staf_backend.batch.store import Store
from staf_backend.files import replace_atomically, shown, shown_message

SCHEMA = 1
"""Version of report.json; it grows when a word changes its meaning or goes."""
_KEPT = ("kind", "message", "advice", "files", "people", "stages_s", "seconds", "source_sha256")
_MOST_FAILURES = 20
"""In the table.  Chosen: a screen; the report has all."""


def values(
    clips: Sequence[Clip],
    entries: Mapping[str, tuple[dict[str, Any], bool]],
    people: Sequence[dict[str, Any]],
    seconds: float,
    workers: int,
) -> dict[str, Any]:
    """The report, clips in order of their places, whoever was done first.

    Args:
        clips: all of the batch.
        entries: place -> the journal's entry, and whether an earlier run made it.
        people: what became of each person's file, see `takes.merge_takes`.
        seconds: how long this run took.
        workers: of this run.
    """
    told = []
    for clip in sorted(clips, key=lambda clip: clip.place):
        entry, before = entries.get(clip.place, ({"event": "waiting"}, False))
        told.append(
            {"place": clip.place, "source": str(clip.source), "status": entry["event"]}
            | {"before": before, "log": f"{STATE_FOLDER}/logs/{clip.place}.log"}
            | {word: entry[word] for word in _KEPT if word in entry}
        )
    states = Counter(one["status"] for one in told)
    totals = {
        "clips": len(told),
        **{state: states[state] for state in ("done", "failed", "waiting")},
        "before": sum(one["before"] for one in told),
        "people": sum(len(one.get("people", ())) for one in told),
        "stages_s": _stages(one for one in told if not one["before"]),
        "seconds": round(seconds, 3),
        "workers": workers,
    }
    head = {"report": "staf batch", "schema": SCHEMA, "version": __version__}
    return head | {"totals": totals, "clips": told, "characters": list(people)}


def _stages(clips: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Seconds that this run's clips spent in each stage, all workers together."""
    spent: Counter[str] = Counter()
    for clip in clips:
        spent.update(clip.get("stages_s", {}))
    return {stage: round(seconds, 3) for stage, seconds in spent.items()}


def write(journal: Journal, report: dict[str, Any], store: Store | None) -> None:
    """Write report.json and report.html.

    Args:
        journal: of the output folder, and of the clips' pictures.
        report: of `values`.
        store: where the clips' files are; None is `out`.

    Raises:
        OutputError: they cannot be written.
    """
    out = journal.out
    told = report | {"store": store.url if store else None}
    # in pieces: the text of ten thousand clips takes a gigabyte of memory
    pieces = json.JSONEncoder(indent=1, allow_nan=False).iterencode(told)
    _write_pieces(out / "report.json", itertools.chain(pieces, "\n"))
    _write_pieces(out / "report.html", page(report, journal.picture, links=store is None))


def _write_pieces(path: Path, pieces: Iterable[str]) -> None:
    with replace_atomically(path) as temporary, temporary.open("wb") as file:
        file.writelines(piece.encode() for piece in pieces)


def summary(report: dict[str, Any]) -> str:
    """A table for the terminal."""
    totals = report["totals"]
    lines = [f"{word:<10}{totals[word]:>8}" for word in ("clips", "done", "failed", "waiting")]
    lines.append(f"{'before':<10}{totals['before']:>8}  (done or failed in an earlier run)")
    lines.append(f"{'seconds':<10}{totals['seconds']:>8.1f}  ({totals['workers']} workers)")
    if totals["stages_s"]:
        spent = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in totals["stages_s"].items())
        lines.append(f"{'stages':<10}{spent} s")
    if report["characters"]:
        good = [one["name"] for one in report["characters"] if one["status"] == "done"]
        lines.append(f"{'characters':<10}{len(good):>8}  (in people/, as people.json says)")
    failures = [one for one in report["clips"] if one["status"] == "failed"]
    failures += [
        {"place": f"people/{one['name']}", "message": one["message"]}
        for one in report["characters"]
        if one["status"] == "failed"
    ]
    lines += [
        f"failed: {shown_place(one['place'])}: {shown_message(one['message'])}"
        for one in failures[:_MOST_FAILURES]
    ]
    if len(failures) > _MOST_FAILURES:
        lines.append(f"... and {len(failures) - _MOST_FAILURES} more: see report.html")
    return "\n".join(lines)


def shown_place(place: str) -> str:
    """A clip's place on a terminal; bytes that are no letters as hexadecimal digits."""
    return shown(os.fsencode(place).decode(errors="backslashreplace"))
