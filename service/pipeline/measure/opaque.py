"""How opaque a mark is: levels, and what the matte network holds. An opaque mark is filled, a translucent one is un-blended. Pure."""

from models.arrays import Mask
from service.pipeline.marks.mark_model import PredictedMark, opacity_level

DENSE_LEVEL = 0.6  # predicted opacity: above it a level is fitted over the mark's area; below it, at its outline
OPAQUE_LEVEL = 0.9  # opacity: above it too little of the scene shows through


def hiding_probability(predicted: PredictedMark, part: Mask) -> float:
    """How probable it is that nothing of the scene shows through a part (h, w) of the mark: a fifth of its pixels have more.

    At a mark's edge something always shows through. The matte network was taught what is opaque, and judges by how the place changes over
    time, by what surrounds it, and by its colour.
    """
    return opacity_level(predicted.hides, part)
