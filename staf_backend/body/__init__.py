"""Body models: reading and keeping them, their meshes, the markers on their skin, and the
SMPL parameters of a person.
"""
