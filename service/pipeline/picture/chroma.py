"""Undo a picture's chroma subsampling where a mark is. Pure.

A chroma sample that covers pixels of a mark and of the scene holds a mixture of both. Un-blended pixel by pixel, it leaves colour at the
mark's edges; as a neighbour of a hole, it is filled in. `at_full_size` gives each pixel the chroma that it would have without subsampling:
that of the scene is estimated from the samples, un-blended with the mean opacity of their pixels, and from a fill, by their inverse
variances; then the mark is laid over it again.
"""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from models.arrays import Floats, Mask
from models.blend import OPACITY_LIMIT, mean_of_known
from models.preprocess import edge_padded, filled_from_around
from service.pipeline.picture.colour import block_mean
from service.pipeline.video import VideoInfo

# Errors of a sample's chroma and of a fill's, chosen together on 15 frames of the evaluation's marks with their true opacity (decision 52):
# half or twice of either costs 0.5 to 2 dB on some of them.
SMEARED_SHARE: Final = 0.1  # of the difference of mark and scene: what codecs carry from one sample to the next
FILL_SHARE: Final = 1.5  # of the standard deviation of the chroma's detail around a hole
CODEC_NOISE: Final = 0.003  # standard deviation, of 1
DETAIL_PIXELS: Final = 9  # side of the square whose mean is taken away to see the detail, and of that in which the mark's colour is seen
AROUND_PIXELS: Final = 17  # side of the square in which the detail around a hole is seen


@dataclass(frozen=True)
class ChromaGrid:
    """The chroma samples of a crop.

    shift_y, shift_x: log2 of the pixels per sample, down and across. top, left: how many pixels of its first sample lie outside the crop.
    """

    shift_y: int
    shift_x: int
    top: int
    left: int

    @classmethod
    def at(cls, top: int, left: int, info: VideoInfo) -> "ChromaGrid":
        """That of a crop that starts at this row and column of the picture, which may be negative."""
        down, across = info.decoded_chroma_shifts
        return cls(down, across, top % (1 << down), left % (1 << across))

    def mixed(self, values: Floats) -> Floats:
        """The mean of values (C, h, w) over the pixels of each sample, at each pixel: interpolated, as decoders of pictures do."""
        height, width = values.shape[-2:]
        below, right = -(self.top + height) % (1 << self.shift_y), -(self.left + width) % (1 << self.shift_x)
        whole = edge_padded(values, (self.top, below), (self.left, right))
        means = block_mean(whole, self.shift_x, self.shift_y)
        planes = np.stack([cv2.resize(plane, whole.shape[:-3:-1], interpolation=cv2.INTER_LINEAR) for plane in means])
        return np.asarray(planes[:, self.top : self.top + height, self.left : self.left + width], np.float32)


@dataclass(frozen=True)
class Stain:
    """The marks in a crop, as far as its chroma is concerned.

    own: (h, w), their pixels; outside them only the edge counts. opacity, opacity_sigma: (h, w) in [0, 1]. colour: (3, h, w) RGB in [0, 1].
    edge: (h, w), see `edge_of`.
    """

    own: Mask = field(repr=False)
    opacity: Floats = field(repr=False)
    opacity_sigma: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    edge: Floats = field(repr=False)


def edge_of(opacity: Floats, chroma_shifts: tuple[int, int]) -> Floats:
    """By how much the opacity (h, w) differs among the pixels that a chroma sample may mix, and its neighbours: (h, w) in [0, 1]."""
    down, across = chroma_shifts
    if not (down or across):
        return np.broadcast_to(np.float32(0), opacity.shape)  # of no size in memory: a moving mark has many places
    near = np.ones((2 * (1 << down) + 1 if down else 1, 2 * (1 << across) + 1 if across else 1), np.uint8)
    return np.asarray(cv2.dilate(opacity, near) - cv2.erode(opacity, near), np.float32)


def at_full_size(crop: Floats, stain: Stain, grid: ChromaGrid, matrices: tuple[Floats, Floats]) -> Floats:
    """The crop (3, h, w) RGB in [0, 1] with the chroma that it would have without subsampling, at the edges of marks. Luma stays.

    In the pixels of a sample the scene is supposed to have one chroma. matrices: those of `luma_chroma_matrices`.
    """
    if not stain.edge.any():
        return crop
    to_planes, to_rgb = matrices
    opacity, sigma, colour = (np.where(stain.own, plane, np.float32(0)) for plane in (stain.opacity, stain.opacity_sigma, stain.colour))
    chroma, of_mark = (np.tensordot(to_planes[1:], picture, 1) for picture in (crop, colour))
    mean_opacity, *mean_mark = grid.mixed(np.stack([opacity, *(opacity * of_mark)]))
    rest = np.maximum(1 - mean_opacity, 1 - OPACITY_LIMIT)
    known = (~stain.own & (stain.edge == 0)).astype(np.float32)
    fill = np.tensordot(to_planes[1:], filled_from_around(crop, known), 1)
    detail = np.square(known * (chroma - mean_of_known(chroma, known, DETAIL_PIXELS)))
    fill_variance = CODEC_NOISE**2 + FILL_SHARE**2 * mean_of_known(detail, known, AROUND_PIXELS).mean(0)
    smear = np.square(stain.edge * SMEARED_SHARE) + np.square(sigma)
    variance = (smear * _contrast(of_mark - fill, opacity > 0) + CODEC_NOISE**2) / np.square(rest)
    scene = (chroma - np.stack(mean_mark)) / rest
    scene = fill + fill_variance / (fill_variance + variance) * (scene - fill)
    change = np.where(stain.edge > 0, (1 - opacity) * scene + opacity * of_mark - chroma, 0)
    return np.clip(crop + np.tensordot(to_rgb[:, 1:], change, 1), 0, 1).astype(np.float32)


def _contrast(difference: Floats, mark: Mask) -> Floats:
    """The mean square of a difference (2, h, w) over the pixels of the mark (h, w) near each pixel."""
    share = cv2.blur(mark.astype(np.float32), (DETAIL_PIXELS, DETAIL_PIXELS))
    power = cv2.blur((np.square(difference).mean(0) * mark).astype(np.float32), (DETAIL_PIXELS, DETAIL_PIXELS))
    return np.asarray(power / np.maximum(share, 1 / DETAIL_PIXELS**2), np.float32)
