"""The tables of a quality run, one section per split and size, next to what the project set out to reach."""

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.goals import CLEAN_SHARE, clean_reached, goal_db, has_goal, missed
from benchmarks.results import Record
from benchmarks.rows import Figure, Row, Section, clean_row, rows_of, sections

INSIDE = ("kind (clips)", "marked", "Telea", "N.-S.", "delogo", "oracle", "envelope", "**ours**", "**gain**", "goal", "worst gain")
BEYOND = (
    "kind (clips)", "found", "longest miss", "stained", "readable", "outside", "flicker", "Telea's", "ghost", "SSIM", "streams", "fps",
    "goal reached",
)  # fmt: skip


def markdown(records: Sequence[Record]) -> str:
    """The tables of each split and size, with lines on where they were measured."""
    return "\n".join("\n".join(_section(section)) + "\n" for section in sections(records))


def _section(section: Section) -> list[str]:
    by_kind = rows_of(section)
    lines = [
        f"### {section.label}",
        "",
        "PSNR in dB inside the mark, mean over clips (goal: what ours is to be):",
        "",
        *table(INSIDE, map(_inside, by_kind)),
        "",
    ]
    lines += [
        "And beyond it (longest miss: frames; stained: of what a fill restores in a given region; readable: frames in which a recogniser "
        "reads the mark's text, and in how many of the marked file; outside: PSNR against a transcode's):",
        "",
        *table(BEYOND, map(_beyond, by_kind)),
        "",
    ]
    return [*lines, *_clean(section), *measured_on(section.records)]


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table whose first column holds words."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] + ["---:"] * (len(head) - 1), *body)]


def number(value: Figure, digits: int, sign: str = "") -> str:
    """A figure in a table."""
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def _inside(row: Row) -> list[str]:
    plain = (row.marked, row.telea, row.navier_stokes, row.delogo, row.oracle, row.envelope)
    ours = [f"**{number(row.ours, 1)}**", f"**{number(row.gain, 1, '+')}**"]
    goal = [number(goal_db(row), 1), number(row.worst_gain, 1, "+")]
    return [f"{row.label} ({row.clips})", *(number(value, 1) for value in plain), *ours, *goal]


def _beyond(row: Row) -> list[str]:
    found = ["-" if row.f1_share is None else f"{row.f1_share:.1%}", number(row.longest_miss_frames, 0)]
    found.append("-" if row.stained_share is None else f"{row.stained_share:.2%}")
    found.append("-" if row.readable is None else f"{row.readable:.1%} of {row.readable_marked:.1%}")
    outside = number(None if row.outside_loss is None else -row.outside_loss, 2, "+")
    figures = [number(row.flicker, 2), number(row.flicker_telea, 2), number(row.ghost, 2), number(row.ssim, 3)]
    streams = "-" if row.photos else "equal" if row.streams_equal else "DIFFER"
    return [f"{row.label} ({row.clips})", *found, outside, *figures, streams, number(row.fps, 1), _reached(row)]


def _reached(row: Row) -> str:
    if not has_goal(row):
        return "-"
    short = missed(row)
    return f"no: {', '.join(short)}" if short else "yes"


def _clean(section: Section) -> Iterator[str]:
    for name, photos in (("clips", False), ("photos", True)):
        if (row := clean_row(section, photos)) is not None:
            goal = f"goal: under {CLEAN_SHARE:.3%}, {'reached' if clean_reached(row) else 'not reached'}"
            yield f"Clean {name}: {row.masked_share:.4%} of the pixels masked, none in {row.untouched_clips} of {row.clips} ({goal})."
            yield ""


def measured_on(records: Sequence[Record]) -> list[str]:
    """One line for each machine and commit that took part."""
    lines = set()
    for mark in (record["stamp"] for record in records):
        machine = f"{mark['cores']} cores of {mark['cpu']}" + (f" and {mark['gpu']}" if mark["gpu"] else "")
        commit = mark["commit"][:10] + (" with changes" if mark["dirty"] else "")
        lines.add(f"Measured on {machine}, commit {commit}, {mark['date'][:10]}.")
    return sorted(lines)
