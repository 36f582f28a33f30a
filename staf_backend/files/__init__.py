"""Files on disk: writing them whole or not at all, and telling what a stranger's file is."""
