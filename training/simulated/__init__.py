"""Landmarks with a landmark network's errors, made from motion alone: training data without
pictures.
"""
