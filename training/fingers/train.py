"""Learn what the hand network's points mean from drawn hands: `finger_corrector.npz`.

    python -m training.fingers.train looks1.npz looks2.npz --out finger_corrector.npz

The network sees what `staf_backend.fit.fingers_learnt` makes of a look.  It is taught by where
joints and tips of the hand come to lie, and how far each tip is off in the median.
"""

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from staf_backend.files import write_arrays
from staf_backend.fit.fingers_frame import fit_frames
from staf_backend.fit.fingers_hand import ANGLES, TWIST
from staf_backend.fit.fingers_learnt import (
    FEATURES,
    SMALLEST_MM,
    as_right,
    features_of,
    scaled,
)
from training.command import command_line
from training.fingers.hands import SIDES, hand

HIDDEN, STEPS, BATCH, RATE = 192, 1800, 256, 2e-3
"""Width, steps of AdamW, hands in each, and its largest rate.  Chosen."""
_DROPOUT, _DECAY, _JITTER = 0.2, 0.05, 0.05
"""Against learning by heart; the last is added to features in their deviations.  Chosen."""
_TYPICAL_LOG = 2.5
"""Of an error in mm: where its output begins.  Chosen."""
_KEPT_BACK = 8
"""Every eighth hand of a side is not learned from but measured on."""
_ANGLE_MM = 17.0
"""Millimetres that an error of one radian counts as.  Chosen: a fifth of a finger."""
_log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("looks", type=Path, nargs="+", help="files of training.fingers.looks")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of training ({STEPS})")
    return parser


class FingerNetwork(nn.Module):
    """Features (N, 139) in their deviations -> changes of angles (N, 21), log errors (N, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(FEATURES, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, ANGLES + 5)
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.zeros_(self.last.bias)
        nn.init.constant_(self.last.bias[ANGLES:], _TYPICAL_LOG)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = self.dropout(torch.relu(self.first(features)))
        values = self.dropout(torch.relu(self.second(values)))
        values = self.last(values)
        return values[:, :ANGLES], values[:, ANGLES:]


def lessons(looks: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (N, 139), fitted and true angles (N, 21) as of right hands."""
    count = len(looks["left"])
    features, fitted, true = np.empty((count, FEATURES)), *np.empty((2, count, ANGLES))
    for side in SIDES:
        rows = np.flatnonzero(looks["left"] == (side == "left"))
        for some in np.array_split(rows, max(1, len(rows) // 256)):
            points, world = looks["points_px"][some], looks["world_m"][some]
            found = fit_frames(hand(side), points, world)
            features[some] = features_of(hand(side), found, points, world)
            fitted[some] = as_right(found.angles, side)
            true[some] = as_right(looks["angles"][some].astype(float), side)
    return features, fitted, true


def joints_mm(angles: torch.Tensor) -> torch.Tensor:
    """(N, 5, 3, 3) the second and third joints and the tips of right hands, from the wrist."""
    own = hand("right")
    bones, flexion, spread = (
        torch.as_tensor(one, dtype=torch.float32)
        for one in (own.bones_m * 1000, own.flexion_axes, own.spread_axes)
    )
    by_finger = angles[:, :TWIST].reshape(-1, 5, 4)
    turns = _turned(by_finger[..., :3, None] * flexion)
    along = bones[4, 1] / bones[4, 1].norm()
    first = _turned(by_finger[..., 3, None] * spread) @ turns[:, :, 0]
    thumb = first[:, 4] @ _turned(angles[:, TWIST:] * along)
    frame = torch.cat([first[:, :4], thumb[:, None]], 1)
    place, places = bones[:, 0], []
    for joint in range(3):
        frame = frame @ turns[:, :, joint] if joint else frame
        place = place + (frame @ bones[:, joint + 1, :, None])[..., 0]
        places.append(place)
    return torch.stack(places, 2)


def _turned(vectors: torch.Tensor) -> torch.Tensor:
    """Rotations (..., 3, 3) of axis angles (..., 3): Rodrigues' formula."""
    angle = vectors.norm(dim=-1, keepdim=True).clamp_min(1e-8)
    x, y, z = (vectors / angle).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    angle = angle[..., None]
    return torch.eye(3) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)


def learned(
    features: np.ndarray, fitted: np.ndarray, true: np.ndarray, steps: int
) -> FingerNetwork:
    """A network taught by N hands; features in their deviations."""
    torch.manual_seed(0)
    seen, from_, to = (
        torch.as_tensor(one, dtype=torch.float32) for one in (features, fitted, true)
    )
    places = joints_mm(to)
    network = FingerNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        some = torch.randint(len(seen), (BATCH,))
        noise = _JITTER * torch.randn(BATCH, FEATURES)
        change, log_error = network(seen[some] + noise)
        off = (joints_mm(from_[some] + change) - places[some]).norm(dim=-1)
        tips = off[:, :, 2]
        doubt = (torch.log(tips.detach() + SMALLEST_MM) - log_error).abs().mean()
        angles = (from_[some] + change - to[some]).abs().mean()
        loss = off.mean() + tips.mean() + _ANGLE_MM * angles + doubt
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def _measured(network: FingerNetwork, held: tuple[np.ndarray, ...]) -> str:
    """Tips' errors of hands that were not learned from, before and after."""
    seen, from_, to = (torch.as_tensor(one, dtype=torch.float32) for one in held)
    true = joints_mm(to)[:, :, 2]
    errors = [
        (joints_mm(angles)[:, :, 2] - true).norm(dim=-1).mean()
        for angles in (from_, from_ + network(seen)[0])
    ]
    return f"tips of {len(seen)} hands kept back: {errors[0]:.1f} mm, then {errors[1]:.1f} mm"


def main() -> None:
    """Read looks, learn and write."""
    given = arguments().parse_args()
    files = [np.load(path, allow_pickle=False) for path in given.looks]
    looks = {name: np.concatenate([file[name] for file in files]) for name in files[0].files}
    features, fitted, true = lessons(looks)
    back = looks["number"] // len(SIDES) % _KEPT_BACK == 0
    mean, deviation = features[~back].mean(0), features[~back].std(0) + 1e-3
    features = scaled(features, mean, deviation)
    network = learned(features[~back], fitted[~back], true[~back], given.steps)
    _log.info("%s", _measured(network, (features[back], fitted[back], true[back])))
    arrays = {"mean": mean.astype(np.float32), "deviation": deviation.astype(np.float32)}
    for number, layer in enumerate((network.first, network.second, network.last), 1):
        arrays[f"weight{number}"] = layer.weight.detach().numpy().astype(np.float16)
        arrays[f"bias{number}"] = layer.bias.detach().numpy().astype(np.float32)
    write_arrays(given.out, arrays)


if __name__ == "__main__":
    sys.exit(command_line(main))
