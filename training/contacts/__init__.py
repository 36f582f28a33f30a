"""Which foot stands when, learned from motion capture as the lifter and the fit estimate it."""
