"""A small reader of .bvh files, independent of the writer: hierarchy, channels, joint positions.

It follows the format as the usual readers do: channels in any order, rotations applied as named.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Joint:
    """A joint or an end site, which has no channels."""

    name: str
    parent: int
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bvh:
    """A parsed file: N frames, channels in the order of the joints."""

    joints: list[Joint]
    frame_s: float
    values: np.ndarray

    def positions(self, *, add_offset: bool = True) -> dict[str, np.ndarray]:
        """Name to (N, 3); the positions of a joint are added to its offset, or replace it."""
        column, worlds = 0, []
        for joint in self.joints:
            local = np.tile(np.eye(4), (len(self.values), 1, 1))
            local[:, :3, 3] = joint.offset
            if not add_offset and any(name.endswith("position") for name in joint.channels):
                local[:, :3, 3] = 0
            for name in joint.channels:
                axis, kind = "XYZ".index(name[0]), name[1:]
                if kind == "position":
                    local[:, axis, 3] += self.values[:, column]
                else:
                    local[:, :3, :3] @= _about(axis, np.radians(self.values[:, column]))
                column += 1
            worlds.append(worlds[joint.parent] @ local if joint.parent >= 0 else local)
        return {j.name: world[:, :3, 3] for j, world in zip(self.joints, worlds, strict=True)}


def read_bvh(path: Path) -> Bvh:
    """Parse a file."""
    head, _, motion = path.read_text(encoding="utf-8").partition("MOTION")
    joints: list[Joint] = []
    open_joints: list[int] = []
    for line in head.splitlines():
        words = line.split()
        if words[:1] in (["ROOT"], ["JOINT"], ["End"]):
            parent = open_joints[-1] if open_joints else -1
            name = words[1] if words[0] != "End" else f"{joints[parent].name} end"
            joints.append(Joint(name, parent))
            open_joints.append(len(joints) - 1)
        elif words[:1] == ["OFFSET"]:
            joints[-1].offset = np.array(words[1:4], float)
        elif words[:1] == ["CHANNELS"]:
            assert int(words[1]) == len(words) - 2
            joints[-1].channels = words[2:]
        elif words == ["}"]:
            open_joints.pop()
    assert not open_joints
    lines = motion.strip().splitlines()
    values = np.array([line.split() for line in lines[2:]], float)
    assert lines[0] == f"Frames: {len(values)}"
    assert values.shape[1] == sum(len(joint.channels) for joint in joints)
    return Bvh(joints, float(lines[1].removeprefix("Frame Time:")), values)


def _about(axis: int, angles: np.ndarray) -> np.ndarray:
    """Turns (N, 3, 3) about x, y or z."""
    one, other = (axis + 1) % 3, (axis + 2) % 3
    turns = np.tile(np.eye(3), (len(angles), 1, 1))
    turns[:, one, one] = turns[:, other, other] = np.cos(angles)
    turns[:, other, one] = np.sin(angles)
    turns[:, one, other] = -np.sin(angles)
    return turns
