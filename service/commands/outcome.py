"""The outcome of one file of `cleanplate clean`, as lines for people and as an entry for programs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.commands.display import mark_lines
from service.errors import CleanplateError
from service.pipeline.placement import marks_of
from service.pipeline.report import contact_sheet
from service.pipeline.report.report import FileResult, Report

NOTHING: Final = "no mark found, streams copied untouched; if you see one, point at it with --box or --mask"
NOTHING_ENCODED: Final = "no mark found, encoded all the same; if you see one, point at it with --box or --mask"


@dataclass(frozen=True)
class Skipped:
    """A file whose clean file was there already."""

    source_name: str


Outcome = FileResult | Skipped


def entry_of(outcome: Outcome, output: str) -> dict[str, object]:
    """What became of a file, as JSON values: a summary of the report that `--report` writes. output: where its clean file is."""
    if isinstance(outcome, Skipped):
        return {"input": outcome.source_name, "output": output, "skipped": True}
    report = outcome.outcome
    if isinstance(report, CleanplateError):
        return {"input": outcome.source_name, "error": type(report).__name__, "message": str(report)}
    return {
        "input": outcome.source_name,
        "output": output,
        "mark_found": report.mark_found,
        "marks": [mark[0].id for mark in marks_of(report.placements)],
        "frames": report.frames,
        "copied_frames": report.copied_frames,
        "seconds": round(report.seconds, 3),
    }


def lines_of(report: Report, name: str, target: str, debug_folder: Path | None) -> Iterator[str]:
    """What was done to a file; the first line says it alone."""
    count = len(marks_of(report.placements))
    encoded = report.info.part or report.info.encoding
    verdict = f"mark removed, placements: {count}" if count else NOTHING_ENCODED if encoded else NOTHING
    yield f"{name}: {verdict} ({target}, {report.seconds:.1f} s)"
    yield from mark_lines(report)
    for step in report.steps:
        yield f"  {step.name:<15}{step.seconds:8.2f} s {step.frames_per_second:8.1f} fps"
    yield f"  {'end to end':<15}{report.seconds:8.2f} s {report.frames_per_second:8.1f} fps"
    yield f"  clean file     {target}"
    if report.copied_frames and report.mark_found:
        yield f"  {'copied':<15}{report.copied_frames} of {report.frames} frames, bit by bit"
    if report.provenance:
        yield f"  {'credentials':<15}{report.provenance.reason or f'signed by {report.provenance.signed_by}'}"
    yield from (f"  {'not kept':<15}{each.what}: {each.reason}" for each in report.not_kept)
    pictures = (("before/after", contact_sheet.BEFORE_AFTER), ("contact sheet", contact_sheet.SHEET))
    yield from (f"  {what:<15}{debug_folder / file}" for what, file in pictures if debug_folder and (debug_folder / file).is_file())


def total_of(outcomes: Sequence[Outcome]) -> str:
    """How many files came to which end: `3 files: 1 cleaned, 1 without a mark, 1 failed`."""
    ends = Counter(map(_end_of, outcomes))
    counted = (f"{ends[end]} {end}" for end in ("cleaned", "without a mark", "there already", "failed") if ends[end])
    return f"{len(outcomes)} files: {', '.join(counted)}"


def _end_of(outcome: Outcome) -> str:
    if isinstance(outcome, Skipped):
        return "there already"
    if isinstance(outcome.outcome, CleanplateError):
        return "failed"
    return "cleaned" if outcome.outcome.mark_found else "without a mark"
