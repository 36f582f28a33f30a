"""The STAF network in PyTorch: its configuration, its parts, its body and its crop of a picture."""
