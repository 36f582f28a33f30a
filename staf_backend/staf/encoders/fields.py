"""An encoder that looks for landmarks first and paints maps of what they say.

    crop ─► landmark network ─► square around what it found, upright ─► again ─► ... landmarks
                    └────────────── looks ──────────────┘                          │
                                                  frame_lifter ─► field_maps ─► maps (213, 7, 7)

A crop for STAF is upright and cut close; a landmark network wants to see a person turned upright
with room around.  It errs half as much again in STAF's crops, and as little as in its own once it
has looked at what it found before (the loop of MediaPipe's pose tracking, within one frame).

The landmark network's tensors are an embedded file, which the landmark estimator reads too: they
are neither stored with an encoder nor trained.
"""

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from staf_backend.assets import AssetError, asset_path, checksum
from staf_backend.body.markers import LANDMARKS
from staf_backend.files import sha256
from staf_backend.staf.encoders.field_maps import CHANNELS, paint
from staf_backend.staf.encoders.frame_lifter import FrameLifter, check_landmarks
from staf_backend.staf.encoders.plan import FieldsPlan
from staf_backend.staf.encoders.planned import PlannedEncoder, PlannedNetwork
from staf_backend.staf.encoders.resnet import Encoder, check_images, normalised
from staf_backend.staf.encoders.sizes import sizes

SIDE_PX = 256
"""Of the images that the landmark network reads."""

_POINTS = 39  # 33 landmarks, the middle of the hips, a point above it, four of hands
_MIDDLE, _ABOVE = 33, 34
_REACH = 1.25  # half the square's side over the distance of these two (MediaPipe)
_SIDES = (0.25, 3.0)  # of a square, in crops
_FARTHEST = 1.5  # of its middle, where 1 is the crop's edge


