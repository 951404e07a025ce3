"""What locating passes on: samples of the video, and what the segmenter sees in them."""

from dataclasses import dataclass, field

from models.arrays import Bytes, Floats

Sample = tuple[int, Bytes]  # frame index and picture (h, w, 3) RGB at analysis size


@dataclass(frozen=True)
class Detection:
    """The segmenter's answer for one sampled frame: mark probability (h, w) in [0, 1] at analysis size."""

    frame_index: int
    probability: Floats = field(repr=False)
