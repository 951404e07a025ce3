"""What the evaluation's marks are drawn with: coverage, colour, outlines and shadows, and a place that stays or moves.

Like the kinds themselves (`benchmarks/marks.py`), nothing here may change what is drawn.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.patches import Canvas, LazyPatches, MarkFrames, Patch, Rng
from training.vocabulary import Vocabulary

Drawing = tuple[NDArray[np.float32], NDArray[np.float32]]  # alpha (h, w), colour (h, w, 3), both in [0, 1]
Place = tuple[float, float]  # (left, top) in pixels

WHITE = np.ones(3, np.float32)
DARK = np.full(3, 0.06, np.float32)


def random_word(rng: Rng, vocabulary: Vocabulary, chinese_share: float = 0.25) -> tuple[str, Path]:
    chinese = rng.random() < chinese_share
    words, fonts = (vocabulary.chinese, vocabulary.chinese_fonts) if chinese else (vocabulary.words, vocabulary.latin_fonts)
    return str(rng.choice(words)), fonts[rng.integers(len(fonts))]


def flat(coverage: NDArray[np.float32], colour: NDArray[np.float32], opacity: float) -> Drawing:
    return coverage * np.float32(opacity), np.broadcast_to(colour, (*coverage.shape, 3))


def over(top: Drawing, bottom: Drawing) -> Drawing:
    """One drawing over another of the same size."""
    (a, upper), (b, lower) = top, bottom
    alpha = a + b * (1 - a)
    colour = (a[..., None] * upper + (b * (1 - a))[..., None] * lower) / np.maximum(alpha, 1e-4)[..., None]
    return alpha.astype(np.float32), np.clip(colour, 0, 1).astype(np.float32)


def faded(drawing: Drawing, opacity: float) -> Drawing:
    return drawing[0] * np.float32(opacity), drawing[1]


def outlined(coverage: NDArray[np.float32], colour: NDArray[np.float32], shadowed: bool, width: int) -> Drawing:
    """The letters with a dark outline, or with a soft shadow to the lower right, `width` pixels wide."""
    letters = np.pad(coverage, 3 * width)
    side = 2 * width + 1
    dark = cv2.dilate(letters, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    if shadowed:
        dark = 0.7 * cv2.GaussianBlur(np.roll(letters, (width, width), (0, 1)), (0, 0), width)
    return over(flat(letters, colour, 1), flat(dark.astype(np.float32), DARK, 1))


def shifted(drawing: Drawing, place: Place, text: str) -> Patch:
    """The drawing at a place between pixels."""
    left, top = (int(np.floor(value)) for value in place)
    move = np.array([[1, 0, place[0] - left], [0, 1, place[1] - top]], np.float64)
    alpha, colour = drawing
    height, width = alpha.shape
    painted = np.dstack([alpha[..., None] * colour, alpha])
    moved = cv2.warpAffine(painted, move, (width + 1, height + 1), flags=cv2.INTER_LINEAR, borderValue=0)
    return Patch(left, top, moved[..., 3], np.clip(moved[..., :3] / np.maximum(moved[..., 3:], 1e-4), 0, 1), text)


def along(drawing: Drawing, canvas: Canvas, places: Sequence[Place], text: str) -> MarkFrames:
    """The drawing along a path, absent where all of it is outside the picture."""
    height, width = drawing[0].shape
    seen = [p if -width < p[0] < canvas.width and -height < p[1] < canvas.height else None for p in places]
    return MarkFrames(LazyPatches(seen, lambda place: shifted(drawing, place, text)))


def still(drawing: Drawing, canvas: Canvas, left: float, top: float, text: str = "") -> MarkFrames:
    return MarkFrames((Patch(round(left), round(top), *drawing, text),) * canvas.frames)
