"""Footage, overlay and the character in Blender, frame under frame: do they agree?

    staf convert CLIP.mp4 -o CLIP.glb --largest --overlay OVERLAY.mp4
    python examples/02_contact_sheet.py CLIP.mp4 CLIP.glb OVERLAY.mp4 SHEET.jpg [FRAMES]

Needs the extra [blender] (the bpy module): the .glb is imported and rendered by Blender, an
independent reader, through the camera that filmed the clip.  You will see three rows, each cut to
where the character is: the footage, the body drawn over it, the character in Blender.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
from pygltflib import GLTF2

from staf_backend.video import open_video

ROW_PX = 280
"""Height of a row of the sheet.  Chosen: seven frames of a portrait clip fill a page's width."""
MARGIN = 0.08
"""Room around the character, as a share of the height it needs.  Chosen."""
BACKGROUND_RGB = (226, 229, 233)


def main(clip: str, glb: str, overlay: str, sheet: str, frames: str = "7") -> None:
    """Write the sheet."""
    video = open_video(clip)
    chosen = np.linspace(0, len(video.times_s) - 1, int(frames)).round().astype(int)
    extras = import_character(glb)
    look_through_camera(extras, (video.width_px, video.height_px))
    rendered = [render_at(video.times_s[i] - extras["start_s"]) for i in chosen]
    window = around([picture[..., 3] for picture in rendered])
    rows = [pictures(clip, chosen), pictures(overlay, chosen), [on_paper(p) for p in rendered]]
    strips = [np.hstack([scaled(picture[window]) for picture in row]) for row in rows]
    cv2.imwrite(sheet, np.vstack(strips)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def pictures(clip: str, chosen: np.ndarray) -> list[np.ndarray]:
    """The chosen frames of a clip, each (H, W, 3) uint8 RGB."""
    wanted = set(chosen.tolist())
    return [image for index, image in enumerate(open_video(clip).frames()) if index in wanted]


def around(masks: list[np.ndarray]) -> tuple[slice, slice]:
    """Rows and columns that hold the character in all pictures (H, W), with some room."""
    covered = np.any([mask > 0 for mask in masks], axis=0)
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    room = round(MARGIN * (rows[-1] - rows[0]))
    top, left = max(0, int(rows[0]) - room), max(0, int(columns[0]) - room)
    return slice(top, int(rows[-1]) + room), slice(left, int(columns[-1]) + room)


def scaled(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) at the height of a row."""
    width_px = round(ROW_PX * picture.shape[1] / picture.shape[0])
    return cv2.resize(picture, (width_px, ROW_PX), interpolation=cv2.INTER_AREA)


def on_paper(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 4) with alpha, on a plain background: (H, W, 3)."""
    share = picture[..., 3:] / 255
    return (share * picture[..., :3] + (1 - share) * BACKGROUND_RGB).round().astype(np.uint8)


def import_character(glb: str) -> dict[str, Any]:
    """Import the .glb into an empty scene; returns what the file says about its first person."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene: Any = bpy.context.scene
    scene.render.fps = 1000  # a frame is a millisecond
    bpy.ops.import_scene.gltf(filepath=str(Path(glb).resolve()))
    contents: Any = GLTF2().load(glb)
    extras = contents.animations[0].extras
    return {"start_s": extras["start_s"], **next(iter(extras["people"].values()))}


def look_through_camera(extras: dict[str, Any], size_px: tuple[int, int]) -> None:
    """A camera where the real one was: at the origin, level, with its angle of view."""
    scene: Any = bpy.context.scene
    data = bpy.data.cameras.new("camera")
    data.sensor_fit = "VERTICAL"
    data.lens = data.sensor_height * extras["focal_px"] / extras["image_px"][1]
    eye = bpy.data.objects.new("camera", data)
    eye.rotation_euler = (np.pi / 2, 0, 0)
    scene.collection.objects.link(eye)
    scene.camera = eye
    scene.render.resolution_x, scene.render.resolution_y = size_px
    scene.render.film_transparent = True
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.light = "STUDIO"
    scene.display.shading.show_cavity = True


def render_at(time_s: float) -> np.ndarray:
    """(H, W, 4) uint8 RGB and alpha at a time of the clip."""
    scene: Any = bpy.context.scene
    scene.frame_set(max(0, round(1000 * time_s)))
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "picture.png")
        bpy.ops.render.render(write_still=True)
        picture: Any = cv2.imread(scene.render.filepath, cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)


if __name__ == "__main__":
    main(*sys.argv[1:])
