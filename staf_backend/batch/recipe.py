"""What is made of every clip, and the key that says whether it was made already."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from staf_backend import __version__, assets

if TYPE_CHECKING:
    from staf_backend.export.deliver import Outputs
    from staf_backend.pipeline import Settings

EXTRA_FILES = {"motion": ".npz", "amass": "_amass.npz", "overlay": ".mp4", "report": ".html"}
"""Beside the .glb: the word of `Outputs` and how the file's name ends."""


@dataclass(frozen=True)
class Recipe:
    """Options of all clips, as plain words and numbers that travel to workers.

    Attributes:
        settings: of `pipeline.Settings`, without those below, `threads`, `fit`, `tracks` and
            `contacts`.
        world: of `world.settings.WorldSettings`.
        outputs: of `export.deliver.Outputs`: bone_names, root_motion, mesh, look, together.
        extras: which of `EXTRA_FILES` to write, too.
        blender: `Blending.key` of what Blender makes of each clip; empty for nothing.
    """

    settings: Mapping[str, Any]
    world: Mapping[str, Any]
    outputs: Mapping[str, Any]
    extras: tuple[str, ...] = field(default=())
    blender: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of the options, this version and its networks: whatever changes results changes it.

        Raises:
            AssetError: the list of networks is missing or damaged.
            WeightsError: the user's appearance network is gone, or cannot be read.
        """
        from staf_backend.weights import appearance_digest

        sums = [assets.all_checksums(), appearance_digest()]
        text = json.dumps([dataclasses.asdict(self), __version__, sums], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_values(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "Recipe":
        """Of `as_values`."""
        words: dict[str, Any] = {**values, "extras": tuple(values["extras"])}
        return cls(**words)

    @classmethod
    def of(
        cls,
        settings: "Settings",
        outputs: Mapping[str, Any],
        extras: tuple[str, ...],
        blender: Mapping[str, Any] | None = None,
    ) -> "Recipe":
        """Of settings; how many threads there are changes no result."""
        plain = dataclasses.asdict(settings)
        world = plain.pop("world")
        for name in ("threads", "fit", "tracks", "contacts"):
            del plain[name]
        return cls(plain, world, outputs, extras, blender or {})

    def settings_with(self, threads: int) -> "Settings":
        """For the pipeline."""
        from staf_backend.pipeline import Settings
        from staf_backend.world import WorldSettings

        return Settings(**self.settings, world=WorldSettings(**self.world), threads=threads)

    def outputs_in(self, folder: Path, stem: str) -> "Outputs":
        """All files of a clip, in a folder."""
        from staf_backend.export.deliver import Outputs

        extras = {name: folder / (stem + EXTRA_FILES[name]) for name in self.extras}
        return Outputs(folder / f"{stem}.glb", **extras, **self.outputs)
