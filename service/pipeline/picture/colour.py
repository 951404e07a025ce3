"""YUV planes to RGB and back, as floats. A patch that goes to RGB and back keeps its values.

Chroma is repeated on the way to RGB and averaged over its block on the way back. The one undoes the other exactly; no smoother pair
of filters does. Chroma siting is not modelled. Pictures that are already RGB (FFmpeg's matrix 0) have the planes G, B, R.
"""

from functools import cache

import numpy as np

from models.arrays import Floats
from service.pipeline.video import Plane, VideoInfo

Planes = tuple[Plane, Plane, Plane]

MATRIX_RGB = 0
LUMA_WEIGHTS = {  # by AVColorSpace: the weights of red and blue in luma
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.470 BG
    6: (0.299, 0.114),  # SMPTE 170M
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),  # BT.2020 constant luminance, treated as non-constant
}
STANDARD_DEFINITION_HEIGHT = 576  # players read an untagged video as BT.601 up to this height, as BT.709 above


def to_rgb(planes: Planes, info: VideoInfo) -> Floats:
    """Planes that start on a chroma sample, as RGB: (3, h, w) float32 in [0, 1], h and w as in the first plane."""
    height, width = planes[0].shape
    samples = np.stack([_repeat_samples(plane, height, width) for plane in planes]).astype(np.float32)
    scale, offset = _scale_and_offset(info)
    samples -= offset
    samples /= scale
    rgb: Floats = (_to_rgb_matrix(info) @ samples.reshape(3, -1)).reshape(samples.shape)
    return np.clip(rgb, 0.0, 1.0, out=rgb)


def to_samples(rgb: Floats, info: VideoInfo) -> Floats:
    """Inverse of `to_rgb`, before chroma is averaged: (3, h, w) RGB in [0, 1] to (3, h, w) float32 in storage units, not rounded."""
    scale, offset = _scale_and_offset(info)
    samples: Floats = (_from_rgb_matrix(info) @ rgb.reshape(3, -1)).reshape(rgb.shape)
    samples *= scale
    samples += offset
    return samples


def block_mean(samples: Floats, shift_x: int, shift_y: int) -> Floats:
    """Mean over the luma pixels of each chroma sample, (..., h, w) to (..., h >> shift_y, w >> shift_x).

    h must be a multiple of 2 ** shift_y, w of 2 ** shift_x.
    """
    *batch, height, width = samples.shape
    blocks = samples.reshape(*batch, height >> shift_y, 1 << shift_y, width >> shift_x, 1 << shift_x)
    means: Floats = blocks.mean(axis=(-3, -1))
    return means


def _repeat_samples(plane: Plane, height: int, width: int) -> Plane:
    """The plane at luma size (height, width): each sample is repeated over its block."""
    if plane.shape == (height, width):
        return plane
    rows = -(-height // plane.shape[0])
    columns = -(-width // plane.shape[1])
    return plane.repeat(rows, axis=0).repeat(columns, axis=1)[:height, :width]


def luma_chroma_matrices(info: VideoInfo) -> tuple[Floats, Floats]:
    """(3, 3) each: from R, G, B to luma and two colour differences, and back. Of RGB pictures, those of JPEG (BT.601)."""
    if info.colour.matrix == MATRIX_RGB:
        return JPEG_MATRICES
    return _matrices(info.colour.matrix, info.height <= STANDARD_DEFINITION_HEIGHT)


def _scale_and_offset(info: VideoInfo) -> tuple[Floats, Floats]:
    """(3, 1, 1) each, with stored = value * scale + offset; luma and RGB values are in [0, 1], chroma in [-0.5, 0.5]."""
    depth = info.pixel_format.bit_depth
    unit = 1 << (depth - 8)
    peak = (1 << depth) - 1
    luma = (peak, 0) if info.colour.full_range else (219 * unit, 16 * unit)
    chroma = (peak if info.colour.full_range else 224 * unit, 128 * unit)
    parts = (luma, luma, luma) if info.colour.matrix == MATRIX_RGB else (luma, chroma, chroma)
    scale, offset = np.array(parts, np.float32).T.reshape(2, 3, 1, 1)
    return scale, offset


def _from_rgb_matrix(info: VideoInfo) -> Floats:
    """(3, 3): from R, G, B to the three planes, before scale and offset."""
    return _matrices(info.colour.matrix, info.height <= STANDARD_DEFINITION_HEIGHT)[0]


def _to_rgb_matrix(info: VideoInfo) -> Floats:
    """(3, 3): from the three planes, with offset and scale undone, to R, G, B."""
    return _matrices(info.colour.matrix, info.height <= STANDARD_DEFINITION_HEIGHT)[1]


@cache
def _matrices(matrix: int, standard_definition: bool) -> tuple[Floats, Floats]:
    """(3, 3) each: from R, G, B to the three planes, and back."""
    if matrix == MATRIX_RGB:
        to_planes = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32)
    else:
        red, blue = LUMA_WEIGHTS.get(matrix) or LUMA_WEIGHTS[6 if standard_definition else 1]
        luma = np.array([red, 1 - red - blue, blue])
        blue_difference = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
        red_difference = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
        to_planes = np.stack([luma, blue_difference, red_difference]).astype(np.float32)
    return to_planes, np.linalg.inv(to_planes.astype(np.float64)).astype(np.float32)


JPEG_MATRICES = _matrices(5, standard_definition=True)
