"""What happens to a marked clip on its way to the network: compression, and the errors of the steps before."""

from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Floats = NDArray[np.float32]


def compressed(frames: Frames, crf: int, preset: str = "veryfast") -> Frames:
    """(T, H, W, 3) uint8 RGB through x264 4:2:0 and back; H and W must be even."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {
        "crf": str(crf),
        "preset": preset,
        "threads": "1",
        "mbtree": "0",
    }  # macroblock trees read uninitialised memory: other bytes each time
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets, pictures = [], []
    for index, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture.pts = index
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    for packet in packets:
        pictures += decoder.decode(packet)
    pictures += decoder.decode(None)
    return np.stack([p.to_ndarray(format="rgb24") for p in pictures])


def recoloured(frames: Frames, rng: np.random.Generator) -> Frames:
    """(T, H, W, 3) in other light: each channel with its own gain and gamma, sometimes the channels exchanged. Often unchanged."""
    if rng.random() < 0.4:
        return frames
    ramp = np.arange(256, dtype=np.float32) / 255
    gains, gammas = rng.uniform(0.7, 1.2) * rng.uniform(0.85, 1.15, 3), rng.uniform(0.7, 1.5) * rng.uniform(0.9, 1.1, 3)
    table = np.stack([np.clip(gain * ramp**gamma, 0, 1) for gain, gamma in zip(gains, gammas, strict=True)], 1)
    table = np.rint(255 * table).astype(np.uint8)
    order = rng.permutation(3) if rng.random() < 0.2 else np.arange(3)
    return np.stack([cv2.LUT(np.ascontiguousarray(frame[..., order]), table[:, None][None].reshape(1, 256, 3)) for frame in frames])


def random_crf(rng: np.random.Generator) -> int:
    """Mostly good quality, as people upload it; sometimes poor."""
    return int(rng.choice([14, 16, 18, 18, 20, 22, 24, 27, 30]))


def flipped(arrays: list[NDArray[np.float32]], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """All arrays (..., H, W) mirrored or not, alike."""
    if rng.random() < 0.5:
        arrays = [a[..., ::-1] for a in arrays]
    if rng.random() < 0.3:
        arrays = [a[..., ::-1, :] for a in arrays]
    return [np.ascontiguousarray(a) for a in arrays]


def misjudged(alpha: Floats, colour: Floats, scene: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Opacity (H, W) and colour (H, W, 3) as the matte head would have them; scene (H, W, 3) is the clean picture, all in [0, 1].

    The opacity is blurred or shifted by a fraction of a pixel, and wrong by some percent, more in some places. Mostly the colour errs
    with it so that the mark's effect on the mean of the scene stays right, which is what the matte head sees.
    """
    if rng.random() < 0.5:
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.3, 0.9))
    if rng.random() < 0.3:
        shift = np.array([[1, 0, rng.normal(0, 0.25)], [0, 1, rng.normal(0, 0.25)]])
        alpha = cv2.warpAffine(alpha, shift, alpha.shape[::-1])
    coarse = cv2.resize(rng.normal(0, 1, (4, 4)).astype(np.float32), alpha.shape[::-1], interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.normal(0, 1, alpha.shape).astype(np.float32), (0, 0), 1.5) * 5
    wrong = rng.choice([0.3, 1, 2]) * (rng.normal(0, 0.04) + 0.04 * coarse + 0.03 * fine)
    opacity = np.clip(alpha * (1 + wrong), 0, 1).astype(np.float32)
    if rng.random() < 0.7:
        usual = cv2.GaussianBlur(scene, (0, 0), 8)
        colour = usual + (alpha / np.maximum(opacity, 0.05))[..., None] * (colour - usual)
    return opacity, np.clip(colour + rng.normal(0, 0.02, 3), 0, 1).astype(np.float32)
