"""Find tiled marks: those that repeat over the whole picture, as on previews. Pure.

The segmenter may miss a single faint word of such a pattern, so all of them are averaged. First the fine detail is averaged over time,
which leaves what is static. Then its autocorrelation gives the two lattice vectors. Last, the detail is averaged over the lattice.
Averaging the repetitions of a mark within one picture follows Dekel et al., "On the Effectiveness of Visible Watermarks", CVPR 2017.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Bytes, Floats, Mask
from models.preprocess import SEGMENTER_FRAMES
from models.references import summit
from service.pipeline.locate.segment import Sample
from service.pipeline.locate.static_marks import MIN_PART_SHARE
from service.pipeline.locate.track import MIN_PROBABILITY, Track
from service.pipeline.marks.candidate import Lattice
from service.pipeline.marks.similarity import correlation
from service.pipeline.picture.morphology import dilate
from service.pipeline.picture.view import crop_padded

DETAIL_SIGMA_PIXELS = 2.0  # of the Gaussian that is subtracted to leave the detail; larger structures belong to the scene
MAX_DETAIL = 0.05  # brightness in [0, 1] at which detail is clipped, so that a strong edge of the scene counts like a faint stroke
MIN_STEP_PIXELS = 32  # least length of a lattice vector, at analysis size
MIN_PEAK_SIGMAS = 12.0  # least autocorrelation at the lattice points, in its own standard deviations
WHITENING_SIGMA_BINS = 8.0  # of the Gaussian, in bins of the spectrum, by which the spectrum is flattened
MIN_SINE = 0.25  # sine of the angle between the lattice vectors
NEARLY_BEST_SHARE = 0.75  # share of the best lattice's score from which on a lattice of shorter vectors is preferred
MIN_LATTICE_POINTS = 3  # within half the picture, over which the score is a median
MAX_LATTICE_REACH = 6  # largest multiple of a lattice vector that is used to refine it
MAX_ROUNDING_PIXELS = 0.25  # distance of a lattice point from whole pixels, per axis; more would blur the average
PEAK_RADIUS_PIXELS = 6  # a peak of the autocorrelation is the maximum within this distance, per axis
MAX_PEAKS = 40  # highest peaks that are tried as lattice vectors
# Least mean probability of the strokes of a pattern. Tiled marks have 0.026 to 0.85 in a video, and 0.23 and more in a still picture.
MIN_STROKE_PROBABILITY = 0.01
MIN_STROKE_PROBABILITY_STILL = 0.1
MIN_CELL_SHARE = 0.75  # share of the cells that have to show the pattern; a fence or a facade does not fill the picture
MIN_CELL_CORRELATION = 0.15  # least correlation with the average for a cell to count as showing the pattern
MIN_STROKE_PIXELS = 7  # a smaller component is noise
MIN_STROKE_SHARE = 0.35  # share of the strongest stroke from which on a pixel is a stroke


@dataclass(frozen=True)
class TiledPattern:
    """A tiled mark. strokes: (h, w) in [0, 1], above 0.5 on its strokes. lattice: in pixels of `strokes`.

    signal_to_noise: the strongest stroke over the standard deviation of an average over another lattice.
    """

    strokes: Floats = field(repr=False)
    lattice: Lattice
    signal_to_noise: float

    @cached_property
    def _near_strokes(self) -> Mask:
        return dilate(self.strokes > MIN_PROBABILITY, 1)

    def holds(self, mask: Mask, top: int = 0, left: int = 0) -> bool:
        """Whether most of a mask (h, w), whose (0, 0) lies at (top, left), is on the strokes: then it is a piece of the pattern.

        It may reach beyond the picture, as one that slides in does.
        """
        height, width = mask.shape
        near = crop_padded(self._near_strokes, top, left, height, width, repeat_edge=False)
        return float((mask & near).sum()) >= MIN_PART_SHARE * float(mask.sum())


def find_tiled_pattern(samples: Sequence[Sample], probability: Floats) -> TiledPattern | None:
    """The tiled mark that all samples show, at their size, or None.

    probability: (h, w) in [0, 1], the segmenter's answer for the first sample. It may miss most of a pattern, but where it detects
    nothing, as in a wallpaper, there is no mark. With fewer than SEGMENTER_FRAMES samples, only what it detects is searched.
    """
    detail, is_video = static_detail([picture for _, picture in samples]), len(samples) >= SEGMENTER_FRAMES
    sources = [detail, _rectified(detail)] if is_video else [probability * detail, probability * np.abs(detail), probability]
    patterns = [pattern for source in sources if (pattern := _fit_pattern(source, is_video))]
    least = MIN_STROKE_PROBABILITY if is_video else MIN_STROKE_PROBABILITY_STILL
    likely = [pattern for pattern in patterns if _mean_probability(pattern, probability) > least]
    return max(likely, key=lambda pattern: pattern.signal_to_noise, default=None)


def _mean_probability(pattern: TiledPattern, probability: Floats) -> float:
    """The mean probability over the pattern's strokes; 0 if it has none."""
    strokes = pattern.strokes > MIN_PROBABILITY
    return float(probability[strokes].mean()) if strokes.any() else 0.0


