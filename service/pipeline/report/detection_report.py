"""What was found in a file, before anything is removed: the marks with one mask picture each, and how long the removal will take."""

import json
from collections.abc import Sequence
from typing import Final

import numpy as np

from models.arrays import Bytes
from service.pipeline.placement import Placement, marks_of
from service.pipeline.report.report import Report, mark_entry, png_address, video_entry

MAX_MASK_BYTES: Final = 8 * 2**20  # of all masks of a file, as base64


def detection_json(report: Report, removal_seconds: float, masks: Sequence[str | None]) -> str:
    """The detection as a JSON document."""
    return json.dumps(detection_entry(report, removal_seconds, masks), indent=2) + "\n"


def detection_entry(report: Report, removal_seconds: float, masks: Sequence[str | None]) -> dict[str, object]:
    """The marks as JSON values, in the order of the report, each with its mask: a file's name, a `data:` address, or none.

    `estimate_seconds` is what cleaning the whole file takes: `seconds`, which finding the marks took, and the removal.
    """
    marks = [mark_entry(mark, report) | {"mask": mask} for mark, mask in zip(marks_of(report.placements), masks, strict=True)]
    return {
        "marks": marks,
        "video": video_entry(report.info, report.frames),
        "seconds": round(report.seconds, 3),
        "removal_seconds": round(removal_seconds, 1),
        "estimate_seconds": round(report.seconds + removal_seconds, 1),
        "versions": report.versions,
    }


def mask_picture(mark: Sequence[Placement], report: Report) -> Bytes:
    """The mask of one mark in a picture of the file's size, (H, W) uint8: 255 on the mark, 0 elsewhere. `--mask` takes it.

    Of a mark that moves it is that of half-way along its path.
    """
    shown = mark[len(mark) // 2]
    picture = np.zeros((report.info.height, report.info.width), np.uint8)
    picture[shown.box.slices] = np.where(shown.mask > 0.5, 255, 0)
    return picture


def mask_addresses(report: Report) -> list[str | None]:
    """The masks as `data:` addresses of PNG pictures; None for those that would make them larger than MAX_MASK_BYTES in all."""
    addresses: list[str | None] = []
    free_bytes = MAX_MASK_BYTES
    for mark in marks_of(report.placements):
        address = png_address(mask_picture(mark, report))
        fits = len(address) <= free_bytes
        addresses.append(address if fits else None)
        free_bytes -= len(address) if fits else 0
    return addresses
