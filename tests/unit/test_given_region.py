"""What a person points at: measured where the result is proven, otherwise filled."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.arrays import Floats, Mask
from service.inference import fake
from service.inference.batcher import Arrays, Batcher, Session
from service.inference.session import Networks
from service.pipeline.marks.decisions import Notes
from service.pipeline.marks.mark_model import MarkModel, PredictedMark
from service.pipeline.measure.given_region import Region, Solve, measure_region, restored
from service.pipeline.picture.morphology import dilate

SIZE = 64, 96
WORD = slice(24, 40), slice(30, 60)  # rows and columns


class ContrastSegmenter(Session):
    """Sees a mark where a pixel is clearly brighter than its surroundings."""

    def run(self, inputs: Arrays) -> Arrays:
        grey = inputs["frames"].mean(2)
        around = np.stack([[cv2.GaussianBlur(one, (0, 0), 16) for one in clip] for clip in grey])
        overlay = (grey > around + 0.08).astype(np.float32)[:, :, None]
        return {"probability": np.concatenate([overlay, np.zeros_like(overlay)], 2)}


class WordSegmenter(Session):
    """Sees the word whatever is there."""

    def run(self, inputs: Arrays) -> Arrays:
        frames = inputs["frames"]
        scale = round(SIZE[0] / frames.shape[-2])
        seen = np.zeros((*frames.shape[:2], 2, *frames.shape[-2:]), np.float32)
        rows, columns = (slice(part.start // scale, part.stop // scale) for part in WORD)
        seen[:, :, 0, rows, columns] = 1
        return {"probability": seen}


@pytest.fixture(scope="module")
def networks() -> Networks:
    return replace(fake.networks(), segmenter=Batcher(ContrastSegmenter(), (1,), 1))


def crops(opacity: float, frames: int = 4) -> Floats:
    """(N, 3, h, w): a slowly brightening grey scene with a white word of this opacity."""
    scene = np.stack([np.full((3, *SIZE), 0.3 + 0.02 * index, np.float32) for index in range(frames)])
    scene[:, :, *WORD] += opacity * (1 - scene[:, :, *WORD])
    return scene


def region(rows: slice, columns: slice, exact: bool = True) -> Region:
    pixels = np.zeros(SIZE, bool)
    pixels[rows, columns] = True
    return Region(pixels, exact)


GENEROUS = region(slice(18, 46), slice(24, 66))


def solved_at(opacity: float) -> Solve:
    """A solver that says this opacity, white, wherever the mark was seen."""
    white, certain = np.ones((3, *SIZE), np.float32), np.zeros(SIZE, np.float32)

    def solve(_crops: Floats, predicted: PredictedMark, _notes: Notes) -> MarkModel:
        return replace(predicted, opacity=np.float32(opacity) * predicted.mask, colour=white, opacity_sigma=certain)

    return solve


def measured(marked: Floats, given: Region, networks: Networks, opacity: float) -> MarkModel:
    return measure_region(marked, marked[:0], given, networks, solved_at(opacity))


def word() -> Mask:
    pixels = np.zeros(SIZE, bool)
    pixels[WORD] = True
    return pixels


def near_word() -> Mask:
    return dilate(word(), 4)


def test_a_word_measured_right_is_un_blended_and_the_gaps_stay(networks: Networks) -> None:
    model = measured(crops(0.5), GENEROUS, networks, 0.5)
    assert np.array_equal(model.pixels, GENEROUS.pixels)  # each pixel given is replaced
    assert model.opacity[word()] == pytest.approx(0.5)
    assert model.opacity[GENEROUS.pixels & ~word()].max() == 0
    scene = restored(crops(0.5), model)
    assert np.abs(scene - scene[:, :, :1, :1]).max() < 1e-3


@pytest.mark.parametrize("wrong", [0.0, 0.2, 0.3])
def test_a_word_that_would_still_be_seen_is_filled_and_the_gaps_stay(wrong: float, networks: Networks) -> None:
    model = measured(crops(0.5), GENEROUS, networks, wrong)
    assert np.array_equal(model.pixels, GENEROUS.pixels)
    assert (model.opacity[word()] == 1).all()
    assert model.opacity[GENEROUS.pixels & ~near_word()].max() == 0


@pytest.mark.parametrize("exact", [True, False])
def test_where_a_mark_is_still_seen_once_it_is_filled_all_that_was_given_is(exact: bool, networks: Networks) -> None:
    sees_always = replace(networks, segmenter=Batcher(WordSegmenter(), (1,), 1))
    given = replace(GENEROUS, exact=exact)
    model = measured(crops(0.5), given, sees_always, 0.5)
    assert np.array_equal(model.pixels, given.pixels)
    assert (model.opacity[given.pixels] == 1).all()


def test_where_nothing_is_seen_all_that_was_given_is_filled(networks: Networks) -> None:
    for exact in (True, False):
        given = replace(GENEROUS, exact=exact)
        model = measured(crops(0.0), given, networks, 0.5)
        assert np.array_equal(model.pixels, given.pixels)
        assert (model.opacity[given.pixels] == 1).all()


def test_a_box_leaves_what_is_beside_the_mark(networks: Networks) -> None:
    model = measured(crops(0.5), replace(GENEROUS, exact=False), networks, 0.5)
    assert (model.pixels & word()).sum() == word().sum()
    assert not model.pixels[19, 25]
    assert not (model.pixels & ~GENEROUS.pixels).any()


def test_pixels_given_far_from_the_mark_are_filled(networks: Networks) -> None:
    given = region(slice(4, 60), slice(4, 92))
    model = measured(crops(0.5), given, networks, 0.5)
    assert np.array_equal(model.pixels, given.pixels)
    assert model.opacity[word()] == pytest.approx(0.5)
    assert model.opacity[6, 6] == model.opacity[58, 90] == 1


def test_a_mark_that_is_not_in_every_frame_is_filled(networks: Networks) -> None:
    marked = crops(0.5, frames=8)
    marked[4:] = crops(0.0, frames=8)[4:]
    model = measured(marked, GENEROUS, networks, 0.5)
    assert (model.opacity[GENEROUS.pixels] == 1).all()
