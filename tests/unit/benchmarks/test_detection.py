"""The metrics of a segmenter with known output."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cases import Case, Scene
from benchmarks.detection import Detection, compared, detect, markdown, segmenter_in
from models.registry import MANIFEST
from service.inference.batcher import Batcher
from service.inference.fake import BlindSegmenter, FakeSegmenter

MakeScene = Callable[[str, str], Scene]

WEIGHTS = MANIFEST.parent / "weights"


def alpha(rows: slice) -> np.ndarray:
    mark = np.zeros((80, 120), np.float32)
    mark[rows, 40:80] = 0.5
    return mark


def halved(mark: np.ndarray) -> np.ndarray:
    """The mark at analysis size, half of the native size."""
    return mark[::2, ::2] * 2


def test_a_perfect_detection_and_one_everywhere() -> None:
    mark = alpha(slice(20, 40))
    everywhere = np.full((40, 60), 0.9, np.float32)
    perfect, wrong = compared([(halved(mark), mark)] * 3), compared([(everywhere, mark)])
    assert perfect == Detection(3, 1.0, 1.0, 1.0, 0.0)
    assert (wrong.wrong_share, wrong.found_share) == (1.0, 0.0)
    assert wrong.inside == pytest.approx(0.9)


def test_pixels_beside_a_mark_are_neither_right_nor_wrong() -> None:
    mark = alpha(slice(20, 40))
    assert compared([(halved(alpha(slice(16, 44))), mark)]).wrong_share == 0
    assert (compared([(halved(alpha(slice(10, 44))), mark)]).wrong_share or 0) > 0


def test_frames_without_a_mark_count_only_for_the_wrong_share() -> None:
    mark, nothing = alpha(slice(20, 40)), np.zeros((80, 120), np.float32)
    both = compared([(halved(mark), mark), (halved(mark), nothing)])
    assert (both.f1_mean, both.found_share, both.inside) == (1.0, 1.0, 1.0)
    assert (both.wrong_share or 0) > 0
    assert compared([(halved(nothing), nothing)]) == Detection(1, None, None, None, 0.0)


def test_the_marked_file_is_sampled_as_in_the_service(scene: MakeScene) -> None:
    made = scene("smooth", "subtitle")
    blind, seeing = (detect(made, Batcher(session)) for session in (BlindSegmenter(), FakeSegmenter()))
    assert (blind.frames, blind.f1_mean, blind.inside, blind.wrong_share) == (8, 0.0, 0.0, 0.0)
    assert seeing.wrong_share == 0
    assert (seeing.inside or 0) > 0.1


def test_a_checkpoint_and_its_export_agree(tmp_path: Path) -> None:
    shutil.copyfile(WEIGHTS / "segmenter.pt", tmp_path / "last.pt")
    pictures = np.random.default_rng(1).random((4, 3, 64, 96), np.float32)
    answers = [segmenter_in(folder).run([{"frames": pictures}])[0]["probability"] for folder in (WEIGHTS, tmp_path)]
    np.testing.assert_allclose(*answers, atol=1e-3)


def test_the_table_has_clips_before_photos() -> None:
    seen = Detection(10, 0.8, 0.75, 0.6, 0.0001)
    found = {Case("p.jpg", "faint"): seen, Case("a.mp4", "clean"): Detection(9, None, None, None, 0.0), Case("a.mp4", "faint"): seen}
    assert markdown(found).splitlines()[2:] == [
        "| faint (1) | 0.800 | 75% | 0.600 | 0.0100% |",
        "| clean (1) | - | - | - | 0.0000% |",
        "| faint, photos (1) | 0.800 | 75% | 0.600 | 0.0100% |",
    ]
