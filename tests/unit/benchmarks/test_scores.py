"""Scores of results of known quality."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.cases import Scene
from benchmarks.scores import away_from_mark, found, longest_miss, mask_of, score
from service.pipeline.placement import Box, Placement
from training.metrics import MARKED, PSNR_CEILING_DB
from training.watermarks import Mark, Patch

MakeScene = Callable[[str, str], Scene]


def placement(mask: np.ndarray, box: Box, first: int, last: int) -> Placement:
    return Placement(first, last, box, mask.astype(np.float32), mask.astype(np.float32), np.ones((3, *mask.shape), np.float32), 1.0)


def true_placements(scene: Scene) -> list[Placement]:
    whole = Box(0, 0, scene.clean.width, scene.clean.height)
    return [placement(alpha > MARKED, whole, index, index) for index, alpha in enumerate(scene.alphas())]


def test_the_clean_pictures_score_best(scene: MakeScene) -> None:
    made = scene("drifting", "faint")
    perfect = score(made.clean.pictures, made, away_from_mark(made))
    assert (perfect.hole, perfect.outside, perfect.ghost) == (PSNR_CEILING_DB, PSNR_CEILING_DB, None)
    assert perfect.flicker == pytest.approx(1)
    assert perfect.ssim == pytest.approx(1)


def test_each_metric_responds_to_its_defect(scene: MakeScene) -> None:
    made = scene("drifting", "faint")
    truth = made.clean.pictures
    frozen = score(np.repeat(truth[:1], len(truth), axis=0), made)
    marked = score(made.pictures(), made)
    noise = np.random.default_rng(1).normal(0, 30, truth.shape)
    noisy = score(np.clip(truth + noise, 0, 255), made)
    assert frozen.flicker == 0
    assert marked.ghost is not None
    assert abs(marked.ghost) > 0.15
    assert noisy.flicker is not None
    assert noisy.flicker > 1.2
    assert noisy.ghost == pytest.approx(0, abs=0.1)
    assert noisy.outside is None


def test_hole_is_measured_inside_and_outside_far_away(scene: MakeScene) -> None:
    made = scene("smooth", "corner")
    away = away_from_mark(made)
    assert away is not None
    wrong = made.clean.pictures.copy()
    wrong[:, away] += 20
    result = score(wrong, made, away)
    assert result.hole == PSNR_CEILING_DB
    assert result.outside == pytest.approx(20 * np.log10(255 / 20))


def test_away_is_farther_than_twelve_pixels(scene: MakeScene) -> None:
    made = scene("smooth", "corner")
    away, touched = away_from_mark(made), np.argwhere(made.ever_marked())
    assert away is not None
    for y, x in np.argwhere(away)[::97]:
        assert np.hypot(*(touched - (y, x)).T).min() > 12
    for y, x in np.argwhere(~away)[::97]:
        assert np.hypot(*(touched - (y, x)).T).min() <= 12


def test_a_mark_everywhere_leaves_no_outside(scene: MakeScene) -> None:
    made = scene("smooth", "clean")
    everywhere = Patch(0, 0, np.full(made.size, 0.5, np.float32), np.ones((*made.size, 3), np.float32))
    assert away_from_mark(replace(made, mark=Mark("tiled", (everywhere,) * made.frames))) is None


def test_a_different_number_of_pictures_is_refused(scene: MakeScene) -> None:
    made = scene("smooth", "corner")
    with pytest.raises(ValueError, match="zip"):
        score(made.clean.pictures[1:], made)


def test_the_true_mask_is_found_and_an_empty_one_is_not(scene: MakeScene) -> None:
    made = scene("drifting", "corner")
    exact, nothing, half = (found(p, made) for p in (true_placements(made), [], true_placements(made)[:4]))
    assert (exact.f1_share, exact.f1_mean, exact.masked_unmarked_share) == (1, 1, None)
    assert (nothing.f1_share, nothing.masked_share) == (0, 0)
    assert half.f1_share == 0.5
    assert [result.longest_miss_frames for result in (exact, nothing, half)] == [0, 8, 4]


@pytest.mark.parametrize(
    ("qualities", "frames"),
    [([], 0), ([None], 0), ([0.7, 1.0], 0), ([0.6, 0.6, 1, 0.0], 2), ([1, 0.5, None, 0.1, 0.2, 0.69], 3), ([None, 0.0, None, 0.0], 1)],
)
def test_the_longest_miss_is_a_run_of_marked_frames(qualities: list[float | None], frames: int) -> None:
    assert longest_miss(qualities) == frames


def test_masked_pixels_of_a_clean_clip_are_counted(scene: MakeScene) -> None:
    made = scene("smooth", "clean")
    wrong = placement(np.ones((10, 20), bool), Box(5, 5, 25, 15), 2, 3)
    result = found([wrong], made)
    assert (result.f1_share, result.f1_mean, result.longest_miss_frames) == (None, None, None)
    assert result.masked_share == result.masked_unmarked_share == pytest.approx(200 * 2 / (8 * 192 * 128))


def test_the_mask_of_a_frame_is_the_union_of_its_placements() -> None:
    mask = np.zeros((4, 4), bool)
    mask[1, 2] = True
    both = [placement(mask, Box(0, 0, 4, 4), 0, 5), placement(mask, Box(4, 2, 8, 6), 5, 9)]
    assert np.argwhere(mask_of(both, 5, (8, 8))).tolist() == [[1, 2], [3, 6]]
    assert np.argwhere(mask_of(both, 6, (8, 8))).tolist() == [[3, 6]]
