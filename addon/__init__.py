# SPDX-License-Identifier: GPL-3.0-or-later
"""STAF Motion: video to rigged, animated characters, in Blender.

Importing this package needs neither Blender nor numpy, so the modules that know nothing of Blender
(`motion_file`, `body_file`, `axes`, `bones`, `timing`, `bone_names`, `process`, `job`) can be used
anywhere.  Blender calls `register` and `unregister`.

    motion file ─► motion_file ─► axes, bones, timing ─► armature, keyframes, body ─► character
    video ─► process (a child) ─► job ─► solve (a modal timer) ──────────────────────────┘
"""


def register() -> None:
    """Blender's call on enabling the add-on."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Blender's call on disabling the add-on, and on quitting."""
    from . import registration

    registration.unregister()
