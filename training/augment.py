"""Augmentation of marked clips: compression, camera defects, and the errors of the preceding steps of the pipeline."""

from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocess import pull_push
from service.pipeline.measure.noise import MIN_OPACITY_SIGMA

Frames = NDArray[np.uint8]
Floats = NDArray[np.float32]

CODECS = {"h264": "libx264", "h265": "libx265"}
SATURATION_SHARE, MAX_SATURATION = 0.3, 3.0  # share of the scenes that are greyer or more garish than filmed, which is 1
EDGE_DEPTH_PIXELS = 2.1  # from the outline of an opaque mark inwards: deeper, the service takes it as opaque
PICTURE_QUALITY = (60, 95)  # of JPEG and WebP, as platforms and phones use them
X265_SILENT = "log-level=none:pools=none:frame-threads=1"  # a single thread, so that equal frames give equal bytes


def compressed(frames: Frames, crf: int, preset: str = "veryfast", codec: str = "h264") -> Frames:
    """Encode (T, H, W, 3) uint8 RGB with x264 or x265 in 4:2:0, and decode it; H and W must be even. Deterministic."""
    encoder = av.CodecContext.create(CODECS[codec], "w")
    encoder.width, encoder.height, encoder.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"crf": str(crf), "preset": preset}
    if codec == "h264":  # the macroblock tree reads uninitialised memory, so its output is not deterministic
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
    """Whether this build of FFmpeg can encode the codec."""
    return CODECS[codec] in av.codecs_available


def recompressed(frames: Frames, rng: np.random.Generator, rescaled_share: float = 0.0) -> Frames:
    """Compress (T, H, W, 3) frames as a platform does: once or twice, H.264 or H.265, a share of them scaled down and up in between."""
    if rng.random() < 0.15:
        frames = compressed(frames, random_crf(rng), "superfast")
    if rng.random() < rescaled_share:
        frames = rescaled(frames, rng.uniform(0.5, 0.95))
    if rng.random() < 0.12 and has_codec("h265"):
        return compressed(frames, random_crf(rng) + 2, "ultrafast", "h265")
    return compressed(frames, random_crf(rng), "superfast" if rng.random() < 0.7 else "veryfast")


