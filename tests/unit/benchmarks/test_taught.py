"""What fine-tuning brings for a mark that no network has seen."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks import taught
from benchmarks.taught import KINDS, OPACITY, SIZE_PIXELS, Taught, compared, marked_scene, spiral, spiral_picture, table
from service.pipeline.placement import Placement
from training import own_mark


def copy(source: Path, target: Path, _region: object = None) -> tuple[Placement, ...]:
    """A program that finds nothing."""
    shutil.copyfile(source, target)
    return ()


def test_the_spiral_is_thin_and_reaches_from_its_middle_to_its_edge() -> None:
    coverage = spiral(SIZE_PIXELS)
    assert 0.15 < coverage.mean() < 0.5
    middle = coverage[SIZE_PIXELS // 2]
    strokes = int((np.diff((middle > 0.5).astype(int)) > 0).sum())
    assert strokes >= 5  # three turns cross the middle line on both sides


def test_what_is_taught_is_what_is_burned_in(tmp_path: Path) -> None:
    spiral_picture(SIZE_PIXELS).save(tmp_path / "spiral.png")
    alpha, colour = own_mark.read(tmp_path / "spiral.png")
    drawn = OPACITY * spiral(SIZE_PIXELS)
    rows, columns = (np.flatnonzero(drawn.max(axis) > own_mark.VISIBLE) for axis in (1, 0))
    assert np.abs(alpha - drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]).max() < 0.01
    assert colour[alpha > 0.1].min() == 1


@pytest.mark.parametrize(("kind", "places"), [("moving", 3), ("static", 1)])
def test_the_spiral_stands_or_jumps(kind: str, places: int, clips: Path, tmp_path: Path) -> None:
    scene = marked_scene(next(iter(sorted(clips.glob("*.mp4")))), kind, tmp_path)
    corners = {(patch.left, patch.top) for patch in scene.mark.patches if patch is not None}
    assert len(corners) == places == len(KINDS[kind])
    assert scene.marked.exists()
    assert scene.translucent


def test_a_case_that_nothing_cleans_is_as_marked(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taught, "transcode", shutil.copyfile)
    row = compared(next(iter(sorted(clips.glob("*.mp4")))), "static", copy, copy, tmp_path)
    assert row.before == row.after == row.marked
    assert row.classical is not None
    assert (row.found_before, row.found_after) == (0, 0)


def test_the_last_line_of_the_table_is_the_mean() -> None:
    rows = [Taught("a.mp4", "moving", 12, 15, 20, 24, 0, 1), Taught("b.mp4", "static", 14, 17, 26, 22, 0.5, 1)]
    assert table(rows).splitlines()[-1] == "| mean |  | 13.0 | 16.0 | 23.0 | 23.0 | 25% | 100% |"
