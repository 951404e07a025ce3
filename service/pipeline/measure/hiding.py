"""Whether a part of a mark hides the scene: what the matte network holds, and what the crops show of it over time. Pure.

Where the scene changes, an opaque mark stays as it is, and a translucent one follows. How much of the scene's change comes through, the
transmittance, is the coefficient of a linear regression of the mark's pixels on a fill of their place. A fill errs, which makes the
coefficient too small by a known share and less exact (Fuller, "Measurement Error Models", 1987, section 1.2), and the residuals of a
translucent mark larger than those of an opaque one. Bayes' rule adds both up: the network's answer is the prior, the regression the
likelihood. The fill's error holds what a fill misses at all times as well, so a scene that stands still says nothing.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.marks.mark_model import PredictedMark, opacity_level
from service.pipeline.measure.noise import DIFFERENCE_CODEC_NOISE
from service.pipeline.measure.opaque import OPAQUE_LEVEL
from service.pipeline.measure.pixel_opacity import fills_and_errors

SURE = 0.02  # probability, from either end, at which the network is believed without the crops: of 307 parts, one opaque one had less
TRANSMITTANCES: Final = (np.arange(40) + 0.5) / 40  # within each kind, opaque or translucent, all are equally probable


@dataclass(frozen=True, eq=False)
class Scenes:
    """The crops (N, 3, h, w) in [0, 1] of a mark, the scenes behind it as a fill shows them, and the fill's mean square error (h, w)."""

    crops: Floats = field(repr=False)
    fills: Floats = field(repr=False)
    fill_power: Floats = field(repr=False)

    @classmethod
    def behind(cls, crops: Floats, mark: Mask) -> "Scenes":
        """Those behind a mark of these pixels (h, w)."""
        return cls(crops, *fills_and_errors(crops, mark))


def predicted_hiding(predicted: PredictedMark, part: Mask) -> float:
    """How probable it is, by the matte network, that nothing shows through a part (h, w) of the mark: the value that a fifth of it exceeds.

    At a mark's edge something always shows through. The network judges by how the place changes over time, by what surrounds it, and by
    its colour.
    """
    return opacity_level(predicted.hides, part)


def is_sure(hides: float) -> bool:
    """Whether the network is so sure that the crops need not be asked."""
    return not SURE < hides < 1 - SURE


def hiding_probability(hides: float, scenes: Scenes, predicted: PredictedMark, part: Mask) -> float:
    """How probable it is that nothing shows through a part (h, w), given also how its most opaque fifth follows the scenes.

    hides: the same by the network alone, neither 0 nor 1.
    """
    ratio = likelihood_ratio(scenes, part & (predicted.opacity >= opacity_level(predicted.opacity, part)))
    return hides * ratio / (hides * ratio + 1 - hides)


def likelihood_ratio(scenes: Scenes, pixels: Mask) -> float:
    """How much likelier these pixels (h, w) are of an opaque mark than of a translucent one; 1 where fills err more than scenes change.

    Pixels beside each other have one scene and one fill, so they count as one.
    """
    freedom = len(scenes.crops) - 1
    changes, shown = (values[..., pixels] - values[..., pixels].mean(0) for values in (scenes.fills, scenes.crops))
    power, error = float(np.square(changes).sum(0).mean()) / max(freedom, 1), float(scenes.fill_power[pixels].mean())
    if power <= error:
        return 1.0
    exact = power - error  # of the changes, without the fill's own
    transmittance = max(float((changes * shown).sum(0).mean()) / freedom / exact, 0.0)
    fill_variance = np.square(TRANSMITTANCES) * error
    variance = (power * (fill_variance + DIFFERENCE_CODEC_NOISE**2) + error * fill_variance) / (freedom * exact**2)
    exponents = -np.square(transmittance - TRANSMITTANCES) / (2 * variance)
    likelihoods = np.exp(exponents - exponents.max()) / np.sqrt(variance)
    is_opaque = TRANSMITTANCES < 1 - OPAQUE_LEVEL
    tiny = float(np.finfo(np.float32).tiny)
    return max(float(likelihoods[is_opaque].mean()), tiny) / max(float(likelihoods[~is_opaque].mean()), tiny)
