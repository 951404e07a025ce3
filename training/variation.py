"""Cheap variations of stored samples: mirrored, in another light, noisy. Inputs and truth change together, so the truth stays exact."""

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline.locate.closer_look import ENLARGED
from service.pipeline.placement import bounding_box
from training.augment import flipped
from training.restoration import cut_on_grid
from training.samples import Sample

Rng = np.random.Generator
Floats = NDArray[np.float32]

LIGHT_SHARE, NOISE_SHARE = 0.6, 0.3  # of the samples whose light is changed, and that get noise
CLOSER_SHARE = 0.2  # of the segmenter's samples, shown as a closer look shows what was found
COLOUR_SHARE, MAX_SATURATION = 0.15, 3.0  # share of the segmenter's samples in other colours, their marks too; 1 is as filmed
REFERENCE_LIGHT_SHARE, MAX_LIGHT_CHANGE = 0.25, 0.1  # of the inpainter's samples, whose frames differ in light by up to this share
MAX_NOISE = 0.025  # standard deviation
GIVEN_SHARE, BOX_SHARE = 0.25, 0.4  # of the inpainter's samples in which a person gives the region; of those, the share of boxes
BRUSH_PIXELS = (2, 14)  # how far such a region reaches beyond the mark
MAX_GIVEN_SHARE = 0.6  # of the window: with more, too little of the scene is left


def of_segmenter(sample: Sample, rng: Rng) -> Sample:
    """Mirrored left to right, in other colours and another light, with the noise of a cheap camera; some as in a closer look."""
    if rng.random() < 0.5:
        sample = {key: np.ascontiguousarray(value[..., ::-1]) for key, value in sample.items()}
    if rng.random() < CLOSER_SHARE:
        sample = looked_at_closer(sample, rng)
    return {**sample, "frames": noisy(relit(recoloured(sample["frames"], rng), rng), rng)}


def looked_at_closer(sample: Sample, rng: Rng) -> Sample:
    """A part of the segmenter's sample, around a pixel of its mark if there is one, as large as the whole was."""
    height, width = sample["frames"].shape[-2:]
    rows, columns = round(height / ENLARGED), round(width / ENLARGED)
    y, x = int(rng.integers(height)), int(rng.integers(width))
    if len(marked := np.argwhere(sample["target"].max((0, 1)) > 0)):
        y, x = marked[rng.integers(len(marked))]
    top, left = (int(np.clip(at - rng.integers(side), 0, whole - side)) for at, side, whole in ((y, rows, height), (x, columns, width)))
    part = {key: value[..., top : top + rows, left : left + columns] for key, value in sample.items()}
    frames, target = (_resized(part[key], width, height) for key in ("frames", "target"))
    return {**sample, "frames": frames, "target": np.rint(target)}


def _resized(clip: Floats, width: int, height: int) -> Floats:
    """(T, C, h, w) -> (T, C, height, width), bilinear."""
    resized = [[cv2.resize(channel, (width, height), interpolation=cv2.INTER_LINEAR) for channel in frame] for frame in clip]
    return np.asarray(resized, np.float32)


def of_matte(sample: Sample, rng: Rng) -> Sample:
    """Mirrored. The statistics have no simple relation to the light."""
    return dict(zip(sample, flipped(list(sample.values()), rng), strict=True))


def of_inpainter(sample: Sample, rng: Rng) -> Sample:
    """Mirrored, with other gains and exchanged channels, references in a slightly other light than the target, and cut out on the grid.

    The marked frame stays the blend of clean frame and colour. In a part of the samples a person gave a generous region instead, in which
    everything counts as hidden.
    """
    sample = dict(zip(sample, flipped(list(sample.values()), rng), strict=True))
    if rng.random() < GIVEN_SHARE:
        sample = with_given_region(sample, rng)
    if rng.random() < LIGHT_SHARE:
        gains, order = (rng.uniform(0.6, 1) * rng.uniform(0.9, 1, 3)).astype(np.float32)[:, None, None], rng.permutation(3)
        sample |= {key: sample[key][:, order] * gains for key in ("frames", "colour", "clean")}
    if rng.random() < REFERENCE_LIGHT_SHARE:
        gains = rng.uniform(1 - MAX_LIGHT_CHANGE, 1, (len(sample["frames"]), 1, 1, 1)).astype(np.float32)
        sample |= {key: sample[key] * gains for key in ("frames", "colour")} | {"clean": sample["clean"] * gains[0]}
    return cut_on_grid(sample, rng)


def with_given_region(sample: Sample, rng: Rng) -> Sample:
    """The inpainter's sample with a region around the mark, painted or a box, that hides all of the scene; unchanged if it is too large."""
    reach, boxed = int(rng.integers(*BRUSH_PIXELS, endpoint=True)), rng.random() < BOX_SHARE
    region = np.stack([_around(mask[0] > 0.5, reach, boxed) for mask in sample["mask"]])[:, None].astype(np.float32)
    if region[0].mean() > MAX_GIVEN_SHARE or not region[0].any():
        return sample
    shown = 1 - region
    given = {"mask": region, "opacity": region, "colour": sample["colour"] * shown, "doubt": sample["doubt"] * shown, "hole": region[0]}
    return {**sample, **given}


def _around(mask: NDArray[np.bool_], reach_pixels: int, boxed: bool) -> NDArray[np.bool_]:
    """The mask (H, W) and what lies within `reach_pixels` of it, or of its bounding box."""
    if boxed and mask.any():
        mask = mask.copy()
        mask[bounding_box(mask).slices] = True
    side = 2 * reach_pixels + 1
    return cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0


def recoloured(frames: Floats, rng: Rng) -> Floats:
    """Frames (T, 3, H, W) in [0, 1] from grey to garish; what is grey, as most marks are, stays so. Sometimes with exchanged channels."""
    if rng.random() < COLOUR_SHARE:
        grey = frames.mean(1, keepdims=True)
        frames = np.clip(grey + np.float32(rng.uniform(0, MAX_SATURATION)) * (frames - grey), 0, 1)
    return frames[:, rng.permutation(3)] if rng.random() < COLOUR_SHARE else frames


def relit(frames: Floats, rng: Rng) -> Floats:
    """Frames (T, 3, H, W) in [0, 1] with other gains and gammas, the same in all frames."""
    if rng.random() >= LIGHT_SHARE:
        return frames
    gains, gammas = rng.uniform(0.75, 1.2) * rng.uniform(0.9, 1.1, 3), rng.uniform(0.75, 1.35) * rng.uniform(0.95, 1.05, 3)
    gains, gammas = (x.astype(np.float32)[:, None, None] for x in (gains, gammas))
    return np.clip(gains * frames**gammas, 0, 1).astype(np.float32)


def noisy(frames: Floats, rng: Rng) -> Floats:
    """Frames (T, 3, H, W) in [0, 1] with new noise in each."""
    if rng.random() >= NOISE_SHARE:
        return frames
    noise = rng.standard_normal(frames.shape, np.float32) * np.float32(rng.uniform(0, MAX_NOISE))
    return np.clip(frames + noise, 0, 1)
