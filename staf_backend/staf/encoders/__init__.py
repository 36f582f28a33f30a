"""Encoders that make the feature maps which the STAF network reads."""
