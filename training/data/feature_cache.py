"""Maps of a frozen encoder over whole videos, on disk and memory-mapped: what stage 2 learns from.

    index.json          format, encoder and digest of its weights, source, sequences and genders,
                        bytes of files
    maps.safetensors    (R, C, 7, 7) float16, row after row of all sequences
    FIELD.safetensors   targets (R, ...) float32, `times_s` float64, `valid` bool

A window is a run of rows, so reading one is a single copy out of the page cache.  A cache appears
under its name only when complete; until then the one of that name before stays.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from staf_backend import StafError
from staf_backend.devices import numerics
from staf_backend.files import OutputError, read_json_file, shown
from staf_backend.staf import MAP_PX
from training.datasets import (
    GENDERS,
    INDEX_BYTES,
    ArrayWriter,
    begin_half,
    drop_half,
    finish_half,
    half_made,
    map_array,
    occupied,
)
from training.model import AnyEncoder, digest
from training.targets import TARGET_SHAPES, CropSequence, SequenceSource, Targets, WindowBatch

_log = logging.getLogger(__name__)

FORMAT = 2
"""1 did not keep genders."""
_INDEX = "index.json"
_AGAIN = "Make it again from its source, or name another folder."
_MAPS = "maps"
_TARGETS = {name: ("<f4", shape) for name, shape in TARGET_SHAPES._asdict().items()}
_FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    **_TARGETS,
    "times_s": ("<f8", ()),
    "valid": ("|b1", ()),
}


class CacheError(StafError):
    """A feature cache is missing, damaged, half-written, or of another version or encoder."""

    kind = "feature-cache"
    exit_code = 6


@dataclass(frozen=True)
class FeatureCache:
    """R frames of S sequences, opened without being read.

    Attributes:
        folder: where it lies.
        encoder: name of the encoder; `encoder_digest`: `encoders.digest` of it.
        source, body: of the sequences.
        names: of the S sequences; `extents` (S, 2) the first row of each and the row after its
            last.
        genders: of the bodies that the labels of each are for; empty where the source did not say.
        maps: (R, C, 7, 7) float16, a memory map, like all arrays.
        targets: of each row, numpy float32.
        times_s: (R,) float64; starts anew with every sequence.
        valid: (R,) bool, rows that scores count.
    """

    folder: Path
    encoder: str
    encoder_digest: str
    source: str
    body: str
    names: tuple[str, ...]
    genders: tuple[str, ...]
    extents: np.ndarray
    maps: np.ndarray
    targets: Targets
    times_s: np.ndarray
    valid: np.ndarray

    @classmethod
    def open(cls, folder: Path, encoder: AnyEncoder | None = None) -> "FeatureCache":
        """Opens a cache; costs the same however large it is.

        Args:
            folder: as given to `build_cache`.
            encoder: must be the one it was made with, weights included, if given.

        Raises:
            CacheError: missing, half-written, damaged, of another version or another encoder.
        """
        index = _read_index(folder)
        if encoder is not None and digest(encoder) != index.get("encoder_digest"):
            raise CacheError(
                f"{folder} was made with other weights of {index.get('encoder')} than this "
                f"{encoder.name}'s.",
                _AGAIN,
            )
        try:
            _check_sizes(folder, index)
            maps = np.asarray(map_array(folder, _MAPS, "<f2"))
            arrays = {n: np.asarray(map_array(folder, n, kind)) for n, (kind, _) in _FIELDS.items()}
            extents = np.array(index["extents"], np.int64).reshape(-1, 2)
            _check_arrays(maps, arrays, extents, index)
            targets = Targets(*(arrays[name] for name in Targets._fields))
            return cls(
                folder,
                index["encoder"],
                index["encoder_digest"],
                index["source"],
                index["body"],
                tuple(index["names"]),
                tuple(index["genders"]),
                extents,
                maps,
                targets,
                arrays["times_s"],
                arrays["valid"],
            )
        except (
            LookupError,
            TypeError,
            ValueError,
            ArithmeticError,
            AttributeError,
            OSError,
        ) as error:
            raise CacheError(f"{folder} is damaged: {shown(str(error))}.", _AGAIN) from error

    def __len__(self) -> int:
        return len(self.maps)

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes open the files anew instead of getting copies of the maps."""
        return FeatureCache.open, (self.folder,)

    @property
    def channels(self) -> int:
        """Width of the maps."""
        return self.maps.shape[1]

    def windows(self, frames: int, stride: int) -> np.ndarray:
        """(M,) first rows of windows of `frames`, `stride` apart, none across two sequences.

        Raises:
            ValueError: frames or stride is not positive.
        """
        if frames < 1 or stride < 1:
            raise ValueError(f"frames and stride must be positive, not {frames} and {stride}")
        starts = [np.arange(first, last - frames + 1, stride) for first, last in self.extents]
        return np.concatenate([*starts, np.empty(0, np.int64)]).astype(np.int64)

    def batch(self, starts: np.ndarray, frames: int) -> WindowBatch:
        """Copies windows out of the maps.

        Args:
            starts: (B,) first rows.
            frames: T.

        Returns:
            Maps (B, T, C, 7, 7) float16 and targets (B, T, ...) float32, on the CPU.
        """
        # numpy's memory, not torch's: it asks for huge pages, which makes this three times as quick
        maps = np.empty((len(starts), frames, *self.maps.shape[1:]), np.float16)
        for window, start in zip(maps, starts, strict=True):
            self.copy_maps(int(start), window)
        return WindowBatch(torch.from_numpy(maps), self.targets_of(starts, frames))

    def copy_maps(self, start: int, out: np.ndarray) -> None:
        """Writes the maps of a window into `out` (T, C, 7, 7) float16."""
        np.copyto(out, self.maps[start : start + len(out)])

    def targets_of(self, starts: np.ndarray, frames: int) -> Targets:
        """Targets (B, T, ...) of windows as tensors."""
        rows = np.asarray(starts)[:, None] + np.arange(frames)
        return self.targets.map(lambda field: torch.from_numpy(field[rows]))


