"""The opacity level and the colour of a mark whose shape is known: those that make its outline vanish. In NumPy and OpenCV.

The scene's fine detail is not correlated with the mark's. With I the picture, B the scene, a the opacity and w the colour,
I = B + a * (w - B). Detail is what remains when a local mean is subtracted; of it, only the detail of the mark's effect a * (w - B)
follows the mark's shape. So the factor of the opacity and the shift of the colour are the coefficients of a linear regression of the
picture's detail on the effect's, over all frames and all pixels near the mark, each weighted by the inverse of the scene's detail there.
Unlike a comparison with a fill, this has no bias: the local scene is the un-blended picture itself.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats

ITERATIONS = 4  # each estimates the scene with the opacity of the one before
DETAIL_NOISE = 1e-4  # mean square of the detail that H.264 leaves in a flat scene
COLOUR_RIDGE = 0.003  # share added to the colour's normal equations: in a scene of one shade, opacity and colour are ambiguous
OPACITY_LIMIT = 0.95
PRIOR_SHARE = 0.02  # of a square of pixels: the weight of the overall mean in a local mean of known pixels
SCALE_RANGE = (0.1, 3.0)
MAX_VALUES = 2_000_000  # pixels of all frames together; with more, frames are skipped
CORRELATED_PIXELS = 12.0  # neighbouring pixels and frames whose errors are correlated


@dataclass(frozen=True)
class Blend:
    """scale: factor for the assumed opacity. shift: (3,) added to the assumed colour. error: standard deviation of `scale`, at most 1."""

    scale: float
    shift: Floats
    error: float


def fit_blend(crops: Floats, opacity: Floats, colour: Floats, start: float = 1.0) -> Blend:
    """Fit the factor and the shift with which a mark of this shape explains the crops.

    crops: (N, 3, h, w) float32 RGB in [0, 1] with the mark. opacity: (h, w) in [0, 1], correct up to a factor. colour: (3, h, w) in
    [0, 1]. `start`: the factor of the first iteration. Without a mark (opacity 0 everywhere) the result is scale 1, error 1.
    """
    width = detail_pixels(opacity)
    area = neighbourhood(opacity, width)
    if area is None:
        return Blend(1.0, np.zeros(3, np.float32), 1.0)
    max_frames = max(1, MAX_VALUES // (crops.shape[2] * crops.shape[3]))
    near = reach(area, width)
    chosen, opacity, colour, area = (values[(..., *near)] for values in (subsample(crops, max_frames), opacity, colour, area))
    fit = _Regression(chosen, opacity, colour, area, width)
    blend = Blend(start, np.zeros(3, np.float32), 1.0)
    for _ in range(ITERATIONS):
        blend = fit.after(blend)
    return blend


def subsample(crops: Floats, max_count: int) -> Floats:
    """At most `max_count` of the crops (N, ...), evenly spaced."""
    chosen: Floats = crops[np.unique(np.linspace(0, len(crops) - 1, min(max_count, len(crops))).round().astype(int))]
    return chosen


def detail_pixels(opacity: Floats) -> int:
    """Side in pixels, odd, of the local mean that separates detail: a little wider than the strokes of the mark (h, w)."""
    mask = opacity > 0.3 * float(opacity.max())
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    thickness = 2 * float(np.percentile(depth[mask], 90)) if mask.any() else 4.0
    return 2 * int(np.clip(round(0.9 * thickness), 3, 12)) + 1


class Unblending:
    """What a mark of this opacity (h, w) and colour (3, h, w), both in [0, 1], hides, given pictures of it."""

    def __init__(self, opacity: Floats, colour: Floats) -> None:
        a = np.clip(opacity, 0, OPACITY_LIMIT)
        self._tint, self._transmittance = a * colour, 1 - a

    def of(self, crops: Floats) -> Floats:
        """The un-blended crops (..., 3, h, w)."""
        unblended = (crops - self._tint).astype(np.float32, copy=False)
        unblended /= self._transmittance
        return np.clip(unblended, -0.2, 1.2, out=unblended)


def local_scene(crops: Floats, opacity: Floats, colour: Floats, width: int) -> tuple[Floats, Floats]:
    """The un-blended crops (N, 3, h, w), and their local mean (N, 3, h, w): the scene under and around the mark without its detail."""
    unblended = Unblending(opacity, colour).of(crops)
    return unblended, local_mean(unblended, width)


def local_mean(values: Floats, width: int) -> Floats:
    """Average (..., h, w) over squares of `width` pixels."""
    means = np.empty(values.shape, np.float32)
    for place in np.ndindex(values.shape[:-2]):
        cv2.blur(values[place], (width, width), dst=means[place])
    return means


def mean_of_known(values: Floats, known: Floats, width: int) -> Floats:
    """Average (..., h, w) over the known pixels, where `known` (h, w) is 1, of squares of `width` pixels.

    Where a square has few known pixels the mean of all of them decides: it has the weight of PRIOR_SHARE of a square.
    """
    weighted = values * known
    overall = weighted.sum((-2, -1), keepdims=True) / max(float(known.sum()), 1.0)
    mean: Floats = (local_mean(weighted, width) + PRIOR_SHARE * overall) / (local_mean(known, width) + PRIOR_SHARE)
    return mean.astype(np.float32, copy=False)


def neighbourhood(opacity: Floats, width: int) -> Floats | None:
    """(h, w) of 0 and 1: the mark and the pixels near it; None if there is no mark."""
    mask = (opacity > 0.02).astype(np.float32)
    if not mask.any():
        return None
    return cv2.dilate(mask, np.ones((2 * width + 1, 2 * width + 1), np.uint8)).astype(np.float32, copy=False)


def reach(area: Floats, width: int) -> tuple[slice, slice]:
    """The rows and columns of all that the two local means at the pixels of an area (h, w) depend on."""
    rows, columns = (np.flatnonzero(area.any(axis)) for axis in (1, 0))
    return slice(max(0, int(rows[0]) - width), int(rows[-1]) + 1 + width), slice(
        max(0, int(columns[0]) - width), int(columns[-1]) + 1 + width
    )


class _Regression:
    """The weighted regressions of one fit. What does not change from one to the next is computed once."""

    def __init__(self, crops: Floats, opacity: Floats, colour: Floats, area: Floats, width: int) -> None:
        self._crops, self._opacity, self._colour, self._area, self._width = crops, opacity, colour, area, width
        self._detail = opacity - local_mean(opacity, width)
        self._crop_details = [crop - local_mean(crop, width) for crop in crops]

    def after(self, previous: Blend) -> Blend:
        """One regression, at the opacity and colour of the one before. Unknowns: the factor, and the three shifts times the factor."""
        shade = np.clip(self._colour + previous.shift[:, None, None], 0, 1)
        opacity = np.minimum(previous.scale * self._opacity, 1)
        normal, right_side = np.zeros((4, 4)), np.zeros(4)
        unblending = Unblending(opacity, shade)
        for crop, crop_detail in zip(self._crops, self._crop_details, strict=True):
            unblended = unblending.of(crop)
            scene = local_mean(unblended, self._width)
            weight = self._weight(np.subtract(unblended, scene, out=unblended))
            self._add(normal, right_side, crop_detail, self._effect(shade, scene), weight)
        normal[[1, 2, 3], [1, 2, 3]] *= 1 + COLOUR_RIDGE
        solution = np.linalg.solve(normal + 1e-9 * np.eye(4), right_side)
        error = float(np.sqrt(CORRELATED_PIXELS * np.linalg.inv(normal + 1e-9 * np.eye(4))[0, 0]))
        scale = float(np.clip(solution[0], *SCALE_RANGE))
        shift = np.clip(previous.shift + solution[1:] / scale, -1, 1).astype(np.float32)
        return Blend(scale, shift, min(error, 1.0))

    def _effect(self, shade: Floats, scene: Floats) -> Floats:
        """The detail (3, h, w) of the mark's effect on the local scene, in whose place it is computed."""
        effect = np.subtract(shade, scene, out=scene)
        effect *= self._opacity
        effect -= local_mean(effect, self._width)
        return effect

    def _weight(self, scene_detail: Floats) -> Floats:
        """(h, w): the inverse of the scene's detail (3, h, w) near the mark, 0 elsewhere; overwrites that detail."""
        detail = local_mean(np.square(scene_detail, out=scene_detail).mean(0), self._width)
        detail += np.float32(DETAIL_NOISE)
        return np.divide(self._area, detail, out=detail)

    def _add(
        self, normal: NDArray[np.float64], right_side: NDArray[np.float64], crop_detail: Floats, effect: Floats, weight: Floats
    ) -> None:
        """Add one crop's pixels to the normal equations (4, 4) and their right side (4,)."""
        weighted_detail, weighted_effect = weight * self._detail, weight * effect
        cross = (effect * weighted_detail).sum((1, 2))
        normal[0, 0] += float((weighted_effect * effect).sum())
        normal[0, 1:] += cross
        normal[1:, 0] += cross
        normal[[1, 2, 3], [1, 2, 3]] += float((weighted_detail * self._detail).sum())
        right_side += [float((weighted_effect * crop_detail).sum()), *(weighted_detail * crop_detail).sum((1, 2))]
