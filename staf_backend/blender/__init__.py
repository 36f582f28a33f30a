"""Blender on this computer: finds it, and puts the add-on into it (`staf blender`)."""
