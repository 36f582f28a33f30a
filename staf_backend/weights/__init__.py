"""Trained weights of the STAF network: reading checkpoints, keeping sets, telling what they are."""
