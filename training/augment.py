"""What happens to a marked clip on its way to the network: compression, and the errors of the steps before."""

from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocess import pull_push
from service.pipeline.measure.edge_alpha import EDGE_DEPTH_PIXELS, MIN_OPACITY_SIGMA, SURROUNDINGS_KERNEL_PIXELS

Frames = NDArray[np.uint8]
Floats = NDArray[np.float32]


CODECS = {"h264": "libx264", "h265": "libx265"}
X265_SILENT = "log-level=none:pools=none:frame-threads=1"  # and on one thread, so that equal frames give equal bytes


def compressed(frames: Frames, crf: int, preset: str = "veryfast", codec: str = "h264") -> Frames:
    """(T, H, W, 3) uint8 RGB through x264 or x265, 4:2:0, and back; H and W must be even."""
    encoder = av.CodecContext.create(CODECS[codec], "w")
    encoder.width, encoder.height, encoder.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"crf": str(crf), "preset": preset}
    if codec == "h264":  # macroblock trees read uninitialised memory: other bytes each time
        encoder.options |= {"threads": "1", "mbtree": "0"}
    else:
        encoder.options |= {"x265-params": X265_SILENT}
    decoder = av.CodecContext.create("h264" if codec == "h264" else "hevc", "r")
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


def has_codec(codec: str) -> bool:
    """Whether this build of FFmpeg can encode it."""
    return CODECS[codec] in av.codecs_available


def published(frames: Frames, rng: np.random.Generator, rescaled_share: float = 0.0) -> Frames:
    """What a platform makes of the (T, H, W, 3) frames: one compression or two, H.264 or H.265; a share is scaled down and up between."""
    if rng.random() < 0.15:
        frames = compressed(frames, random_crf(rng), "superfast")
    if rng.random() < rescaled_share:
        frames = softened(frames, rng.uniform(0.5, 0.95))
    if rng.random() < 0.12 and has_codec("h265"):
        return compressed(frames, random_crf(rng) + 2, "ultrafast", "h265")
    return compressed(frames, random_crf(rng), "superfast" if rng.random() < 0.7 else "veryfast")


def softened(frames: Frames, scale: float) -> Frames:
    """Scaled down and up again: (T, H, W, 3) of the same size."""
    size = frames.shape[2], frames.shape[1]
    small = max(2, round(size[0] * scale)), max(2, round(size[1] * scale))
    return np.stack(
        [cv2.resize(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), size, interpolation=cv2.INTER_CUBIC) for frame in frames]
    )


def grained(frames: Frames, rng: np.random.Generator) -> Frames:
    """With the noise of a sensor or the grain of film, other in each frame: grey or coloured, 1 to 10 of 255."""
    channels, tile = int(rng.choice([1, 3])), 192
    noise = np.rint(rng.normal(0, np.exp(rng.uniform(0, 2.3)), (tile, tile, channels))).astype(np.int16)
    if rng.random() < 0.4:
        noise = np.rint(cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 0.8) * 2).astype(np.int16).reshape(noise.shape)
    repeats = frames.shape[1] // tile + 2, frames.shape[2] // tile + 2
    sheet = np.tile(np.broadcast_to(noise, (tile, tile, 3)), (*repeats, 1))
    grainy = []
    for frame in frames:
        top, left = (int(start) for start in rng.integers(0, tile, 2))
        window = sheet[top : top + frame.shape[0], left : left + frame.shape[1]]
        grainy.append(cv2.add(np.ascontiguousarray(frame), np.ascontiguousarray(window), dtype=cv2.CV_8U))
    return np.stack(grainy)


def weathered(frames: Frames, rng: np.random.Generator) -> Frames:
    """The clean clip as a cheap camera or an earlier copy gives it: sometimes soft, sometimes grainy. Mostly unchanged."""
    if rng.random() < 0.12:
        frames = softened(frames, rng.uniform(0.35, 0.9))
    return grained(frames, rng) if rng.random() < 0.2 else frames


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
    return int(rng.choice([16, 17, 18, 18, 20, 20, 22, 23, 24, 26, 28, 31, 34]))


