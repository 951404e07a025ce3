"""Pre-processing of the networks' inputs, shared by training and serving. In NumPy and OpenCV, without torch."""

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats
from models.blend import detail_pixels, fit_blend, local_scene
from models.spec import MATTE_STATISTICS

Scalar = TypeVar("Scalar", bound=np.generic)

ANALYSIS_LONG_SIDE_PIXELS = 640
MATTE_SIDE_PIXELS = 800  # of the largest square that the matte network gets at once: each pixel takes it about 800 bytes
SEGMENTER_FRAMES = 4


def pull_push(values: Floats, valid: Floats) -> Floats:
    """Fill (H, W, C) where `valid` (H, W) is 0, from coarser and coarser averages of the valid pixels (Gortler et al. 1996)."""
    height, width = valid.shape
    weight = cv2.merge([valid] * values.shape[2]).reshape(values.shape)  # NumPy is slow where it repeats values over the last axis
    filled: Floats = (values * weight).astype(np.float32, copy=False)
    if min(height, width) <= 2:
        mean = filled.sum((0, 1)) / max(float(valid.sum()), 1e-6)
        coarse = np.broadcast_to(mean, values.shape).astype(np.float32)
    else:
        size = ((width + 1) // 2, (height + 1) // 2)
        sums, small_weight = (cv2.resize(x, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False) for x in (filled, valid))
        sums = sums.reshape(size[1], size[0], -1)
        means = sums / cv2.merge([np.maximum(small_weight, np.float32(1e-6))] * values.shape[2]).reshape(sums.shape)
        pushed = pull_push(means.astype(np.float32, copy=False), np.minimum(small_weight * 4, 1).astype(np.float32, copy=False))
        resized = cv2.resize(pushed, (width, height), interpolation=cv2.INTER_LINEAR).reshape(values.shape)
        coarse = resized.astype(np.float32, copy=False)
    np.subtract(np.float32(1), weight, out=weight)
    coarse *= weight
    filled += coarse
    return filled


def filled_from_around(crop: Floats, known: Floats) -> Floats:
    """The crop (3, h, w), filled by `pull_push` where `known` (h, w) is 0."""
    filled = pull_push(cv2.merge(list(crop)), known)
    return np.stack(cv2.split(filled))


def matte_statistics(marked: Floats, probability: Floats, unmarked: Floats) -> Floats:
    """The matte network's input for one placement: statistics over its frames.

    marked: (N, 3, h, w) float32 RGB in [0, 1], crops from the placement's interval. probability: (h, w) in [0, 1] that a pixel is mark.
    unmarked: (M, 3, h, w) crops of the same place without the mark; M may be 0. Returns (MATTE_STATISTICS, h, w) float32.
    """
    hole: Floats = cv2.dilate((probability > 0.3).astype(np.float32), np.ones((5, 5), np.uint8)).astype(np.float32, copy=False)
    sums, blend, movement = OpacitySums(marked.shape[1:]), BlendSums(probability), _Movement(probability.shape)
    for crop in marked:
        fill = filled_from_around(crop, 1 - hole)
        sums.add(crop, fill)
        blend.add(crop, fill)
        movement.add(crop.mean(0), fill.mean(0))
    mean, around = sums.marked / len(marked), sums.scene / len(marked)
    spread, transmittance = movement.spread_and_transmittance()
    background = unmarked.mean(0) if len(unmarked) else around
    level, *pooled, explained = blend.solve()
    of_means = OpacitySums(marked.shape[1:])
    of_means.add(mean, background)
    white, black = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
    statistics = np.empty((MATTE_STATISTICS, *probability.shape), np.float32)
    statistics[0] = probability
    statistics[1:4], statistics[4:7] = mean - 0.5, around - 0.5
    statistics[7:10], statistics[10:13] = mean - around, background - mean
    statistics[13] = min(len(unmarked), 4) / 4
    statistics[14], statistics[15] = 4 * spread, np.clip(transmittance, -1, 2)
    for row, value in enumerate((level, *pooled, explained), 16):
        statistics[row] = value
    for row, (of, colour) in enumerate(((sums, white), (sums, black), (sums, pooled), (of_means, white), (of_means, pooled)), 21):
        statistics[row] = of.opacity_of(colour)
    del sums, of_means, movement, background, mean, around  # each as large as three of the pictures
    for row, values in enumerate(tentative_blend(marked, probability), 26):
        statistics[row] = values[0]
    return statistics


class _Movement:
    """How the grey of crops and of their fills (h, w) changes together. Sums are of differences from the first, which keeps them exact."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._count = 0
        self._first: tuple[Floats, Floats] | None = None
        self._grey, self._around, self._grey_square, self._around_square, self._product = np.zeros((5, *shape), np.float32)

    def add(self, grey: Floats, around: Floats) -> None:
        """Take in one crop and its fill."""
        first_grey, first_around = self._first = self._first or (grey, around)
        self._count += 1
        grey, around = grey - first_grey, around - first_around
        for total, values in ((self._grey, grey), (self._around, around)):
            total += values
        for total, one, other in (
            (self._grey_square, grey, grey),
            (self._around_square, around, around),
            (self._product, grey, around),
        ):
            cv2.accumulateProduct(one, other, total)

    def spread_and_transmittance(self) -> tuple[Floats, Floats]:
        """(h, w) each: the crops' standard deviation, and their slope against the fills: 1 - a where the scene moves."""
        count = np.float32(self._count)
        variance, variance_around, covariance = (
            square / count - one * other / count**2
            for square, one, other in (
                (self._grey_square, self._grey, self._grey),
                (self._around_square, self._around, self._around),
                (self._product, self._grey, self._around),
            )
        )
        return np.sqrt(np.maximum(variance, 0)), covariance / (np.maximum(variance_around, 0) + np.float32(1e-4))


def tentative_blend(marked: Floats, probability: Floats) -> list[Floats]:
    """Fit one opacity level and one colour to the segmenter's mask with `models.blend`: eight maps (1, h, w).

    marked: (N, 3, h, w) in [0, 1]; probability: (h, w). The maps are: the opacity of each pixel given that colour and the local scene, the
    same relative to the level, then as constants the level, 10 times its error, the RMS of such opacities just outside the mark, where
    they should be 0, and the colour's three channels.
    """
    blend = fit_blend(marked, probability, np.ones((3, *probability.shape), np.float32), start=0.4)
    colour = np.clip(1 + blend.shift, 0, 1).astype(np.float32)
    opacity, width, sums = np.minimum(blend.scale * probability, 1), detail_pixels(probability), OpacitySums(marked.shape[1:])
    for crop in marked:
        sums.add(crop, local_scene(crop[None], opacity, colour[:, None, None], width)[1][0])
    explained = sums.unclipped_opacity_of([float(c) for c in colour])
    beside = (probability < 0.02) & (cv2.dilate(probability, np.ones((25, 25), np.uint8)) > 0.3)
    noise = float(np.sqrt(np.mean(np.square(explained[beside])))) if beside.any() else 1.0
    levels = (blend.scale, 10 * blend.error, noise, *(float(c) for c in colour))
    maps = [np.clip(explained, -0.5, 1.5), np.clip(explained / max(blend.scale, 0.05), -0.5, 2)]
    return [m[None] for m in maps] + [np.full_like(probability, np.clip(level, 0, 3))[None] for level in levels]


class OpacitySums:
    """Sums over frames (3, h, w), of which the opacity of each pixel follows for any colour of the mark."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._count = 0
        self.marked, self.scene, self._product, self._square = np.zeros((4, *shape), np.float32)

    def add(self, marked: Floats, scene: Floats) -> None:
        """Take in a frame with the mark and the scene that is assumed behind it, both (3, h, w) in [0, 1]."""
        self._count += 1
        self.marked += marked
        self.scene += scene
        for channel in range(len(marked)):
            cv2.accumulateProduct(marked[channel], scene[channel], self._product[channel])
            cv2.accumulateSquare(scene[channel], self._square[channel])

    def opacity_of(self, colour: Sequence[float]) -> Floats:
        """The least-squares opacity (h, w) in [0, 1] of each pixel over all frames, given the mark's colour, RGB in [0, 1].

        Its errors are those of the assumed scene times (1 - a) / a, so it is sharp where the pooled slope is not.
        """
        return np.clip(self.unclipped_opacity_of(colour), 0, 1)

    def unclipped_opacity_of(self, colour: Sequence[float]) -> Floats:
        """`opacity_of` without the clip to [0, 1]."""
        explained: Floats = (self._square - self._product).sum(0)
        power: Floats = self._square.sum(0) + np.float32(1e-3 * self._count + self._count * sum(c * c for c in colour))
        for channel, value in enumerate(colour):
            explained += np.float32(value) * (self.marked[channel] - self.scene[channel])
            power -= np.float32(2 * value) * self.scene[channel]
        return explained / power


class BlendSums:
    """Sums over the pixels of a mark, of which its uniform opacity and colour follow. probability: (h, w)."""

    def __init__(self, probability: Floats) -> None:
        self._inside = probability > min(0.6, float(probability.max()) * 0.8)
        self._count = 0
        self._around, self._shift, self._around_square, self._shift_square, self._product = np.zeros((5, 3))  # by channel

    def add(self, marked: Floats, filled: Floats) -> None:
        """Take in a crop and the same with the mark's place filled, both (3, h, w) in [0, 1]."""
        around = filled[:, self._inside].astype(np.float64)  # (3, pixels)
        shift = marked[:, self._inside] - around
        self._count += around.shape[1]
        self._around += around.sum(1)
        self._shift += shift.sum(1)
        for total, one, other in (
            (self._around_square, around, around),
            (self._shift_square, shift, shift),
            (self._product, around, shift),
        ):
            total += (one * other).sum(1)

    def solve(self) -> tuple[float, float, float, float, float]:
        """Uniform opacity and colour by linear regression: (opacity, red, green, blue, explained share of the variance), each in [0, 1].

        Under a mark I - B = a * w - a * B, so the slope of I - B against the filled surroundings B, over all pixels and frames, is -a.
        Errors of the fill pull the slope towards -1; the explained share of the variance shows how reliable it is. All are 0 without a
        mark.
        """
        if not self._count:
            return 0.0, 0.0, 0.0, 0.0, 0.0
        around, shift = self._around / self._count, self._shift / self._count
        xx, yy, xy = (
            float((total - self._count * one * other).sum())
            for total, one, other in (
                (self._around_square, around, around),
                (self._shift_square, shift, shift),
                (self._product, around, shift),
            )
        )
        slope = xy / (xx + 1e-3)
        opacity = min(max(-slope, 0.0), 1.0)
        red, green, blue = np.clip((shift + opacity * around) / max(opacity, 0.1), 0, 1).tolist()
        explained = 1 - (yy - 2 * slope * xy + slope * slope * xx) / (yy + 1e-3)
        return opacity, red, green, blue, max(explained, 0.0)


def pooled_blend(marked: Floats, filled: Floats, probability: Floats) -> tuple[float, float, float, float, float]:
    """`BlendSums.solve` of all crops. marked, filled: (N, 3, h, w) in [0, 1]; probability: (h, w)."""
    sums = BlendSums(probability)
    for crop, fill in zip(marked, filled, strict=True):
        sums.add(crop, fill)
    return sums.solve()


def padded(array: Floats, multiple: int) -> Floats:
    """Pad (..., H, W) at the bottom and right to multiples of `multiple`, repeating the edges."""
    height, width = array.shape[-2:]
    return edge_padded(array, (0, -height % multiple), (0, -width % multiple))


def edge_padded(array: NDArray[Scalar], rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[Scalar]:
    """The array (..., h, w) with rows above and below, and columns left and right, that repeat its edges; itself where there are none.

    What `np.pad` does, which takes ten times as long for small arrays.
    """
    if not any((*rows, *columns)):
        return array
    (above, below), (left, right), (height, width) = rows, columns, array.shape[-2:]
    grown = np.empty((*array.shape[:-2], above + height + below, left + width + right), array.dtype)
    middle = grown[..., above : above + height, :]
    middle[..., :left], middle[..., left : left + width], middle[..., left + width :] = array[..., :1], array, array[..., -1:]
    grown[..., :above, :], grown[..., above + height :, :] = middle[..., :1, :], middle[..., -1:, :]
    return grown
