"""Video frames beside renders of the converted .glb, to see at a glance whether they agree.

    python examples/02_contact_sheet.py CLIP.mp4 CLIP.glb SHEET.png [FRAMES]

Needs the extra [blender] (the bpy module): the .glb is imported and rendered by Blender, an
independent reader, through the camera that filmed the clip.  You will see two rows: the footage
above, the character below.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
from pygltflib import GLTF2

from staf_backend.video.video import open_video

HEIGHT_PX = 480


def main(clip: str, glb: str, sheet: str, frames: str = "7") -> None:
    """Write the sheet."""
    video = open_video(clip)
    chosen = np.linspace(0, len(video.times_s) - 1, int(frames)).round().astype(int)
    size = (round(HEIGHT_PX * video.width_px / video.height_px), HEIGHT_PX)
    footage = {
        index: cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        for index, image in enumerate(video.frames())
        if index in chosen
    }
    extras = import_character(glb)
    look_through_camera(extras, size)
    below = [render_at(video.times_s[i] - extras["start_s"]) for i in chosen]
    rows = np.vstack([np.hstack([footage[i] for i in chosen]), np.hstack(below)])
    cv2.imwrite(sheet, rows[..., ::-1])


def import_character(glb: str) -> dict[str, Any]:
    """Import the .glb into an empty scene; returns what the file says about its first person."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene: Any = bpy.context.scene
    scene.render.fps = 1000  # a frame is a millisecond
    bpy.ops.import_scene.gltf(filepath=str(Path(glb).resolve()))
    contents: Any = GLTF2().load(glb)
    extras = contents.animations[0].extras
    return {"start_s": extras["start_s"], **next(iter(extras["people"].values()))}


def look_through_camera(extras: dict[str, Any], size: tuple[int, int]) -> None:
    """A camera where the real one was: at the origin, level, with its angle of view."""
    scene: Any = bpy.context.scene
    data = bpy.data.cameras.new("camera")
    data.sensor_fit = "VERTICAL"
    data.lens = data.sensor_height * extras["focal_px"] / extras["image_px"][1]
    eye = bpy.data.objects.new("camera", data)
    eye.rotation_euler = (np.pi / 2, 0, 0)
    scene.collection.objects.link(eye)
    scene.camera = eye
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.world = bpy.data.worlds.new("grey")
    scene.world.color = (0.25, 0.26, 0.28)
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.light = "STUDIO"
    scene.display.shading.show_cavity = True


def render_at(time_s: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB at a time of the clip."""
    scene: Any = bpy.context.scene
    scene.frame_set(max(0, round(1000 * time_s)))
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "picture.png")
        bpy.ops.render.render(write_still=True)
        picture: Any = cv2.imread(scene.render.filepath)
    return np.ascontiguousarray(picture[..., ::-1])


if __name__ == "__main__":
    main(*sys.argv[1:])