def build_cache(
    source: SequenceSource,
    encoder: AnyEncoder,
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    batch: int = 64,
) -> FeatureCache:
    """Runs an encoder over all sequences of a source, in evaluation mode and float32.

    Args:
        source: of the sequences; only one part of one of them is in memory at a time.
        encoder: moved to the device; its mode is left as it was.
        folder: to be made, or an older cache, which is replaced when the new one is complete.
        device, batch: where, and how many crops at once.

    Raises:
        CacheError: the folder holds something else, or a map is not finite or beyond float16.
        OutputError: the disk is full, or the folder cannot be written; an old cache survives.
    """
    with _writing(folder):
        if occupied(folder, _INDEX):
            message = (
                f"{folder} is not empty and no feature cache, holds more, or is where you are."
            )
            raise CacheError(message, "Give another folder.")
    partial = half_made(folder)
    try:
        with _writing(folder):
            begin_half(folder)
        index = _write(source, encoder.to(device), partial, folder, batch)
        with _writing(folder):
            text = json.dumps(index) + "\n"
            (partial / _INDEX).write_text(text, encoding="utf-8")
            finish_half(partial, folder)
    finally:
        drop_half(partial)
    return FeatureCache.open(folder)


def _write(
    source: SequenceSource,
    encoder: AnyEncoder,
    partial: Path,
    folder: Path,
    batch: int,
) -> dict[str, Any]:
    """Appends every sequence to the files; gives the index."""
    shape = (encoder.channels, MAP_PX, MAP_PX)
    names, genders, extents = [], [], []
    with _writing(folder):
        maps = ArrayWriter(partial, _MAPS, "<f2", shape)
        fields = {n: ArrayWriter(partial, n, kind, one) for n, (kind, one) in _FIELDS.items()}
    try:
        for number in range(len(source)):
            first, name = maps.count, ""
            for part in source.parts(number):
                encoded = _encode(encoder, part, batch)
                with _writing(folder):
                    _append(maps, fields, encoded, part)
                name = part.name
            if maps.count > first:
                names.append(name)
                genders.append(labelled_gender(source, number))
                extents.append([first, maps.count])
    finally:
        with _writing(folder):
            for writer in (maps, *fields.values()):
                writer.close()
    if not extents:
        raise CacheError(f"{source.name} has no frames.", "Check the data set.")
    files = {one.path.name: one.path.stat().st_size for one in (maps, *fields.values())}
    return {
        **{"format": FORMAT, "encoder": encoder.name, "encoder_digest": digest(encoder)},
        **{"source": source.name, "body": source.body, "rows": maps.count},
        **{"channels": encoder.channels, "names": names, "genders": genders},
        **{"extents": extents, "files": files},
    }


