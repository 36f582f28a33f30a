"""Convert a clip from Python: motions in hand, then a .glb and a motion file.

    python examples/01_convert.py examples/footage/balance_cam02.mp4 out/

You will see one line per person, and out/balance_cam02-1.glb to drop into any glTF viewer.
"""

import sys

from staf_backend import StafError
from staf_backend.export.gltf import write_glb
from staf_backend.files import make_folder
from staf_backend.motion import save_motion
from staf_backend.pipeline import Settings, solve


def main(clip: str, folder: str) -> None:
    """Solve one clip and write every person's files."""
    out = make_folder(folder)
    solved = solve(clip, Settings(person="largest"), lambda *_progress: None)
    for motion in solved.motions:
        write_glb(out / f"{motion.name}.glb", [motion], {solved.body.name: solved.body})
        save_motion(out / f"{motion.name}.npz", motion)
        distance_mm = motion.quality["landmark_distance_mm"]
        print(f"{motion.name}: {len(motion.frames)} frames, {distance_mm:.0f} mm off what was seen")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except StafError as error:  # what happened, and what to do about it
        sys.exit(str(error))
