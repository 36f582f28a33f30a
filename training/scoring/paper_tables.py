"""The paper's numbers, and ours beside them (Yao et al. 2024, Tables I, III, IV; millimetres).

The tables also print other authors' methods; here are the rows of STAF itself.  What could not be
read of the paper is None: accelerations on MPI-INF-3DHP, all of Tables V and VI.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from staf_backend.staf.config import StafConfig
from training.model.ablations import TABLE_IV, TABLE_V, TABLE_VI, PooledConfig
from training.scoring.metrics import Summary
from training.scoring.scoring import SetScores


@dataclass(frozen=True)
class PaperRow:
    """One row for one set.

    `with_3dpw`: whether 3DPW's training videos were learnt from (a star in the paper), None where
    it is not said.  The acceleration error is per frame squared, whatever the paper's head says.
    """

    name: str
    data: str
    mpjpe_mm: float
    pa_mpjpe_mm: float
    pve_mm: float | None = None
    acceleration_mm_per_frame2: float | None = None
    with_3dpw: bool | None = None


COMPARISONS = (
    PaperRow("STAF, paper, trained with 3DPW", "3dpw", 80.6, 48.0, 95.3, 8.2, True),
    PaperRow("STAF, paper, without 3DPW", "3dpw", 81.2, 48.7, 96.0, 8.2, False),
    PaperRow("STAF, paper, trained with 3DPW", "mpii3d", 93.7, 59.6, None, None, True),
    PaperRow("STAF, paper, without 3DPW", "mpii3d", 92.4, 58.8, None, None, False),
    PaperRow("STAF, paper", "h36m", 70.4, 44.5, None, 4.8),
)
"""Rows of Tables I and III."""

PAPER_IV = {
    "base": PaperRow("base", "3dpw", 83.5, 49.3, 99.5, 27.5, True),
    "base + APM": PaperRow("base + APM", "3dpw", 81.8, 48.4, 96.9, 8.1, True),
    "base + STAF": PaperRow("base + STAF", "3dpw", 82.3, 48.8, 97.8, 24.7, True),
    "base + STAF + APM": PaperRow("base + STAF + APM", "3dpw", 80.6, 48.0, 95.3, 8.2, True),
}
"""Table IV by the names of `ablations.TABLE_IV`, on 3DPW."""

ABLATIONS: dict[int, Mapping[str, StafConfig | PooledConfig]] = {
    4: TABLE_IV,
    5: TABLE_V,
    6: TABLE_VI,
}
"""Tables whose rows are networks to be trained, by number."""
TABLES = (1, 3, *ABLATIONS)
"""Tables that can be regenerated.  I compares with 3DPW's videos learnt from, III without."""

_COLUMNS = (
    ("mpjpe_mm", "MPJPE mm"),
    ("pa_mpjpe_mm", "PA-MPJPE mm"),
    ("pve_mm", "PVE mm"),
    ("acceleration_mm_per_frame2", "Accel mm/frame²"),
    ("acceleration_m_per_s2", "Accel m/s²"),
)


def paper_rows(data: str, table: int | None = None) -> tuple[PaperRow, ...]:
    """The paper's rows of STAF for a set; those of a comparing table (1, 3), or all."""
    wanted = {1: (True, None), 3: (False, None)}.get(table or 0, (True, False, None))
    return tuple(row for row in COMPARISONS if row.data == data and row.with_3dpw in wanted)


def set_table(scores: SetScores, name: str, data: str, table: int | None = None) -> str:
    """Markdown: our row for a set, the paper's below.

    Args:
        scores: ours.
        name: of our row.
        data: the protocol's name, by which the paper's rows are found.
        table: 1 or 3 for that table's rows only.
    """
    head = f"### {scores.name}\n\n{_counts(scores)}\n\n"
    rows = [
        (name, asdict(scores.summary)),
        *((row.name, asdict(row)) for row in paper_rows(data, table)),
    ]
    return head + _markdown(rows)


def ablation_table(number: int, found: Mapping[str, Summary], data: str) -> str:
    """Markdown: every row of Table IV, V or VI that is there, the paper's number beside ours."""
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for name in ABLATIONS[number]:
        if name in found:
            rows.append((name, asdict(found[name])))
        if number == 4:
            rows.append((f"{name}, paper on 3DPW", asdict(PAPER_IV[name])))
    roman = {4: "IV", 5: "V", 6: "VI"}[number]
    return f"### Table {roman} on {data}\n\n" + _markdown(rows)


def _counts(scores: SetScores) -> str:
    summary = scores.summary
    text = f"{summary.frames:,} frames of {scores.videos:,} videos"
    left_out = {"videos too short": scores.short, "frames without labels": scores.unlabelled}
    said = [f"{count:,} {what}" for what, count in left_out.items() if count]
    return text + (f"; left out: {', '.join(said)}" if said else "")


def _markdown(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    lines: list[Sequence[str]] = [("", *(head for _, head in _COLUMNS))]
    lines.append(("---", *("---:" for _ in _COLUMNS)))
    for name, values in rows:
        lines.append((name, *(_number(values.get(column)) for column, _ in _COLUMNS)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
