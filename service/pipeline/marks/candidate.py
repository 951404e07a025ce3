"""A candidate: a place that may hold a mark, before it has been measured, and how it was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.arrays import Floats, Mask
from service.pipeline.placement import Box, Kind

LatticeVector = tuple[float, float]  # (dy, dx) in pixels
Lattice = tuple[LatticeVector, LatticeVector]


@dataclass(frozen=True)
class Detected:
    """The segmenter detected it in some of the sampled frames.

    scale: size of the analysed pictures relative to the video. confirmed: closer looks show a mark, so that it counts as one.
    An unconfirmed candidate counts only if it matches a confirmed one. in_line: others appear beside it, as words of a line do, or take
    its place, as captions do.
    """

    scale: float
    confirmed: bool = True
    in_line: bool = False


@dataclass(frozen=True)
class Static:
    """It was found in every part of the video. scale: size of the analysed pictures relative to the video.

    in_samples: single samples showed it too, for as long, not long exposures alone.
    """

    scale: float
    in_samples: bool = False


@dataclass(frozen=True)
class Tiled:
    """It was found because it repeats over the whole picture.

    scale: size of the analysed pictures relative to the video. lattice: in pixels of the video.
    """

    scale: float
    lattice: Lattice


@dataclass(frozen=True)
class Followed:
    """It moves on its own way, and was followed: one of many places along its path.

    path: names the path among those of the video. pixels: (h, w), of the mark in its frame of reference, as far as they were seen.
    places: by frame, where the (0, 0) of that frame of reference is expected, as (y, x) in pixels of the video. reach_pixels: how far from
    there it may lie, along either axis.
    """

    path: str
    pixels: Mask = field(repr=False)
    places: Mapping[int, tuple[float, float]] = field(repr=False)
    reach_pixels: int


@dataclass(frozen=True)
class UserBox:
    """A user drew a box around it. path: if the box moves, names its path; it is one of many places there, and its mark stays at none."""

    path: str = ""


@dataclass(frozen=True)
class UserMask:
    """A user gave its exact pixels."""


Origin = Detected | Static | Tiled | Followed | UserBox | UserMask


@dataclass(frozen=True)
class Candidate:
    """A place to measure, in pixels of the video.

    box: the place with context around it. probability: (h, w) in [0, 1], that a pixel of the box belongs to a mark.
    first_sample, last_sample: frame indices of the first and last sampled frame that show the mark. confidence: in [0, 1].
    slack_frames: how many frames beyond these two the mark may reach; 0 if they are its exact first and last frame.
    """

    box: Box
    probability: Floats = field(repr=False)
    first_sample: int
    last_sample: int
    confidence: float
    kind: Kind
    slack_frames: int
    origin: Origin

    @property
    def by_user(self) -> bool:
        """Whether a user gave it. It then counts as a mark whatever the frames show."""
        return isinstance(self.origin, UserBox | UserMask)

    @property
    def is_exact(self) -> bool:
        """Whether its pixels and frames are known, from a person or from its path, and are not to be found out."""
        return self.by_user or isinstance(self.origin, Followed)

    @property
    def path(self) -> str:
        """Names the path of which it is one of many places: other frames show what it hides. Empty if it stays."""
        return self.origin.path if isinstance(self.origin, Followed | UserBox) else ""

    @property
    def in_line(self) -> bool:
        """Whether it is a word of a line that appears word by word, or a caption that others follow."""
        return isinstance(self.origin, Detected) and self.origin.in_line

    @property
    def spans_video(self) -> bool:
        """Whether it is expected in every frame of the video."""
        return isinstance(self.origin, Static | Tiled)

    @property
    def must_span_video(self) -> bool:
        """Whether it is none if a frame lacks it: only what many frames show together was seen of it."""
        return self.spans_video and not (isinstance(self.origin, Static) and self.origin.in_samples)

    @property
    def confirmed(self) -> bool:
        """Whether it counts as a mark without matching another candidate."""
        return not isinstance(self.origin, Detected) or self.origin.confirmed
