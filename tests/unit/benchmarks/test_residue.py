"""The remainder of a mark, on pictures where it is known."""

import cv2
import numpy as np
import pytest

from benchmarks.residue import Residue, markdown, overall, residues, views
from service.pipeline.placement import Box, Placement

FRAMES, HEIGHT, WIDTH = 12, 96, 160


def drawn(word: str, x: int, opacity: float, first: int = 0, last: int = FRAMES - 1) -> Placement:
    """A white word at (x, 60)."""
    box = Box(x - 4, 30, x + 60, 70)
    stroke = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(stroke, word, (x, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)
    shape = stroke[box.slices].astype(np.float32) / np.float32(255)
    return Placement(first, last, box, (shape > 0.02).astype(np.float32), shape * opacity, np.ones((3, *shape.shape), np.float32), 1.0)


def scene() -> np.ndarray:
    """(T, H, W, 3) uint8: a moving soft texture."""
    noise = np.random.default_rng(5).normal(0, 400, (HEIGHT, WIDTH + 8 * FRAMES, 3))
    wide = np.clip(cv2.GaussianBlur(noise, (0, 0), 6) + 110, 0, 255).astype(np.uint8)
    return np.stack([wide[:, 8 * i : 8 * i + WIDTH] for i in range(FRAMES)])


def marked(clean: np.ndarray, placements: list[Placement], share: float = 1.0) -> np.ndarray:
    """The pictures with `share` of the marks' effect."""
    pictures = clean.astype(np.float32)
    for placement in placements:
        for index in range(placement.first_frame, placement.last_frame + 1):
            under = pictures[index][placement.box.slices]
            under += share * placement.opacity[..., None] * (255 - clean[index][placement.box.slices])
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)


def only(placement: Placement, before: np.ndarray, after: np.ndarray) -> Residue:
    (residue,) = residues([placement], before, after)
    return residue


@pytest.mark.parametrize("opacity", [0.3, 0.75, 1.0])
def test_a_mark_has_amplitude_one_and_a_clean_picture_zero(opacity: float) -> None:
    placement, clean = drawn("Word", 50, opacity), scene()
    residue = only(placement, marked(clean, [placement]), clean)
    assert residue.before.amplitude == pytest.approx(1, abs=0.1)
    assert residue.after.amplitude == pytest.approx(0, abs=0.1)
    assert residue.before.correlation is not None
    assert residue.before.correlation > 0.9
    assert residue.after.correlation == pytest.approx(0, abs=0.25)


@pytest.mark.parametrize("share", [0.5, 0.2, -0.3])
def test_a_remainder_is_a_share_of_the_mark_and_overcorrection_is_negative(share: float) -> None:
    placement, clean = drawn("Word", 50, 0.6), scene()
    residue = only(placement, marked(clean, [placement]), marked(clean, [placement], share))
    assert residue.after.amplitude == pytest.approx(share, abs=0.1)
    assert residue.after.correlation is not None
    assert np.sign(residue.after.correlation) == np.sign(share)


def test_a_neighbouring_mark_does_not_matter() -> None:
    left, right, clean = drawn("Ab", 20, 0.5), drawn("Cd", 62, 0.5), scene()
    (alone,) = residues([left], marked(clean, [left]), clean)
    (with_neighbour, _) = residues([left, right], marked(clean, [left, right]), clean)
    assert with_neighbour.before.amplitude == pytest.approx(alone.before.amplitude, abs=0.1)
    assert with_neighbour.after.amplitude == pytest.approx(alone.after.amplitude, abs=0.1)


def test_only_the_frames_of_the_interval_count() -> None:
    placement, clean = drawn("Word", 50, 0.6, 3, 5), scene()
    before = marked(clean, [placement])
    worse = before.copy()
    worse[[0, 1, 2, 6, 7]] = 255
    assert only(placement, before, clean) == only(placement, worse, clean)
    assert [len(list(views([placement], index, (HEIGHT, WIDTH)))) for index in range(7)] == [0, 0, 0, 1, 1, 1, 0]


def test_a_mark_without_effect_has_no_metrics() -> None:
    placement, clean = drawn("Word", 50, 0.0), scene()
    residue = only(placement, clean, clean)
    assert (residue.before.amplitude, residue.before.correlation) == (None, None)
    assert overall([residue]) == (None,) * 4


def test_the_table_has_a_line_for_each_placement_and_one_for_all() -> None:
    long, short, clean = drawn("Word", 50, 0.6, 0, 9), drawn("Word", 50, 0.6, 10, 11), scene()
    found = residues([long, short], marked(clean, [long, short]), marked(clean, [short]))
    lines = markdown(found).splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["| frames", "| ---", "| 0-9", "| 10-11", "| all"]
    assert len({line.count("|") for line in lines}) == 1
    assert overall(found)[1] == pytest.approx((10 * (found[0].after.amplitude or 0) + 2 * (found[1].after.amplitude or 0)) / 12)
