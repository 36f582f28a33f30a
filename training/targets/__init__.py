"""What is learnt: joints and their names, the samples of a batch and their labels."""
