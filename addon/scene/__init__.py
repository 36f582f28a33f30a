# SPDX-License-Identifier: GPL-3.0-or-later
"""From a motion file to a character in the scene, and from characters to clips."""
