# SPDX-License-Identifier: GPL-3.0-or-later
"""A control rig for our own characters: IK hands and feet with poles, FK at a switch.

character ─► baking ─► keys of the controls          controls ─► constraints ─► character
               ▲ limbs: which bones are a limb        layout ─► building ─► shapes
               └ motion: where controls stand (numpy)
"""
