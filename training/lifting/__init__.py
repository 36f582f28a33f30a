"""Training of the two networks that lift landmarks to three dimensions."""
