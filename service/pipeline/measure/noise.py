"""The noise that measuring expects: what a video codec alone does to pixels, and how exact a fill is. Values are for RGB in [0, 1]."""

from typing import Final

UNBLENDED_NOISE: Final = 1e-3  # mean square: how far H.264 alone moves un-blended pixels
CODEC_NOISE: Final = 0.01  # standard deviation of a decoded pixel

# How local conditions are estimated.
SURROUNDINGS_KERNEL_PIXELS: Final = 31  # side of the square around a pixel over which a fill's error, or a mark's presence, is averaged
MIN_OPACITY_SIGMA: Final = 0.02  # of the opacity: no prediction is treated as more exact
