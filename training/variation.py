"""Cheap variations of stored samples: mirrored, in another light, noisy. Inputs and truth change together, so the truth stays exact."""

import numpy as np
from numpy.typing import NDArray

from training.augment import flipped
from training.samples import Sample

Rng = np.random.Generator
Floats = NDArray[np.float32]

LIGHT_SHARE, NOISE_SHARE = 0.6, 0.3  # of the samples whose light is changed, and that get noise
MAX_NOISE = 0.025  # standard deviation


def of_segmenter(sample: Sample, rng: Rng) -> Sample:
    """Mirrored left to right, in another light, with the noise of a cheap camera."""
    if rng.random() < 0.5:
        sample = {key: np.ascontiguousarray(value[..., ::-1]) for key, value in sample.items()}
    return {**sample, "frames": noisy(relit(sample["frames"], rng), rng)}


def of_matte(sample: Sample, rng: Rng) -> Sample:
    """Mirrored. The statistics have no simple relation to the light."""
    return dict(zip(sample, flipped(list(sample.values()), rng), strict=True))


def of_inpainter(sample: Sample, rng: Rng) -> Sample:
    """Mirrored, with other gains and with exchanged channels; the marked frame stays the blend of clean frame and colour."""
    sample = dict(zip(sample, flipped(list(sample.values()), rng), strict=True))
    if rng.random() >= LIGHT_SHARE:
        return sample
    gains, order = (rng.uniform(0.6, 1) * rng.uniform(0.9, 1, 3)).astype(np.float32)[:, None, None], rng.permutation(3)
    return {**sample, **{key: sample[key][:, order] * gains for key in ("frames", "colour", "clean")}}


def relit(frames: Floats, rng: Rng) -> Floats:
    """Frames (T, 3, H, W) in [0, 1] with other gains and gammas, the same in all frames; sometimes with exchanged channels."""
    if rng.random() >= LIGHT_SHARE:
        return frames
    gains, gammas = rng.uniform(0.75, 1.2) * rng.uniform(0.9, 1.1, 3), rng.uniform(0.75, 1.35) * rng.uniform(0.95, 1.05, 3)
    order = rng.permutation(3) if rng.random() < 0.25 else np.arange(3)
    gains, gammas = (x.astype(np.float32)[:, None, None] for x in (gains, gammas))
    return np.clip(gains * frames[:, order] ** gammas, 0, 1).astype(np.float32)


def noisy(frames: Floats, rng: Rng) -> Floats:
    """Frames (T, 3, H, W) in [0, 1] with new noise in each."""
    if rng.random() >= NOISE_SHARE:
        return frames
    noise = rng.standard_normal(frames.shape, np.float32) * np.float32(rng.uniform(0, MAX_NOISE))
    return np.clip(frames + noise, 0, 1)