def flipped(arrays: list[NDArray[np.float32]], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """All arrays (..., H, W) mirrored or not, alike."""
    if rng.random() < 0.5:
        arrays = [a[..., ::-1] for a in arrays]
    if rng.random() < 0.3:
        arrays = [a[..., ::-1, :] for a in arrays]
    return [np.ascontiguousarray(a) for a in arrays]


def misjudged(alpha: Floats, spread: Floats, colour: Floats, scene: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Opacity (H, W), colour (H, W, 3) and doubt (H, W) as the matte head would have them; scene (H, W, 3) is clean; all in [0, 1].

    The opacity is blurred or shifted by a fraction of a pixel, and wrong by some percent, more in some places. Mostly the colour errs
    with it so that the mark's effect on the mean of the scene stays right, which is what the matte head sees. The doubt tells how wrong
    it may be, with errors of its own; `spread` (H, W) is how far an animated mark's frames differ from its mean.
    """
    true = alpha
    if rng.random() < 0.4:
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.3, 0.8))
    if rng.random() < 0.3:
        shift = np.array([[1, 0, rng.normal(0, 0.2)], [0, 1, rng.normal(0, 0.2)]])
        alpha = cv2.warpAffine(alpha, shift, alpha.shape[::-1])
    coarse = cv2.resize(rng.normal(0, 1, (4, 4)).astype(np.float32), alpha.shape[::-1], interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.normal(0, 1, alpha.shape).astype(np.float32), (0, 0), 1.5) * 5
    scale = float(rng.choice([0.1, 0.3, 1, 2]))
    wrong = scale * (rng.normal(0, 0.04) + 0.04 * coarse + 0.03 * fine)
    opacity = np.clip(alpha * (1 + wrong), 0, 1).astype(np.float32)
    if rng.random() < 0.7:
        usual = cv2.GaussianBlur(scene, (0, 0), 8)
        colour = usual + (alpha / np.maximum(opacity, 0.05))[..., None] * (colour - usual)
    colour = np.clip(colour + rng.normal(0, 0.02 * min(scale, 1), 3), 0, 1).astype(np.float32)
    likely = np.sqrt((0.064 * scale * alpha) ** 2 + spread**2 + (0.7 * (alpha - true)) ** 2)
    doubt = cv2.GaussianBlur(likely, (0, 0), 1.0) * np.exp(rng.normal(0.15, 0.5))  # the head doubts faint marks too much
    return opacity, colour, np.clip(doubt, 0, 1).astype(np.float32)


def rimmed(alpha: Floats, colour: Floats, scene: Floats, mask: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Opacity (H, W), colour (H, W, 3) and doubt (H, W) of a mark that hides the scene, as the service has them: opaque but at its rim.

    alpha: the true opacity; scene (H, W, 3) is clean; mask (H, W): where the mark may be. A pixel of the rim counts as un-blended where
    the likely error of its opacity does less harm than a fill's, as in the service's step of the same name; the doubt knows little of
    that error.
    """
    error = np.exp(rng.uniform(np.log(0.05), np.log(0.3)))
    noise = cv2.GaussianBlur(rng.normal(0, 1, alpha.shape).astype(np.float32), (0, 0), 0.6) * 2.2
    seen = np.clip(alpha * rng.uniform(0.65, 1.05) + error * noise, 0, 1)  # the head sees too little of it
    spread = pull_push(np.ascontiguousarray(colour, np.float32), (alpha > 0.3).astype(np.float32))
    shade = cv2.GaussianBlur(spread, (0, 0), rng.uniform(0.4, 1.0)) if rng.random() < 0.5 else spread
    shade = np.clip(shade + rng.normal(0, 0.03, 3), 0, 1).astype(np.float32)
    fill = pull_push(scene, 1 - mask)
    around = (SURROUNDINGS_KERNEL_PIXELS, SURROUNDINGS_KERNEL_PIXELS)
    power = cv2.blur(np.square(scene - fill).mean(2) * mask, around) / np.maximum(cv2.blur(mask, around), 0.01) + 1e-4
    harm = error**2 * np.square(shade - fill).mean(2) + 1e-3
    worth = power / (power + harm / np.square(np.maximum(1 - seen, MIN_OPACITY_SIGMA))) > rng.uniform(0.15, 0.35)
    deep = cv2.distanceTransform((alpha > 0.15).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > EDGE_DEPTH_PIXELS
    opacity = np.where(worth & ~deep, seen, 1).astype(np.float32)
    doubt = np.clip(0.1 * np.exp(rng.normal(0, 0.4)) * (1 + 0.3 * noise), MIN_OPACITY_SIGMA, 0.3).astype(np.float32)
    return opacity * mask, shade, doubt * mask
