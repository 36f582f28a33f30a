"""Rendered people: bodies, looks, rooms and cameras drawn at random, with their true labels."""
