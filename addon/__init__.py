# SPDX-License-Identifier: GPL-3.0-or-later
"""STAF Motion: video to rigged, animated characters, in Blender.

Importing this package needs neither Blender nor numpy, so the modules that know nothing of Blender
(README.md, "Scripts") can be used anywhere.  Blender calls `register` and `unregister`.

    solving/  video ─► job ─► process (a child) ─► motion files ─► solve (on a modal timer)
    scene/    motion_file ─► axes, bones, timing ─► armature, body, keyframes ─► character
                                  character ─► staging ─► export ─► clips
    controls/  character ─► baking ─► IK and FK controls ─► character
    on top    settings, *_operators, preferences, ui
"""


def register() -> None:
    """Blender's call on enabling the add-on."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Blender's call on disabling the add-on, and on quitting."""
    from . import registration

    registration.unregister()
