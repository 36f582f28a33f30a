# SPDX-License-Identifier: GPL-3.0-or-later
"""Onto a character of one's own: a motion becomes keys on any rig that stands on two legs.

    guess, map_file, kept_maps ─► BoneMap ─┐
    rig, probe ─► RigShape, carriers ──────┼─► fitting ─► posing ─► feet, twist ─► onto (or live)
    sources ─► Performance ────────────────┘

Only `rig`, `probe`, `sources`, `onto` and `live` know Blender; the rest is numpy.
"""
