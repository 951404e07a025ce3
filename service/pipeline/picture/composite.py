"""Crops of a frame as RGB, and clean crops pasted back. No other sample changes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import cast

import cv2
import numpy as np

from models.arrays import Bytes, Floats
from models.preprocess import edge_padded
from service.pipeline.picture.colour import Planes, block_mean, to_rgb, to_samples
from service.pipeline.placement import Box
from service.pipeline.video import Frame, PixelFormat, Plane, VideoInfo


def crop_rgb(frame: Frame, box: Box, info: VideoInfo) -> Floats:
    """The box as RGB, (3, h, w) float32 in [0, 1]. It may start and end inside a chroma sample.

    Raises ValueError for a box that reaches beyond the picture.
    """
    area = _whole_chroma_samples(box, info)
    rgb = to_rgb(_crop_planes(frame.planes, area, info.pixel_format), info)
    top, left = box.top - area.top, box.left - area.left
    return np.ascontiguousarray(rgb[:, top : top + box.height, left : left + box.width])


def shrink_rgb(frame: Frame, info: VideoInfo, width: int, height: int) -> Bytes:
    """The whole picture at another size, (height, width, 3) uint8 RGB. Each plane is area-averaged, then converted."""
    first, second, third = (_resize(plane, width, height) for plane in frame.planes)
    unsubsampled = replace(info, pixel_format=replace(info.pixel_format, chroma_shift_x=0, chroma_shift_y=0))
    rgb = to_rgb((first, second, third), unsubsampled)
    picture: Bytes = np.rint(rgb.transpose(1, 2, 0) * 255.0).astype(np.uint8)
    return picture


def paste(frame: Frame, box: Box, rgb: Floats, alpha: Floats, info: VideoInfo) -> Frame:
    """The frame with `rgb` laid over the box wherever `alpha` is above 0.

    rgb: (3, h, w) in [0, 1]. alpha: (h, w) in [0, 1]. The blend is in YUV. A chroma sample covers several luma pixels; it is blended
    towards their mean, weighted by alpha. A luma or chroma sample keeps its bits if alpha is 0 on all its pixels.
    Raises ValueError for a box that reaches beyond the picture.
    """
    return paste_all(frame, [(box, rgb, alpha)], info)


def paste_all(frame: Frame, patches: Iterable[tuple[Box, Floats, Floats]], info: VideoInfo) -> Frame:
    """The frame with each (box, rgb, alpha) pasted in turn, as by `paste`; its planes are copied once. Raises ValueError like `paste`."""
    visible = [patch for patch in patches if patch[2].any()]
    if not visible:
        return frame
    luma, first, second = (plane.copy() for plane in frame.planes)
    for box, rgb, alpha in visible:
        _paste_into((luma, first, second), box, rgb, alpha, info)
    return replace(frame, planes=(luma, first, second))


def _paste_into(planes: Planes, box: Box, rgb: Floats, alpha: Floats, info: VideoInfo) -> None:
    form = info.pixel_format
    area = _whole_chroma_samples(box, info)
    patch = _Patch.of(box, area, rgb, alpha, info)
    _blend(planes[0], area, patch.samples[0], patch.alpha, form.bit_depth)
    chroma_area = Box(
        area.left >> form.chroma_shift_x,
        area.top >> form.chroma_shift_y,
        _shift_up(area.right, form.chroma_shift_x),
        _shift_up(area.bottom, form.chroma_shift_y),
    )
    weight = block_mean(patch.alpha_of_blocks, form.chroma_shift_x, form.chroma_shift_y)
    wanted = block_mean(patch.samples_of_blocks[1:] * patch.alpha_of_blocks, form.chroma_shift_x, form.chroma_shift_y)
    wanted /= np.maximum(weight, np.finfo(np.float32).tiny)
    for plane, samples in zip(planes[1:], wanted, strict=True):
        _blend(plane, chroma_area, samples, weight, form.bit_depth)


@dataclass(frozen=True)
class _Patch:
    """The pixels to paste, padded to an area that starts on a chroma sample.

    samples: (3, h, w) in storage units. alpha: (h, w) in [0, 1]. A picture of odd size ends inside a chroma block; there the
    `_of_blocks` pair is padded beyond the right and bottom edge to whole blocks.
    """

    samples: Floats
    alpha: Floats
    samples_of_blocks: Floats
    alpha_of_blocks: Floats

    @classmethod
    def of(cls, box: Box, area: Box, rgb: Floats, alpha: Floats, info: VideoInfo) -> "_Patch":
        around = (
            (box.top - area.top, area.bottom - box.bottom),
            (box.left - area.left, area.right - box.right),
        )
        samples, weights = to_samples(rgb.astype(np.float32, copy=False), info), alpha.astype(np.float32, copy=False)
        if any(chain(*around)):
            samples, weights = np.pad(samples, ((0, 0), *around)), np.pad(weights, around)
        below, right = -area.bottom % (1 << info.pixel_format.chroma_shift_y), -area.right % (1 << info.pixel_format.chroma_shift_x)
        return cls(samples, weights, *(edge_padded(values, (0, below), (0, right)) for values in (samples, weights)))


def _blend(plane: Plane, area: Box, wanted: Floats, weight: Floats, bit_depth: int) -> None:
    """Lays `wanted` (h, w) over the plane's area wherever `weight` (h, w) is above 0, rounded to nearest and clipped."""
    present = plane[area.slices]
    blended = present + weight * (wanted - present)
    stored = np.clip(np.rint(blended), 0, (1 << bit_depth) - 1).astype(plane.dtype)
    plane[area.slices] = np.where(weight > 0, stored, present)


def _whole_chroma_samples(box: Box, info: VideoInfo) -> Box:
    """The box, grown to whole chroma samples but not beyond the picture."""
    form = info.pixel_format
    if box.right > info.width or box.bottom > info.height:
        raise ValueError(f"{box} is outside a picture of {info.width}x{info.height}")
    return Box(
        box.left >> form.chroma_shift_x << form.chroma_shift_x,
        box.top >> form.chroma_shift_y << form.chroma_shift_y,
        min(info.width, _shift_up(box.right, form.chroma_shift_x) << form.chroma_shift_x),
        min(info.height, _shift_up(box.bottom, form.chroma_shift_y) << form.chroma_shift_y),
    )


def _crop_planes(planes: Planes, area: Box, form: PixelFormat) -> Planes:
    rows = slice(area.top >> form.chroma_shift_y, _shift_up(area.bottom, form.chroma_shift_y))
    columns = slice(area.left >> form.chroma_shift_x, _shift_up(area.right, form.chroma_shift_x))
    return planes[0][area.slices], planes[1][rows, columns], planes[2][rows, columns]


def _shift_up(value: int, shift: int) -> int:
    """value / 2 ** shift, rounded up."""
    return -(-value >> shift)


def _resize(plane: Plane, width: int, height: int) -> Plane:
    return cast(Plane, cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))
