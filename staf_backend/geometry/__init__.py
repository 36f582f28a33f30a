"""Rotations, the pinhole camera and the skeleton: the arithmetic that every other wing
builds on.
"""
