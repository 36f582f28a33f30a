"""What the hand network's points mean, learned from drawn hands with known fingers."""
