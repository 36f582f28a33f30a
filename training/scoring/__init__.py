"""How good a network is: the metrics, the protocols of the data sets, the paper's tables."""
