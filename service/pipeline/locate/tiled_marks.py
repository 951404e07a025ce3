"""Step 5 beside tracking: marks that repeat over the whole picture, as previews have them, found by their repetition.

A single word of such a pattern may be too faint to be seen. All of them laid over each other are not: what stands in the picture is
averaged over time, its autocorrelation tells the two steps of the pattern, and along these steps it is averaged once more. Pooling a
mark's appearances within a picture is an idea of Dekel et al., "On the Effectiveness of Visible Watermarks", CVPR 2017. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.references import vertex
from service.pipeline.locate.segment import Sample
from service.pipeline.locate.static_marks import MIN_PART_SHARE
from service.pipeline.locate.track import MIN_PROBABILITY, Track
from service.pipeline.marks.candidate import Lattice, LatticeVector
from service.pipeline.marks.similarity import correlation
from service.pipeline.picture.morphology import dilate

Floats = NDArray[np.float32]

DETAIL_SIGMA_PIXELS = 2.0  # what is larger is the scene
MAX_DETAIL = 0.05  # of the brightness, in [0, 1]: a strong edge of the scene counts no more than a faint stroke
MIN_STEP_PIXELS = 32
MIN_FRAMES = 4
MIN_PEAK_SIGMAS = 12.0  # of the autocorrelation, in spreads of its own, at the steps and their sums
WHITENING_SIGMA_BINS = 8.0  # of the spectrum, over which it is made flat
MIN_SINE = 0.25  # sine of the angle between the steps
NEARLY_BEST_SHARE = 0.75  # of the best likeness: shorter steps are better
MIN_LATTICE_POINTS = 3  # within half of the picture, of which the median counts
MAX_LATTICE_REACH = 6  # of one step
MAX_ROUNDING_PIXELS = 0.25  # pixels that a sum of steps is off the raster: more blurs what is averaged
PEAK_RADIUS_PIXELS = 6  # around a peak belongs to it
MAX_PEAKS = 40
MIN_STROKE_PROBABILITY, MIN_STROKE_PROBABILITY_STILL = (
    0.01,
    0.1,
)  # mean probability of a pattern's strokes: true ones have 0.026 to 0.85, in a picture 0.23 and more
MIN_CELL_SHARE = 0.75  # of the cells that must show the pattern: a fence or a facade does not fill the picture
MIN_CELL_CORRELATION = 0.15  # correlation of a cell with the mean of the others that show it
MIN_STROKE_SIGMAS = 4.0  # times the spread of the mean of as many places that are no steps apart
MIN_STROKE_PIXELS = 7
MIN_STROKE_SHARE = 0.35  # of the strongest stroke


@dataclass(frozen=True)
class TiledPattern:
    """A mark all over the picture: shape (h, w) in [0, 1], the two steps from one of its marks to the next ones, and how clear it is."""

    shape: Floats = field(repr=False)
    lattice: Lattice
    clearness: float  # of the strokes, in spreads of the mean of what is no mark


def find_tiled_pattern(samples: Sequence[Sample], likely: Floats) -> TiledPattern | None:
    """The pattern that stands in all of the samples, at their size; None where there is none.

    likely: (h, w) in [0, 1], how likely the segmenter takes the first sample's pixels for mark. It need not see most of a pattern, but
    where it sees nothing a wallpaper repeats. Of few samples, such as one picture, only the detail of what it sees tells enough.
    """
    detail, many = static_detail([picture for _, picture in samples]), len(samples) >= MIN_FRAMES
    tried = (detail, _rectified(detail)) if many else (likely * detail, likely * np.abs(detail), likely)
    least = MIN_STROKE_PROBABILITY if many else MIN_STROKE_PROBABILITY_STILL
    found = [pattern for values in tried if (pattern := _fit_pattern(values)) and _mean_probability(pattern, likely) > least]
    return max(found, key=lambda p: p.clearness, default=None)


def _mean_probability(pattern: TiledPattern, likely: Floats) -> float:
    """The mean probability of the pattern's strokes; 0 where it has none."""
    strokes = pattern.shape > MIN_PROBABILITY
    return float(likely[strokes].mean()) if strokes.any() else 0.0


def drop_pattern_pieces(tracks: Iterable[Track], pattern: TiledPattern | None) -> list[Track]:
    """The tracks that are no pieces of the pattern."""
    if pattern is None:
        return list(tracks)
    near = dilate(pattern.shape > MIN_PROBABILITY, 1)
    return [t for t in tracks if float((t.mask & near).sum()) < MIN_PART_SHARE * float(t.mask.sum())]


def static_detail(pictures: Sequence[NDArray[np.uint8]]) -> Floats:
    """(h, w): the fine detail of the brightness that is there in all of the pictures (h, w, 3)."""
    total = np.zeros(pictures[0].shape[:2], np.float32)
    for picture in pictures:
        grey = picture.astype(np.float32).mean(2) / np.float32(255)
        total += np.clip(grey - cv2.GaussianBlur(grey, (0, 0), DETAIL_SIGMA_PIXELS), -MAX_DETAIL, MAX_DETAIL)
    return total / np.float32(len(pictures))


