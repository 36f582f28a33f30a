"""Footage, overlay and the character in Blender, frame under frame: do they agree?

    staf convert CLIP.mp4 -o CLIP.glb --largest --motion CLIP.npz --overlay OVERLAY.mp4
    python examples/02_contact_sheet.py CLIP.mp4 CLIP.glb CLIP.npz OVERLAY.mp4 SHEET.jpg [FRAMES]

Needs the extra [blender] (the bpy module): the .glb is imported and rendered by Blender, an
independent reader, through the camera that filmed the clip, of which the motion file tells.  You
will see three rows, each cut to where the character is: the footage, the body drawn over it, the
character in Blender.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from staf_backend import StafError
from staf_backend.files import replace_atomically
from staf_backend.geometry import from_quaternions
from staf_backend.motion import Motion, load_motion
from staf_backend.video import Video, open_video

ROW_PX = 280
"""Height of a row of the sheet.  Chosen: seven frames of a portrait clip fill a page's width."""
MARGIN = 0.08
"""Room around the character, as a share of the height it needs.  Chosen."""
MOST_FRAMES = 100
"""Of a sheet.  Chosen: JPEG holds no picture wider than 65,535 pixels."""
BACKGROUND_RGB = (226, 229, 233)
TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
"""(3, 3) y up, as in glTF and motion files -> z up."""


def main(clip: str, glb: str, motion_file: str, overlay: str, sheet: str, frames: str) -> None:
    """Write the sheet."""
    if not (frames.isascii() and frames.isdigit() and 0 < int(frames) <= MOST_FRAMES):
        sys.exit(f"FRAMES must be a number from 1 to {MOST_FRAMES}.")
    motion, video = load_motion(Path(motion_file)), open_video(clip)
    drawn = open_video(overlay)
    if not alike(video, drawn, motion):
        sys.exit("CLIP, its motion file and OVERLAY are not of one clip, each from end to end.")
    keys = np.linspace(0, len(motion.times_s) - 1, int(frames)).round().astype(int)
    with replace_atomically(sheet) as temporary:
        import_character(glb)
        rendered = [rendered_at(motion, int(key)) for key in keys]
        window = around([picture[..., 3] for picture in rendered])
        chosen = motion.frames[keys]
        rows = [pictures(video, chosen), pictures(drawn, chosen), [on_paper(p) for p in rendered]]
        strips = [np.hstack([scaled(picture[window]) for picture in row]) for row in rows]
        _, jpeg = cv2.imencode(".jpg", np.vstack(strips)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
        temporary.write_bytes(jpeg.tobytes())


def alike(video: Video, drawn: Video, motion: Motion) -> bool:
    """Whether frames have the same numbers in both videos, and pixels the same places; an overlay
    may show more beside and below the clip."""
    sizes = [(motion.camera.width_px, motion.camera.height_px), (video.width_px, video.height_px)]
    at_least = drawn.width_px >= video.width_px and drawn.height_px >= video.height_px
    counts = len(drawn.times_s) == len(video.times_s) > motion.frames[-1]
    return sizes[0] == sizes[1] and at_least and bool(counts)


def pictures(video: Video, chosen: np.ndarray) -> list[np.ndarray]:
    """The chosen frames of a clip, in rising order, each (H, W, 3) uint8 RGB."""
    wanted = set(chosen.tolist())
    found = {index: image for index, image in enumerate(video.frames()) if index in wanted}
    return [found[index] for index in chosen.tolist()]


def around(masks: list[np.ndarray]) -> tuple[slice, slice]:
    """Rows and columns that hold the character in all pictures (H, W), with some room."""
    covered = np.any([mask > 0 for mask in masks], axis=0)
    if not covered.any():
        sys.exit("The character is never seen by the camera: is the .glb of another clip?")
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    room = round(MARGIN * (rows[-1] - rows[0]))
    top, left = max(0, int(rows[0]) - room), max(0, int(columns[0]) - room)
    bottom, right = (
        min(int(last[-1]) + room, size) for last, size in zip((rows, columns), covered.shape)
    )
    return slice(top, bottom + 1), slice(left, right + 1)


def scaled(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) at the height of a row."""
    width_px = max(1, round(ROW_PX * picture.shape[1] / picture.shape[0]))
    return cv2.resize(picture, (width_px, ROW_PX), interpolation=cv2.INTER_AREA)


def on_paper(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 4) with alpha, on a plain background: (H, W, 3)."""
    share = picture[..., 3:] / 255
    return (share * picture[..., :3] + (1 - share) * BACKGROUND_RGB).round().astype(np.uint8)


def import_character(glb: str) -> None:
    """Import the .glb into an empty scene, a frame of which is a millisecond."""
    try:
        import bpy
    except ImportError:
        sys.exit(
            "There is no module bpy here. Install the extra: pip install staf-backend[blender]"
        )
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene: Any = bpy.context.scene
    scene.render.fps = 1000
    try:
        bpy.ops.import_scene.gltf(filepath=str(Path(glb).resolve()))
    except RuntimeError as error:
        sys.exit(f"{glb} cannot be imported: {' '.join(str(error).split())}")
    scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(scene.camera)
    scene.render.film_transparent = True
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.light = "STUDIO"
    scene.display.shading.show_cavity = True


def look_through_camera(motion: Motion, key: int) -> None:
    """The camera as it filmed a key: its place, how it was turned, its angle of view."""
    import bpy

    scene: Any = bpy.context.scene
    filmed, path = motion.camera, motion.camera_path
    width_px, height_px = filmed.width_px, filmed.height_px
    scene.render.resolution_x, scene.render.resolution_y = width_px, height_px
    data = scene.camera.data
    data.sensor_fit = "VERTICAL"
    data.lens = data.sensor_height * filmed.focal_px / height_px
    data.shift_x = (width_px / 2 - filmed.principal_point_px[0]) / height_px
    data.shift_y = (filmed.principal_point_px[1] - height_px / 2) / height_px
    turn, place = filmed.rotation_wxyz, filmed.position_m
    if path is not None:
        turn, place = path.rotations_wxyz[key], path.positions_m[key]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = TO_BLENDER @ from_quaternions(turn), TO_BLENDER @ place
    scene.camera.matrix_world = pose.T.tolist()  # Blender takes columns


def rendered_at(motion: Motion, key: int) -> np.ndarray:
    """(H, W, 4) uint8 RGB and alpha of a key."""
    import bpy

    look_through_camera(motion, key)
    scene: Any = bpy.context.scene
    scene.frame_set(round(1000 * (motion.times_s[key] - motion.times_s[0])))
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "picture.png")
        bpy.ops.render.render(write_still=True)
        picture: Any = cv2.imread(scene.render.filepath, cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)


if __name__ == "__main__":
    if len(sys.argv) not in (6, 7):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:6], frames=sys.argv[6] if len(sys.argv) == 7 else "7")
    except StafError as error:  # what happened, and what to do about it
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
