"""A small triangle rasteriser: which face is nearest at each pixel.  numpy only.

Faces are sorted by the size of their bounding box; all faces of one size are tested against all
pixels of a box of that size at once, so the cost is that of the pixels that are covered.
"""

import numpy as np

_SIZES = (2, 3, 5, 8, 16, 32, 64, 128, 256, 512)
_MOST_TESTS = 4_000_000


def nearest_faces(
    points_px: np.ndarray, depth_m: np.ndarray, faces: np.ndarray, size_px: tuple[int, int]
) -> np.ndarray:
    """The nearest face that is turned to the camera, at the centre of each pixel.

    Args:
        points_px: (V, 2) projected vertices.
        depth_m: (V,) their depth; faces with a vertex at 0.05 m or less are left out.
        faces: (F, 3), counter-clockwise from outside.
        size_px: width and height of the picture.

    Returns:
        (height, width) int32 numbers of faces, -1 where there is none.
    """
    width, height = size_px
    corners, depths = points_px[faces], depth_m[faces]
    seen = _seen(corners, depths, size_px)
    number = np.flatnonzero(seen)
    corners, depths = corners[seen], depths[seen]
    low = np.floor(corners.min(1) - 0.5).astype(int).clip(0, None)
    high = np.ceil(corners.max(1) + 0.5).astype(int).clip(None, [width, height])
    extent = (high - low).max(1)
    pixels, nearness, owners = [], [], []
    smallest = 0
    for side in (*_SIZES, max(size_px)):
        group = np.flatnonzero((extent > smallest) & (extent <= side))
        smallest = side
        for some in np.array_split(group, max(1, -(-len(group) * side * side // _MOST_TESTS))):
            if len(some):
                inside, closeness, row = _covered(
                    corners[some], depths[some], low[some], side, size_px
                )
                pixels.append(inside)
                nearness.append(closeness)
                owners.append(number[some][row])
    return _resolve(pixels, nearness, owners, size_px)


def _seen(corners: np.ndarray, depths: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """Faces turned to the camera, in front of it and at least partly in the picture."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    # y points down, so counter-clockwise from outside is a negative area
    facing = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0] < 0
    inside = ((corners.max(1) > 0) & (corners.min(1) < size_px)).all(1)
    return facing & inside & (depths > 0.05).all(1)


def _covered(
    corners: np.ndarray,
    depths: np.ndarray,
    low: np.ndarray,
    side: int,
    size_px: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels in the faces: their number in the picture, 1 / depth there, and the face's row."""
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    pixel = low[:, None] + grid
    centre = pixel + 0.5
    a, b, c = (corners[:, None, i] for i in range(3))
    weights = np.stack([_cross(b, c, centre), _cross(c, a, centre), _cross(a, b, centre)], -1)
    inside = (weights <= 0).all(-1) & (pixel < size_px).all(-1)
    row, which = np.nonzero(inside)
    share = weights[row, which]
    share = share / np.minimum(share.sum(-1, keepdims=True), -1e-12)
    nearness = (share / depths[row]).sum(-1)  # 1 / depth is linear across the picture
    chosen = pixel[row, which]
    return chosen[:, 1] * size_px[0] + chosen[:, 0], nearness, row


def _cross(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Which side of the edge a point lies on, times twice the triangle's area."""
    edge, away = end - start, point - start
    return edge[..., 0] * away[..., 1] - edge[..., 1] * away[..., 0]


def _resolve(
    pixels: list[np.ndarray],
    nearness: list[np.ndarray],
    owners: list[np.ndarray],
    size_px: tuple[int, int],
) -> np.ndarray:
    width, height = size_px
    picture = np.full(width * height, -1, np.int32)
    if pixels:
        order = np.argsort(np.concatenate(nearness), kind="stable")
        # farthest first: of several writes to one pixel, the last one stays
        picture[np.concatenate(pixels)[order]] = np.concatenate(owners)[order]
    return picture.reshape(height, width)
