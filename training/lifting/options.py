"""Options that the commands of both lifters have."""

import argparse
from pathlib import Path


def lifting_parser(
    module: str, doc: str | None, *, steps: int, seed: int, rate: float
) -> argparse.ArgumentParser:
    """The command line of `python -m training.lifting.<module>`, with that lifter's defaults."""
    parser = argparse.ArgumentParser(
        prog=f"python -m training.lifting.{module}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--mocap", type=Path, nargs="+", required=True, help="motion capture, .npz, or several"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--rate", type=float, default=rate, help="learning rate")
    parser.add_argument("--begin", type=Path, help="weights (.safetensors) to begin from")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    return parser
