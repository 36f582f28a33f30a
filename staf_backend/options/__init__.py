"""Options of the command line by theme: their words, and what they set."""

from staf_backend.options.batch import add_batch_options
from staf_backend.options.blender import add_blender
from staf_backend.options.files import add_file_options
from staf_backend.options.pose import add_pose_options
from staf_backend.options.weights import add_weights
from staf_backend.options.world import add_contacts, add_known_files, add_world_options

__all__ = [
    "add_batch_options",
    "add_blender",
    "add_contacts",
    "add_file_options",
    "add_known_files",
    "add_pose_options",
    "add_weights",
    "add_world_options",
]
