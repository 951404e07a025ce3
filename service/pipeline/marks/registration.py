"""Where a rigid mark lies in a crop, to a fraction of a pixel: the crop's fine detail is matched with the mark's. Pure."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats
from models.blend import local_mean
from models.references import summit

Place = tuple[float, float]  # (y, x) in pixels


@dataclass(frozen=True)
class Match:
    """Where a mark lies, from where it was expected, in pixels.

    sigma: the standard deviation of either one's error; infinite where nothing of the mark is seen. strength: of the mark's detail in
    the crop, about 1 where it is as strong as in the template.
    """

    dy: float
    dx: float
    sigma: float
    strength: float


def fine_detail(rgb: Floats, width: int) -> Floats:
    """What is left of RGB (..., 3, h, w) without its mean over squares of `width` pixels."""
    return rgb - local_mean(rgb, width)


def moved(values: Floats, dy: float, dx: float, interpolation: int = cv2.INTER_CUBIC) -> Floats:
    """Planes (..., h, w) resampled so that what lay at (y + dy, x + dx) lies at (y, x). Beyond the edge the last values go on."""
    height, width = values.shape[-2:]
    planes = values.reshape(-1, height, width)
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    flags, border = interpolation | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
    resampled = [cv2.warpAffine(plane, matrix, (width, height), flags=flags, borderMode=border) for plane in planes]
    return np.asarray(resampled, np.float32).reshape(values.shape)


def match_detail(detail: Floats, template: Floats) -> Match:
    """Where the template (3, h, w), which is 0 beside the mark, lies in the detail (3, h + 2r, w + 2r), in whose middle it is expected.

    The scene's detail is not correlated with the mark's, so the mark lies where the correlation is highest. Elsewhere the correlation
    shows how strongly the scene alone moves that peak.
    """
    power = float(np.square(template).sum())
    reach = (detail.shape[-1] - template.shape[-1]) // 2
    if power == 0:
        return Match(0, 0, np.inf, 0)
    strengths = _correlation(detail, template) / power
    row, column = (int(index) for index in np.unravel_index(strengths.argmax(), strengths.shape))
    strength = float(strengths[row, column])
    if strength <= 0 or not (0 < row < 2 * reach and 0 < column < 2 * reach):
        return Match(row - reach, column - reach, np.inf, max(strength, 0.0))
    own = _correlation(np.pad(template, ((0, 0), (reach, reach), (reach, reach))), template) / power
    offsets, curvatures = summit(strengths, row, column), _curvatures(own, reach, reach)
    chance = strengths - strength * _centred_at(own, row, column)
    slopes = [float(slope.std()) for slope in np.gradient(chance)]
    sigma = max(slope / max(strength * curvature, 1e-6) for slope, curvature in zip(slopes, curvatures, strict=True))
    return Match(row - reach + offsets[0], column - reach + offsets[1], sigma, strength)


def _correlation(detail: Floats, template: Floats) -> NDArray[np.float64]:
    """The correlation (2r + 1, 2r + 1) at all shifts."""
    picture, shape = (np.ascontiguousarray(one.transpose(1, 2, 0)) for one in (detail, template))
    return np.asarray(cv2.matchTemplate(picture, shape, cv2.TM_CCORR), np.float64)


def _curvatures(values: NDArray[Any], row: int, column: int) -> tuple[float, float]:
    """How sharply a peak falls off along rows and columns."""
    middle = 2 * values[row, column]
    return float(middle - values[row - 1, column] - values[row + 1, column]), float(
        middle - values[row, column - 1] - values[row, column + 1]
    )


def _centred_at(own: NDArray[Any], row: int, column: int) -> NDArray[Any]:
    """The template's correlation with itself, moved so that its peak lies there; 0 where that is not known."""
    reach = len(own) // 2
    moved_own: NDArray[Any] = np.zeros_like(own)
    rows, columns = (slice(max(0, at - reach), min(2 * reach + 1, at + reach + 1)) for at in (row, column))
    own_rows, own_columns = (slice(taken.start - at + reach, taken.stop - at + reach) for taken, at in ((rows, row), (columns, column)))
    moved_own[rows, columns] = own[own_rows, own_columns]
    return moved_own