class FieldsEncoder(nn.Module):
    """Crops, or landmarks, to maps (N, 213, 7, 7).

    Trained and stored is the lifter alone.
    """

    def __init__(self, plan: FieldsPlan) -> None:
        """Builds the lifter; the landmark network is read when a picture comes.

        Raises:
            ValueError: the plan's layers do not fit each other, or the maps are of other width.
        """
        super().__init__()
        self.plan, self.name, self.channels = plan, plan.name, plan.channels
        found = sizes(plan.layers, (plan.landmarks, plan.world), SIDE_PX)
        if found != [(5 * _POINTS, 1, 1), (3 * _POINTS, 1, 1)] or plan.channels != CHANNELS:
            raise ValueError(f"{plan.name} does not give {_POINTS} landmarks and {CHANNELS} maps")
        self.lifter = FrameLifter(plan.width, plan.blocks)
        self._networks: dict[torch.device, PlannedNetwork] = {}  # no part of what is stored

    def normalise(self, crops: Tensor) -> Tensor:
        """Images (N, 3, 224, 224) of RGB in 0..1, of crops (N, 224, 224, 3) uint8 RGB.

        Landmarks (N, 27, 6), which simulated people have instead of pictures, stay as they are.

        Raises:
            ValueError: wrong shape or type.
        """
        if crops.ndim == 3:
            check_landmarks(crops)
            return crops
        return normalised(crops, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, 213, 7, 7) of what `normalise` gives.

        Raises:
            ValueError: images of any other shape.
            AssetError: the landmark network's file is damaged.
        """
        landmarks = images if images.ndim == 3 else self.see(images)
        maps = paint(landmarks, *self.lifter(landmarks))
        return maps.to(self.lifter.first.weight.dtype)

    @torch.no_grad()
    def see(self, images: Tensor) -> Tensor:
        """Landmarks (N, 27, 6), see `frame_lifter.NUMBERS`, of images (N, 3, 224, 224) in 0..1."""
        check_images(images)
        images = images.float()
        found = self._look(images, _whole(images))
        for _ in range(self.plan.looks - 1):
            found = self._look(images, _around(found[..., :2]))
        return torch.stack([found[:, point] for point in LANDMARKS.tolist()], 1)

    def _look(self, images: Tensor, square: Tensor) -> Tensor:
        """All landmarks (N, 39, 6) as the network finds them in squares (N, 2, 3) of crops."""
        grid = F.affine_grid(square, [len(images), 3, SIDE_PX, SIDE_PX], align_corners=False)
        cut = F.grid_sample(images, grid, align_corners=False)
        landmarks, world_m = self._landmark_network().run(cut)
        landmarks = landmarks.float().view(-1, _POINTS, 5)
        world_m = world_m.float().view(-1, _POINTS, 3)
        points = (landmarks[..., :2] / (SIDE_PX / 2) - 1) @ square[:, :, :2].mT
        turn = square[:, :, :2] / square[:, :, 0].norm(dim=-1)[:, None, None]
        sure = landmarks[..., 3:].sigmoid().prod(-1, keepdim=True)
        across_m = world_m[..., :2] @ turn.mT
        return torch.cat([points + square[:, None, :, 2], across_m, world_m[..., 2:], sure], -1)

    def _landmark_network(self) -> PlannedNetwork:
        """The landmark network where the lifter is, read at the first call."""
        device = self.lifter.first.weight.device
        if device not in self._networks:
            known = next(iter(self._networks.values()), None)
            self._networks = {device: (known or _read(self.plan)).to(device)}
        return self._networks[device]


AnyEncoder = Encoder | PlannedEncoder | FieldsEncoder


def check_landmark_network(plan: FieldsPlan) -> None:
    """Compares a plan's landmark network with its embedded file, whose header alone is read.

    Raises:
        ValueError: the file is another one than the plan was made for, or holds no such layers.
        AssetError: there is no such embedded file, or it is damaged.
    """
    if checksum(plan.tensors) != plan.digest:
        raise ValueError(f"it was made for another {plan.tensors}")
    with torch.device("meta"):
        needed = PlannedNetwork(plan.layers, (plan.landmarks, plan.world)).state_dict()
    with safe_open(asset_path(plan.tensors), framework="pt") as file:
        known = set(file.keys())
        for name, tensor in needed.items():
            if name not in known or file.get_slice(name).get_shape() != list(tensor.shape):
                raise ValueError(f"{plan.tensors} does not hold {name} as the plan has it")


def _read(plan: FieldsPlan) -> PlannedNetwork:
    """The landmark network with its tensors, float32.

    Raises:
        AssetError: the file is damaged, or not the one that the encoder was trained with.
    """
    path = asset_path(plan.tensors)
    if sha256(path) != plan.digest:
        raise AssetError(
            f"The encoder {plan.name} was trained with another {plan.tensors}.",
            "Install the version of this software that it came from.",
        )
    network = PlannedNetwork(plan.layers, (plan.landmarks, plan.world)).eval()
    known = network.state_dict()
    network.load_state_dict({k: v for k, v in load_file(path).items() if k in known}, strict=True)
    return network.requires_grad_(False)


def _whole(images: Tensor) -> Tensor:
    """The whole crop as a square (N, 2, 3): an affine map from the square's -1..1 to the crop's."""
    return torch.eye(2, 3, device=images.device).expand(len(images), -1, -1)


def _around(points: Tensor) -> Tensor:
    """Squares (N, 2, 3) around people, turned so that they are upright, from points (N, 39, 2)."""
    middle, up = points[:, _MIDDLE], points[:, _ABOVE] - points[:, _MIDDLE]
    length = up.norm(dim=-1, keepdim=True)
    x, y = (up / length.clamp(min=1e-6)).unbind(-1)
    turn = torch.stack([torch.stack([-y, -x], -1), torch.stack([x, -y], -1)], 1)
    half = (_REACH * length).clamp(*_SIDES)[..., None]
    middle = middle.clamp(-_FARTHEST, _FARTHEST)
    return torch.cat([turn * half, middle[..., None]], -1)
