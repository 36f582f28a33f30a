"""Tables as markdown: our numbers beside the paper's, in millimetres."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from staf_backend.staf import AnyConfig, configurations
from training.scoring import paper_numbers
from training.scoring.metrics import Summary
from training.scoring.paper_numbers import PaperRow, SizeRow
from training.scoring.scoring import SetScores

ABLATIONS: dict[int, Mapping[str, AnyConfig]] = {
    4: configurations.TABLE_IV,
    5: configurations.TABLE_V,
    6: configurations.TABLE_VI,
}
"""Tables whose rows are networks to be trained, by number."""
PUBLISHED: dict[int, Mapping[str, PaperRow]] = {
    4: paper_numbers.TABLE_IV,
    5: paper_numbers.TABLE_V,
    6: paper_numbers.TABLE_VI,
}
"""The paper's rows of those tables, by the same names; on 3DPW."""
COMPARISONS: dict[int, Mapping[str, Sequence[PaperRow]]] = {
    1: paper_numbers.TABLE_I,
    3: paper_numbers.TABLE_III,
}
"""Tables that compare given weights with other methods, by number, then by protocol."""
TABLES = (1, 2, 3, *ABLATIONS)
"""Tables that can be regenerated.  II is of sizes and needs no data."""
ROMAN = {1: "I", 2: "II", 3: "III", 4: "IV", 5: "V", 6: "VI"}

_COLUMNS = (
    ("mpjpe_mm", "MPJPE mm"),
    ("pa_mpjpe_mm", "PA-MPJPE mm"),
    ("pve_mm", "PVE mm"),
    ("acceleration_mm_per_frame2", "Accel mm/frame²"),
    ("acceleration_m_per_s2", "Accel m/s²"),
)


def paper_rows(data: str, table: int | None = None) -> tuple[PaperRow, ...]:
    """The paper's rows for a set.

    Args:
        data: the protocol's name.
        table: 1 or 3 for all rows of that table; None for those of STAF alone, of any table.

    Raises:
        ValueError: the table has no rows for that set.
    """
    if table is not None:
        if data not in COMPARISONS[table]:
            raise ValueError(f"Table {ROMAN[table]} of the paper has no rows for {data}")
        return tuple(COMPARISONS[table][data])
    rows = [row for table in COMPARISONS.values() for row in table.get(data, ())]
    return tuple(row for row in rows if row.name == "STAF")


def set_table(scores: SetScores, name: str, data: str, table: int | None = None) -> str:
    """Markdown: our row for a set, the paper's below.

    Args:
        scores: ours.
        name: of our row.
        data: the protocol's name, by which the paper's rows are found.
        table: 1 or 3 for all rows of that table; else STAF's alone.

    Raises:
        ValueError: the table has no rows for that set.
    """
    head = f"### {scores.name}\n\n{_counts(scores)}\n\n"
    rows = [
        (name, asdict(scores.summary)),
        *((_of_paper(row), asdict(row)) for row in paper_rows(data, table)),
    ]
    return head + _markdown(rows)


def ablation_table(number: int, found: Mapping[str, Summary], data: str) -> str:
    """Markdown: every row of Table IV, V or VI that is there, the paper's number beside ours."""
    rows: list[tuple[str, Mapping[str, object]]] = []
    for name in ABLATIONS[number]:
        if name in found:
            rows.append((name, asdict(found[name])))
        rows.append((f"{name}, paper on 3DPW", asdict(PUBLISHED[number][name])))
    return f"### Table {ROMAN[number]} on {data}\n\n" + _markdown(rows)


def size_table(name: str, parameters: int, size_bytes: int) -> str:
    """Markdown: Table II, our row first.

    Args:
        name: of our row.
        parameters: of the encoder and the network.
        size_bytes: of them as they are kept.
    """
    ours = SizeRow(name, parameters / 1e6, size_bytes / 1e6)
    lines = ["### Table II\n\n|  | parameters M | size MB |\n| --- | ---: | ---: |\n"]
    lines += [
        f"| {row.name}{', paper' if row is not ours else ''} | {row.parameters_m:.2f} "
        f"| {row.size_mb:.1f} |\n"
        for row in (ours, *paper_numbers.TABLE_II)
    ]
    return "".join(lines)


def _of_paper(row: PaperRow) -> str:
    learnt = {True: ", trained with 3DPW", False: ", without 3DPW", None: ""}[row.with_3dpw]
    return f"{row.name}, paper{learnt}"


def _counts(scores: SetScores) -> str:
    summary = scores.summary
    text = f"{summary.frames:,} frames of {scores.videos:,} videos"
    left_out = {"videos too short": scores.short, "frames without labels": scores.unlabelled}
    said = [f"{count:,} {what}" for what, count in left_out.items() if count]
    return text + (f"; left out: {', '.join(said)}" if said else "")


def _markdown(rows: Iterable[tuple[str, Mapping[str, object]]]) -> str:
    lines: list[Sequence[str]] = [("", *(head for _, head in _COLUMNS))]
    lines.append(("---", *("---:" for _ in _COLUMNS)))
    for name, values in rows:
        lines.append((name, *(_number(values.get(column)) for column, _ in _COLUMNS)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else "-"
