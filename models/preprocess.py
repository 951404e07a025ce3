"""Pre-processing of the networks' inputs, shared by training and serving. In NumPy and OpenCV, without torch."""

import cv2
import numpy as np

from models.arrays import Floats
from models.blend import detail_pixels, fit_blend, local_scene

ANALYSIS_LONG_SIDE_PIXELS = 640
SEGMENTER_FRAMES = 4


def pull_push(values: Floats, valid: Floats) -> Floats:
    """Fill (H, W, C) where `valid` (H, W) is 0, from coarser and coarser averages of the valid pixels (Gortler et al. 1996)."""
    height, width = valid.shape
    weighted, weight = values * valid[..., None], valid
    if min(height, width) <= 2:
        mean = weighted.sum((0, 1)) / max(float(weight.sum()), 1e-6)
        coarse = np.broadcast_to(mean, values.shape)
    else:
        size = ((width + 1) // 2, (height + 1) // 2)
        smaller, small_weight = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (weighted, weight))
        means = smaller.reshape(size[1], size[0], -1) / np.maximum(small_weight, 1e-6)[..., None]
        filled = pull_push(means.astype(np.float32, copy=False), np.minimum(small_weight * 4, 1).astype(np.float32, copy=False))
        coarse = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR).reshape(values.shape)
    result: Floats = (valid[..., None] * values + (1 - valid[..., None]) * coarse).astype(np.float32)
    return result


def matte_statistics(marked: Floats, probability: Floats, unmarked: Floats) -> Floats:
    """The matte network's input for one placement: statistics over its frames.

    marked: (N, 3, h, w) float32 RGB in [0, 1], crops from the placement's interval. probability: (h, w) in [0, 1] that a pixel is mark.
    unmarked: (M, 3, h, w) crops of the same place without the mark; M may be 0. Returns (MATTE_STATISTICS, h, w) float32.
    """
    hole: Floats = cv2.dilate((probability > 0.3).astype(np.float32), np.ones((5, 5), np.uint8)).astype(np.float32, copy=False)
    filled = np.stack([pull_push(crop.transpose(1, 2, 0), 1 - hole).transpose(2, 0, 1) for crop in marked])
    mean, around = marked.mean(0), filled.mean(0)
    grey, grey_around = marked.mean(1), filled.mean(1)
    spread, spread_around = grey.std(0), grey_around.std(0)
    covariance = ((grey - grey.mean(0)) * (grey_around - grey_around.mean(0))).mean(0)
    transmittance = covariance / (spread_around**2 + 1e-4)  # 1 - a where the scene moves and the fill is right
    background = unmarked.mean(0) if len(unmarked) else around
    level, red, green, blue, explained = pooled_blend(marked, filled, probability)
    white, pooled = np.ones((3, 1, 1), np.float32), np.array([red, green, blue], np.float32)[:, None, None]
    rows = [
        probability[None],
        mean - 0.5,
        around - 0.5,
        mean - around,
        background - mean,
        np.full_like(probability, min(len(unmarked), 4) / 4)[None],
        (4 * spread)[None],
        np.clip(transmittance, -1, 2)[None],
        *(np.full_like(probability, value)[None] for value in (level, red, green, blue, explained)),
        *(opacity_of(colour, marked, filled)[None] for colour in (white, 0 * white, pooled)),
        *(opacity_of(colour, mean[None], background[None])[None] for colour in (white, pooled)),
        *tentative_blend(marked, probability),
    ]
    return np.concatenate(rows).astype(np.float32)


def tentative_blend(marked: Floats, probability: Floats) -> list[Floats]:
    """Fit one opacity level and one colour to the segmenter's mask with `models.blend`: eight maps (1, h, w).

    marked: (N, 3, h, w) in [0, 1]; probability: (h, w). The maps are: the opacity of each pixel given that colour and the local scene, the
    same relative to the level, then as constants the level, 10 times its error, the RMS of such opacities just outside the mark, where
    they should be 0, and the colour's three channels.
    """
    blend = fit_blend(marked, probability, np.ones((3, *probability.shape), np.float32), start=0.4)
    colour = np.clip(1 + blend.shift, 0, 1).astype(np.float32)[:, None, None]
    _, scene = local_scene(marked, np.minimum(blend.scale * probability, 1), colour, detail_pixels(probability))
    explained = _unclipped_opacity(colour, marked, scene)
    beside = (probability < 0.02) & (cv2.dilate(probability, np.ones((25, 25), np.uint8)) > 0.3)
    noise = float(np.sqrt(np.mean(np.square(explained[beside])))) if beside.any() else 1.0
    levels = (blend.scale, 10 * blend.error, noise, *(float(c) for c in colour[:, 0, 0]))
    maps = [np.clip(explained, -0.5, 1.5), np.clip(explained / max(blend.scale, 0.05), -0.5, 2)]
    return [m[None] for m in maps] + [np.full_like(probability, np.clip(level, 0, 3))[None] for level in levels]


def opacity_of(colour: Floats, marked: Floats, scene: Floats) -> Floats:
    """The least-squares opacity (h, w) in [0, 1] of each pixel over all frames, given the mark's colour (3, 1, 1) and the scene.

    marked, scene: (N, 3, h, w) in [0, 1]. Its errors are those of the assumed scene times (1 - a) / a, so it is sharp where the pooled
    slope is not.
    """
    result: Floats = np.clip(_unclipped_opacity(colour, marked, scene), 0, 1).astype(np.float32, copy=False)
    return result


def _unclipped_opacity(colour: Floats, marked: Floats, scene: Floats) -> Floats:
    """`opacity_of` without the clip to [0, 1]."""
    effect = colour - scene
    explained: Floats = ((marked - scene) * effect).sum((0, 1)) / ((effect * effect).sum((0, 1)) + 1e-3 * len(marked))
    return explained


def pooled_blend(marked: Floats, filled: Floats, probability: Floats) -> tuple[float, float, float, float, float]:
    """Uniform opacity and colour by linear regression: (opacity, red, green, blue, explained share of the variance), each in [0, 1].

    marked, filled: (N, 3, h, w) in [0, 1]; probability: (h, w). Under a mark I - B = a * w - a * B, so the slope of I - B against the
    filled surroundings B, over all pixels and frames, is -a. Errors of the fill pull the slope towards -1; the explained share of the
    variance shows how reliable it is. All are 0 without a mark.
    """
    inside = probability > min(0.6, float(probability.max()) * 0.8)
    if not inside.any():
        return 0.0, 0.0, 0.0, 0.0, 0.0
    around, shift = filled[:, :, inside], (marked - filled)[:, :, inside]  # (N, 3, pixels)
    x, y = around - around.mean((0, 2), keepdims=True), shift - shift.mean((0, 2), keepdims=True)
    slope = float((x * y).sum() / ((x * x).sum() + 1e-3))
    opacity = min(max(-slope, 0.0), 1.0)
    colour = np.clip((shift.mean((0, 2)) + opacity * around.mean((0, 2))) / max(opacity, 0.1), 0, 1)
    explained = 1 - float(((y - slope * x) ** 2).sum() / ((y * y).sum() + 1e-3))
    return opacity, float(colour[0]), float(colour[1]), float(colour[2]), max(explained, 0.0)


def padded(array: Floats, multiple: int) -> Floats:
    """Pad (..., H, W) at the bottom and right to multiples of `multiple`, repeating the edges."""
    height, width = array.shape[-2:]
    grow = [(0, 0)] * (array.ndim - 2) + [(0, -height % multiple), (0, -width % multiple)]
    return np.pad(array, grow, mode="edge")
