"""The networks as they are trained: encoders, losses, auxiliary heads."""
