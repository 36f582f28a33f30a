"""Solved people as files for others: glTF, AMASS, a video with the bodies drawn over it."""
