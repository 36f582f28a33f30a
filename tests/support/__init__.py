"""What the tests share: makers of small data, readers of results, reference computations."""
