"""A quality run in numbers: for each split and size one row per kind of mark, means over clips, and the same over photos."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from benchmarks.cases import CLEAN, KINDS
from benchmarks.given import REGIONS
from benchmarks.machine import SPLITS
from benchmarks.media import is_photo
from benchmarks.results import Record

Figure = float | None


@dataclass(frozen=True)
class Section:
    """The records of one split and one size, which no mean ever mixes. `height`: the short side at most, in pixels."""

    split: str
    height: int
    records: Sequence[Record]

    @property
    def label(self) -> str:
        return f"{self.split} at {self.height} lines"


@dataclass(frozen=True)
class Row:
    """Means over the clips (or photos) of one kind; None where none of them has the figure."""

    kind: str
    photos: bool
    given: str  # the region that a person gave, or ""
    clips: int
    marked: Figure
    telea: Figure
    navier_stokes: Figure
    delogo: Figure
    oracle: Figure
    best_baseline: Figure
    envelope: Figure
    ours: Figure
    gain: Figure
    worst_gain: Figure
    stained_share: Figure
    readable_marked: Figure  # shares of frames in which a recogniser reads the mark's text: in the marked file
    readable: Figure  # and in ours
    outside_loss: Figure  # dB that a plain transcode is better outside
    flicker: Figure
    flicker_telea: Figure
    ghost: Figure  # mean of absolute values
    ssim: Figure
    f1_share: Figure
    longest_miss_frames: Figure  # of all clips; None where a record is older than this figure
    fps: Figure
    streams_equal: bool

    @property
    def label(self) -> str:
        return self.kind + (", photos" if self.photos else "") + (f", {self.given} given" if self.given else "")


@dataclass(frozen=True)
class CleanRow:
    """Clips (or photos) without a mark: share of the pixels masked, mean over clips, and in how many clips none was."""

    clips: int
    masked_share: float
    untouched_clips: int


def sections(records: Iterable[Record]) -> list[Section]:
    """The records by split and size: eval before test, small before large."""

    def place(record: Record) -> tuple[int, int]:
        return SPLITS.index(record["case"]["split"]), record["case"]["height"]

    return [Section(SPLITS[split], height, list(group)) for (split, height), group in groupby(sorted(records, key=place), place)]


def rows_of(section: Section) -> list[Row]:
    """A row for each kind of mark that occurs, in the order of `KINDS`: of clips, of photos, then those with a region given."""
    records = section.records
    places = [(kind, photos, given) for given in ("", *REGIONS) for photos in (False, True) for kind in KINDS if kind != CLEAN]
    found = {place: _figures(records, *place) for place in places}
    return [_row(*place, figures) for place, figures in found.items() if figures]


def clean_row(section: Section, photos: bool = False) -> CleanRow | None:
    """What was masked in clips (or photos) without a mark; None when there is no such case."""
    shares = [figures["found"]["masked_share"] for figures in _figures(section.records, CLEAN, photos)]
    return CleanRow(len(shares), sum(shares) / len(shares), shares.count(0.0)) if shares else None


def mean(values: Iterable[Figure]) -> Figure:
    """The mean of those that are there."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _figures(records: Sequence[Record], kind: str, photos: bool, given: str = "") -> list[Record]:
    cases = ((record["case"], record["figures"]) for record in records)
    wanted = kind, photos, given
    return [figures for case, figures in cases if (case["kind"], is_photo(Path(case["clip"])), case["given"]) == wanted]


def _row(kind: str, photos: bool, given: str, figures: list[Record]) -> Row:
    gains = [f["gain"] for f in figures if f["gain"] is not None]
    return Row(
        kind=kind,
        photos=photos,
        given=given,
        clips=len(figures),
        marked=_reference(figures, "marked", "hole"),
        telea=_reference(figures, "telea", "hole"),
        navier_stokes=_reference(figures, "navier_stokes", "hole"),
        delogo=_reference(figures, "delogo", "hole"),
        oracle=_reference(figures, "oracle", "hole"),
        best_baseline=mean(f["best_baseline"] for f in figures),
        envelope=mean(f["envelope"] for f in figures),
        ours=_ours(figures, "hole"),
        gain=mean(gains),
        worst_gain=min(gains, default=None),
        stained_share=mean(f.get("stained_share") for f in figures),
        readable_marked=_readable(figures, "marked"),
        readable=_readable(figures, "cleaned"),
        outside_loss=mean(_outside_loss(f) for f in figures),
        flicker=_ours(figures, "flicker"),
        flicker_telea=_reference(figures, "telea", "flicker"),
        ghost=_ours(figures, "ghost", abs),
        ssim=_ours(figures, "ssim"),
        f1_share=mean(f["found"]["f1_share"] for f in figures),
        longest_miss_frames=_longest_miss(figures),
        fps=mean(f["fps"] for f in figures),
        streams_equal=all(f["frames_equal"] and f["pts_equal"] and f["audio_equal"] for f in figures),
    )


def _reference(figures: list[Record], method: str, name: str) -> Figure:
    return mean(f["references"][method][name] for f in figures if method in f["references"])


def _ours(figures: list[Record], name: str, change: Callable[[float], float] = float) -> Figure:
    values = (f["ours"][name] for f in figures if f["ours"] is not None)
    return mean(None if value is None else change(value) for value in values)


def _readable(figures: list[Record], name: str) -> Figure:
    return mean(f["readable"][name] for f in figures if f.get("readable"))


def _outside_loss(figures: Record) -> Figure:
    ours = figures["ours"] and figures["ours"]["outside"]
    plain = figures["plain_outside"]
    return None if ours is None or plain is None else plain - ours


def _longest_miss(figures: list[Record]) -> Figure:
    longest = [f["found"].get("longest_miss_frames") for f in figures]
    return None if None in longest else max(longest)
