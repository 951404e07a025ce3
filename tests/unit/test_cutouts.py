"""Cut-out photos of objects: which are used, and that they appear in scenes and never in the mark."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.material import small_source
from training import cutouts, distractors, rendering, scenes
from training.patches import Canvas


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A round red object with empty margins, a drawing, a picture without alpha, and a fully opaque one."""
    item = np.zeros((60, 90, 4), np.uint8)
    cv2.circle(item, (40, 30), 20, (20, 30, 220, 255), -1)
    for name, picture in {
        "food/fruit.png": item,
        "food/cartoon/pear.png": item,
        "food/flat.png": item[..., :3],
        "food/full.png": np.full((40, 40, 4), 255, np.uint8),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(tmp_path / name), picture)
    return tmp_path


def test_drawings_and_pictures_without_an_outline_are_not_used(folder: Path) -> None:
    found = {path.name: cutouts.load(path) for path in cutouts.cutouts_under(folder)}
    assert set(found) == {"fruit.png", "flat.png", "full.png"}
    assert found["flat.png"] is None
    assert found["full.png"] is None
    fruit = found["fruit.png"]
    assert fruit is not None
    assert fruit.shape == (41, 41, 4)
    assert tuple(fruit[20, 20]) == (220, 30, 20, 255)


def test_without_the_package_there_are_no_cutouts(tmp_path: Path) -> None:
    assert cutouts.cutouts_under(tmp_path / "nowhere") == ()


@pytest.mark.parametrize("size", [(320, 180), (96, 240)])
def test_objects_may_be_wider_than_the_picture(folder: Path, size: tuple[int, int]) -> None:
    source = small_source()
    canvas = Canvas(*size, 1, source.vocabulary, source.pictures, cutouts.cutouts_under(folder))
    for seed in range(20):
        for kind in distractors.SOLID:
            assert distractors.scene_object(np.random.default_rng(seed), canvas, kind).solid


def test_a_passing_object_is_not_a_mark_and_may_rest(folder: Path) -> None:
    source = small_source()
    fruit = cutouts.load(folder / "food/fruit.png")
    still, moved = 0, 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        made = replace(
            scenes.random_scene(source, rng, None, photo_share=1.0), camera=scenes.camera.STILL, other=None, passing_object=fruit
        )
        shown = rendering.render(made, [0, 10, 20, 30, 40, 50], 10, 20, 96, rng)
        assert not shown.alpha.any()
        red = [np.argwhere((frame[..., 0] > 120) & (frame[..., 1] < 90)) for frame in shown.clean]
        middles = [tuple(np.rint(places.mean(0)).astype(int)) for places in red if len(places) > 200]
        still += len(middles) > 1 and middles[0] == middles[1]
        moved += len(set(middles)) > 1
    assert still
    assert moved
