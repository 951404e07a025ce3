"""How opaque a mark is: opaque or translucent, animated or not, and which pixels an opaque mark encloses."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.arrays import Bytes, Floats
from service.inference.batcher import Arrays, Batcher
from service.inference.fake import FakeMatte
from service.pipeline.marks.mark_model import PredictedMark
from service.pipeline.measure.enclosed import enclosed_pixels, frozen_pixels
from service.pipeline.measure.opacity import OpacityFit, add_animation_sigma, complete_mask, fit_opacity, opacity_variation, predict_matte
from service.pipeline.remove.mark_windows import ANIMATION_PIXELS
from tests.footage import pan, scene

HEIGHT, WIDTH, FRAMES, SMALL, LARGE = 64, 80, 24, 11, 15  # pixels, frames, radii of the disc
DISTANCE = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT // 2, WIDTH // 2])[:, None, None]))  # from the disc's centre
OUTLINE = (DISTANCE > SMALL + 1) & (DISTANCE < LARGE - 1)


def disc(radius: float, opacity: float = 0.8) -> Floats:
    return np.asarray(cv2.GaussianBlur((radius > DISTANCE).astype(np.float32) * opacity, (3, 3), 0), np.float32)


def crops_of(scenes: list[Bytes], opacities: list[Floats]) -> Floats:
    """(N, 3, h, w): a white mark over the scenes."""
    return np.stack([s.transpose(2, 0, 1) / np.float32(255) * (1 - a) + a for s, a in zip(scenes, opacities, strict=True)])


def white_model(opacity: Floats, hides: float = 0.0) -> PredictedMark:
    """A white mark of this opacity (h, w), with a small sigma, that hides the scene with this probability."""
    white, mask = np.ones((3, HEIGHT, WIDTH), np.float32), (opacity > 0.3).astype(np.float32)
    return PredictedMark(mask, opacity, white, np.full_like(opacity, 0.02), np.float32(hides) * mask)


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


@pytest.mark.parametrize(("hides", "opaque"), [(0.9, True), (0.6, True), (0.4, False), (0.0, False)])
@pytest.mark.parametrize("frames", [1, 12])
def test_a_mark_is_opaque_if_the_network_holds_that_likelier_than_not(hides: float, opaque: bool, frames: int) -> None:
    """In a clip and in a still, whatever its opacity: what is translucent keeps its opacity, at the level that explains the crops."""
    crops = crops_of(SMOOTH[:frames], [disc(LARGE, 0.8)] * frames)
    fit = fit_opacity(crops, white_model(disc(LARGE, 0.7), hides))
    assert is_opaque(fit) == opaque
    if not opaque:
        assert float(np.median(fit.model.opacity[DISTANCE < SMALL])) == pytest.approx(0.8, abs=0.06)


def test_each_part_of_a_mark_is_judged_by_itself() -> None:
    """A translucent word beside an opaque logo."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    logo = np.hypot(rows - 32, columns - 18) < 10
    word = (abs(rows - 32) < 7) & (columns > 44) & (columns < 74) & (columns % 6 < 3)
    opacity = (logo + 0.5 * word).astype(np.float32)
    predicted = replace(white_model(opacity), mask=(logo | word).astype(np.float32), hides=logo.astype(np.float32))
    fit = fit_opacity(crops_of(SMOOTH[:12], [opacity] * 12), predicted)
    assert fit.opaque[logo].all()
    assert not fit.opaque[word].any()
    assert (fit.model.opacity[logo] == 1).all()
    assert float(np.median(fit.model.opacity[word])) == pytest.approx(0.5, abs=0.1)


def test_a_translucent_part_of_one_colour_gets_it_everywhere() -> None:
    """Noise of the prediction goes; two colours, such as those of letters and their outline, stay two; an opaque part is left as it is."""
    noise = np.random.default_rng(1).normal(0, 0.05, (3, HEIGHT, WIDTH)).astype(np.float32)
    model = white_model(disc(LARGE, 0.5))
    noisy = replace(model, colour=np.clip(0.8 + noise, 0, 1))
    inside, none = model.pixels, np.zeros_like(model.pixels)
    found = OpacityFit(noisy, none).in_its_colours().model.colour
    assert np.ptp(found[:, inside], axis=1).max() < 1e-6
    assert found[:, inside].mean() == pytest.approx(0.8, abs=0.01)
    outlined = replace(model, colour=np.where(DISTANCE < SMALL, np.float32(1), np.float32(0)) * np.ones((3, 1, 1), np.float32))
    np.testing.assert_array_equal(OpacityFit(outlined, none).in_its_colours().model.colour, outlined.colour)
    np.testing.assert_array_equal(OpacityFit(noisy, inside).in_its_colours().model.colour, noisy.colour)
    invisible = replace(noisy, opacity=np.zeros_like(noisy.opacity))
    np.testing.assert_array_equal(OpacityFit(invisible, none).in_its_colours().model.colour, noisy.colour)


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
    for one, other in zip(vars(found).values(), vars(expected).values(), strict=True):
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
    model = complete_mask(crops_of(SMOOTH, [seen] * FRAMES), seen, crops_of(SMOOTH, [seen] * FRAMES)[:0], Batcher(SeesAShadow()))
    np.testing.assert_array_equal(model.pixels, cv2.dilate((seen > 0.5).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    assert model.pixels.sum() > (seen > 0.5).sum()


def test_where_the_segmenter_is_nowhere_sure_there_is_no_mark() -> None:
    suspected = 0.55 * (disc(10) > 0.5).astype(np.float32)
    crops = crops_of(SMOOTH, [suspected] * FRAMES)
    assert not complete_mask(crops, suspected, crops[:0], Batcher(SeesAShadow())).pixels.any()
