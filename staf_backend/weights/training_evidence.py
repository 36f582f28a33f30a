"""Was a module of a checkpoint ever trained?  Evidence from the numbers themselves.

The released training code of STAF hands no gradient to TCFM, SAFM and the first two regressors:
every hand-over between stages is detached and only the last stage is supervised.  A checkpoint
made by it would hold TCFM and SAFM as PyTorch initialised them, uniform in +-1/sqrt(fan in), and
stages 1 and 2 as they were in the base model.  Both can be seen, so the user is told.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass

import torch
from torch import Tensor

_FUSIONS = {
    "TCFM": ("tcfm.query", "tcfm.key", "tcfm.value", "tcfm.output"),
    "SAFM": ("safm.embed", "safm.score.0", "safm.score.2"),
}
"""Large weight matrices that PyTorch initialises by default; biases and small ones say little."""
_EARLY_STAGES = ("points.0.", "points.1.", "regressors.0.", "regressors.1.")


@dataclass(frozen=True)
class TrainingEvidence:
    """What the numbers of a checkpoint say.

    `untrained` names the fusions that hold PyTorch's initial values, `trained` those that do not.
    `early_stages_are_the_bases` tells whether stages 1 and 2 equal the base model bit for bit, and
    is None without a base model.  `never_moved` names the fusions that the optimiser saved in the
    file has no state for.
    """

    trained: tuple[str, ...]
    untrained: tuple[str, ...]
    early_stages_are_the_bases: bool | None
    never_moved: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if set(self.trained) & set(self.untrained):
            raise ValueError("a module cannot be both trained and untrained")

    def sentences(self) -> tuple[str, ...]:
        """The findings in plain words for the user, one sentence each."""
        found = [f"{name} was trained." for name in self.trained]
        found += [
            f"{name} was never trained: its weights are PyTorch's random initial values, "
            "so this file's temporal fusion there is noise around the input."
            for name in self.untrained
        ]
        if self.early_stages_are_the_bases is not None:
            equal = "equal" if self.early_stages_are_the_bases else "differ from"
            found.append(f"Stages 1 and 2 {equal} the base model's.")
        found += [f"The optimiser in the file never moved {name}." for name in self.never_moved]
        return tuple(found)


def gather_evidence(
    network: Mapping[str, Tensor],
    base: Mapping[str, Tensor] | None = None,
    optimised: Set[tuple[int, ...]] | None = None,
) -> TrainingEvidence:
    """Looks for signs of training.

    Args:
        network: tensors in our names, known to be the network's.
        base: those of the base model that the network began from, known to be its own.
        optimised: shapes of the parameters, as the authors have them, that the saved optimiser has
            moved; the shapes of the fusions' layers occur nowhere else.
    """
    present = [name for name, layers in _FUSIONS.items() if f"{layers[0]}.weight" in network]
    untrained = [
        name
        for name in present
        if all(is_initial(network[f"{layer}.weight"]) for layer in _FUSIONS[name])
    ]
    return TrainingEvidence(
        trained=tuple(name for name in present if name not in untrained),
        untrained=tuple(untrained),
        early_stages_are_the_bases=None if base is None else _same_early_stages(network, base),
        never_moved=tuple(
            name
            for name in present
            if optimised is not None and not _moved(network, _FUSIONS[name][0], optimised)
        ),
    )


def is_initial(weight: Tensor) -> bool:
    """Whether a matrix (out, in) looks like PyTorch's default initial values.

    Those are uniform in +-1/sqrt(in): the largest of thousands of numbers comes close to the bound
    and never passes it, and the deviation is bound/sqrt(3).  Training moves both.
    """
    weight = weight.detach()
    bound = 1 / math.sqrt(weight.shape[1])
    largest = float(weight.abs().max())
    deviation = float(weight.double().std())
    inside = 0.999 * bound < largest <= bound * (1 + 1e-6)
    return inside and abs(deviation * math.sqrt(3) / bound - 1) < 0.01


def _moved(network: Mapping[str, Tensor], layer: str, optimised: Set[tuple[int, ...]]) -> bool:
    shape = tuple(network[f"{layer}.weight"].shape)
    return shape in optimised or (*shape, 1) in optimised  # a Conv1d of width 1 in TCFM


def _same_early_stages(network: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> bool:
    names = [name for name in network if name.startswith(_EARLY_STAGES)]
    return all(name in base and _are_equal(network[name], base[name]) for name in names)


def _are_equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)
