"""What a user may choose about an estimate, on its way from the command line to who reads it."""

from dataclasses import dataclass, field

from staf_backend import StafError
from staf_backend.choices import (
    ESTIMATORS,
    HANDS,
    PRECISIONS,
    PRESETS,
    Estimator,
    Hands,
    Precision,
    Preset,
)
from staf_backend.fit import FitSettings

MOST_THREADS = 1024
"""Chosen: no machine has more cores; a hundred thousand threads stop one."""


class SettingsError(StafError):
    """An option that means nothing."""

    kind = "usage"
    exit_code = 2


@dataclass(frozen=True)
class EstimatorSettings:
    """How poses are estimated.

    Attributes:
        estimator: "auto" takes the best that is installed.
        preset: of the landmark estimator.
        body: a body's name; "auto" is the open neutral one, or the one of the STAF weights.
        device: for the networks, see `onnx_session.open_network`.
        threads: for the networks; None is all cores.
        precision: of STAF's large layers; the landmark estimator has float32 alone.
        hands: "auto" reads fingers where a hand is near and clear.
        fit: what the landmark estimator's fit trusts.

    Raises:
        SettingsError: a value that means nothing.
    """

    estimator: Estimator = "auto"
    preset: Preset = "balanced"
    body: str = "auto"
    device: str = "auto"
    threads: int | None = None
    precision: Precision = "auto"
    hands: Hands = "off"
    fit: FitSettings = field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        self._require_one_of("estimator", ESTIMATORS)
        self._require_one_of("preset", PRESETS)
        self._require_one_of("precision", PRECISIONS)
        self._require_one_of("hands", HANDS)
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise SettingsError(f"threads must be from 1 to {MOST_THREADS}, not {self.threads}.")

    def _require_one_of(self, name: str, known: tuple[str, ...]) -> None:
        if getattr(self, name) not in known:
            raise SettingsError(
                f"There is no {name} {getattr(self, name)!r}.", f"Use {', '.join(known)}."
            )
