"""Landmarks of one person in every frame, and the network that lifts them to three dimensions."""

from staf_backend.landmarks.glitches import without_glitches
from staf_backend.landmarks.hands import SIDES, SeenHands, Wanted, hands_of
from staf_backend.landmarks.hands_network import HandNetworks, Looks
from staf_backend.landmarks.lift import Lifter
from staf_backend.landmarks.lifted import Guess, Lifted, LiftError
from staf_backend.landmarks.network import LandmarkNetwork, Landmarks
from staf_backend.landmarks.of_tracks import landmarks_of
from staf_backend.landmarks.outlines import Outlines
from staf_backend.landmarks.sides import consistent_sides

__all__ = [
    "SIDES",
    "Guess",
    "HandNetworks",
    "LandmarkNetwork",
    "Landmarks",
    "LiftError",
    "Lifted",
    "Lifter",
    "Looks",
    "Outlines",
    "SeenHands",
    "Wanted",
    "consistent_sides",
    "hands_of",
    "landmarks_of",
    "without_glitches",
]
