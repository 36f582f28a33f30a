"""Scenes whose truth is known exactly: captured motion that stands, filmed and drawn."""
