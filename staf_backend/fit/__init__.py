"""A body fitted to a person's landmarks over a whole track, smooth in time."""
