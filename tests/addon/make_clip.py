"""Write a video whose every picture tells its own number: make_clip.py OUT.mp4 NAME=VALUE...

The pictures are black with a white bar of a sixteenth of the width; its place, in sixteenths from
the left, is the picture's number modulo 16.
"""

import sys
from fractions import Fraction

import av
import numpy as np

BARS = 16
SAMPLES_A_SECOND = 44_100


def main(
    path: str,
    rate: str = "30",
    count: str = "48",
    varying: str = "0",
    size: str = "320x240",
    sound: str = "0",
) -> None:
    width, height = (int(word) for word in size.split("x"))
    frames_a_second = Fraction(rate)
    base = Fraction(1, 90_000)
    with av.open(path, "w") as container:
        stream = container.add_stream(
            "libx264", rate=frames_a_second, options={"crf": "12", "bf": "0"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        tone = container.add_stream("aac", rate=SAMPLES_A_SECOND) if int(sound) else None
        steps = 0
        for number in range(int(count)):
            frame = av.VideoFrame.from_ndarray(picture(number, width, height), format="rgb24")
            frame.pts, frame.time_base = round(steps / frames_a_second / base), base
            steps += 1 + (number // 3) % 2 if int(varying) else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tone is not None:
            add_tone(container, tone, float(steps / frames_a_second))


def add_tone(container, stream, seconds: float) -> None:
    """A quiet tone of 440 Hz, as long as the pictures."""
    times = np.arange(int(seconds * SAMPLES_A_SECOND)) / SAMPLES_A_SECOND
    samples = (0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    for start in range(0, len(samples) - 1024, 1024):
        frame = av.AudioFrame.from_ndarray(
            samples[None, start : start + 1024], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = SAMPLES_A_SECOND, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def picture(number: int, width: int, height: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    left = (number % BARS) * width // BARS
    image[:, left : left + width // BARS] = 255
    return image


if __name__ == "__main__":
    main(sys.argv[1], **dict(word.split("=") for word in sys.argv[2:]))
