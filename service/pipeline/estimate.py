"""How long the removal will take, from a trial on a few frames with the most marked pixels."""

import time
from collections.abc import Sequence
from pathlib import Path

from models.references import REACH_FRAMES
from service.inference.session import Networks
from service.pipeline.io.decode import decode
from service.pipeline.placement import Placement
from service.pipeline.remove.inpaint import Inpainter
from service.pipeline.remove.remove import CHUNK_FRAMES
from service.pipeline.report.report import Report
from service.pipeline.video import Frame, Limits


def removal_seconds(source: Path, report: Report, networks: Networks, limits: Limits) -> float:
    """Seconds, about, that the removal of the marks of a report will take on this machine.

    A frame costs what reading it costs, and a share for the area of the boxes in it, which the trial measures. Raises as `decode` does.
    """
    if not report.placements:
        return 0.0
    areas = _areas(report.placements, report.frames)
    busiest = max(range(len(areas)), key=areas.__getitem__)
    targets = range(busiest, min(report.frames, busiest + CHUNK_FRAMES))
    started = time.monotonic()
    frames = _frames_around(source, report, targets, limits)
    reading_seconds = (time.monotonic() - started) / (max(frames) + 1)
    inpainter = Inpainter(networks.inpainter_encoder, networks.inpainter, report.placements, report.info)
    started = time.monotonic()
    inpainter.patches(targets, frames)
    trial_seconds = time.monotonic() - started
    seconds = report.frames * reading_seconds + trial_seconds * sum(areas) / sum(areas[index] for index in targets)
    return 2 * seconds if report.info.in_fields else seconds


def _areas(placements: Sequence[Placement], frames: int) -> list[int]:
    """The area of all boxes in each frame, in pixels."""
    changes = [0] * (frames + 1)
    for placement in placements:
        area = placement.box.width * placement.box.height
        changes[placement.first_frame] += area
        changes[min(frames, placement.last_frame + 1)] -= area
    total, areas = 0, []
    for change in changes[:frames]:
        total += change
        areas.append(total)
    return areas


def _frames_around(source: Path, report: Report, targets: range, limits: Limits) -> dict[int, Frame]:
    """The target frames and those that their references may need, by index."""
    found: dict[int, Frame] = {}
    with decode(source, report.info, limits) as frames:
        for frame in frames:
            if frame.index >= targets[0] - REACH_FRAMES:
                found[frame.index] = frame
            if frame.index >= targets[-1] + REACH_FRAMES:
                break
    return found