def labelled_gender(source: SequenceSource, index: int) -> str:
    """Gender of the body that the labels of a sequence are for; empty where nobody says.

    A body of one gender ("smpl-neutral") says it by its name, whoever wears it; otherwise
    ("smpl-gendered") the source is asked, if it knows.
    """
    said = source.body.split("-")[1:2]
    if said and said[0] in GENDERS:
        return said[0]
    gender: Callable[[int], str] | None = getattr(source, "gender", None)
    return "" if gender is None else gender(index)


def _append(
    maps: ArrayWriter, fields: dict[str, ArrayWriter], encoded: np.ndarray, part: CropSequence
) -> None:
    maps.append(encoded)
    values = {**part.targets._asdict(), "times_s": part.times_s, "valid": part.valid}
    for name, writer in fields.items():
        writer.append(values[name])


def _encode(encoder: AnyEncoder, part: CropSequence, batch: int) -> np.ndarray:
    """Maps (T, C, 7, 7) float16 of a part."""
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode(), numerics("float32"):
            found = [
                encoder(encoder.normalise(crops.to(device))).half().cpu()
                for crops in torch.from_numpy(part.images).split(batch)
            ]
    finally:
        encoder.train(was_training)
    maps = torch.cat(found)
    if not torch.isfinite(maps).all():
        raise CacheError(
            f"The maps of {part.name} are not finite, or beyond what float16 holds (65504).",
            f"The weights of the encoder {encoder.name} are damaged or not trained.",
        )
    return maps.numpy()


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / _INDEX
    if not path.is_file():
        half = half_made(folder).exists()
        state = "was not finished" if half else "is no feature cache (index.json is missing)"
        raise CacheError(f"{folder} {state}.", _AGAIN)
    try:
        index = read_json_file(path, INDEX_BYTES)
        made = index["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CacheError(f"{path} cannot be read: {shown(str(error))}.", _AGAIN) from error
    if made != FORMAT:
        raise CacheError(f"{folder} has format {made}; this software reads {FORMAT}.", _AGAIN)
    return index


def _check_sizes(folder: Path, index: dict[str, Any]) -> None:
    for name, size in index["files"].items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            raise ValueError(
                f"{name} is missing" if found is None else f"{name} has {found} bytes of {size}"
            )


def _check_arrays(
    maps: np.ndarray, arrays: dict[str, np.ndarray], extents: np.ndarray, index: dict[str, Any]
) -> None:
    rows = index["rows"]
    shapes = {name: (rows, *shape) for name, (_, shape) in _FIELDS.items()}
    shapes[_MAPS] = (rows, index["channels"], MAP_PX, MAP_PX)
    for name, array in {**arrays, _MAPS: maps}.items():
        if array.shape != shapes[name]:
            raise ValueError(f"{name} is {array.shape}, not {shapes[name]}")
    edges = extents.ravel()
    if len(extents) != len(index["names"]) or (np.diff(edges) < 0).any() or edges[-1] != rows:
        raise ValueError("its sequences do not cover its rows")
    if len(index["genders"]) != len(extents) or not {*index["genders"]} <= {"", *GENDERS}:
        raise ValueError("its genders are not those of its sequences")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """The system's refusals as errors about the folder."""
    try:
        yield
    except OSError as error:
        raise OutputError.from_os(folder, error) from error
