"""The table of a quality run: one row per kind of mark, means over clips, next to what the issue asks for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.cases import CLEAN, KINDS
from benchmarks.results import Record

# gain in dB over the best baseline with the true mask that this project set out to reach
GOALS_DB = {"moving": 4.0, "moving_name": 4.0, "corner": 1.0, "faint": 4.0, "tiled": 3.0, "subtitle": 1.0, "subtitle_chinese": 1.0}

Figure = float | None


@dataclass(frozen=True)
class Row:
    """Means over the clips of one kind; None where no clip has the figure."""

    kind: str
    clips: int
    marked: Figure
    telea: Figure
    navier_stokes: Figure
    delogo: Figure
    oracle: Figure
    envelope: Figure
    ours: Figure
    gain: Figure
    worst_gain: Figure
    outside_loss: Figure  # dB that a plain transcode is better outside
    flicker: Figure
    flicker_telea: Figure
    ghost: Figure  # mean of absolute values
    ssim: Figure
    f1_share: Figure
    fps: Figure
    streams_equal: bool


@dataclass(frozen=True)
class CleanRow:
    """Clips without a mark: share of the pixels masked, mean over clips, and in how many clips none was."""

    clips: int
    masked_share: float
    untouched_clips: int


def rows(records: Sequence[Record]) -> list[Row]:
    """A row for each kind of mark that occurs, in the order of `KINDS`."""
    by_kind = {kind: [r["figures"] for r in records if r["case"]["kind"] == kind] for kind in KINDS if kind != CLEAN}
    return [_row(kind, figures) for kind, figures in by_kind.items() if figures]


def clean_row(records: Sequence[Record]) -> CleanRow | None:
    """What was masked in clips without a mark; None when there is no such case."""
    shares = [record["figures"]["found"]["masked_share"] for record in records if record["case"]["kind"] == CLEAN]
    return CleanRow(len(shares), sum(shares) / len(shares), shares.count(0.0)) if shares else None


def mean(values: Iterable[Figure]) -> Figure:
    """The mean of those that are there."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _row(kind: str, figures: list[Record]) -> Row:
    gains = [f["gain"] for f in figures if f["gain"] is not None]
    return Row(
        kind=kind,
        clips=len(figures),
        marked=_reference(figures, "marked", "hole"),
        telea=_reference(figures, "telea", "hole"),
        navier_stokes=_reference(figures, "navier_stokes", "hole"),
        delogo=_reference(figures, "delogo", "hole"),
        oracle=_reference(figures, "oracle", "hole"),
        envelope=mean(f["envelope"] for f in figures),
        ours=_ours(figures, "hole"),
        gain=mean(gains),
        worst_gain=min(gains, default=None),
        outside_loss=mean(_outside_loss(f) for f in figures),
        flicker=_ours(figures, "flicker"),
        flicker_telea=_reference(figures, "telea", "flicker"),
        ghost=_ours(figures, "ghost", abs),
        ssim=_ours(figures, "ssim"),
        f1_share=mean(f["found"]["f1_share"] for f in figures),
        fps=mean(f["fps"] for f in figures),
        streams_equal=all(f["frames_equal"] and f["pts_equal"] and f["audio_equal"] for f in figures),
    )


def _reference(figures: list[Record], method: str, name: str) -> Figure:
    return mean(f["references"][method][name] for f in figures if method in f["references"])


def _ours(figures: list[Record], name: str, change: Callable[[float], float] = float) -> Figure:
    values = (f["ours"][name] for f in figures if f["ours"] is not None)
    return mean(None if value is None else change(value) for value in values)


def _outside_loss(figures: Record) -> Figure:
    ours = figures["ours"] and figures["ours"]["outside"]
    plain = figures["plain_outside"]
    return None if ours is None or plain is None else plain - ours


def markdown(records: Sequence[Record]) -> str:
    """The tables, with a line on where they were measured."""
    by_kind = rows(records)
    inside = ("kind (clips)", "marked", "Telea", "N.-S.", "delogo", "oracle", "envelope", "**ours**", "**gain**", "goal", "worst gain")
    beyond = ("kind (clips)", "found", "outside", "flicker", "Telea's", "ghost", "SSIM", "streams", "fps")
    lines = ["PSNR in dB inside the mark, mean over clips:", "", *_table(inside, map(_inside, by_kind)), ""]
    lines += ["And beyond it (outside: PSNR against a plain transcode's):", "", *_table(beyond, map(_beyond, by_kind)), ""]
    if (clean := clean_row(records)) is not None:
        untouched = f"none in {clean.untouched_clips} of {clean.clips} clips"
        lines += [f"Clean clips: {clean.masked_share:.4%} of the pixels masked, {untouched}.", ""]
    return "\n".join([*lines, *measured_on(records)]) + "\n"


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] + ["---:"] * (len(head) - 1), *body)]


def _inside(row: Row) -> list[str]:
    plain = (row.marked, row.telea, row.navier_stokes, row.delogo, row.oracle, row.envelope)
    ours = [f"**{_number(row.ours, 1)}**", f"**{_number(row.gain, 1, '+')}**"]
    goal = [_number(GOALS_DB[row.kind], 0, "+"), _number(row.worst_gain, 1, "+")]
    return [f"{row.kind} ({row.clips})", *(_number(value, 1) for value in plain), *ours, *goal]


def _beyond(row: Row) -> list[str]:
    found = "-" if row.f1_share is None else f"{row.f1_share:.0%}"
    outside = _number(None if row.outside_loss is None else -row.outside_loss, 2, "+")
    figures = [_number(row.flicker, 2), _number(row.flicker_telea, 2), _number(row.ghost, 2), _number(row.ssim, 3)]
    return [f"{row.kind} ({row.clips})", found, outside, *figures, "equal" if row.streams_equal else "DIFFER", _number(row.fps, 1)]


def _number(value: Figure, digits: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def measured_on(records: Sequence[Record]) -> list[str]:
    """One line for each machine and commit that took part."""
    lines = set()
    for mark in (record["stamp"] for record in records):
        machine = f"{mark['cores']} cores of {mark['cpu']}" + (f" and {mark['gpu']}" if mark["gpu"] else "")
        commit = mark["commit"][:10] + (" with changes" if mark["dirty"] else "")
        lines.add(f"Measured on {machine}, commit {commit}, {mark['date'][:10]}.")
    return sorted(lines)
