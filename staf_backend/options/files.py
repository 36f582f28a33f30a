"""The words of `staf convert` about the files beside the character."""

import argparse
from pathlib import Path

from staf_backend.choices import BVH_UNITS, OVERLAY_VIEWS


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """More files, each under the name that `deliver.Outputs` has for it; and how some are."""
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
    add("--bvh-unit", choices=BVH_UNITS, default="m", help="of lengths in a .bvh (default m)")
    add(
        "--blender", type=Path, metavar="PATH", help="what writes .fbx: Blender, or Python with bpy"
    )
    add("--report", metavar="FILE.html", help="a page to look at the motion in")
