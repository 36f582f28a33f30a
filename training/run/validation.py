"""Scores between epochs, by which the best state is kept and the learning rate falls.

Positions of the fourteen joints about the hips, of a sample of the frames, and the share of each
stage's features that live; `evaluate` has the field's full protocols.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from staf_backend.staf.network import StafOutputs, StageParams
from training.joints import HIPS, LSP_14
from training.run.dead_units import watched
from training.run.machine import Machine
from training.run.run_error import RunError
from training.scoring import mpjpe_mm, pa_mpjpe_mm, rooted
from training.targets import PosedJoints, SequenceSource, Targets

WATCHED = "pa_mpjpe_mm"
_ROOT = (LSP_14.index(HIPS[0]), LSP_14.index(HIPS[1]))


class PositionScores:
    """Mean MPJPE and PA-MPJPE of batches of target frames, in millimetres."""

    def __init__(self) -> None:
        self.sums = np.zeros(2)
        self.frames = 0

    def add(self, predicted_m: Tensor, truth_m: Tensor) -> None:
        """Joints (N, 49, 3) and truth (N, 49, 4); only frames with all fourteen joints count."""
        truth = truth_m[:, list(LSP_14)].double().cpu().numpy()
        known = (truth[..., 3] > 0).all(1)
        predicted = predicted_m[:, list(LSP_14)].double().cpu().numpy()[known]
        if not known.any():
            return
        predicted, truth = rooted(predicted, _ROOT), rooted(truth[known, :, :3], _ROOT)
        scores = mpjpe_mm(predicted, truth), pa_mpjpe_mm(predicted, truth)
        self.sums += [score.sum() for score in scores]
        self.frames += int(known.sum())

    def means(self) -> dict[str, float]:
        """The scores by name.

        Raises:
            RunError: no frame counted.
        """
        if not self.frames:
            raise RunError(
                "The validation set has no frame with all fourteen joints.",
                "Validate on a set with 3D labels.",
            )
        mpjpe, pa_mpjpe = (self.sums / self.frames).tolist()
        return {"mpjpe_mm": mpjpe, WATCHED: pa_mpjpe}


def score(
    network: nn.Module,
    joints: PosedJoints,
    batches: Iterable[tuple[Tensor, Targets]],
    machine: Machine,
) -> dict[str, float]:
    """Scores of a network in eval mode, and what its stages see.

    Args:
        network: inputs of a batch to StafOutputs or to the targets' StageParams.
        joints: of the body, on the machine's device.
        batches: inputs, and targets (N, ...) of the target frames.
        machine: where the network is.
    """
    scores = PositionScores()
    with watched(network) as counts:
        for inputs, targets in batches:
            outputs = network(machine.upload(inputs))
            params: StageParams = outputs.result if isinstance(outputs, StafOutputs) else outputs
            scores.add(joints(params.betas, params.rotations), targets.joints_m)
    return scores.means() | counts.shares()


class KeptCrops:
    """Evenly spread frames of a source's sequences, rendered or read once and kept."""

    def __init__(self, source: SequenceSource, frames: int, batch: int) -> None:
        """Keeps about `frames` of them."""
        self.batch = batch
        each = max(1, frames // len(source))
        images, targets = [], []
        for index in range(len(source)):
            for part in source.parts(index):
                rows = np.unique(np.linspace(0, len(part.images) - 1, each).astype(int))
                images.append(part.images[rows])
                targets.append(part.targets.map(lambda field, rows=rows: field[rows]))
                break  # the first part of each sequence: variety comes from the sequences
        self.images = torch.from_numpy(np.concatenate(images))
        self.targets = Targets(
            *(torch.from_numpy(np.concatenate(fields)) for fields in zip(*targets))
        )

    def __iter__(self) -> Iterator[tuple[Tensor, Targets]]:
        for start in range(0, len(self.images), self.batch):
            rows = slice(start, start + self.batch)
            yield self.images[rows], self.targets.map(lambda field, rows=rows: field[rows])
