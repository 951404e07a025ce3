"""How opaque a mark is, and of what colour, given its shape: the level that makes its outline vanish. In NumPy and OpenCV.

The scene does not know where the mark is: its fine detail is not correlated with the mark's. With I the picture, B the scene, a the
opacity and w the colour, I = B + a * (w - B); of the fine detail (what a local mean takes away) only that of the mark's effect
a * (w - B) goes with the mark's shape. So the factor of the opacity and the shift of the colour are the coefficients of a linear
regression of the picture's detail on the effect's, over all pixels near the mark and all frames, each weighed by how little detail the
scene has there. Unlike a comparison with a fill of the mark's place this has no bias: the local scene is the un-blended picture itself.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

ROUNDS = 4  # each takes the scene from the opacity of the one before
DETAIL_NOISE = 1e-4  # mean square of the detail that H.264 alone leaves in a flat scene
COLOUR_INERTIA = 0.003  # of the evidence for a colour: where the scene has one shade only, opacity and colour cannot be told apart
OPACITY_LIMIT = 0.95
SCALES = (0.1, 3.0)
MOST_VALUES = 2_000_000  # pixels of all frames together that are looked at; of more, fewer frames
CORRELATED_PIXELS = 12.0  # neighbouring pixels and frames that err together


@dataclass(frozen=True)
class Blend:
    """scale: factor of the assumed opacity. shift: (3) what is added to the assumed colour. error: likely error of `scale`."""

    scale: float
    shift: Array
    error: float


def explain(crops: Array, opacity: Array, colour: Array, start: float = 1.0) -> Blend:
    """The factor and the shift by which a mark of this shape explains the crops.

    crops: (N, 3, h, w) RGB in [0, 1] with the mark. opacity: (h, w) in [0, 1], right but for its level. colour: (3, h, w) in [0, 1].
    `start`: the factor that is tried first.
    """
    width = detail_pixels(opacity)
    area = _around(opacity, width)
    if area is None:
        return Blend(1.0, np.zeros(3, np.float32), 1.0)
    most = max(1, MOST_VALUES // (crops.shape[2] * crops.shape[3]))
    chosen = some_of(crops, most)
    blend = Blend(start, np.zeros(3, np.float32), 1.0)
    for _ in range(ROUNDS):
        blend = _round(chosen, opacity, colour, area, width, blend)
    return blend


def some_of(crops: Array, most: int) -> Array:
    """At most so many of the crops (N, ...), evenly over all."""
    some: Array = crops[np.unique(np.linspace(0, len(crops) - 1, min(most, len(crops))).round().astype(int))]
    return some


def detail_pixels(opacity: Array) -> int:
    """Side of the local mean whose difference is detail: a little wider than the mark's strokes."""
    mask = opacity > 0.3 * float(opacity.max())
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    thickness = 2 * float(np.percentile(depth[mask], 90)) if mask.any() else 4.0
    return 2 * int(np.clip(round(0.9 * thickness), 3, 12)) + 1


def local_scene(crops: Array, opacity: Array, colour: Array, width: int) -> tuple[Array, Array]:
    """The un-blended crops (N, 3, h, w), and their local mean, which is what the scene is like under and around the mark."""
    a = np.clip(opacity, 0, OPACITY_LIMIT)
    unblended = np.clip((crops - a * colour) / (1 - a), -0.2, 1.2)
    return unblended.astype(np.float32, copy=False), np.stack([local_mean(crop, width) for crop in unblended])


def local_mean(values: Array, width: int) -> Array:
    """(..., h, w) averaged over squares of `width`."""
    if values.ndim == 2:
        return cv2.blur(values, (width, width)).astype(np.float32, copy=False)
    return np.stack([local_mean(value, width) for value in values])


def mean_of_known(values: Array, known: Array, width: int, inertia: float) -> Array:
    """(..., h, w) averaged over the known pixels, `known` (h, w) being 1, of squares of `width`; of all known ones where a square has few.

    `inertia`: the share of a square below which the others tell.
    """
    weighed = values * known
    overall = weighed.sum((-2, -1), keepdims=True) / max(float(known.sum()), 1.0)
    mean: Array = (local_mean(weighed, width) + inertia * overall) / (local_mean(known, width) + inertia)
    return mean.astype(np.float32, copy=False)


def _around(opacity: Array, width: int) -> Array | None:
    """(h, w) of 0 and 1: the mark and what is near it; None if there is no mark."""
    mask = (opacity > 0.02).astype(np.float32)
    if not mask.any():
        return None
    return cv2.dilate(mask, np.ones((2 * width + 1, 2 * width + 1), np.uint8)).astype(np.float32, copy=False)


def _round(crops: Array, opacity: Array, colour: Array, area: Array, width: int, last: Blend) -> Blend:
    """One regression. Unknowns: the factor, and the three shifts times the factor."""
    shade = np.clip(colour + last.shift[:, None, None], 0, 1)
    unblended, scene = local_scene(crops, np.minimum(last.scale * opacity, 1), shade, width)
    detail = opacity - local_mean(opacity, width)
    normal, right = np.zeros((4, 4)), np.zeros(4)
    for crop, bare, around in zip(crops, unblended, scene, strict=True):
        effect = opacity * (shade - around)
        effect = effect - local_mean(effect, width)
        seen = crop - local_mean(crop, width)
        weight = area / (local_mean(np.square(bare - around).mean(0), width) + DETAIL_NOISE)
        cross = (weight * effect * detail).sum((1, 2))
        normal[0, 0] += float((weight * effect * effect).sum())
        normal[0, 1:] += cross
        normal[1:, 0] += cross
        normal[[1, 2, 3], [1, 2, 3]] += float((weight * detail * detail).sum())
        right += [float((weight * effect * seen).sum()), *(weight * detail * seen).sum((1, 2))]
    normal[[1, 2, 3], [1, 2, 3]] *= 1 + COLOUR_INERTIA
    found = np.linalg.solve(normal + 1e-9 * np.eye(4), right)
    error = float(np.sqrt(CORRELATED_PIXELS * np.linalg.inv(normal + 1e-9 * np.eye(4))[0, 0]))
    scale = float(np.clip(found[0], *SCALES))
    shift = np.clip(last.shift + found[1:] / scale, -1, 1).astype(np.float32)
    return Blend(scale, shift, min(error, 1.0))
