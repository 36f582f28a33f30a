"""Figures as PNG by matplotlib; no display is needed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from staf_backend.export.raster import nearest_faces, shading
from staf_backend.files import replace_atomically
from training.drawing.numbers import Mesh

_INCH = 2.6
"""Of a panel's side.  Chosen."""
_SKIN = np.array([120, 170, 240])
_OPACITY = 0.85
"""Colour (RGB) and opacity of a mesh over its picture.  Chosen."""


def draw_matrices(matrices: Mapping[str, np.ndarray], path: Path) -> None:
    """Fig. 4: matrices (T, T) side by side, rows are the frames that look, from -T/2 to T/2."""
    figure = Figure(figsize=(_INCH * len(matrices) + 0.6, _INCH + 0.4), layout="constrained")
    for axes, (name, matrix) in zip(_panels(figure, len(matrices)), matrices.items(), strict=True):
        half = len(matrix) // 2
        reach = (-half - 0.5, half + 0.5, half + 0.5, -half - 0.5)
        shown = axes.imshow(matrix, cmap="viridis", extent=reach)
        axes.set_title(name)
        axes.set_xticks([-half, 0, half])
        axes.set_yticks([-half, 0, half])
        axes.set_xlabel("frame looked at")
        figure.colorbar(shown, ax=axes, shrink=0.75)
    _write(figure, path)


def draw_weights(weights: Mapping[str, np.ndarray], path: Path) -> None:
    """Fig. 8: weights (T,) of a window's frames, a curve for each module of each network."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    (axes,) = _panels(figure, 1)
    for name, values in weights.items():
        half = len(values) // 2
        axes.plot(np.arange(-half, half + 1), values, marker="o", label=name)
    axes.set_xlabel("frame of the window, 0 is the target")
    axes.set_ylabel("weight")
    axes.set_ylim(0, None)
    axes.legend()
    _write(figure, path)


def draw_curves(
    curves: Mapping[str, np.ndarray], frames: np.ndarray, cuts: Sequence[int], path: Path
) -> None:
    """Figs. 1 and 9: acceleration (T,) over a clip, a curve for each network.

    Args:
        curves: mm/frame², by network.
        frames: (T,) numbers of the video's frames.
        cuts: frames before which somebody else begins.
        path: of the PNG.
    """
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    (axes,) = _panels(figure, 1)
    for name, values in curves.items():
        axes.plot(frames, values, linewidth=1, label=f"{name}, mean {np.nanmean(values):.1f}")
    for cut in cuts:
        axes.axvline(cut, color="grey", linestyle="--", linewidth=1)
    axes.set_xlabel("frame")
    axes.set_ylabel("acceleration, mm/frame²")
    axes.set_ylim(0, None)
    axes.legend()
    _write(figure, path)


def draw_meshes(
    meshes: Mapping[str, Mesh], faces: np.ndarray, picture: np.ndarray, path: Path
) -> None:
    """Fig. 7: the picture (S, S, 3), and over it the body before and after each regressor."""
    figure = Figure(figsize=(_INCH * (len(meshes) + 1), _INCH + 0.3), layout="constrained")
    panels = {"picture": picture}
    panels |= {name: _over(picture, mesh, faces) for name, mesh in meshes.items()}
    for axes, (name, panel) in zip(_panels(figure, len(panels)), panels.items(), strict=True):
        axes.imshow(panel)
        axes.set_title(name)
        axes.set_axis_off()
    _write(figure, path)


def _over(picture: np.ndarray, mesh: Mesh, faces: np.ndarray) -> np.ndarray:
    side = len(picture)
    owners = nearest_faces((mesh.points + 1) / 2 * side, mesh.depth_m, faces, (side, side))
    bright = shading(mesh.vertices_m, faces)[owners.clip(0)]
    skin = (_SKIN * bright[..., None]).clip(0, 255)
    blended = _OPACITY * skin + (1 - _OPACITY) * picture
    return np.where((owners >= 0)[..., None], blended, picture).astype(np.uint8)


def _panels(figure: Figure, count: int) -> Sequence[Axes]:
    return list(figure.subplots(1, count, squeeze=False)[0])


def _write(figure: Figure, path: Path) -> None:
    with replace_atomically(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
