"""Step 5 in between, once its level is known: a faint mark at one opacity and of one colour, where that explains what is seen."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.blend import detail_pixels, local_scene
from service.pipeline.opacity import DENSE
from service.pipeline.presence import Look, parts

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

CORE: Final = 0.75  # of a part's level: what is above it is not its edge
EDGE: Final = 0.9  # of the level: what the head sees there is the level already
MOST_UNEVEN: Final = 0.2  # of the level, the standard deviation in the core: more is a texture of the mark's own
MOST_DETAIL: Final = 1.25  # times that of the scene before: more is left of an even mark too, as the head takes detail of the scene for its
UNEVEN_DOUBT: Final = 2.0  # times the head's
SURE_DOUBT: Final = 0.01  # of the opacity: less doubt does not make a pixel count more


def evened(inside: Floats, look: Look) -> Look:
    """The look with each of its faint parts at one opacity and of one colour, its edges aside, if that explains the crops (N, 3, h, w) too.

    Most marks are drawn at one opacity, and the head errs more in each pixel than in the mean of all. Where that does not explain them,
    though the opacity varies little, its level may be wrong, and what varies be the scene's: that is doubted more.
    """
    for part in parts(look.mask > 0.5):
        if (even := _even(look, part)) is None:
            continue
        if _detail(inside, even, part) < MOST_DETAIL * _detail(inside, look, part):
            look = even
        else:
            look = replace(look, doubt=np.minimum(np.where(part, UNEVEN_DOUBT * look.doubt, look.doubt), np.float32(1)))
    return look


def _even(look: Look, part: Mask) -> Look | None:
    """The look with a part (h, w) of it at one opacity; None where that is dense, or has a texture."""
    level = float(np.percentile(look.opacity[part], 80))
    core = part & (look.opacity > CORE * level)
    if level > DENSE or not core.any() or look.opacity[core].std() > MOST_UNEVEN * level:
        return None
    weight = 1 / (np.square(look.doubt[core]) + SURE_DOUBT**2)
    level = float(np.average(look.opacity[core], weights=weight))
    colour = np.average(look.colour[:, core], axis=1, weights=weight)[:, None, None]
    opacity = level * np.clip(look.opacity / (EDGE * level), 0, 1)
    return replace(
        look,
        opacity=np.where(part, opacity, look.opacity).astype(np.float32),
        colour=np.where(part, colour, look.colour).astype(np.float32),
    )


def _detail(inside: Floats, look: Look, part: Mask) -> float:
    """How much fine detail, in squares, the un-blended crops have in a part (h, w) of the mark."""
    opacity = look.opacity * look.mask
    unblended, scene = local_scene(inside, opacity, look.colour, detail_pixels(opacity))
    return float(np.square(unblended - scene)[:, :, part].sum())
