"""Between a frame's planes and RGB crops: take a crop out, put a clean one back, and touch nothing else."""

from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline.picture.colour import Floats, Planes, block_mean, to_rgb, to_samples
from service.pipeline.placement import Box
from service.pipeline.video import Frame, PixelFormat, Plane, VideoInfo


def crop_rgb(frame: Frame, box: Box, info: VideoInfo) -> Floats:
    """The box as RGB, (3, h, w) float32 in [0, 1]. The box may start and end on odd pixels."""
    area = _aligned(box, info)
    rgb = to_rgb(_cut(frame.planes, area, info.pixel_format), info)
    top, left = box.top - area.top, box.left - area.left
    return np.ascontiguousarray(rgb[:, top : top + box.height, left : left + box.width])


def shrink_rgb(frame: Frame, info: VideoInfo, width: int, height: int) -> NDArray[np.uint8]:
    """The whole picture at another size, (height, width, 3) uint8 RGB: each plane is area-averaged first, then coloured."""
    first, second, third = (_resize(plane, width, height) for plane in frame.planes)
    unsubsampled = replace(info, pixel_format=replace(info.pixel_format, chroma_shift_x=0, chroma_shift_y=0))
    rgb = to_rgb((first, second, third), unsubsampled)
    picture: NDArray[np.uint8] = np.rint(rgb.transpose(1, 2, 0) * 255.0).astype(np.uint8)
    return picture


def paste(frame: Frame, box: Box, rgb: Floats, alpha: Floats, info: VideoInfo) -> Frame:
    """The frame with `rgb` (3, h, w) in [0, 1] laid over the box where `alpha` (h, w) in [0, 1] is above 0.

    Blends in YUV. A chroma sample stands for several luma pixels and moves by what each of them wants, weighed by its alpha;
    every sample, of luma or chroma, none of whose pixels has alpha above 0 keeps its bits.
    """
    if not alpha.any():
        return frame
    form = info.pixel_format
    area = _aligned(box, info)
    patch = _Patch.of(box, area, rgb, alpha, info)
    luma = _blend(frame.planes[0], area, patch.samples[0], patch.alpha, form.bit_depth)
    small = Box(
        area.left >> form.chroma_shift_x,
        area.top >> form.chroma_shift_y,
        _shifted_up(area.right, form.chroma_shift_x),
        _shifted_up(area.bottom, form.chroma_shift_y),
    )
    weight = block_mean(patch.alpha_of_blocks, form.chroma_shift_x, form.chroma_shift_y)
    wanted = block_mean(patch.samples_of_blocks[1:] * patch.alpha_of_blocks, form.chroma_shift_x, form.chroma_shift_y)
    wanted /= np.maximum(weight, np.finfo(np.float32).tiny)
    first, second = (_blend(frame.planes[1 + i], small, wanted[i], weight, form.bit_depth) for i in range(2))
    return replace(frame, planes=(luma, first, second))


@dataclass(frozen=True)
class _Patch:
    """What is to be pasted, on an area that starts on a chroma sample.

    samples: (3, h, w) in storage units, alpha: (h, w). The `_of_blocks` pair is continued beyond the picture's right and bottom
    edge to whole chroma blocks, where a picture of odd size ends inside one.
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
        samples = np.pad(to_samples(rgb.astype(np.float32), info), ((0, 0), *around))
        weights = np.pad(alpha.astype(np.float32), around)
        beyond = (
            (0, -area.bottom % (1 << info.pixel_format.chroma_shift_y)),
            (0, -area.right % (1 << info.pixel_format.chroma_shift_x)),
        )
        return cls(samples, weights, np.pad(samples, ((0, 0), *beyond), mode="edge"), np.pad(weights, beyond, mode="edge"))


def _blend(plane: Plane, area: Box, wanted: Floats, weight: Floats, bit_depth: int) -> Plane:
    """The plane with `wanted` laid over the area where `weight` is above 0, both (h, w); rounded to nearest, clipped to storage."""
    present = plane[area.slices]
    blended = present + weight * (wanted - present)
    stored = np.clip(np.rint(blended), 0, (1 << bit_depth) - 1).astype(plane.dtype)
    result = plane.copy()
    result[area.slices] = np.where(weight > 0, stored, present)
    return result


def _aligned(box: Box, info: VideoInfo) -> Box:
    """The box grown to whole chroma samples, but not beyond the picture."""
    form = info.pixel_format
    if box.right > info.width or box.bottom > info.height:
        raise ValueError(f"{box} is outside a picture of {info.width}x{info.height}")
    return Box(
        box.left >> form.chroma_shift_x << form.chroma_shift_x,
        box.top >> form.chroma_shift_y << form.chroma_shift_y,
        min(info.width, _shifted_up(box.right, form.chroma_shift_x) << form.chroma_shift_x),
        min(info.height, _shifted_up(box.bottom, form.chroma_shift_y) << form.chroma_shift_y),
    )


def _cut(planes: Planes, area: Box, form: PixelFormat) -> Planes:
    rows = slice(area.top >> form.chroma_shift_y, _shifted_up(area.bottom, form.chroma_shift_y))
    columns = slice(area.left >> form.chroma_shift_x, _shifted_up(area.right, form.chroma_shift_x))
    return planes[0][area.slices], planes[1][rows, columns], planes[2][rows, columns]


def _shifted_up(value: int, shift: int) -> int:
    """value / 2**shift, rounded up."""
    return -(-value >> shift)


def _resize(plane: Plane, width: int, height: int) -> Plane:
    return cast(Plane, cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))
