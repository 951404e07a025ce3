"""A place that may hold a mark, before it is measured, and where the suspicion comes from."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.pipeline.placement import Box, Kind

Floats = NDArray[np.float32]
LatticeVector = tuple[float, float]  # (y, x) in pixels
Lattice = tuple[LatticeVector, LatticeVector]


@dataclass(frozen=True)
class Detected:
    """Found by the segmenter in some of the sampled frames, in pictures `scale` times the video's size.

    `confirmed`: seen often and clearly enough to count as a mark. Otherwise it counts only if it matches one that is confirmed.
    """

    scale: float
    confirmed: bool = True


@dataclass(frozen=True)
class Static:
    """Found in every part of the video, in pictures `scale` times the video's size."""

    scale: float


@dataclass(frozen=True)
class Tiled:
    """Found by its repetition over the whole picture; the lattice vectors are in pixels of the video."""

    scale: float
    lattice: Lattice


@dataclass(frozen=True)
class UserBox:
    """A person drew a box around it."""


@dataclass(frozen=True)
class UserMask:
    """A person gave its exact pixels."""


Origin = Detected | Static | Tiled | UserBox | UserMask


@dataclass(frozen=True)
class Candidate:
    """A place to be measured: its box with context, the mark probability (h, w) in it, and the sampled frames that show the mark."""

    box: Box
    probability: Floats = field(repr=False)
    first_sample: int
    last_sample: int
    confidence: float
    kind: Kind
    slack_frames: int  # from one sample to the next; 0 if the frames are exact
    origin: Origin

    @property
    def by_user(self) -> bool:
        """Whether a person pointed at it: then it is a mark, whatever is seen there."""
        return isinstance(self.origin, UserBox | UserMask)

    @property
    def spans_video(self) -> bool:
        """Whether it is expected in every frame of the video."""
        return isinstance(self.origin, Static | Tiled)

    @property
    def confirmed(self) -> bool:
        """Whether it counts as a mark without matching another one."""
        return not isinstance(self.origin, Detected) or self.origin.confirmed
