"""The words of `staf batch`."""

import argparse
from pathlib import Path


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """What to take, where to, how much at once."""
    add = parser.add_argument
    add("given", nargs="+", type=Path, metavar="PATH", help="folders, videos, or LIST.txt")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for all results")
    add("--store", metavar="URL", help="put clips' files there instead: s3://BUCKET/FOLDER, ...")
    add("--pattern", action="append", metavar="GLOB", help="names in folders, as *.mp4; repeatable")
    add("--depth", type=int, metavar="N", help="how deep to go into folders (default: all the way)")
    add("--workers", type=int, metavar="N", help="clips at a time (default: one a core)")
    add("--max-seconds", type=float, metavar="S", help="the longest that a clip may take")
    add("--max-memory", type=float, metavar="GB", help="the most memory that a clip may take")
    add("--force", action="store_true", help="do again what is done")
    add("--ray", metavar="ADDRESS", help="run on a Ray cluster; auto: the one on this computer")
    add("--ray-gpus", type=float, default=0.0, metavar="SHARE", help="of a GPU for each worker")
    add("--motion", action="store_true", help="motion files, too")
    add("--amass", action="store_true", help="AMASS-style arrays, too")
    add("--overlay", action="store_true", help="the bodies over the footage, too")
    add("--report", action="store_true", help="a page for each clip to look at the motion in, too")
    add("--blend", action="store_true", help="a Blender file of each clip, too")
    add("--onto", type=Path, metavar="RIG.blend", help="each clip on a rig of your own, too")
    add("--rig", default="", metavar="NAME", help="the rig's name, where --onto's file has several")
    add("--bone-map", type=Path, metavar="FILE", help="the rig's, else the kept one, or a guess")
    add("--blender", type=Path, metavar="PATH", help="Blender, or a Python that has bpy")
    add("--one-glb-per-person", action="store_true", help="takes of a person in one file, too")
    add("--profile", action="store_true", help="tell in each clip's log where its time went")
