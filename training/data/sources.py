"""Sources by words of a command line: a prepared set's folder, "synthetic[:count[:seed]]", or
"simulated[:count[:seed]]", landmarks instead of pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from staf_backend import StafError
from staf_backend.staf.encoders import FieldsEncoder
from training.data.augment import Augment
from training.data.crops import PreparedImages, PreparedSequences
from training.datasets import open_set
from training.model import FIELDS
from training.targets import ImageSource, SequenceSource

if TYPE_CHECKING:
    from training.synthetic import SyntheticRecipe, SyntheticSequences

SYNTHETIC, SIMULATED = "synthetic", "simulated"
IMAGES, SEQUENCES = 20_000, 500
"""How many synthetic images make an epoch, and how many sequences a set, unless said otherwise."""
FRAMES, WINDOWS = 200_000, 4_000
"""The same of simulated landmarks."""


class DataError(StafError):
    """A data source's words cannot be understood."""

    kind = "usage"
    exit_code = 2


def open_images(spec: str, *, recipe: Path | None = None) -> ImageSource:
    """Single crops: a prepared set's with the paper's changes, synthetic ones as the recipe has it.

    Args:
        spec: folder of a prepared set, "synthetic[:count[:seed]]" or "simulated[:count[:seed]]".
        recipe: of synthetic images, JSON; the default recipe without it.  Simulated landmarks
            take the motion that it names.

    Raises:
        DataError: words that mean nothing.
        SetError, SyntheticError, MocapError: the set, the recipe or its motion cannot be read.
    """
    if is_simulated(spec):
        from training.simulated.simulated import SimulatedFrames

        return SimulatedFrames(_recipe(recipe), *_count_and_seed(spec, FRAMES))
    if not is_synthetic(spec):
        return PreparedImages(open_set(Path(spec)), Augment())
    from training.synthetic import SyntheticImages

    count, seed = _count_and_seed(spec, IMAGES)
    return SyntheticImages(_recipe(recipe), count, seed)


def open_sequences(spec: str, *, recipe: Path | None = None) -> SequenceSource:
    """Videos of single people, unchanged; arguments and errors as for `open_images`."""
    if is_simulated(spec):
        from training.simulated.simulated import SimulatedSequences

        return SimulatedSequences(_recipe(recipe), *_count_and_seed(spec, WINDOWS))
    if not is_synthetic(spec):
        return PreparedSequences(open_set(Path(spec)))
    return open_synthetic(spec, recipe=recipe)


def open_synthetic(spec: str, *, recipe: Path | None = None) -> "SyntheticSequences":
    """Videos that can be drawn whole, not only as crops; arguments and errors as for `open_images`.

    Raises:
        DataError: words of anything but synthetic data, too.
    """
    if not is_synthetic(spec):
        raise DataError(
            f"{spec!r} is not drawn, it has no exact truth.",
            "Write synthetic, synthetic:COUNT or synthetic:COUNT:SEED.",
        )
    from training.synthetic import SyntheticSequences

    count, seed = _count_and_seed(spec, SEQUENCES)
    return SyntheticSequences(_recipe(recipe), count, seed)


def is_synthetic(spec: str) -> bool:
    """Whether the words ask for synthetic data; a folder of that name is "./synthetic"."""
    return spec.split(":")[0] == SYNTHETIC


def is_simulated(spec: str) -> bool:
    """Whether the words ask for simulated landmarks."""
    return spec.split(":")[0] == SIMULATED


def check_readable(specs: Sequence[str], encoder: torch.nn.Module) -> None:
    """Refuses simulated landmarks where the encoder reads pictures alone, or among pictures.

    Raises:
        DataError: saying which encoder reads them.
    """
    simulated = [spec for spec in specs if is_simulated(spec)]
    if simulated and not isinstance(encoder, FieldsEncoder):
        raise DataError(
            f"{simulated[0]} are landmarks, no pictures.",
            f"Take the encoder that reads them: --encoder {FIELDS}.",
        )
    if simulated and len(simulated) < len(specs):
        raise DataError("Simulated landmarks cannot be mixed with pictures.", "Train on one kind.")


def _recipe(path: Path | None) -> "SyntheticRecipe":
    from training.synthetic import SyntheticRecipe

    return SyntheticRecipe() if path is None else SyntheticRecipe.read(path)


def _count_and_seed(spec: str, count: int) -> tuple[int, int]:
    numbers = spec.split(":")[1:]
    if len(numbers) > 2 or not all(n.isdecimal() for n in numbers) or numbers[:1] == ["0"]:
        kind = spec.split(":")[0]
        raise DataError(
            f"{spec!r} is no data source.", f"Write {kind}, {kind}:COUNT or {kind}:COUNT:SEED."
        )
    found = [int(n) for n in numbers]
    return (found[0] if found else count), (found[1] if len(found) > 1 else 0)
