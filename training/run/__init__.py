"""A training run: its configuration, loop, checkpoints, folder and validation."""
