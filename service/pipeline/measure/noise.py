"""The noise that measuring expects: what a video codec alone does to pixels, and how exact a fill is. Values are for RGB in [0, 1].

They differ because they describe different pixels: beside an edge a codec errs more than in a flat area.
"""

from typing import Final

UNBLENDED_NOISE: Final = 1e-3  # mean square: how far H.264 alone moves un-blended pixels
EDGE_CODEC_NOISE: Final = 0.02  # standard deviation of a pixel beside a mark's edge
DIFFERENCE_CODEC_NOISE: Final = 0.012  # standard deviation of a difference over time that only a codec makes
FILL_NOISE: Final = 0.01  # standard deviation of a fill's error where the scene is flat

# How local conditions are estimated.
SURROUNDINGS_KERNEL_PIXELS: Final = 31  # side of the square around a pixel over which a fill's error, or a mark's presence, is averaged
MIN_OPACITY_SIGMA: Final = 0.02  # of the opacity: no prediction is treated as more exact
