"""The estimator finds level, colour and kind of marks whose truth is known, on scenes that show them and on scenes that do not."""

import cv2
import numpy as np
import pytest

from models.arrays import Floats
from service.pipeline.measure.fit import fit_mark
from service.pipeline.measure.predict import Prediction

HEIGHT, WIDTH, FRAMES = 96, 200, 6
NOISE = 0.01  # standard deviation, as a codec leaves it


def scene(contrast: float, moving: bool = True, seed: int = 1) -> Floats:
    """(FRAMES, 3, HEIGHT, WIDTH): grey texture, each frame another piece of it if it moves."""
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT + 80, WIDTH + 80)).astype(np.float32), (0, 0), 1.5)
    picture = 0.4 + contrast * picture / picture.std()
    pieces = [picture[y : y + HEIGHT, x : x + WIDTH] for y, x in ((7 * i, 11 * i) if moving else (0, 0) for i in range(FRAMES))]
    return np.repeat(np.stack(pieces)[:, None], 3, 1).clip(0, 1)


def word() -> Floats:
    """(HEIGHT, WIDTH): thick strokes with soft edges, of 0 to 1."""
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(drawn, "Ab8", (12, 74), cv2.FONT_HERSHEY_SIMPLEX, 2.6, 255, 12, cv2.LINE_AA)
    return drawn.astype(np.float32) / 255


def marked(scenes: Floats, opacity: Floats, colour: Floats) -> Floats:
    blended = (1 - opacity) * scenes + opacity * colour
    return (blended + np.random.default_rng(2).normal(0, NOISE, blended.shape)).clip(0, 1).astype(np.float32)


def predicted(opacity: Floats, colour: Floats, hides: float = 0.1, sigma: float = 0.03) -> Prediction:
    plane = np.ones_like(opacity)
    return Prediction(
        opacity, colour.astype(np.float32), sigma * plane, (opacity > 0.03).astype(np.float32), hides * (opacity > 0.03) * plane
    )


def flat(*colour: float) -> Floats:
    return np.broadcast_to(np.array(colour, np.float32)[:, None, None], (3, HEIGHT, WIDTH))


@pytest.mark.parametrize("true", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_the_level_is_corrected_to_the_one_that_explains_the_scene(true: float, factor: float) -> None:
    shape = word()
    crops = marked(scene(0.12), true * shape, flat(1, 1, 1))
    model = fit_mark(crops, shape > 0.03, predicted(factor * true * shape, flat(0.9, 0.9, 0.9)))
    assert float(np.median(model.opacity[shape > 0.99])) == pytest.approx(true, abs=0.05)
    assert np.abs(np.median(model.colour[:, shape > 0.99], axis=1) - 1).max() < 0.08
    assert float(np.median(model.opacity_sigma[shape > 0.99])) < 0.05


def test_an_opaque_mark_is_recognised_though_the_network_sees_the_scene_through_it() -> None:
    shape = word()
    crops = marked(scene(0.12), shape, flat(0.9, 0.2, 0.2))
    model = fit_mark(crops, shape > 0.03, predicted(0.75 * shape, flat(0.9, 0.2, 0.2)))
    assert float(np.median(model.opacity[shape > 0.99])) == 1


def test_a_translucent_mark_is_not_taken_for_an_opaque_one() -> None:
    shape = word()
    crops = marked(scene(0.12), 0.6 * shape, flat(1, 1, 1))
    model = fit_mark(crops, shape > 0.03, predicted(0.7 * shape, flat(1, 1, 1), hides=0.6))
    assert float(np.median(model.opacity[shape > 0.99])) == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize(("hides", "opaque"), [(0.95, True), (0.05, False)])
def test_where_the_scene_shows_nothing_the_network_decides(hides: float, opaque: bool) -> None:
    shape = word()
    crops = marked(scene(0.0, moving=False), 0.8 * shape, flat(1, 1, 1))
    model = fit_mark(crops, shape > 0.03, predicted(0.8 * shape, flat(1, 1, 1), hides=hides))
    assert (float(np.median(model.opacity[shape > 0.99])) == 1) == opaque


def test_a_mark_of_two_colours_keeps_them() -> None:
    shape = word()
    colour = np.where(np.arange(WIDTH) < WIDTH // 2, flat(1, 1, 1), flat(0.1, 0.1, 0.6)).astype(np.float32)
    crops = marked(scene(0.12), shape, colour)
    model = fit_mark(crops, shape > 0.03, predicted(0.95 * shape, colour, hides=0.9))
    assert np.abs((model.colour - colour)[:, shape > 0.99]).mean() < 0.05


def test_noise_in_the_predicted_opacity_of_a_uniform_mark_is_dropped() -> None:
    shape = word()
    crops = marked(scene(0.12), 0.4 * shape, flat(1, 1, 1))
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, shape.shape).astype(np.float32), (0, 0), 1.5)
    rough = (0.4 * shape * (1 + 0.1 * noise / noise.std())).clip(0, 1).astype(np.float32)
    model = fit_mark(crops, shape > 0.03, predicted(rough, flat(1, 1, 1), sigma=0.04))
    core = shape > 0.99
    assert float(model.opacity[core].std()) < 0.5 * float(rough[core].std())


def test_two_parts_are_fitted_apart() -> None:
    opacity = np.zeros((HEIGHT, 2 * WIDTH), np.float32)
    opacity[20:76, 20:120], opacity[20:76, 260:360] = 0.3, 0.6
    scenes = np.concatenate([scene(0.12), scene(0.12, seed=4)], axis=3)
    white = np.ones((3, *opacity.shape), np.float32)
    crops = marked(scenes, opacity, white)
    model = fit_mark(crops, opacity > 0, predicted(np.where(opacity > 0, 0.45, 0).astype(np.float32), white))
    assert float(np.median(model.opacity[30:60, 40:100])) == pytest.approx(0.3, abs=0.05)
    assert float(np.median(model.opacity[30:60, 280:340])) == pytest.approx(0.6, abs=0.05)


def test_without_a_mark_the_prediction_is_returned() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    model = fit_mark(scene(0.1), nothing > 0, predicted(nothing, flat(1, 1, 1)))
    assert not model.pixels.any()
