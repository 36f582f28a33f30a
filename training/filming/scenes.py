"""Draw scenes whose truth is known exactly: captured motion in a room, before cameras of all kinds.

    python -m training.filming.scenes SCENES --mocap MOTION.npz MORE.npz --count 10 --seed 1

writes SCENES/0001.mp4 and SCENES/0001.npz (`training/scoring/world_truth.py`) and so on; a number
and the options say all of a scene, and scenes that are there already stay.  People are of subjects
that no network is taught with; `--teaching` draws the others.
"""

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

from staf_backend.files import make_folder
from training.command import command_line
from training.filming.film import CAMERAS, clips_of, film

_log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--mocap", type=Path, nargs="+", required=True, help="motion capture, .npz")
    parser.add_argument("--count", type=int, default=10, help="how many (10)")
    parser.add_argument("--seed", type=int, default=1, help="number of the first (1)")
    parser.add_argument("--camera", choices=CAMERAS, help="of all scenes (drawn for each)")
    parser.add_argument("--teaching", action="store_true", help="subjects that are not held out")
    return parser


def main() -> None:
    """Draw what was asked for."""
    given = arguments().parse_args()
    clips = clips_of(given.mocap, given.teaching)
    make_folder(given.out)
    for number in range(given.seed, given.seed + given.count):
        video, truth = (given.out / f"{number:04d}{suffix}" for suffix in (".mp4", ".npz"))
        if truth.exists():
            continue
        rng = np.random.default_rng([number, int(not given.teaching)])
        taken = film(clips, rng, given.camera)
        taken.write(video, truth, given.teaching, rng)
        _log.info("%s: %d frames, camera %s", video.name, len(taken.person.pelvis_m), taken.kind)


if __name__ == "__main__":
    sys.exit(command_line(main))
