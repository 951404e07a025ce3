"""How opaque a mark is: opaque or translucent, animated or not, and which pixels an opaque mark encloses."""

import cv2
import numpy as np
import pytest

from models.arrays import Bytes, Floats
from service.inference.batcher import Arrays, Batcher
from service.inference.fake import FakeMatte
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.enclosed import enclosed_pixels, frozen_pixels
from service.pipeline.measure.opacity import OpacityFit, add_animation_sigma, complete_mask, fit_opacity, opacity_variation, predict_matte
from service.pipeline.measure.opaque import MAX_OPAQUE_TRANSMITTANCE, transmittance
from service.pipeline.remove.mark_windows import ANIMATION_PIXELS
from tests.footage import pan, scene

HEIGHT, WIDTH, FRAMES, SMALL, LARGE = 64, 80, 24, 11, 15  # pixels, frames, radii of the disc
DISTANCE = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT // 2, WIDTH // 2])[:, None, None]))  # from the disc's centre
OUTLINE = (DISTANCE > SMALL + 1) & (DISTANCE < LARGE - 1)


def disc(radius: float, opacity: float = 0.8) -> Floats:
    return cv2.GaussianBlur((radius > DISTANCE).astype(np.float32) * opacity, (3, 3), 0)


def crops_of(scenes: list[Bytes], opacities: list[Floats]) -> Floats:
    """(N, 3, h, w): a white mark over the scenes."""
    return np.stack([s.transpose(2, 0, 1) / np.float32(255) * (1 - a) + a for s, a in zip(scenes, opacities, strict=True)])


def white_model(opacity: Floats) -> MarkModel:
    """A white mark of this opacity (h, w), with a small sigma."""
    white = np.ones((3, HEIGHT, WIDTH), np.float32)
    return MarkModel((opacity > 0.3).astype(np.float32), opacity, white, np.full_like(opacity, 0.02))


def is_opaque(fit: OpacityFit) -> bool:
    """Whether the whole mark was found to be opaque; its opacity has to agree."""
    opaque = bool(fit.opaque[fit.model.pixels].all())
    assert opaque == (fit.model.opacity[fit.model.pixels].min() == 1)
    return opaque