def drop_pattern_pieces(tracks: Iterable[Track], pattern: TiledPattern | None) -> list[Track]:
    """The tracks that are not a piece of the pattern."""
    return [t for t in tracks if pattern is None or not pattern.holds(t.mask)]


def static_detail(pictures: Sequence[Bytes]) -> Floats:
    """(h, w): the mean over the pictures (h, w, 3) of the fine detail of their brightness, clipped to [-MAX_DETAIL, MAX_DETAIL]."""
    total = np.zeros(pictures[0].shape[:2], np.float32)
    for picture in pictures:
        red, green, blue = cv2.split(picture)
        grey = np.add(np.add(red, green, dtype=np.float32), blue) / np.float32(3) / np.float32(255)
        total += np.clip(grey - cv2.GaussianBlur(grey, (0, 0), DETAIL_SIGMA_PIXELS), -MAX_DETAIL, MAX_DETAIL)
    return total / np.float32(len(pictures))


def _rectified(detail: Floats) -> Floats:
    """The detail's magnitude, without its local mean. A grey mark is darker than some parts of the scene and lighter than others."""
    magnitude = np.abs(detail)
    return (magnitude - cv2.GaussianBlur(magnitude, (0, 0), DETAIL_SIGMA_PIXELS)).astype(np.float32)


def _fit_pattern(detail: Floats, is_video: bool) -> TiledPattern | None:
    """The pattern that repeats over the whole detail (h, w), or None."""
    lattice = _find_lattice(autocorrelation(detail))
    if lattice is None:
        return None
    mean = lattice_mean(detail, lattice)
    (y, x), (v, u) = lattice
    other_lattice = (y + 0.37 * v, x + 0.37 * u), (0.61 * v, 0.61 * u)  # at its points the pattern does not repeat
    noise = float(np.std(lattice_mean(detail, other_lattice)))
    magnitude = np.abs(mean)
    strongest = float(np.percentile(magnitude, 99.5))
    of_others = mean if is_video else lattice_mean(detail, lattice, itself=False)
    if not _fills_picture(detail, mean, of_others, lattice):
        return None
    least = max(MIN_STROKE_SHARE * strongest, 2 * noise)
    strokes = np.clip(0.5 + (magnitude - least) / (2 * least), 0, 1) * _without_specks(magnitude > least)
    return TiledPattern(strokes.astype(np.float32), lattice, strongest / noise)


