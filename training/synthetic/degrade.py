"""What lens, sensor and codec do to a drawn crop; steady along a video but for the noise."""

from dataclasses import dataclass

import numpy as np

from staf_backend.staf import CROP_PX
from training.synthetic.recipe import Degradation

_COARSEST_PX = 56  # the side of the smallest crop that was enlarged; chosen
_DEFOCUS_PX = (0.4, 1.8)  # least and most; chosen


@dataclass(frozen=True)
class Flaws:
    """What one recording suffers.

    Attributes:
        gains: (3,) of red, green, blue.
        gamma: exponent of the encoded picture.
        defocus_px: deviation of the blur, on the crop; 0 for none.
        coarse: pixels of the side the crop was enlarged from; CROP_PX for none.
        noise: deviation over white.
        quality: of JPEG, 0 for none.
        edges: left, top, right, bottom of the picture beyond which crops are black, in picture
            coordinates.
    """

    gains: np.ndarray
    gamma: float
    defocus_px: float
    coarse: int
    noise: float
    quality: int
    edges: tuple[float, float, float, float]


def draw_flaws(
    degradation: Degradation, squares: np.ndarray, cut: float, rng: np.random.Generator
) -> Flaws:
    """Flaws of one recording.

    Args:
        degradation: chances and strengths.
        squares: (T, 3) crops, picture coordinates.
        cut: chance that the picture ends within the crops.
        rng: where randomness comes from.
    """
    gains = np.exp(rng.normal(0, degradation.white_balance, 3) * (1, 0.3, 1))
    defocus = rng.uniform(*_DEFOCUS_PX) if rng.random() < degradation.defocus else 0.0
    coarse = CROP_PX
    if rng.random() < degradation.coarse:
        coarse = int(np.exp(rng.uniform(np.log(_COARSEST_PX), np.log(CROP_PX))))
    quality = int(rng.uniform(*degradation.jpeg_quality)) if rng.random() < degradation.jpeg else 0
    edges = [-np.inf, -np.inf, np.inf, np.inf]
    if rng.random() < cut:
        # every frame keeps more than half of its crop
        side, reach = int(rng.integers(4)), rng.uniform(0.1, 0.45)
        middle, size = squares[:, side % 2], squares[:, 2]
        far = (middle + reach * size).max() if side > 1 else (middle - reach * size).min()
        edges[side] = float(far)
    return Flaws(
        gains=gains,
        gamma=float(np.exp(rng.normal(0, degradation.gamma))),
        defocus_px=float(defocus),
        coarse=coarse,
        noise=float(degradation.noise * rng.random() ** 2),
        quality=quality,
        edges=(edges[0], edges[1], edges[2], edges[3]),
    )


def degrade(
    picture: np.ndarray,
    flaws: Flaws,
    square: np.ndarray,
    rng: np.random.Generator,
    size: int = CROP_PX,
) -> np.ndarray:
    """The drawn crop (S, S, 3) uint8 as it would have been recorded: (size, size, 3) uint8.

    Flaws are of pixels: in a picture of another size they are as large as in a crop of CROP_PX.
    """
    import cv2

    coarse = round(size * flaws.coarse / CROP_PX)
    image = cv2.resize(picture, (coarse, coarse), interpolation=cv2.INTER_AREA)
    if flaws.defocus_px:
        image = cv2.GaussianBlur(image, (0, 0), flaws.defocus_px * flaws.coarse / CROP_PX)
    image = cv2.LUT(image, _curves(flaws))
    if flaws.noise:
        image = _noisy(image, flaws.noise, rng)
    if flaws.quality:
        image = _compressed(image, flaws.quality)
    if flaws.coarse != CROP_PX:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return _ended(image, flaws.edges, square)


def _curves(flaws: Flaws) -> np.ndarray:
    """(1, 256, 3) look-up table of white balance and gamma."""
    ramp = np.linspace(0, 1, 256)[:, None] ** flaws.gamma * flaws.gains
    return (np.clip(ramp, 0, 1) * 255 + 0.5).astype(np.uint8)[None]


def _noisy(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise, more of it where there is light."""
    import cv2

    grain = rng.standard_normal(image.shape, np.float32) * np.float32(deviation * 255)
    grain *= np.sqrt(image.astype(np.float32) * (0.8 / 255) + 0.2)
    return cv2.add(image, grain, dtype=cv2.CV_8U)


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    import cv2

    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def _ended(
    image: np.ndarray, edges: tuple[float, float, float, float], square: np.ndarray
) -> np.ndarray:
    """Black where the picture had ended."""
    x, y, side = square
    size = len(image)
    pixel = [
        int(np.clip(np.rint((edge - middle) / side * size + size / 2), 0, size))
        for edge, middle in zip(edges, (x, y, x, y), strict=True)
    ]
    left, top, right, bottom = pixel
    if (left, top, right, bottom) == (0, 0, size, size):
        return image
    kept = np.zeros_like(image)
    kept[top:bottom, left:right] = image[top:bottom, left:right]
    return kept
