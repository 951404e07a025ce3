"""What a person points at in the evaluation: regions around a mark, what fills get, and what counts as a stain."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.baselines import masks_of
from benchmarks.cases import GIVEN_KINDS, Scene, find_cases, prepare
from benchmarks.given import REGIONS, region_given
from benchmarks.marks import EVALUATION_KINDS
from benchmarks.quality import regions_of
from benchmarks.scores import stained_share
from training.vocabulary import Vocabulary


@pytest.fixture
def letters() -> np.ndarray:
    """(H, W): two strokes with a gap."""
    marked = np.zeros((120, 200), bool)
    marked[50:70, 60:64] = marked[50:70, 76:80] = True
    return marked


def test_a_generous_mask_covers_the_gaps_and_more_and_is_no_box(letters: np.ndarray) -> None:
    mask = region_given("mask", letters)
    assert mask[50:70, 60:80].all()
    assert mask[60, 55]
    assert not mask[44, 53]  # round at the corners
    assert mask.sum() < 4 * 20 * 20


def test_boxes_are_around_the_mark_and_stay_in_the_picture(letters: np.ndarray) -> None:
    assert np.argwhere(region_given("box", letters)).min(0).tolist() == [47, 57]
    assert np.argwhere(region_given("box", letters)).max(0).tolist() == [72, 82]
    assert region_given("loose", letters).sum() == 52 * 52
    at_edge = np.zeros((40, 40), bool)
    at_edge[:10, :10] = True
    assert all(region_given(name, at_edge)[:10, :10].all() for name in REGIONS)


def test_only_kinds_at_one_place_are_pointed_at(clips: Path) -> None:
    cases = find_cases(clips, ["smooth"], [], 8, 128, given=("", "box"))
    assert {case.kind for case in cases if case.given} == set(GIVEN_KINDS)
    assert str(cases[-1]).endswith("(box given)")
    assert regions_of("") == [""]


@pytest.mark.parametrize("kind", EVALUATION_KINDS)
def test_newer_kinds_are_drawn_in_clips_inside_the_picture(kind: str, clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    (case,) = find_cases(clips, ["smooth"], [kind], 8, 128)
    scene = prepare(case, clips, vocabulary, tmp_path)
    alphas = np.stack(list(scene.alphas()))
    assert alphas.shape == (8, *scene.size)
    assert 0.3 < alphas.max() <= 1
    moves = kind in ("drifting", "bouncing", "scrolling")
    assert moves == (not np.array_equal(alphas[0], alphas[1]))


def given_scene(clips: Path, vocabulary: Vocabulary, folder: Path) -> Scene:
    (case,) = find_cases(clips, ["smooth"], ["corner"], 8, 128, given=("mask",))
    return prepare(case, clips, vocabulary, folder)


def test_fills_get_the_same_region(clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    scene = given_scene(clips, vocabulary, tmp_path)
    assert scene.region is not None
    assert all(np.array_equal(mask, scene.region) for mask in masks_of(scene))
    assert (scene.region | ~scene.ever_marked()).all()


def test_a_stain_is_far_from_the_truth_where_a_fill_is_near(clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    scene = given_scene(clips, vocabulary, tmp_path)
    clean = scene.clean.pictures
    assert stained_share(clean, clean, scene) == 0
    green = [picture.copy() for picture in clean]
    assert scene.region is not None
    rows, columns = np.nonzero(scene.region)
    half = len(rows) // 2
    for picture in green:
        picture[rows[:half], columns[:half]] = (0, 255, 0)
    assert stained_share(green, clean, scene) == pytest.approx(0.5, abs=0.01)
    assert stained_share(green, green, scene) == 0  # where the fill errs as well, nothing counts as a stain
