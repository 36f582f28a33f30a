"""Rendered people: bodies, looks, rooms and cameras drawn at random, with their true labels."""

from training.synthetic.clip import write_clip
from training.synthetic.meshes import SKIN, SkinnedMesh
from training.synthetic.recipe import (
    PARTS,
    Degradation,
    Looks,
    SyntheticError,
    SyntheticRecipe,
    Views,
    clips_of,
)
from training.synthetic.recording import Recording, picture_file, plan, record, write_png
from training.synthetic.scene import Camera, Person, drawn_shape, looking, person_of, stand
from training.synthetic.studio import Studio, SyntheticImages, SyntheticSequences, Take
from training.synthetic.textures import FAR_SIDE, SIDE, Bank, photographs

__all__ = [
    "FAR_SIDE",
    "PARTS",
    "SIDE",
    "SKIN",
    "Bank",
    "Camera",
    "Degradation",
    "Looks",
    "Person",
    "Recording",
    "SkinnedMesh",
    "Studio",
    "SyntheticError",
    "SyntheticImages",
    "SyntheticRecipe",
    "SyntheticSequences",
    "Take",
    "Views",
    "clips_of",
    "drawn_shape",
    "looking",
    "person_of",
    "photographs",
    "picture_file",
    "plan",
    "record",
    "stand",
    "write_clip",
    "write_png",
]
