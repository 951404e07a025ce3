"""Metrics of a clean plate, for the benchmark and for validation during training, in NumPy.

Pictures are (H, W, 3) uint8, or float in [0, 255]; alpha is (H, W) float in [0, 1]; masks are (H, W) bool.
Sums are added up over frames, so that a clip is measured without holding it in memory:

    error = Mean()
    for candidate, truth, alpha in frames:
        error += squared_error(candidate, truth, alpha > MARKED)
    print(psnr(error))
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]
Alpha = NDArray[np.float32]
Mask = NDArray[np.bool_]

MARKED = 0.05  # alpha above which a pixel counts as marked
PEAK = 255.0
PSNR_CEILING_DB = 100.0  # reported for equal pictures, whose PSNR is infinite
SSIM_WINDOW_PIXELS = 7


@dataclass(frozen=True)
class Mean:
    """A running mean."""

    total: float = 0.0
    count: int = 0

    def __add__(self, other: "Mean") -> "Mean":
        return Mean(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> float | None:
        """The mean; None without values."""
        return self.total / self.count if self.count else None


@dataclass(frozen=True)
class Moments:
    """Running first and second moments of pairs (x, y), and their correlation."""

    count: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.count + other.count, self.x + other.x, self.y + other.y, self.xx + other.xx, self.yy + other.yy, self.xy + other.xy
        )

    @property
    def correlation(self) -> float | None:
        """Pearson's correlation, in [-1, 1]; None if x or y does not vary."""
        spread_x, spread_y = self.count * self.xx - self.x**2, self.count * self.yy - self.y**2
        if spread_x <= 1e-9 * self.count * self.xx or spread_y <= 1e-9 * self.count * self.yy:
            return None
        return (self.count * self.xy - self.x * self.y) / math.sqrt(spread_x * spread_y)


def squared_error(candidate: Picture, truth: Picture, where: Mask | None = None) -> Mean:
    """Squared difference of two (H, W, 3) pictures over the pixels of `where` (H, W), or over all. Raises ValueError if shapes differ."""
    difference = _difference(candidate, truth, where)
    return Mean(float(np.square(difference).sum()), difference.size)


def psnr(error: Mean) -> float | None:
    """Peak signal-to-noise ratio in dB of a mean squared error, at most `PSNR_CEILING_DB`; None without pixels."""
    if error.value is None:
        return None
    if error.value == 0:
        return PSNR_CEILING_DB
    return min(PSNR_CEILING_DB, 10 * math.log10(PEAK**2 / error.value))


def motion(previous: Picture, current: Picture, where: Mask) -> Mean:
    """Mean absolute difference of two consecutive (H, W, 3) pictures over the pixels of `where` (H, W)."""
    difference = _difference(current, previous, where)
    return Mean(float(np.abs(difference).sum()), difference.size)


def flicker(ours: Mean, truth: Mean) -> float | None:
    """Motion of the result over motion of the truth: 1 is right, below 1 is smeared, above 1 flickers; None if the truth is static."""
    if ours.value is None or not truth.value:
        return None
    return ours.value / truth.value


def ghost(candidate: Picture, truth: Picture, alpha: Alpha) -> Moments:
    """Moments of (residual, alpha) over the marked pixels; their correlation measures the visible remainder of the mark's shape.

    The residual is candidate minus truth, averaged over channels.
    """
    where = alpha > MARKED
    residual = _difference(candidate, truth, where).mean(axis=1)
    opacity = alpha[where].astype(np.float64)
    return Moments(
        count=residual.size,
        x=float(residual.sum()),
        y=float(opacity.sum()),
        xx=float(residual @ residual),
        yy=float(opacity @ opacity),
        xy=float(residual @ opacity),
    )


def ssim(candidate: Picture, truth: Picture) -> float:
    """Structural similarity (Wang et al. 2004) of the grey values of two (H, W, 3) pictures, mean over all 7x7 windows.

    Uniform windows, sample (co)variances, constants 0.01 and 0.03 of the peak. Both sides must be at least 7 pixels.
    """
    x, y = _grey(candidate), _grey(truth)
    pixels = SSIM_WINDOW_PIXELS**2
    mean_x, mean_y = _window_means(x), _window_means(y)
    unbiased = pixels / (pixels - 1)
    variance_x = unbiased * (_window_means(x * x) - mean_x**2)
    variance_y = unbiased * (_window_means(y * y) - mean_y**2)
    covariance = unbiased * (_window_means(x * y) - mean_x * mean_y)
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((similarity / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))).mean())


def f1(found: Mask, truth: Mask) -> float:
    """F1 of two (H, W) masks, both dilated 3x3, in [0, 1]; 1 if both are empty."""
    found, truth = dilated(found), dilated(truth)
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0


def masked_share(found: Mask) -> Mean:
    """Share of the set pixels of a (H, W) mask."""
    return Mean(float(found.sum()), found.size)


def dilated(mask: Mask, reach_pixels: int = 1) -> Mask:
    """Dilate a (H, W) mask by a square of side `2 * reach_pixels + 1`."""
    rows = mask.copy()
    for shift in range(1, reach_pixels + 1):
        rows[shift:] |= mask[:-shift]
        rows[:-shift] |= mask[shift:]
    grown = rows.copy()
    for shift in range(1, reach_pixels + 1):
        grown[:, shift:] |= rows[:, :-shift]
        grown[:, :-shift] |= rows[:, shift:]
    return grown


def _difference(candidate: Picture, truth: Picture, where: Mask | None) -> NDArray[np.float64]:
    """Candidate minus truth, (N, 3), over the pixels of `where`."""
    if candidate.shape != truth.shape:
        raise ValueError(f"pictures differ in shape: {candidate.shape} and {truth.shape}")
    if where is None:
        return np.subtract(candidate, truth, dtype=np.float64).reshape(-1, candidate.shape[-1])
    return np.subtract(candidate[where], truth[where], dtype=np.float64)


def _grey(picture: Picture) -> NDArray[np.float64]:
    return picture.astype(np.float64).mean(axis=2)


def _window_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of every whole window: (H, W) -> (H - 6, W - 6), by integral image."""
    size = SSIM_WINDOW_PIXELS
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    return (sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]) / size**2
