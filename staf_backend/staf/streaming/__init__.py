"""The STAF network one frame at a time, each frame computed once, for many people at once."""
