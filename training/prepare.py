"""Turn a data set, as its authors distribute it, into the one form that training reads.

python -m training.prepare coco --root ~/coco --labels COCO2014-All-ver01.json --out sets/coco

downloaded set ─► datasets/NAME.py ─► store.write_set ─► sets/coco: arrays, index, report
"""

import argparse
import dataclasses
import logging
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend import StafError
from staf_backend.files.limits import LARGEST_LABEL
from training.datasets import (
    HEADS,
    READERS,
    SMALLEST_PX,
    Annotations,
    Request,
    check_free,
    half_made,
    layouts,
    open_set,
    write_set,
)
from training.joints import JOINTS_49


def prepare(name: str, request: Request, out: Path) -> dict[str, Any]:
    """Read a set and write it in the common form; gives the report that lies beside it.

    Args:
        name: one of `READERS`.
        out: folder of the prepared set.

    Raises:
        SetError: the set is missing, half downloaded, damaged, of another layout; `out` is taken;
            the disk is full.
    """
    check_free(out)
    request = dataclasses.replace(request, scratch=half_made(out), tally=Counter())
    reader = READERS[name]
    report: dict[str, Any] = {
        "set": name,
        "asked": {
            field.name: _plain(getattr(request, field.name))
            for field in dataclasses.fields(request)
            if field.name not in ("tally", "scratch")
        },
    }
    root = None if reader.unpacks else request.root
    write_set(out, _counted(reader.parts(request), report, request), report, root=root)
    return open_set(out).report()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _counted(
    parts: Iterator[Annotations], report: dict[str, Any], request: Request
) -> Iterator[Annotations]:
    """The parts, passed on; their sums are in the report when the last is taken."""
    sums: Counter[str] = Counter()
    known_2d, known_3d = np.zeros(len(JOINTS_49), int), np.zeros(len(JOINTS_49), int)
    for part in parts:
        sums["rows"] += len(part)
        sums["images"] += len(part.images)
        sums["sequences"] += len(np.unique(part.sequence))
        sums["rows with SMPL pose"] += int(part.has_pose.sum())
        sums["rows with SMPL shape"] += int(part.has_betas.sum())
        sums["rows that scores count"] += int(part.valid.sum())
        known_2d += (part.keypoints_px[..., 2] > 0).sum(0)
        known_3d += (part.joints_m[..., 3] > 0).sum(0)
        report |= {
            "kept": dict(sums),
            "joints known": {
                joint: {"2d": int(planar), "3d": int(spatial)}
                for joint, planar, spatial in zip(JOINTS_49, known_2d, known_3d)
                if planar or spatial
            },
        }
        yield part
    report["skipped"] = dict(sorted(request.tally.items()))


def table(report: dict[str, Any]) -> str:
    """The report as text: what was kept, what was skipped and why, which joints are known."""
    lines = [f"{count:>10,}  {what}" for what, count in report["kept"].items()]
    lines += [f"{count:>10,}  {what}" for what, count in report["skipped"].items() if count]
    lines += ["", f"{'2D':>10} {'3D':>10}  joint"]
    lines += [
        f"{known['2d']:>10,} {known['3d']:>10,}  {joint}"
        for joint, known in report["joints known"].items()
    ]
    return "\n".join(lines)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare",
        description=(__doc__ or "").split("\n")[0],
        epilog="What is expected below --root:\n\n" + "\n".join(layouts()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=READERS, help="the set")
    parser.add_argument("--root", type=Path, required=True, help="the downloaded set")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    parser.add_argument("--labels", type=Path, help="SMPL labels of EFT or NeuralAnnot")
    parser.add_argument("--bodies", type=Path, help="folder of SMPL files, for 3DPW's joints")
    parser.add_argument(
        "--fps", type=_above_0, help="frames a second to keep (25 where filmed at 50)"
    )
    parser.add_argument("--min-keypoints", type=int, help="fewest known points of a person")
    parser.add_argument("--min-side-px", type=_above_0, default=SMALLEST_PX, help="smallest person")
    parser.add_argument("--heads", choices=HEADS, default="paper", help="names of head points")
    parser.add_argument("--allow-missing", action="store_true", help="go on without lost images")
    parser.add_argument("--sheet", type=Path, help="picture to draw, to look at the labels")
    return parser


def _above_0(text: str) -> float:
    number = float(text)
    if not 0 < number < LARGEST_LABEL:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return number


def _draw(folder: Path, sheet: Path) -> None:
    from training.data.prepare_sheet import write_sheet  # crops need torch; reading a set does not

    write_sheet(open_set(folder), sheet)


def main(argv: list[str] | None = None) -> int:
    """Prepare a set as asked on the command line; prints what became of it."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = vars(arguments().parse_args(argv))
    name, out, sheet = (options.pop(key) for key in ("name", "out", "sheet"))
    try:
        print(table(prepare(name, Request(**options), out)))
        if sheet:
            _draw(out, sheet)
    except StafError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    # an ending like any other, which leaves nothing half made
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
