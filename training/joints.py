"""Joint sets by name: the 49 joints that targets are written in, and those that scores count.

The 49 (SPIN, Kolotouros et al. 2019) are 25 of OpenPose's, then 24 that annotated data sets use:

    0 .. 24   OpenPose's body-25 order
    25 .. 38  LSP's fourteen, right ankle to top of the head
    39 .. 48  MPII's pelvis and thorax, Human3.6M's spine, jaw and head, COCO's face

Two that mean the same place (OpenPose's right knee and LSP's) stay apart: data sets label them
differently and the paper's losses weigh them differently.
"""

from staf_backend.geometry import counterparts

OPENPOSE = (
    *("op_nose", "op_neck", "op_right_shoulder", "op_right_elbow", "op_right_wrist"),
    *("op_left_shoulder", "op_left_elbow", "op_left_wrist", "op_mid_hip", "op_right_hip"),
    *("op_right_knee", "op_right_ankle", "op_left_hip", "op_left_knee", "op_left_ankle"),
    *("op_right_eye", "op_left_eye", "op_right_ear", "op_left_ear", "op_left_big_toe"),
    *("op_left_small_toe", "op_left_heel", "op_right_big_toe", "op_right_small_toe"),
    "op_right_heel",
)
LSP = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow"),
    *("left_wrist", "neck", "head_top"),
)
OTHERS = (
    *("pelvis", "thorax", "spine", "jaw", "head"),
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
)
JOINTS_49 = (*OPENPOSE, *LSP, *OTHERS)
"""Names of the 49 joints, in the order of every target in this package."""
COUNT = len(JOINTS_49)

ANNOTATED = slice(len(OPENPOSE), COUNT)
"""The 24 joints that data sets annotate (the paper's losses give OpenPose's 25 no weight)."""
LSP_14 = tuple(JOINTS_49.index(name) for name in LSP)
"""3DPW's and Human3.6M's scores are over these."""
HIPS = (JOINTS_49.index("right_hip"), JOINTS_49.index("left_hip"))
"""The root of most scores and of the 3D loss: the point halfway between these two."""
MPII3D_17 = tuple(
    JOINTS_49.index(name)
    for name in (
        *("head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder"),
        *("left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip"),
        *("left_knee", "left_ankle", "pelvis", "spine", "head"),
    )
)
"""MPI-INF-3DHP's scores are over these, centred on the pelvis."""

BONES = (
    *(("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("left_hip", "left_knee")),
    *(("left_knee", "left_ankle"), ("right_wrist", "right_elbow"), ("neck", "head_top")),
    *(("right_elbow", "right_shoulder"), ("left_shoulder", "left_elbow")),
    *(("left_elbow", "left_wrist"), ("right_hip", "left_hip"), ("right_shoulder", "left_shoulder")),
    *(("op_left_heel", "op_left_big_toe"), ("op_right_heel", "op_right_big_toe")),
)
"""Pairs of the 49 that a figure of lines joins."""
MIRROR = counterparts(JOINTS_49)
"""(49,) the joint on the other side of the body, for flipped images."""
