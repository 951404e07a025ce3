"""What a person points at in the evaluation: regions around a mark, what fills get, and what counts as a stain."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.baselines import masks_of
from benchmarks.cases import GIVEN_KINDS, Scene, bars, find_cases, prepare
from benchmarks.given import REGIONS, given
from benchmarks.marks import EVALUATION_KINDS, MOVING_KINDS
from benchmarks.product import cleaner_with
from benchmarks.quality import regions_of
from benchmarks.scores import bar_level, mask_of, stained_share
from service.inference import fake
from training import glyphs
from training.vocabulary import Vocabulary


@pytest.fixture
def letters() -> np.ndarray:
    """(H, W): two strokes with a gap."""
    marked = np.zeros((120, 200), bool)
    marked[50:70, 60:64] = marked[50:70, 76:80] = True
    return marked


def region(name: str, marked: np.ndarray) -> np.ndarray:
    """(H, W): what a person gives for a mark that stays."""
    return given(name, [marked, marked], [0.0, 1.0]).region(marked.shape, 0.5)


def test_a_generous_mask_covers_the_gaps_and_more_and_is_no_box(letters: np.ndarray) -> None:
    mask = region("mask", letters)
    assert mask[50:70, 60:80].all()
    assert mask[60, 55]
    assert not mask[44, 53]  # round at the corners
    assert mask.sum() < 4 * 20 * 20


def test_boxes_are_around_the_mark_and_stay_in_the_picture(letters: np.ndarray) -> None:
    assert np.argwhere(region("box", letters)).min(0).tolist() == [47, 57]
    assert np.argwhere(region("box", letters)).max(0).tolist() == [72, 82]
    assert region("loose", letters).sum() == 52 * 52
    at_edge = np.zeros((40, 40), bool)
    at_edge[:10, :10] = True
    assert all(region(name, at_edge)[:10, :10].all() for name in REGIONS)


def test_only_kinds_at_one_place_are_pointed_at(clips: Path) -> None:
    cases = find_cases(clips, ["smooth"], [], 8, 128, given=("", "box"))
    assert {case.kind for case in cases if case.given} == set(GIVEN_KINDS)
    assert str(cases[-1]).endswith("(box given)")
    assert regions_of("") == [""]


def test_only_kinds_that_move_get_keyframes(clips: Path) -> None:
    cases = find_cases(clips, ["smooth"], [], 8, 128, given=("keyframed",))
    assert [case.kind for case in cases] == ["moving", *MOVING_KINDS]


def square_at(frame: int) -> np.ndarray:
    """(H, W): a square of ten pixels that enters at frame 5, drifts evenly and has left at frame 55."""
    marked = np.zeros((60, 90), bool)
    if 5 <= frame < 55:
        marked[20:30, max(0, 2 * frame - 18) : 2 * frame - 8] = True
    return marked


def test_a_box_with_keyframes_follows_what_drifts() -> None:
    marked, seconds = [square_at(frame) for frame in range(60)], [frame / 30 for frame in range(60)]
    follows = given("keyframed", marked, seconds)
    assert [box.first_seconds for box in follows.boxes] == [frame / 30 for frame in (5, 10, 25, 40, 49)]
    for mask, moment in zip(marked, seconds, strict=True):
        region = follows.region(mask.shape, moment)
        assert (region | ~mask).all()
        assert region.any() == mask.any()
        assert region.sum() <= 17 * 17


def test_a_mark_that_is_there_in_one_frame_gets_one_box() -> None:
    (box,) = given("keyframed", [square_at(frame) for frame in (0, 10, 0)], [0.0, 0.5, 1.0]).boxes
    assert (box.first_seconds, box.last_seconds, box.end) == (0.5, 0.5, None)


def test_a_mark_that_jumps_gets_boxes_for_each_place() -> None:
    marked, seconds = [square_at(frame) for frame in (6, 7, 40, 41, 42)], [0.0, 0.1, 0.2, 0.3, 0.4]
    for name in ("box", "loose", "keyframed"):
        pointed = given(name, marked, seconds)
        assert [(box.first_seconds, box.last_seconds) for box in pointed.boxes] == [(0.0, 0.1), (0.2, 0.4)]
        for mask, moment in zip(marked, seconds, strict=True):
            region = pointed.region(mask.shape, moment)
            assert (region | ~mask).all()
            assert region.sum() <= 32 * 45


def test_marks_can_be_looked_for_as_well() -> None:
    marked = [square_at(10)] * 2
    for name in ("mask", "box", "loose", "keyframed"):
        alone, also = (given(name + more, marked, [0.0, 1.0]) for more in ("", "+detect"))
        assert (alone.detect, also.detect) == (False, True)
        assert np.array_equal(alone.region(marked[0].shape, 0.5), also.region(marked[0].shape, 0.5))


def test_the_program_gets_the_boxes_that_the_fills_get(clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    (case,) = find_cases(clips, ["drifting"], ["bouncing"], 12, 128, given=("keyframed",))
    scene = prepare(case, clips, vocabulary, tmp_path)
    found = cleaner_with(fake.networks())(scene.marked, tmp_path / "clean.mp4", scene.given)
    changed = np.stack([mask_of(found, frame, scene.size) for frame in range(scene.frames)])
    assert (changed | ~np.stack(list(masks_of(scene)))).all()
    assert len({placement.box for placement in found}) > 1


@pytest.mark.parametrize("kind", EVALUATION_KINDS)
def test_newer_kinds_are_drawn_in_clips_inside_the_picture(kind: str, clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    (case,) = find_cases(clips, ["smooth"], [kind], 8, 128)
    scene = prepare(case, clips, vocabulary, tmp_path)
    alphas = np.stack(list(scene.alphas()))
    assert alphas.shape == (8, *scene.size)
    assert 0.3 < alphas.max() <= 1
    assert (kind in MOVING_KINDS) == (not np.array_equal(alphas[0], alphas[1]))


def test_a_subtitle_in_a_bar_has_black_around_it_and_the_bar_is_measured(scene: Callable[[str, str], Scene]) -> None:
    made = scene("drifting", "in_bar")
    black = bars(made.clean.height)
    assert not made.clean.pictures[:, black].any()
    assert made.clean.pictures[:, ~black].mean() > 50
    assert all(black[np.flatnonzero(alpha.any(1))].all() for alpha in made.alphas())
    lit = made.clean.pictures.copy()
    lit[5, -1, 3] = 7
    assert [bar_level(pictures, made) for pictures in (made.clean.pictures, lit)] == [0, 7]
    assert bar_level(lit, scene("drifting", "corner")) is None


def test_a_vertical_line_stands(scene: Callable[[str, str], Scene]) -> None:
    (patch,) = scene("drifting", "vertical").distinct_patches()
    assert patch.alpha.shape[0] > 3 * patch.alpha.shape[1]


def test_lines_from_right_to_left_are_set_so(vocabulary: Vocabulary) -> None:
    (font,) = vocabulary.latin_fonts
    both, first, last = (glyphs.cropped(glyphs.text(letters, font, 40)) for letters in ("אב", "א", "ב"))
    assert np.array_equal(both[:, -first.shape[1] :].max(0) > 0, first.max(0) > 0)
    assert np.array_equal(both[:, : last.shape[1] - 2].max(0) > 0, last[:, :-2].max(0) > 0)


def test_arabic_letters_are_joined(vocabulary: Vocabulary) -> None:
    (font,) = vocabulary.latin_fonts
    joined, apart = (cv2.connectedComponents((glyphs.text(word, font, 60) > 0.2).astype(np.uint8))[0] for word in ("سس", "س س"))
    assert joined < apart


def given_scene(clips: Path, vocabulary: Vocabulary, folder: Path) -> Scene:
    (case,) = find_cases(clips, ["smooth"], ["corner"], 8, 128, given=("mask",))
    return prepare(case, clips, vocabulary, folder)


def test_fills_get_the_same_region(clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    scene = given_scene(clips, vocabulary, tmp_path)
    assert scene.given is not None
    assert all(np.array_equal(mask, scene.given.mask) for mask in masks_of(scene))
    assert (scene.given.mask | ~scene.ever_marked()).all()


def test_a_stain_is_far_from_the_truth_where_a_fill_is_near(clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    scene = given_scene(clips, vocabulary, tmp_path)
    clean = scene.clean.pictures
    assert stained_share(clean, clean, scene) == 0
    green = [picture.copy() for picture in clean]
    rows, columns = np.nonzero(next(scene.regions()))
    half = len(rows) // 2
    for picture in green:
        picture[rows[:half], columns[:half]] = (0, 255, 0)
    assert stained_share(green, clean, scene) == pytest.approx(0.5, abs=0.01)
    assert stained_share(green, green, scene) == 0  # where the fill errs as well, nothing counts as a stain