def _without_specks(mask: Mask) -> Mask:
    """The mask (h, w) without specks, which are noise, dilated by 2 pixels."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    is_large = statistics[:, cv2.CC_STAT_AREA] >= MIN_STROKE_PIXELS
    is_large[0] = False
    return dilate(is_large[labels], 2)


def autocorrelation(detail: Floats) -> Floats:
    """The autocorrelation of the detail (h, w) for shifts of up to half its size, in standard deviations beyond MIN_STEP_PIXELS.

    (2 * (h // 2) + 1, 2 * (w // 2) + 1), shift 0 in the middle. The spectrum is flattened first: otherwise edges of the scene, which
    share direction and sharpness, would correlate more than a repeated pattern does.
    """
    height, width = detail.shape
    down, across = (np.hanning(side + 2)[1:-1] ** 0.25 for side in (height, width))
    size = 2 * height, 2 * width
    spectrum = np.abs(np.fft.rfft2((detail - detail.mean()) * np.outer(down, across), size)).astype(np.float32)
    spectrum /= cv2.GaussianBlur(spectrum, (0, 0), WHITENING_SIGMA_BINS) + np.float32(1e-6)
    sums = np.fft.fftshift(np.fft.irfft2(np.square(spectrum), size))
    rows, columns = (slice(side - side // 2, side + side // 2 + 1) for side in (height, width))
    weights = np.outer(_overlaps(down), _overlaps(across))  # as large as two more transforms would find them
    inner = (sums[rows, columns] / np.maximum(weights, 0.1 * weights.max())).astype(np.float32)
    dy, dx = _shifts(inner)
    far = inner[np.hypot(dy, dx) >= MIN_STEP_PIXELS]
    return np.asarray((inner - np.median(far)) / (np.std(far) + 1e-12), np.float32)


def _overlaps(window: NDArray[np.float64]) -> NDArray[np.float64]:
    """The autocorrelation of a window (n,) for shifts of up to half its length: (2 * (n // 2) + 1,), shift 0 in the middle."""
    whole, reach = np.correlate(window, window, "full"), len(window) // 2
    return whole[len(window) - 1 - reach : len(window) + reach]


def _shifts(correlations: Floats) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """dy and dx of each pixel of an autocorrelation, in pixels from its middle."""
    height, width = (side // 2 for side in correlations.shape)
    dy, dx = np.mgrid[-height : height + 1, -width : width + 1]
    return dy, dx


def _find_lattice(correlations: Floats) -> Lattice | None:
    """The two peaks at whose sums the autocorrelation is highest; of nearly equal pairs, the shortest. None if it is too low."""
    peaks = sorted(_peaks(correlations), key=lambda p: p[1] ** 2 + p[2] ** 2)
    scored = []
    for number, (_, y, x) in enumerate(peaks):
        for _, v, u in peaks[number + 1 :]:
            if abs(y * u - x * v) >= MIN_SINE * np.hypot(y, x) * np.hypot(v, u):
                scored.append((_lattice_score(correlations, ((y, x), (v, u))), ((y, x), (v, u))))
    best = max((score for score, _ in scored), default=0.0)
    if best < MIN_PEAK_SIGMAS:
        return None
    shortest = next(lattice for score, lattice in scored if score >= NEARLY_BEST_SHARE * best)
    return refine_lattice(correlations, shortest)


def _lattice_score(correlations: Floats, lattice: Lattice) -> float:
    """The median autocorrelation at the sums of both vectors; 0 if too few of them are inside."""
    height, width = (side // 2 for side in correlations.shape)
    (y, x), (v, u) = lattice
    values = []
    for i, j in [(i, j) for i in range(-2, 3) for j in range(0, 3) if (j, i) > (0, 0)]:
        row, column = round(height + i * y + j * v), round(width + i * x + j * u)
        if 1 <= row < 2 * height and 1 <= column < 2 * width:
            values.append(float(correlations[row - 1 : row + 2, column - 1 : column + 2].max()))
    return float(np.median(values)) if len(values) >= MIN_LATTICE_POINTS else 0.0


def _peaks(correlations: Floats) -> Iterator[tuple[float, float, float]]:
    """Yields (value, dy, dx) of the highest local maxima in the lower half plane, at least MIN_STEP_PIXELS from the middle."""
    height, width = (side // 2 for side in correlations.shape)
    dy, dx = _shifts(correlations)
    side = 2 * PEAK_RADIUS_PIXELS + 1
    is_maximum = correlations >= cv2.dilate(correlations, np.ones((side, side), np.uint8))
    in_half_plane = (np.hypot(dy, dx) >= MIN_STEP_PIXELS) & ((dy > 0) | ((dy == 0) & (dx > 0)))
    places = np.argwhere(is_maximum & in_half_plane & (correlations >= MIN_PEAK_SIGMAS))
    for row, column in sorted(places, key=lambda p: -correlations[p[0], p[1]])[:MAX_PEAKS]:
        yield float(correlations[row, column]), float(row - height), float(column - width)


def refine_lattice(correlations: Floats, lattice: Lattice) -> Lattice:
    """The lattice vectors to a fraction of a pixel, by least squares on the autocorrelation's peaks near the lattice points.

    The near peaks predict where the farther ones are, up to MAX_LATTICE_REACH.
    """
    fitted = np.array(lattice, np.float64)
    for reach in range(1, MAX_LATTICE_REACH + 1):
        multiples, shifts = _peaks_near(correlations, fitted, reach)
        if len(multiples) < MIN_LATTICE_POINTS or np.linalg.matrix_rank(np.array(multiples)) < 2:
            break
        fitted = np.linalg.lstsq(np.array(multiples), np.array(shifts), rcond=None)[0]
    (y, x), (v, u) = fitted.tolist()
    return (y, x), (v, u)


def _peaks_near(correlations: Floats, vectors: NDArray[np.float64], reach: int) -> tuple[list[tuple[int, int]], list[tuple[float, float]]]:
    """The peaks within 2 pixels of the lattice points: multiples (i, j) of both vectors, up to `reach`, and the peaks' shifts (dy, dx)."""
    height, width = (side // 2 for side in correlations.shape)
    multiples, shifts = [], []
    for i, j in [(i, j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1) if (j, i) > (0, 0)]:
        y, x = np.array([i, j]) @ vectors
        row, column = round(height + y), round(width + x)
        if not (3 <= row < 2 * height - 2 and 3 <= column < 2 * width - 2):
            continue
        near = np.unravel_index(int(correlations[row - 2 : row + 3, column - 2 : column + 3].argmax()), (5, 5))
        row, column = row + int(near[0]) - 2, column + int(near[1]) - 2
        if correlations[row, column] >= MIN_PEAK_SIGMAS:
            multiples.append((i, j))
            dy, dx = summit(correlations, row, column)
            shifts.append((row - height + dy, column - width + dx))
    return multiples, shifts


def lattice_mean(values: Floats, lattice: Lattice, weights: Floats | None = None, itself: bool = True) -> Floats:
    """Each pixel's mean over the lattice points inside the picture: (..., h, w) -> (..., h, w). weights: (h, w), all 1 by default.

    Without itself, of the others, as it may stand for most of its mean where little repeats; 0 where there is none.
    """
    height, width = values.shape[-2:]
    known = np.ones((height, width), np.float32) if weights is None else weights
    total, weight = np.zeros(values.shape, np.float32), np.zeros((height, width), np.float32)
    for dy, dx in _lattice_points(lattice, height, width):
        if not itself and (dy, dx) == (0, 0):
            continue
        to = slice(max(0, -dy), min(height, height - dy)), slice(max(0, -dx), min(width, width - dx))
        of = slice(max(0, dy), min(height, height + dy)), slice(max(0, dx), min(width, width + dx))
        total[(..., *to)] += known[of] * values[(..., *of)]
        weight[to] += known[of]
    return (total / np.maximum(weight, np.float32(1e-6))).astype(np.float32, copy=False)


def _lattice_points(lattice: Lattice, height: int, width: int) -> Iterator[tuple[int, int]]:
    """Yields the sums (dy, dx) of both vectors that are smaller than the picture and close to whole pixels.

    Sums farther from whole pixels are skipped: there the mark lies at another fraction of a pixel, and the average would be blurred.
    """
    (y, x), (v, u) = lattice
    area = abs(y * u - x * v)
    max_i = int((abs(v) * width + abs(u) * height) / area) + 1
    max_j = int((abs(y) * width + abs(x) * height) / area) + 1
    for i in range(-max_i, max_i + 1):
        for j in range(-max_j, max_j + 1):
            exact_dy, exact_dx = i * y + j * v, i * x + j * u
            dy, dx = round(exact_dy), round(exact_dx)
            if abs(dy) < height and abs(dx) < width and max(abs(exact_dy - dy), abs(exact_dx - dx)) <= MAX_ROUNDING_PIXELS:
                yield dy, dx


def _fills_picture(detail: Floats, mean: Floats, of_others: Floats, lattice: Lattice) -> bool:
    """Whether most cells of the detail (h, w) show the pattern: each in which the lattice mean (h, w) has strokes is like the other one."""
    (y, x), (v, u) = lattice
    side = max(16, round(float(np.sqrt(abs(y * u - x * v)))))
    rows, columns = max(2, round(detail.shape[0] / side)), max(2, round(detail.shape[1] / side))
    correlations = []
    parts = (_cells(values, rows, columns) for values in (detail, mean, of_others))
    for detail_cell, mean_cell, other_cell in zip(*parts, strict=True):
        if float(np.abs(mean_cell).max()) > MIN_STROKE_SHARE * float(np.abs(mean).max()):
            correlations.append(correlation(detail_cell, other_cell))
    return len(correlations) > 0 and float(np.mean(np.array(correlations) > MIN_CELL_CORRELATION)) >= MIN_CELL_SHARE


def _cells(values: Floats, rows: int, columns: int) -> Iterator[Floats]:
    """The values (h, w) in so many rows and columns of cells."""
    for row in np.array_split(values, rows):
        yield from np.array_split(row, columns, 1)
