"""Sources by words of a command line: a prepared set's folder, or "synthetic[:count[:seed]]"."""

from pathlib import Path
from typing import TYPE_CHECKING

from staf_backend import StafError

from .augment import Augment
from .crops import PreparedImages, PreparedSequences
from .samples import ImageSource, SequenceSource
from .store import open_set

if TYPE_CHECKING:
    from .synthetic_recipe import SyntheticRecipe

SYNTHETIC = "synthetic"
IMAGES, SEQUENCES = 20_000, 500
"""How many synthetic images make an epoch, and how many sequences a set, unless said otherwise."""


class DataError(StafError):
    """A data source's words cannot be understood."""

    kind = "usage"
    exit_code = 2


def open_images(
    spec: str, *, recipe: Path | None = None, augment: Augment | None = None
) -> ImageSource:
    """Single crops.

    Args:
        spec: folder of a prepared set, or "synthetic[:count[:seed]]".
        recipe: of synthetic images, JSON; the default recipe without it.
        augment: changes of a prepared set's crops, the paper's by default.  Synthetic images are
            rendered anew at every draw and changed by their recipe.

    Raises:
        DataError: words that mean nothing.
        SetError, SyntheticError, MocapError: the set, the recipe or its motion cannot be read.
    """
    if not is_synthetic(spec):
        return PreparedImages(open_set(Path(spec)), augment or Augment())
    from .synthetic import SyntheticImages

    count, seed = _count_and_seed(spec, IMAGES)
    return SyntheticImages(_recipe(recipe), count, seed)


def open_sequences(spec: str, *, recipe: Path | None = None) -> SequenceSource:
    """Videos of single people, unchanged; arguments and errors as for `open_images`."""
    if not is_synthetic(spec):
        return PreparedSequences(open_set(Path(spec)))
    from .synthetic import SyntheticSequences

    count, seed = _count_and_seed(spec, SEQUENCES)
    return SyntheticSequences(_recipe(recipe), count, seed)


def is_synthetic(spec: str) -> bool:
    """Whether the words ask for synthetic data; a folder of that name is "./synthetic"."""
    return spec.split(":")[0] == SYNTHETIC


def _recipe(path: Path | None) -> "SyntheticRecipe":
    from .synthetic_recipe import SyntheticRecipe

    return SyntheticRecipe() if path is None else SyntheticRecipe.read(path)


def _count_and_seed(spec: str, count: int) -> tuple[int, int]:
    numbers = spec.split(":")[1:]
    if len(numbers) > 2 or not all(n.isdecimal() for n in numbers) or numbers[:1] == ["0"]:
        raise DataError(f"{spec!r} is no data source.",
                        "Write synthetic, synthetic:COUNT or synthetic:COUNT:SEED.")  # fmt: skip
    found = [int(n) for n in numbers]
    return (found[0] if found else count), (found[1] if len(found) > 1 else 0)
