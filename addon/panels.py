# SPDX-License-Identifier: GPL-3.0-or-later
"""Where panels are."""


class InSidebar:
    """Mix-in: the tab of the 3D view's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "STAF"
