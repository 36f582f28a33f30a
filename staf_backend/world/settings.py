"""What a user may choose about where the motion stands."""

import math
from dataclasses import dataclass

from staf_backend.choices import CAMERAS, FEET, CameraChoice, FeetChoice
from staf_backend.estimators import SettingsError

_STEEPEST_DEG = 80.0
"""A camera that looks straight down sees no level.  Chosen."""


@dataclass(frozen=True)
class WorldSettings:
    """Where the motion stands.

    Attributes:
        camera: how the camera behaves: "auto" finds out.
        level: "auto" finds which way is up, "off" takes the camera for level, and "PITCH,ROLL" is
            how far it looks down and leans clockwise, degrees.
        grounding: 0 is the motion as it was estimated, 1 the one that stands on the floor.
        feet: "auto" holds feet that stand; "always" also those that may; "never" none;
            "ground-only" at the height of the floor, where they may slide.

    Raises:
        SettingsError: a value that means nothing.
    """

    camera: CameraChoice = "auto"
    level: str = "auto"
    grounding: float = 1.0
    feet: FeetChoice = "auto"

    def __post_init__(self) -> None:
        for name, known in (("camera", CAMERAS), ("feet", FEET)):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"There is no {name} {getattr(self, name)!r}.", f"Use {', '.join(known)}."
                )
        if not 0 <= self.grounding <= 1:
            raise SettingsError(f"grounding must be between 0 and 1, not {self.grounding}.")
        if self.level not in ("auto", "off"):
            _tilt_deg(self.level)

    @property
    def tilt_deg(self) -> tuple[float, float] | None:
        """Pitch and roll of the camera where the user says them."""
        return None if self.level in ("auto", "off") else _tilt_deg(self.level)

    @property
    def off(self) -> bool:
        """Whether the motion stays as it was estimated."""
        return self.level == "off" and self.grounding == 0


def _tilt_deg(text: str) -> tuple[float, float]:
    """
    Raises:
        SettingsError: not two angles of a camera.
    """
    advice = "Use auto, off, or two angles in degrees as in 20,0: down, then clockwise."
    try:
        pitch, roll = (float(word) for word in text.split(","))
    except ValueError:
        raise SettingsError(f"The level {text!r} means nothing.", advice) from None
    if not (abs(pitch) <= _STEEPEST_DEG and abs(roll) <= 180 and math.isfinite(roll)):
        raise SettingsError(f"No camera is tilted by {text!r}.", advice)
    return pitch, roll
