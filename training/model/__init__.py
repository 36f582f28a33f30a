"""The networks as they are trained: encoders, losses, auxiliary heads, the paper's ablations."""
