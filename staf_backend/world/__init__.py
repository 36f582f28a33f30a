"""Where the motion stands: up, the ground, what touches it, and feet that stay where they stand."""
