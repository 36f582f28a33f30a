"""What keeps the add-on out of Blender."""

from staf_backend import StafError


class BlenderError(StafError):
    """No Blender that can be used, or it refuses the add-on."""

    kind = "blender"
    exit_code = 9
