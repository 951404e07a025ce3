"""What an animated mark does to the doubt about it."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.enclosed import enclosed_pixels, frozen_pixels
from service.pipeline.measure.opacity import MAX_OPAQUE_TRANSMITTANCE, add_animation_sigma, fit_opacity, opacity_variation, transmittance
from service.pipeline.remove.mark_windows import ANIMATION_PIXELS
from tests.footage import pan, scene

Floats = NDArray[np.float32]

HEIGHT, WIDTH, FRAMES, SMALL, LARGE = 64, 80, 24, 11, 15  # pixels, frames, radii of the disc
AWAY = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT // 2, WIDTH // 2])[:, None, None]))  # from the middle of the disc
OUTLINE = (AWAY > SMALL + 1) & (AWAY < LARGE - 1)


def disc(radius: float, opacity: float = 0.8) -> Floats:
    return cv2.GaussianBlur((radius > AWAY).astype(np.float32) * opacity, (3, 3), 0)


def shown(scenes: list[NDArray[np.uint8]], opacities: list[Floats]) -> Floats:
    """(N, 3, h, w): a white mark over the scenes."""
    return np.stack([s.transpose(2, 0, 1) / np.float32(255) * (1 - a) + a for s, a in zip(scenes, opacities, strict=True)])


def believed(opacity: Floats) -> MarkModel:
    white = np.ones((3, HEIGHT, WIDTH), np.float32)
    return MarkModel((opacity > 0.3).astype(np.float32), opacity, white, np.full_like(opacity, 0.02))


SMOOTH = [scene(i, WIDTH, HEIGHT) // 12 + np.uint8(70) for i in range(FRAMES)]  # a fill of the place comes near it
PULSING = [disc(SMALL if i % 4 else LARGE) for i in range(FRAMES)]


def test_the_outline_of_a_pulsing_mark_is_doubted_its_middle_is_not() -> None:
    model = believed(np.mean(PULSING, 0))
    found = add_animation_sigma(shown(SMOOTH, PULSING), model)
    assert np.median(found.opacity_sigma[OUTLINE]) > 0.25  # 0.8 in a quarter of the frames deviates by 0.35
    assert found.opacity_sigma[AWAY < SMALL - 3].max() < 0.06
    assert np.array_equal(found.opacity, model.opacity)
    assert np.array_equal(found.mask, model.mask)


def test_what_only_some_frames_mark_is_doubted_beyond_the_outline() -> None:
    doubt = add_animation_sigma(shown(SMOOTH, PULSING), believed(disc(SMALL))).opacity_sigma
    assert np.median(doubt[OUTLINE]) > 0.25
    assert doubt[AWAY > LARGE + ANIMATION_PIXELS + 2].max() < 0.06


def test_a_mark_that_does_not_change_is_left_as_it_is() -> None:
    """Neither the scene that moves behind it nor the error of its opacity is a change."""
    for scenes in (SMOOTH, pan(3, FRAMES, (5, 7), WIDTH, HEIGHT)):
        model = believed(disc(SMALL) * np.float32(0.95))
        found = add_animation_sigma(shown(scenes, [disc(SMALL)] * FRAMES), model)
        assert np.median(found.opacity_sigma[model.mask > 0]) < 0.03


def test_few_frames_tell_no_change() -> None:
    assert opacity_variation(shown(SMOOTH[:8], PULSING[:8]), believed(disc(SMALL))).max() == 0


def passing(opacity: float, frames: int = 12) -> float:
    scenes = pan(3, frames, (5, 7), WIDTH, HEIGHT)
    crops = shown(scenes, [disc(LARGE, opacity)] * frames)
    mask = disc(LARGE) > 0.4
    share = transmittance(crops, np.stack([fill_hole(crop, mask) for crop in crops]), mask)
    assert share is not None
    return share


def test_what_passes_through_falls_with_the_opacity_and_is_nothing_under_an_opaque_mark() -> None:
    shares = [passing(opacity) for opacity in (0.3, 0.5, 0.75, 1.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < MAX_OPAQUE_TRANSMITTANCE / 4
    assert shares[-2] > MAX_OPAQUE_TRANSMITTANCE


def test_a_scene_at_rest_tells_nothing_of_what_passes() -> None:
    crops = shown([scene(0, WIDTH, HEIGHT)] * 12, [disc(LARGE, 1.0)] * 12)
    assert transmittance(crops, crops, disc(LARGE) > 0.4) is None


@pytest.mark.parametrize(("true", "opaque"), [(1.0, True), (0.75, False)])
def test_in_a_still_scene_a_mark_is_opaque_if_its_area_asks_for_that(true: float, opaque: bool) -> None:
    crops = shown([SMOOTH[0]] * 12, [disc(LARGE, true)] * 12)
    model = fit_opacity(crops, believed(disc(LARGE, 0.75)))
    assert (model.opacity[model.mask > 0].min() == 1) == opaque


@pytest.mark.parametrize(("level", "opaque"), [(0.75, True), (0.4, False)])
def test_in_a_single_picture_dense_marks_are_opaque(level: float, opaque: bool) -> None:
    model = fit_opacity(shown(SMOOTH[:1], [disc(LARGE, level)]), believed(disc(LARGE, level)))
    assert (model.opacity[model.mask > 0].min() == 1) == opaque


def test_in_a_single_picture_what_an_opaque_mark_encloses_is_its_inside_unless_it_is_like_the_scene() -> None:
    logo, ring = disc(LARGE, 1) > 0.4, (AWAY < LARGE) & (AWAY > LARGE - 4)
    (filled_in,), (counter,) = (shown(SMOOTH[:1], [what.astype(np.float32)]) for what in (logo, ring))
    seen = believed(ring.astype(np.float32))
    assert enclosed_pixels(filled_in, seen)[logo & ~ring].all()
    assert not enclosed_pixels(filled_in, seen)[~logo | ring].any()
    assert not enclosed_pixels(counter, seen).any()
    assert not enclosed_pixels(filled_in, believed(0.5 * ring.astype(np.float32))).any()


def test_in_a_single_picture_most_of_the_outline_tells_the_inside_of_a_plain_logo() -> None:
    """Not where the scene goes on as plainly beyond the gap, nor where the head doubts that the mark hides it."""
    logo, ring = disc(LARGE, 1) > 0.4, (AWAY < LARGE) & (AWAY > LARGE - 4)
    columns = np.mgrid[:HEIGHT, :WIDTH][1] - WIDTH // 2
    (plain,), (counter,) = (shown(SMOOTH[:1], [what.astype(np.float32)]) for what in (logo, ring))
    most, some = (believed((ring & (columns < reach)).astype(np.float32)) for reach in (LARGE - 8, -LARGE // 2))
    found = enclosed_pixels(plain, most)
    assert found[logo & ~(most.mask > 0.5)].mean() > 0.95
    assert not found[cv2.dilate(logo.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0].any()
    assert not enclosed_pixels(plain, some).any()
    assert not enclosed_pixels(counter, most)[AWAY < LARGE - 6].any()


def test_a_mark_that_hides_the_scene_is_opaque_whatever_the_head_takes_it_for() -> None:
    scenes = pan(3, 12, (5, 7), WIDTH, HEIGHT)
    for true in (1.0, 0.75):
        model = fit_opacity(shown(scenes, [disc(LARGE, true)] * 12), believed(disc(LARGE, 0.75)))
        level = float(np.median(model.opacity[model.mask > 0]))
        assert (level == 1.0) == (true == 1.0)
        assert abs(level - true) < 0.1


@pytest.mark.parametrize("beside_logo", [True, False])
def test_in_a_still_scene_a_word_beside_an_opaque_logo_is_opaque_if_unblending_leaves_something_odd(beside_logo: bool) -> None:
    """A blue word that the head takes for half transparent: what is left of it would be blue."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    logo = (np.hypot(rows - 32, columns - 18) < 10) & beside_logo
    word = (abs(rows - 32) < 7) & (columns > 44) & (columns < 74) & (columns % 6 < 3)
    rough = 0.29 + 4.3 * (SMOOTH[0].transpose(2, 0, 1) / np.float32(255) - 0.29)
    colour = np.where(word, np.array([0.1, 0.1, 0.9], np.float32)[:, None, None], np.float32(1))
    crops = np.stack([np.where(logo | word, colour, rough)] * 12).astype(np.float32)
    taken_for = np.where(word, np.array([0, 0, 1], np.float32)[:, None, None], np.float32(1)).astype(np.float32)
    opacity = np.where(word, np.float32(0.62), logo.astype(np.float32))
    model = fit_opacity(crops, MarkModel((logo | word).astype(np.float32), opacity, taken_for, np.full_like(opacity, 0.02)))
    assert (float(model.opacity[word].min()) == 1) == beside_logo


def test_the_inside_of_a_logo_of_which_only_the_outline_was_seen_is_found_where_the_scene_changes() -> None:
    logo, ring = disc(LARGE) > 0.4, (AWAY < LARGE) & (AWAY > LARGE - 4)
    moving = shown(pan(3, 12, (5, 7), WIDTH, HEIGHT), [logo.astype(np.float32)] * 12)
    assert (frozen_pixels(moving, ring)[logo & ~ring]).mean() > 0.95
    assert not frozen_pixels(moving, ring)[~logo].any()
    at_rest = shown([scene(0, WIDTH, HEIGHT)] * 12, [logo.astype(np.float32)] * 12)
    assert not frozen_pixels(at_rest, ring).any()
    see_through = shown(pan(3, 12, (5, 7), WIDTH, HEIGHT), [ring.astype(np.float32)] * 12)
    assert not frozen_pixels(see_through, ring).any()
