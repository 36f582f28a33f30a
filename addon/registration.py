# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that Blender is told on enabling the add-on, and takes back on disabling it."""

import atexit

import bpy
from bpy.app.handlers import persistent

from . import (
    contact_operators,
    control_operators,
    control_panel,
    export_operators,
    import_operators,
    layer_operators,
    people_operators,
    preferences,
    quality,
    retarget_operators,
    retarget_panel,
    settings,
    solve_operators,
    ui,
)
from .solving.solve import SOLVER

_MODULES = (
    *(import_operators, solve_operators, people_operators, export_operators, preferences, quality),
    *(retarget_operators, retarget_panel, control_operators, control_panel),
    *(contact_operators, layer_operators),
)


@persistent
def _another_file(*_args) -> None:
    """The scene that the running solve was for is gone."""
    shut_down()


def shut_down() -> None:
    """End every child process."""
    SOLVER.shut_down()
    running = people_operators.ScanPeople.running
    if running:
        running.kill()
        people_operators.ScanPeople.running = None


def register() -> None:
    settings.register()
    for module in _MODULES:
        for one in module.CLASSES:
            bpy.utils.register_class(one)
    retarget_operators.add_properties()
    contact_operators.add_properties()
    ui.register()
    bpy.app.handlers.load_pre.append(_another_file)
    # The bpy module hangs at exit if classes are still there.  Blender itself disables add-ons when
    # it quits, and is taken apart before atexit runs: its menus have no `draw` any more.
    if not bpy.app.binary_path:
        atexit.register(unregister)


def unregister() -> None:
    """Take everything back; at exit the bpy module asks a second time, which does nothing."""
    if not settings.StafSettings.is_registered:
        return
    shut_down()
    atexit.unregister(unregister)
    if _another_file in bpy.app.handlers.load_pre:  # a script may have cleared the list
        bpy.app.handlers.load_pre.remove(_another_file)
    ui.unregister()
    retarget_operators.remove_properties()
    contact_operators.remove_properties()
    for module in reversed(_MODULES):
        for one in reversed(module.CLASSES):
            bpy.utils.unregister_class(one)
    settings.unregister()
