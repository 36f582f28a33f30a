"""What teaches which side of the body is which, and the trainer."""
