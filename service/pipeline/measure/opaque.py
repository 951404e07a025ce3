"""When a mark counts as opaque. An opaque mark is filled, a translucent one is un-blended. Holds every threshold of that decision. Pure."""

from collections.abc import Iterable, Sequence
from enum import Enum, auto

import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.gather import is_single_frame
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.noise import FLAT_CODEC_NOISE, UNBLENDED_NOISE
from service.pipeline.picture.morphology import dilate, erode, ring

# Opacity levels, in [0, 1].
DENSE_LEVEL = 0.6  # predicted: above it a mark may be opaque, and its level is fitted over its area; below it, at its outline
OPAQUE_LEVEL = 0.9  # predicted or fitted: above it too little of the scene shows through. Opaque subtitles have 0.95 to 1.16 fitted, marks
# of opacity 0.71 to 0.77 from 0.63 to 0.87
NEARLY_OPAQUE_LEVEL = 0.85  # predicted: above it a mark is opaque if the factor fitted over its area is below this value
SIMILAR_LEVEL_SHARE = 0.6  # of the predicted level of an opaque part: above it another part of the same mark is opaque as well

# Transmittance: the share of the scene's changes over time that shows through.
MAX_OPAQUE_TRANSMITTANCE = 0.19  # opaque logos have 0.02 to 0.18, marks of opacity 0.75 from 0.26 on
MIN_SCENE_STD = 0.015  # standard deviation over time, of RGB in [0, 1]: in a stiller scene the transmittance is unknown
MIN_CORE_PIXELS = 30  # of a mark without its edge pixels, through which the scene shows; a smaller core is not used
STRENGTH_WEIGHT = 0.4  # factor on the ratio of the changes' strengths, which is too high because a fill changes too little

# Residual ratio: error of the un-blended pixels against a fill, over the same error beside the mark, both as mean squares.
MAX_RESIDUAL_RATIO = 12.0  # above it the un-blended pixels are not the scene
MAX_RESIDUAL_RATIO_BESIDE_OPAQUE = 5.0  # the same for a part of unknown transmittance beside an opaque one: opaque words have 1.9 to 8


class Evidence(Enum):
    """What the crops and the prediction show about one part of a mark."""

    OPAQUE = auto()
    TRANSLUCENT = auto()
    UNKNOWN = auto()  # the scene hardly changes, so nothing can be seen to show through


def weigh_evidence(crops: Floats, model: MarkModel, parts: Sequence[MarkModel], notes: Notes = UNNOTED) -> list[Evidence]:
    """The evidence on each part of a mark, from the crops (N, 3, h, w) in [0, 1] and the predicted opacity.

    A part is opaque if it is dense and shows none of the scene's changes, or if its predicted level is close to that of such a part.
    In a still nothing changes. There, all parts count as opaque if one is dense, because a fill is the lesser evil.
    """
    levels = [part.level for part in parts]
    for number, level in enumerate(levels):
        notes.of_part(number)("predicted opacity level", level, DENSE_LEVEL, "dense" if level > DENSE_LEVEL else "not dense")
    if max(levels) < DENSE_LEVEL or is_single_frame(crops):
        notes(
            "highest predicted opacity level of its parts",
            max(levels),
            DENSE_LEVEL,
            "opaque" if max(levels) > DENSE_LEVEL else "translucent",
        )
        return [Evidence.OPAQUE if max(levels) > DENSE_LEVEL else Evidence.TRANSLUCENT] * len(parts)
    fills = np.stack([fill_hole(crop, model.pixels) for crop in crops])
    shares = [transmittance(crops, fills, part.pixels) for part in parts]
    for number, share in enumerate(shares):
        outcome = "unknown: the scene hardly changes" if share is None else "hides" if share < MAX_OPAQUE_TRANSMITTANCE else "shows through"
        notes.of_part(number)("transmittance", share, MAX_OPAQUE_TRANSMITTANCE, outcome)
    opaque_levels = [
        level
        for level, share in zip(levels, shares, strict=True)
        if level > DENSE_LEVEL and share is not None and share < MAX_OPAQUE_TRANSMITTANCE
    ]
    min_level = SIMILAR_LEVEL_SHARE * min(opaque_levels, default=np.inf)
    for number, level in enumerate(levels):
        if opaque_levels:
            outcome = "opaque" if level > min_level else "not opaque for that"
            notes.of_part(number)("predicted opacity level, beside an opaque part", level, min_level, outcome)
    unproven = [Evidence.UNKNOWN if share is None else Evidence.TRANSLUCENT for share in shares]
    return [Evidence.OPAQUE if level > min_level else other for level, other in zip(levels, unproven, strict=True)]


def transmittance(crops: Floats, fills: Floats, mask: Mask) -> float | None:
    """The share of the scene's changes over time that shows through the mask's pixels (h, w); None where the scene hardly changes.

    crops: (N, 3, h, w) in [0, 1]; fills: the same with the mark's place filled. Two estimates are made and the larger one counts: the
    regression of the crops' changes on the fills', which is too low where the fill is poor, and the ratio of their strengths, less the
    changes that a codec makes by itself.
    """
    core = erode(mask, 1)
    core = core if core.sum() >= MIN_CORE_PIXELS else mask
    seen, expected = (values[:, :, core] for values in (crops, fills))
    seen, expected = seen - seen.mean(0), expected - expected.mean(0)
    power = float(np.square(expected).mean())
    if power < MIN_SCENE_STD**2:
        return None
    strength = max(0.0, float(np.square(seen).mean()) - FLAT_CODEC_NOISE**2) / power
    return max(float((seen * expected).mean()) / power, STRENGTH_WEIGHT * float(np.sqrt(strength)))


def is_opaque_over_area(predicted_level: float, factor: float) -> bool:
    """Whether a dense mark is opaque, given the factor by which its area asks to correct the predicted level.

    The second case is a logo of several colours over a still scene: un-blending an opaque mark would leave it in the picture.
    """
    return predicted_level * factor > OPAQUE_LEVEL or predicted_level > NEARLY_OPAQUE_LEVEL > factor


def residual_ratio(crops: Iterable[Floats], model: MarkModel) -> float:
    """How unlike the scene the un-blended crops (3, h, w) are: about 1 where the opacity and colour are right. The median of the crops.

    The mean square difference between the un-blended pixels and a fill of the mark's place, over the same beside the mark, noise added.
    """
    mask = model.mask > 0
    wide, beside_mark = dilate(mask, 8), ring(mask, 3, 10)
    a = np.minimum(model.opacity, np.float32(0.96))
    ratios = []
    for crop in crops:
        fill = fill_hole(crop, wide)
        unblended = np.clip((crop - a * model.colour) / (1 - a), 0, 1)
        beside = float(np.square(crop - fill).mean(0)[beside_mark].mean()) if beside_mark.any() else 0.0
        ratios.append(float(np.square(unblended - fill).mean(0)[mask].mean()) / (beside + UNBLENDED_NOISE))
    return float(np.median(ratios))
