"""A small network that tells people apart by their looks, trained on drawn people."""
