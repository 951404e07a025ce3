"""The baselines: the fills in crops and our delogo equal the originals."""

import hashlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmarks import baselines
from benchmarks.cases import Scene
from benchmarks.scores import score
from service.pipeline.placement import Box

MakeScene = Callable[[str, str], Scene]


def masks(kind: str) -> np.ndarray:
    """A (H, W) mask of several parts: letters, edges of the picture, or specks."""
    rng, mask = np.random.default_rng(8), np.zeros((150, 210), np.uint8)
    if kind == "letters":
        cv2.putText(mask, "mark, mark", (8, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 1, 3)
        cv2.putText(mask, "small", (150, 140), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1, 1)
    elif kind == "edges":
        mask[:9, :30] = mask[140:, 100:] = mask[60:90, 205:] = 1
    else:
        for y, x in rng.integers(0, (140, 200), (14, 2)):
            mask[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = 1
    return mask.astype(bool)


@pytest.mark.parametrize("fill", baselines.FILLS)
@pytest.mark.parametrize("kind", ["letters", "edges", "specks"])
def test_a_fill_in_crops_equals_that_of_the_whole_picture(fill: str, kind: str) -> None:
    rng, mask = np.random.default_rng(2), masks(kind)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (*mask.shape, 3), dtype=np.uint8), (0, 0), 1.5)
    whole = cv2.inpaint(picture, mask.astype(np.uint8), baselines.RADIUS_PIXELS, baselines.FILLS[fill])
    cropped = baselines.inpaint(picture, mask, baselines.FILLS[fill])
    assert np.array_equal(cropped[mask], whole[mask])
    assert np.array_equal(cropped[~mask], picture[~mask])
    assert len(baselines.groups(mask)[1]) > 1


def test_delogo_gives_the_bytes_of_ffmpeg() -> None:
    """The digest is of `ffmpeg -vf delogo=11:13:31:21` (FFmpeg 5.1) on this picture as raw yuv420p of 96x64."""
    planes = (np.arange(96)[None, :] * 7 + np.arange(96)[:, None] ** 2 * 3) % 251
    planes = planes.astype(np.uint8)
    baselines.delogo_yuv420(planes, Box(11, 13, 11 + 31, 13 + 21))
    assert hashlib.sha256(planes.tobytes()).hexdigest() == "6dd2004719a0b9d6750d951fdff506cebda138d6c0ab9dd6d00f4dcf8c67fdf6"


def test_delogo_restores_a_flat_picture_and_a_gradient() -> None:
    ground = np.empty((96, 96), np.uint8)
    ground[:64], ground[64:] = np.arange(96) + 60, 128
    marked = ground.copy()
    marked[20:40, 30:60], marked[70:76] = 255, ground[70:76]
    baselines.delogo_yuv420(marked, Box(30, 20, 60, 40))
    assert np.abs(marked.astype(int) - ground).max() <= 1


def test_intervals_are_the_frames_at_one_place() -> None:
    left, right, nothing = (np.zeros((60, 100), bool) for _ in range(3))
    left[20:30, 10:20] = True
    right[20:30, 80:95] = True
    grown = left.copy()
    grown[20:33, 10:24] = True
    intervals = baselines.intervals([nothing, left, grown, left, right, nothing, nothing])
    assert [(first, last) for first, last, _ in intervals] == [(0, 0), (1, 3), (4, 4), (5, 6)]
    assert [boxes for *_, boxes in intervals] == [[], [Box(9, 19, 25, 34)], [Box(79, 19, 96, 31)], []]


def test_boxes_of_delogo_leave_a_border_at_the_edge() -> None:
    mask = np.zeros((60, 100), bool)
    mask[:10, 90:] = True
    ((_, _, boxes),) = baselines.intervals([mask])
    assert boxes == [Box(89, 1, 99, 11)]


def test_the_true_mask_is_dilated_by_two_pixels() -> None:
    alpha = np.zeros((11, 11), np.float32)
    alpha[5, 5], alpha[0, 0] = 0.04, 0.02
    assert np.array_equal(np.argwhere(baselines.true_mask(alpha)), [(y, x) for y in range(3, 8) for x in range(3, 8)])


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_baselines_restore_a_flat_picture(scene: MakeScene, name: str) -> None:
    made = scene("smooth", "subtitle")
    marked, filled = (score(baselines.pictures(method, made), made).hole for method in ("marked", name))
    assert marked is not None
    assert filled is not None
    assert filled > marked + 15


def test_the_oracle_beats_every_fill_on_texture(scene: MakeScene) -> None:
    made = scene("drifting", "faint")
    holes = {name: score(baselines.pictures(name, made), made).hole or 0 for name in ("oracle", *baselines.BASELINES)}
    assert max(holes, key=lambda name: holes[name]) == "oracle"
    assert holes["oracle"] > 25
