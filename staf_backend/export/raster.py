"""A small triangle rasteriser: which face is nearest at each pixel.  numpy only.

Faces are sorted by the size of their bounding box; all faces of one size are tested against all
pixels of a box of that size at once, so the cost is that of the pixels that are covered.
"""

import numpy as np

_SIZES = (2, 3, 5, 8, 16, 32, 64, 128, 256, 512)
_MOST_TESTS = 4_000_000
_LIGHT = np.array([-0.4, -0.6, -0.7]) / np.linalg.norm([-0.4, -0.6, -0.7])
"""Toward the light, beside the camera (x right, y down, z away)."""


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


def shading(vertices_m: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) brightness, about 0.5 to 1, of faces (F, 3) under a light beside the camera.

    Args:
        vertices_m: (V, 3) x right, y down, z away.
        faces: counter-clockwise from outside.
    """
    a, b, c = (vertices_m[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    return 0.45 + 0.65 * np.maximum(normal @ _LIGHT, 0)


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
    origin = low + 0.5
    steps = np.arange(side)
    shares = [
        _edge(corners[:, one] - origin, corners[:, other] - origin, steps)
        for one, other in ((1, 2), (2, 0), (0, 1))
    ]
    inside = (shares[0] <= 0) & (shares[1] <= 0) & (shares[2] <= 0)
    inside &= (low[:, 0, None] + steps < size_px[0])[:, None, :]
    inside &= (low[:, 1, None] + steps < size_px[1])[:, :, None]
    row, y, x = np.nonzero(inside)
    share = np.stack([one[row, y, x] for one in shares])
    share /= np.minimum(share[0] + share[1] + share[2], -1e-12)
    near = 1 / depths[row].T
    # 1 / depth is linear across the picture
    nearness = share[0] * near[0] + share[1] * near[1] + share[2] * near[2]
    return (low[row, 1] + y) * size_px[0] + low[row, 0] + x, nearness, row


def _edge(start: np.ndarray, end: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Which side of an edge (n, 2) each point of a grid lies on, times the area: (n, y, x)."""
    across, down = (end - start).T
    constant = start[:, 0] * down - start[:, 1] * across
    of_x = -down[:, None] * steps + constant[:, None]
    return of_x[:, None, :] + (across[:, None] * steps)[:, :, None]


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
