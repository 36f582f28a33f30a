"""What a step lowers: a batch through the network to the losses of its stages, for each stage of
training.

    image:  crops ─ encoder ─ base network ─┬─ losses of three regressors
                                  stage-3 map └─ dense head
    video:  kept maps ─ network ─ losses
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor, nn

from staf_backend.staf.any_network import AnyNetwork
from staf_backend.staf.network import Regressor, Staf, StageParams
from training.model.dense import DenseHead
from training.model.encoders import AnyEncoder
from training.model.losses import Losses
from training.targets import ImageBatch, WindowBatch


class Autocast(Protocol):
    """Makes the context in which large layers compute."""

    def __call__(self) -> AbstractContextManager: ...


class ImageObjective(nn.Module):
    """Stage 1: encoder and base network are trained.

    An encoder without trained parameters stays in evaluation mode: stage 2 reads it so, and its
    running means must not move.
    """

    def __init__(
        self,
        encoder: AnyEncoder,
        network: Staf,
        losses: Losses,
        dense: DenseHead | None,
        autocast: Autocast,
    ) -> None:
        super().__init__()
        if network.config.frames != 1:
            raise ValueError(f"stage 1 sees one frame, not {network.config.frames}")
        self.encoder, self.network, self.losses, self.dense = encoder, network, losses, dense
        self.autocast = autocast
        self._last_maps: Tensor | None = None
        network.deconv[-1].register_forward_hook(self._keep)

    def train(self, mode: bool = True) -> "ImageObjective":
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.encoder.parameters()):
            self.encoder.eval()
        return self

    def forward(self, batch: ImageBatch) -> dict[str, Tensor]:
        """Losses of crops (B, 224, 224, 3) uint8, the sum under "total"."""
        with self.autocast():
            images = self.encoder.normalise(batch.images)
            outputs = self.network(self.encoder(images)[:, None])
        terms = self.losses(outputs.stages, batch.targets)
        if self.dense is None:
            return terms
        maps, self._last_maps = self._last_maps, None
        assert maps is not None
        with self.autocast():
            dense = self.dense(maps, batch.targets)
        total = terms["total"] + sum(dense.values())
        return {**terms, **dense, "total": total}

    def _keep(self, _module: nn.Module, _inputs: Any, maps: Tensor) -> None:
        self._last_maps = maps if self.dense is not None else None


class VideoObjective(nn.Module):
    """Stage 2: the network after the frozen encoder is trained."""

    def __init__(self, network: AnyNetwork, losses: Losses, autocast: Autocast) -> None:
        super().__init__()
        self.network, self.losses, self.autocast = network, losses, autocast

    def forward(self, batch: WindowBatch) -> dict[str, Tensor]:
        """Losses of windows of maps (B, T, C, 7, 7), the sum under "total"."""
        with self.autocast():
            outputs = self.network(batch.maps.float())
        stages = (outputs,) if isinstance(outputs, StageParams) else outputs.stages
        return self.losses(stages, batch.targets)


def set_dropout(module: nn.Module, share: float) -> None:
    """Sets the dropout of all regressors within."""
    for child in module.modules():
        if isinstance(child, Regressor):
            child.drop.p = share
