"""The words that a user may choose between, for the command line and for whoever reads them.

Nothing is imported here but the standard library, so that `staf --help` costs nothing.
"""

from typing import Literal, get_args

Estimator = Literal["auto", "landmarks", "staf"]
"""Who estimates poses; "auto" is STAF where PyTorch and the user's own weights are there."""
Preset = Literal["fast", "balanced", "best"]
"""Of the landmark estimator: a smaller network; the default; a second, mirrored look."""
Precision = Literal["auto", "float32", "tf32", "bf16", "fp16"]
"""Of STAF's large layers; "auto" is bf16 where the device computes in it, else float32."""
Hands = Literal["auto", "off"]
"""Whether fingers are read; "off" leaves SMPL's 24 joints."""
BoneScheme = Literal["smpl", "smplx", "mixamo", "vrm", "unreal"]
"""Whose bone names a .glb has."""
RootMotion = Literal["root", "pelvis", "in-place"]
"""Which bone carries the travel; "in-place" leaves it out."""
Look = Literal["textured", "clay"]
"""Of the skin of characters: coloured by the body's own shape, or in one colour."""
BvhUnit = Literal["m", "cm"]
"""Of lengths in a .bvh: Blender's, or that of most other programs."""
Lens = Literal["phone", "webcam", "35mm", "tele"]
"""A kind of lens, for who does not know the focal length; see `video.lens.focal_of_lens`."""
OverlayView = Literal["side", "plain"]
"""What an overlay shows: the footage beside a view from the side, over a strip of contacts; or the
footage alone."""
CameraChoice = Literal["auto", "still", "rotating", "moving"]
"""How the camera behaved; "auto" finds out."""
FeetChoice = Literal["auto", "always", "never", "ground-only"]
"""Which feet are held where they stand; "ground-only" holds their height alone."""
Gender = Literal["neutral", "male", "female"]

ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
PRESETS: tuple[Preset, ...] = get_args(Preset)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
HANDS: tuple[Hands, ...] = get_args(Hands)
BONE_SCHEMES: tuple[BoneScheme, ...] = get_args(BoneScheme)
ROOT_MOTIONS: tuple[RootMotion, ...] = get_args(RootMotion)
LOOKS: tuple[Look, ...] = get_args(Look)
BVH_UNITS: tuple[BvhUnit, ...] = get_args(BvhUnit)
GENDERS: tuple[Gender, ...] = get_args(Gender)
LENSES: tuple[Lens, ...] = get_args(Lens)
OVERLAY_VIEWS: tuple[OverlayView, ...] = get_args(OverlayView)
CAMERAS: tuple[CameraChoice, ...] = get_args(CameraChoice)
FEET: tuple[FeetChoice, ...] = get_args(FeetChoice)
