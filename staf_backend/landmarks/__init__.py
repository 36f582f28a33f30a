"""Landmarks of one person in every frame, and the network that lifts them to three dimensions."""
