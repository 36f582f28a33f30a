"""The words of `staf convert` and `staf batch` about how poses are estimated."""

import argparse

from staf_backend.choices import ESTIMATORS, HANDS, PRECISIONS, PRESETS


def add_pose_options(parser: argparse.ArgumentParser) -> None:
    """Fields of `estimators.settings.EstimatorSettings`, under the same names."""
    add = parser.add_argument
    add(
        "--estimator", choices=ESTIMATORS, default="auto", help="who estimates poses (default auto)"
    )
    add("--preset", choices=PRESETS, default="balanced", help="quick or exact (default balanced)")
    add(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of STAF's network (default auto: bf16 where the device computes in it)",
    )
    add("--body", default="auto", help="name of a body, see: staf doctor")
    add("--hands", choices=HANDS, default="off", help="auto: fingers, where hands are seen well")