def as_picture(frame: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Compress a (H, W, 3) RGB picture as JPEG or WebP of quality 60 to 95; some are scaled and compressed once more."""
    if rng.random() < 0.2:
        frame = rescaled(_coded(frame, rng)[None], rng.uniform(0.5, 0.95))[0]
    return _coded(frame, rng)


def _coded(frame: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    quality = int(rng.integers(PICTURE_QUALITY[0], PICTURE_QUALITY[1] + 1))
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if rng.random() < 0.75 else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    suffix, options = (
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, quality])
        if rng.random() < 0.25
        else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])
    )
    _, code = cv2.imencode(suffix, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    return cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def rescaled(frames: Frames, scale: float) -> Frames:
    """Scale (T, H, W, 3) down by `scale` and back up to its size."""
    size = frames.shape[2], frames.shape[1]
    small = max(2, round(size[0] * scale)), max(2, round(size[1] * scale))
    return np.stack(
        [cv2.resize(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), size, interpolation=cv2.INTER_CUBIC) for frame in frames]
    )


def with_grain(frames: Frames, rng: np.random.Generator) -> Frames:
    """Add sensor noise or film grain, new in each frame: grey or coloured, standard deviation 1 to 10 of 255."""
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


def degraded(frames: Frames, rng: np.random.Generator) -> Frames:
    """Degrade the clean clip as a cheap camera or an earlier copy does: sometimes soft, sometimes grainy, mostly unchanged."""
    if rng.random() < 0.12:
        frames = rescaled(frames, rng.uniform(0.35, 0.9))
    return with_grain(frames, rng) if rng.random() < 0.2 else frames


def recoloured(frames: Frames, rng: np.random.Generator) -> Frames:
    """Change the light of (T, H, W, 3): gain and gamma per channel, sometimes permuted channels; often unchanged.

    Some scenes become anything from grey to garish, before a mark is drawn, so that a mark's colours say something but not all.
    """
    if rng.random() < SATURATION_SHARE:
        frames = _saturated(frames, rng.uniform(0, MAX_SATURATION))
    if rng.random() < 0.4:
        return frames
    ramp = np.arange(256, dtype=np.float32) / 255
    gains, gammas = rng.uniform(0.7, 1.2) * rng.uniform(0.85, 1.15, 3), rng.uniform(0.7, 1.5) * rng.uniform(0.9, 1.1, 3)
    table = np.stack([np.clip(gain * ramp**gamma, 0, 1) for gain, gamma in zip(gains, gammas, strict=True)], 1)
    table = np.rint(255 * table).astype(np.uint8)
    order = rng.permutation(3) if rng.random() < 0.2 else np.arange(3)
    return np.stack([cv2.LUT(np.ascontiguousarray(frame[..., order]), table[:, None][None].reshape(1, 256, 3)) for frame in frames])


def _saturated(frames: Frames, saturation: float) -> Frames:
    """Colours `saturation` times as far from grey; 1 is as filmed."""
    share = np.float32((1 - saturation) / 3)
    mix = np.full((3, 3), share, np.float32) + np.eye(3, dtype=np.float32) * np.float32(saturation)
    return np.stack([cv2.transform(frame, mix) for frame in frames])


def random_crf(rng: np.random.Generator) -> int:
    """A random constant rate factor: mostly good quality, as in uploads; sometimes poor."""
    return int(rng.choice([16, 17, 18, 18, 20, 20, 22, 23, 24, 26, 28, 31, 34]))


def flipped(arrays: list[NDArray[np.float32]], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Mirror all arrays (..., H, W) in the same random way, or not."""
    if rng.random() < 0.5:
        arrays = [a[..., ::-1] for a in arrays]
    if rng.random() < 0.3:
        arrays = [a[..., ::-1, :] for a in arrays]
    return [np.ascontiguousarray(a) for a in arrays]


def with_matte_errors(
    alpha: Floats, spread: Floats, colour: Floats, scene: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Opacity (H, W), colour (H, W, 3) and opacity sigma (H, W) with the matte network's typical errors; all in [0, 1].

    alpha (H, W) and colour are the truth; scene (H, W, 3) is clean; `spread` (H, W) is the standard deviation of an animated mark's frames.
    The opacity is blurred or shifted by a fraction of a pixel, and wrong by some percent, more in some places. Mostly the colour errs in
    the opposite direction, so that the mark's effect on the mean of the scene stays right, which is what the matte network sees. The
    opacity sigma follows these errors, with errors of its own.
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
    relative_error = scale * (rng.normal(0, 0.04) + 0.04 * coarse + 0.03 * fine)
    opacity = np.clip(alpha * (1 + relative_error), 0, 1).astype(np.float32)
    if rng.random() < 0.7:
        smooth = cv2.GaussianBlur(scene, (0, 0), 8)
        colour = smooth + (alpha / np.maximum(opacity, 0.05))[..., None] * (colour - smooth)
    colour = np.clip(colour + rng.normal(0, 0.02 * min(scale, 1), 3), 0, 1).astype(np.float32)
    error = np.sqrt((0.064 * scale * alpha) ** 2 + spread**2 + (0.7 * (alpha - true)) ** 2)
    opacity_sigma = cv2.GaussianBlur(error, (0, 0), 1.0) * np.exp(rng.normal(0.15, 0.5))  # the network overestimates it on faint marks
    return opacity, colour, np.clip(opacity_sigma, 0, 1).astype(np.float32)


def with_edge_alpha(alpha: Floats, colour: Floats, mask: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Opacity (H, W), colour (H, W, 3) and opacity sigma (H, W) of an opaque mark as the service measures it: 1 but for its edge.

    alpha (H, W) and colour are the truth; mask (H, W) of 0 and 1 is where the mark may be; all in [0, 1]. The edge has the opacity that the
    matte network predicts, with its errors, as in `measure.edge_alpha`. The opacity sigma is only loosely related to them.
    """
    error = np.exp(rng.uniform(np.log(0.05), np.log(0.3)))
    noise = cv2.GaussianBlur(rng.normal(0, 1, alpha.shape).astype(np.float32), (0, 0), 0.6) * 2.2
    predicted = np.clip(alpha * rng.uniform(0.65, 1.05) + error * noise, 0, 1)  # the network underestimates edges
    extended = pull_push(np.ascontiguousarray(colour, np.float32), (alpha > 0.3).astype(np.float32))
    shade = cv2.GaussianBlur(extended, (0, 0), rng.uniform(0.4, 1.0)) if rng.random() < 0.5 else extended
    shade = np.clip(shade + rng.normal(0, 0.03, 3), 0, 1).astype(np.float32)
    deep = cv2.distanceTransform((alpha > 0.15).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > EDGE_DEPTH_PIXELS
    opacity = np.where(deep, 1, predicted).astype(np.float32)
    opacity_sigma = np.clip(0.1 * np.exp(rng.normal(0, 0.4)) * (1 + 0.3 * noise), MIN_OPACITY_SIGMA, 0.3).astype(np.float32)
    return opacity * mask, shade, opacity_sigma * mask