def _rectified(detail: Floats) -> Floats:
    """The strength of the detail: a grey mark is darker than a part of the scene and lighter than another."""
    strength = np.abs(detail)
    return (strength - cv2.GaussianBlur(strength, (0, 0), DETAIL_SIGMA_PIXELS)).astype(np.float32)


def _fit_pattern(detail: Floats) -> TiledPattern | None:
    likeness = autocorrelation(detail)
    lattice = _find_lattice(likeness)
    if lattice is None:
        return None
    mean = lattice_mean(detail, lattice)
    apart = (lattice[0][0] + 0.37 * lattice[1][0], lattice[0][1] + 0.37 * lattice[1][1]), (0.61 * lattice[1][0], 0.61 * lattice[1][1])
    noise = float(np.std(lattice_mean(detail, apart)))
    strength = np.abs(mean)
    strongest = float(np.percentile(strength, 99.5))
    if strongest < MIN_STROKE_SIGMAS * noise or not _fills_picture(detail, mean, lattice):
        return None
    least = max(MIN_STROKE_SHARE * strongest, 2 * noise)
    shape = np.clip(0.5 + (strength - least) / (2 * least), 0, 1) * _strokes(strength > least)
    return TiledPattern(shape.astype(np.float32), lattice, strongest / noise)


