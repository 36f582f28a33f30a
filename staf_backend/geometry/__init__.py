"""Rotations, the pinhole camera and the SMPL skeleton: the arithmetic that
every other wing builds on.
"""
