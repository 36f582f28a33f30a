"""The words of `staf convert` about the files beside the character."""

import argparse

from staf_backend.choices import OVERLAY_VIEWS


def add_words(parser: argparse.ArgumentParser) -> None:
    """More files, each under the name that `deliver.Outputs` has for it."""
    add = parser.add_argument
    add("--motion", metavar="FILE.npz", help="write the motion file too")
    add("--amass", metavar="FILE.npz", help="write AMASS-style arrays too")
    add("--overlay", metavar="FILE.mp4", help="draw the body over the footage")
    add(
        "--overlay-view",
        choices=OVERLAY_VIEWS,
        default="side",
        help="with a view from the side and when feet stand (default), or the footage alone",
    )
    add("--report", metavar="FILE.html", help="a page to look at the motion in")