SMOOTH = [scene(i, WIDTH, HEIGHT) // 12 + np.uint8(70) for i in range(FRAMES)]  # a fill of the place comes near it
PULSING = [disc(SMALL if i % 4 else LARGE) for i in range(FRAMES)]


def test_a_pulsing_mark_gets_a_large_sigma_at_its_outline_only() -> None:
    model = white_model(np.mean(PULSING, 0))
    found = add_animation_sigma(crops_of(SMOOTH, PULSING), model)
    assert np.median(found.opacity_sigma[OUTLINE]) > 0.25  # 0.8 in a quarter of the frames deviates by 0.35
    assert found.opacity_sigma[DISTANCE < SMALL - 3].max() < 0.06
    assert np.array_equal(found.opacity, model.opacity)
    assert np.array_equal(found.mask, model.mask)


def test_pixels_that_only_some_frames_mark_get_a_large_sigma_beyond_the_outline() -> None:
    sigma = add_animation_sigma(crops_of(SMOOTH, PULSING), white_model(disc(SMALL))).opacity_sigma
    assert np.median(sigma[OUTLINE]) > 0.25
    assert sigma[DISTANCE > LARGE + ANIMATION_PIXELS + 2].max() < 0.06


def test_a_mark_that_does_not_change_keeps_its_sigma() -> None:
    """Neither a scene that moves behind it nor an error of its opacity counts as a change."""
    for scenes in (SMOOTH, pan(3, FRAMES, (5, 7), WIDTH, HEIGHT)):
        model = white_model(disc(SMALL) * np.float32(0.95))
        found = add_animation_sigma(crops_of(scenes, [disc(SMALL)] * FRAMES), model)
        assert np.median(found.opacity_sigma[model.mask > 0]) < 0.03


def test_few_frames_show_no_variation() -> None:
    assert opacity_variation(crops_of(SMOOTH[:8], PULSING[:8]), white_model(disc(SMALL))).max() == 0


def transmittance_at(opacity: float, frames: int = 12) -> float:
    """Of a disc over a scene that moves."""
    scenes = pan(3, frames, (5, 7), WIDTH, HEIGHT)
    crops = crops_of(scenes, [disc(LARGE, opacity)] * frames)
    mask = disc(LARGE) > 0.4
    share = transmittance(crops, np.stack([fill_hole(crop, mask) for crop in crops]), mask)
    assert share is not None
    return share


def test_transmittance_falls_with_the_opacity_to_about_0() -> None:
    shares = [transmittance_at(opacity) for opacity in (0.3, 0.5, 0.75, 1.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < MAX_OPAQUE_TRANSMITTANCE / 4
    assert shares[-2] > MAX_OPAQUE_TRANSMITTANCE


def test_over_a_still_scene_the_transmittance_is_unknown() -> None:
    crops = crops_of([scene(0, WIDTH, HEIGHT)] * 12, [disc(LARGE, 1.0)] * 12)
    assert transmittance(crops, crops, disc(LARGE) > 0.4) is None


@pytest.mark.parametrize(("true", "opaque"), [(1.0, True), (0.75, False)])
def test_over_a_still_scene_a_mark_is_opaque_if_its_area_asks_for_that(true: float, opaque: bool) -> None:
    crops = crops_of([SMOOTH[0]] * 12, [disc(LARGE, true)] * 12)
    assert is_opaque(fit_opacity(crops, white_model(disc(LARGE, 0.75)))) == opaque


@pytest.mark.parametrize(("level", "opaque"), [(0.75, True), (0.4, False)])
def test_in_a_still_dense_marks_are_opaque(level: float, opaque: bool) -> None:
    crops = crops_of(SMOOTH[:1], [disc(LARGE, level)])
    assert is_opaque(fit_opacity(crops, white_model(disc(LARGE, level)))) == opaque


def test_in_a_still_an_opaque_mark_encloses_pixels_unlike_the_scene() -> None:
    logo, ring = disc(LARGE, 1) > 0.4, (DISTANCE < LARGE) & (DISTANCE > LARGE - 4)
    (filled_in,), (counter,) = (crops_of(SMOOTH[:1], [what.astype(np.float32)]) for what in (logo, ring))
    seen = white_model(ring.astype(np.float32))
    assert enclosed_pixels(filled_in, seen)[logo & ~ring].all()
    assert not enclosed_pixels(filled_in, seen)[~logo | ring].any()
    assert not enclosed_pixels(counter, seen).any()
    assert not enclosed_pixels(filled_in, white_model(0.5 * ring.astype(np.float32))).any()


def test_in_a_still_most_of_an_outline_encloses_a_plain_logo() -> None:
    """Less than half of the outline does not, nor is a counter enclosed through which the scene shows."""
    logo, ring = disc(LARGE, 1) > 0.4, (DISTANCE < LARGE) & (DISTANCE > LARGE - 4)
    columns = np.mgrid[:HEIGHT, :WIDTH][1] - WIDTH // 2
    (plain,), (counter,) = (crops_of(SMOOTH[:1], [what.astype(np.float32)]) for what in (logo, ring))
    most, some = (white_model((ring & (columns < reach)).astype(np.float32)) for reach in (LARGE - 8, -LARGE // 2))
    found = enclosed_pixels(plain, most)
    assert found[logo & ~(most.mask > 0.5)].mean() > 0.95
    assert not found[cv2.dilate(logo.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0].any()
    assert not enclosed_pixels(plain, some).any()
    assert not enclosed_pixels(counter, most)[DISTANCE < LARGE - 6].any()


def test_a_mark_that_hides_the_scene_is_opaque_whatever_was_predicted() -> None:
    scenes = pan(3, 12, (5, 7), WIDTH, HEIGHT)
    for true in (1.0, 0.75):
        fit = fit_opacity(crops_of(scenes, [disc(LARGE, true)] * 12), white_model(disc(LARGE, 0.75)))
        assert is_opaque(fit) == (true == 1.0)
        assert abs(float(np.median(fit.model.opacity[fit.model.pixels])) - true) < 0.1


@pytest.mark.parametrize("beside_logo", [True, False])
def test_over_a_still_scene_a_word_beside_an_opaque_logo_is_opaque_if_un_blending_fails(beside_logo: bool) -> None:
    """A blue word that is predicted as translucent: un-blending it would leave something blue."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    logo = (np.hypot(rows - 32, columns - 18) < 10) & beside_logo
    word = (abs(rows - 32) < 7) & (columns > 44) & (columns < 74) & (columns % 6 < 3)
    rough = 0.29 + 4.3 * (SMOOTH[0].transpose(2, 0, 1) / np.float32(255) - 0.29)
    colour = np.where(word, np.array([0.1, 0.1, 0.9], np.float32)[:, None, None], np.float32(1))
    crops = np.stack([np.where(logo | word, colour, rough)] * 12).astype(np.float32)
    predicted_colour = np.where(word, np.array([0, 0, 1], np.float32)[:, None, None], np.float32(1)).astype(np.float32)
    opacity = np.where(word, np.float32(0.62), logo.astype(np.float32))
    fit = fit_opacity(crops, MarkModel((logo | word).astype(np.float32), opacity, predicted_colour, np.full_like(opacity, 0.02)))
    assert bool(fit.opaque[word].all()) == beside_logo


def test_over_a_moving_scene_the_inside_of_a_logo_is_found_by_its_pixels_that_do_not_change() -> None:
    logo, ring = disc(LARGE) > 0.4, (DISTANCE < LARGE) & (DISTANCE > LARGE - 4)
    moving = crops_of(pan(3, 12, (5, 7), WIDTH, HEIGHT), [logo.astype(np.float32)] * 12)
    assert (frozen_pixels(moving, ring)[logo & ~ring]).mean() > 0.95
    assert not frozen_pixels(moving, ring)[~logo].any()
    still = crops_of([scene(0, WIDTH, HEIGHT)] * 12, [logo.astype(np.float32)] * 12)
    assert not frozen_pixels(still, ring).any()
    hollow = crops_of(pan(3, 12, (5, 7), WIDTH, HEIGHT), [ring.astype(np.float32)] * 12)
    assert not frozen_pixels(hollow, ring).any()


def test_a_prediction_that_is_known_is_not_made_again() -> None:
    opacity = disc(10)
    crops = crops_of(SMOOTH, [opacity] * FRAMES)
    network = Batcher(FakeMatte())
    first = predict_matte(crops, opacity, crops[:0], network)
    before = network.metrics().windows
    expected = complete_mask(crops, opacity, crops[:0], network)
    between = network.metrics().windows
    found = complete_mask(crops, opacity, crops[:0], network, first)
    assert network.metrics().windows - between == between - before - 1
    np.testing.assert_array_equal(found[0], expected[0])
    for one, other in zip(vars(found[1]).values(), vars(expected[1]).values(), strict=True):
        np.testing.assert_array_equal(one, other)


class SeesAShadow(FakeMatte):
    """A mark that reaches some pixels farther than the segmenter says, with nearly no opacity there."""

    def run(self, inputs: Arrays) -> Arrays:
        answer = super().run(inputs)
        wide = cv2.dilate(answer["opacity"][0, 0], np.ones((9, 9), np.uint8))
        return answer | {"opacity": np.maximum(answer["opacity"], 0.05 * wide), "belongs": wide[None, None]}


def test_what_belongs_to_a_mark_is_for_the_matte_network_to_say() -> None:
    """Its shadow too, which the segmenter does not see, and which is far fainter than the mark."""
    seen = disc(10)
    probability, model = complete_mask(
        crops_of(SMOOTH, [seen] * FRAMES), seen, crops_of(SMOOTH, [seen] * FRAMES)[:0], Batcher(SeesAShadow())
    )
    np.testing.assert_array_equal(model.pixels, cv2.dilate((seen > 0.5).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    assert model.pixels.sum() > (probability > 0.5).sum()


def test_where_the_segmenter_is_nowhere_sure_there_is_no_mark() -> None:
    suspected = 0.55 * (disc(10) > 0.5).astype(np.float32)
    crops = crops_of(SMOOTH, [suspected] * FRAMES)
    assert not complete_mask(crops, suspected, crops[:0], Batcher(SeesAShadow()))[1].pixels.any()
