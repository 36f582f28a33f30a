"""Fusing the frames of a window: APM, TCFM, SAFM (STAF sections III-B to III-D).

    APM   the target's map becomes the mean of all maps
    TCFM  every frame's feature is refined by attention over time
    SAFM  three groups of neighbours, then the three results: one feature for the target

SAFM's weights are shared by all groups.  At 2048 pooled channels the same two modules are MPS-Net's
MoCA and HAFI, from which they come (see `pooled`).  Results never depend on the batch, except
under `batching="authors"`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from staf_backend.devices import full_precision
from staf_backend.staf.config import GROUP, Batching, check_groups


def average_target(maps: Tensor) -> Tensor:
    """Average pooling module: a copy of maps (B, T, ...) whose middle frame is the mean of all T.

    The mean includes the middle frame itself; the argument is left alone.
    """
    middle = maps.shape[1] // 2
    mean = maps.mean(1, keepdim=True)
    return torch.cat([maps[:, :middle], mean, maps[:, middle + 1 :]], 1)


class Attention(NamedTuple):
    """TCFM's matrices, each (B, T, T) with rows that sum to 1 (paper: M_sim, M_con, M_g)."""

    similarity: Tensor
    context: Tensor
    fused: Tensor


class Tcfm(nn.Module):
    """Temporal coherence fusion module (paper equations 3 to 6).

        M_sim = softmax(Z Z^T), M_con = softmax(Q K^T), M_g = softmax(w0 M_sim + w1 M_con)
        out = Z + U (M_g V)

    No biases, no 1/sqrt(d).  Always float32: the logits are sums of thousands of products.
    """

    def __init__(self, features: int, batching: Batching = "per_sample") -> None:
        """Makes the module for features of that length.

        Args:
            features: S, the length of a frame's feature; the attention works on S // 2.
            batching: "authors" reproduces the released code, which mixes the samples of a batch
                (its matrices are concatenated along the wrong axis); only for published numbers.
        """
        super().__init__()
        if batching not in ("per_sample", "authors"):
            raise ValueError(f"batching must be 'per_sample' or 'authors', not {batching!r}")
        self.batching = batching
        inner = features // 2
        self.query = nn.Linear(features, inner, bias=False)
        self.key = nn.Linear(features, inner, bias=False)
        self.value = nn.Linear(features, inner, bias=False)
        self.output = nn.Linear(inner, features, bias=False)
        self.mix = nn.Linear(2, 1, bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Attention]:
        """Refined features (B, T, S), possibly negative, and the attention, of (B, T, S)."""
        with full_precision(features):
            z = features.float()
            similarity = (z @ z.mT).softmax(-1)
            context = (self.query(z) @ self.key(z).mT).softmax(-1)
            fused = self.fuse(similarity, context)
            return z + self.output(fused @ self.value(z)), Attention(similarity, context, fused)

    def fuse(self, similarity: Tensor, context: Tensor) -> Tensor:
        """M_g (B, T, T) of M_sim and M_con."""
        if self.batching == "authors":
            pair = torch.cat([similarity, context]).view(-1, 2, *similarity.shape[1:])
        else:
            pair = torch.stack([similarity, context], 1)
        weights = self.mix.weight[0, :, None, None]
        return (pair * weights).sum(1).softmax(-1)


class Safm(nn.Module):
    """Spatial alignment fusion module (paper equations 7 and 8): attention in groups of three.

    (0 1 2) (3 4 5) (6 7 8)   four uses of one module on nine frames;
       └───────┼───────┘      27 frames would be three levels, 3 frames one
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.embed = nn.Linear(features, 256)
        self.score = nn.Sequential(
            nn.Linear(GROUP * 256, 256),
            nn.Tanh(),
            nn.Linear(256, 256),
            nn.Tanh(),
            nn.Linear(256, GROUP),
            nn.Tanh(),
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Fuses (B, T, S), T a power of three.

        Returns:
            The fused feature (B, S) and the scores (B, groups, 3) in time order, coarser levels
            last: for nine frames past, current and future group, then the three groups.

        Raises:
            ValueError: T is not 3, 9, 27, ...
        """
        check_groups(features.shape[1])
        scores = []
        with full_precision(features):
            level = features.float()
            while level.shape[1] > 1:
                level, weights = self.attend(level)
                scores.append(weights)
        return level[:, 0], torch.cat(scores, 1)

    def attend(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """One level: (B, 3 G, S) to weighted sums (B, G, S) and their weights (B, G, 3)."""
        embedded = self.embed(level).unflatten(1, (-1, GROUP)).flatten(2)
        weights = self.score(embedded).softmax(-1)
        return (weights[..., None] * level.unflatten(1, (-1, GROUP))).sum(2), weights