def _strokes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without its specks, which are noise, and with what is next to the rest."""
    _, labels, figures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = figures[:, cv2.CC_STAT_AREA] >= MIN_STROKE_PIXELS
    large[0] = False
    return dilate(large[labels], 2)


def autocorrelation(detail: Floats) -> Floats:
    """(2 * (h // 2) + 1, 2 * (w // 2) + 1): how like the detail is to itself, moved by up to half its size, in spreads of that likeness.

    Of a spectrum made flat: what the scene's edges share, which is direction and sharpness, says nothing then, and a repetition all.
    """
    height, width = detail.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]) ** 0.25
    size = 2 * height, 2 * width
    spectrum = np.abs(np.fft.rfft2((detail - detail.mean()) * window, size)).astype(np.float32)
    spectrum /= cv2.GaussianBlur(spectrum, (0, 0), WHITENING_SIGMA_BINS) + np.float32(1e-6)
    shared = np.abs(np.fft.rfft2(window, size))
    sums, weights = (np.fft.fftshift(np.fft.irfft2(np.square(v), size)) for v in (spectrum, shared))
    likeness = (sums / np.maximum(weights, 0.1 * weights.max())).astype(np.float32)
    rows, columns = (slice(side - side // 2, side + side // 2 + 1) for side in (height, width))
    inner = likeness[rows, columns]
    y, x = _from_middle(inner)
    far = inner[np.hypot(y, x) >= MIN_STEP_PIXELS]
    return np.asarray((inner - np.median(far)) / (np.std(far) + 1e-12), np.float32)


def _from_middle(likeness: Floats) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """y and x of each place, from the middle."""
    height, width = (side // 2 for side in likeness.shape)
    y, x = np.mgrid[-height : height + 1, -width : width + 1]
    return y, x


def _find_lattice(likeness: Floats) -> Lattice | None:
    """Two steps along which, and along all of whose sums, the detail repeats itself most; of about equal ones the shortest."""
    peaks = sorted(_peaks(likeness), key=lambda p: p[1] ** 2 + p[2] ** 2)
    found = []
    for number, (_, y, x) in enumerate(peaks):
        for _, v, u in peaks[number + 1 :]:
            if abs(y * u - x * v) >= MIN_SINE * np.hypot(y, x) * np.hypot(v, u):
                found.append((_lattice_score(likeness, (y, x), (v, u)), (y, x), (v, u)))
    best = max((value for value, _, _ in found), default=0.0)
    if best < MIN_PEAK_SIGMAS:
        return None
    _, one, other = next(pair for pair in found if pair[0] >= NEARLY_BEST_SHARE * best)
    return refine_lattice(likeness, (one, other))


def _lattice_score(likeness: Floats, one: LatticeVector, other: LatticeVector) -> float:
    """The median likeness over the sums of both steps."""
    height, width = (side // 2 for side in likeness.shape)
    values = []
    for i, j in [(i, j) for i in range(-2, 3) for j in range(0, 3) if (j, i) > (0, 0)]:
        row, column = round(height + i * one[0] + j * other[0]), round(width + i * one[1] + j * other[1])
        if 1 <= row < 2 * height and 1 <= column < 2 * width:
            values.append(float(likeness[row - 1 : row + 2, column - 1 : column + 2].max()))
    return float(np.median(values)) if len(values) >= MIN_LATTICE_POINTS else 0.0


def _peaks(likeness: Floats) -> Iterator[tuple[float, float, float]]:
    """(value, y, x) of the highest local maxima of the lower half plane, beyond the least step."""
    height, width = (side // 2 for side in likeness.shape)
    y, x = _from_middle(likeness)
    side = 2 * PEAK_RADIUS_PIXELS + 1
    top = likeness >= cv2.dilate(likeness, np.ones((side, side), np.uint8))
    wanted = top & (np.hypot(y, x) >= MIN_STEP_PIXELS) & ((y > 0) | ((y == 0) & (x > 0))) & (likeness >= MIN_PEAK_SIGMAS)
    places = np.argwhere(wanted)
    for row, column in sorted(places, key=lambda p: -likeness[p[0], p[1]])[:MAX_PEAKS]:
        yield float(likeness[row, column]), float(row - height), float(column - width)


def refine_lattice(likeness: Floats, lattice: Lattice) -> Lattice:
    """The steps to a fraction of a pixel: those that fit the peaks at their sums best; the near ones tell where the far ones are."""
    height, width = (side // 2 for side in likeness.shape)
    fitted, reach = np.array(lattice, np.float64), 1
    while True:
        sums, places = [], []
        for i, j in [(i, j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1) if (j, i) > (0, 0)]:
            y, x = np.array([i, j]) @ fitted
            row, column = round(height + y), round(width + x)
            if not (3 <= row < 2 * height - 2 and 3 <= column < 2 * width - 2):
                continue
            dy, dx = np.unravel_index(int(likeness[row - 2 : row + 3, column - 2 : column + 3].argmax()), (5, 5))
            row, column = row + int(dy) - 2, column + int(dx) - 2
            if likeness[row, column] >= MIN_PEAK_SIGMAS:
                sums.append((i, j))
                places.append((row - height + vertex(likeness[:, column], row), column - width + vertex(likeness[row], column)))
        if len(sums) < MIN_LATTICE_POINTS or np.linalg.matrix_rank(np.array(sums)) < 2:
            break
        fitted = np.linalg.lstsq(np.array(sums), np.array(places), rcond=None)[0]
        if reach == MAX_LATTICE_REACH:
            break
        reach += 1
    (y, x), (v, u) = fitted.tolist()
    return (y, x), (v, u)


def lattice_mean(values: Floats, lattice: Lattice, weights: Floats | None = None) -> Floats:
    """(..., h, w) averaged, by the weights (h, w), over all places that are whole sums of steps away and in the picture."""
    height, width = values.shape[-2:]
    known = np.ones((height, width), np.float32) if weights is None else weights
    total, count = np.zeros(values.shape, np.float32), np.zeros((height, width), np.float32)
    for dy, dx in _lattice_points(lattice, height, width):
        to = slice(max(0, -dy), min(height, height - dy)), slice(max(0, -dx), min(width, width - dx))
        of = slice(max(0, dy), min(height, height + dy)), slice(max(0, dx), min(width, width + dx))
        total[(..., *to)] += known[of] * values[(..., *of)]
        count[to] += known[of]
    return (total / np.maximum(count, np.float32(1e-6))).astype(np.float32, copy=False)


def _lattice_points(lattice: Lattice, height: int, width: int) -> Iterator[tuple[int, int]]:
    """Sums of both steps, of those that are about whole, by which something in the picture may move and stay in it.

    A row that is half a step further may be half a pixel off: its words are another drawing.
    """
    (y, x), (v, u) = lattice
    area = abs(y * u - x * v)
    most_i = int((abs(v) * width + abs(u) * height) / area) + 1
    most_j = int((abs(y) * width + abs(x) * height) / area) + 1
    for i in range(-most_i, most_i + 1):
        for j in range(-most_j, most_j + 1):
            down, right = i * y + j * v, i * x + j * u
            dy, dx = round(down), round(right)
            if abs(dy) < height and abs(dx) < width and max(abs(down - dy), abs(right - dx)) <= MAX_ROUNDING_PIXELS:
                yield dy, dx


def _fills_picture(detail: Floats, mean: Floats, lattice: Lattice) -> bool:
    """Whether most cells of the picture show the pattern: each is compared with the mean of all."""
    (y, x), (v, u) = lattice
    side = max(16, round(float(np.sqrt(abs(y * u - x * v)))))
    rows, columns = max(2, round(detail.shape[0] / side)), max(2, round(detail.shape[1] / side))
    alike = []
    for strip, like in zip(np.array_split(detail, rows), np.array_split(mean, rows), strict=True):
        for one, other in zip(np.array_split(strip, columns, 1), np.array_split(like, columns, 1), strict=True):
            if float(np.abs(other).max()) > MIN_STROKE_SHARE * float(np.abs(mean).max()):
                alike.append(correlation(one, other))
    return len(alike) > 0 and float(np.mean(np.array(alike) > MIN_CELL_CORRELATION)) >= MIN_CELL_SHARE
