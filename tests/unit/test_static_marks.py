"""Marks that stand through a whole video are seen in long exposures, and take in what was seen of them in single frames."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.preprocess import SEGMENTER_FRAMES
from service.inference.batcher import Batcher
from service.inference.fake import FakeSegmenter
from service.pipeline.locate.segment import Sample
from service.pipeline.locate.static_marks import MAX_SAMPLES, MIN_SAMPLES, ExposureStack, find_static_marks, merge_static_marks
from service.pipeline.locate.track import Track
from service.pipeline.placement import Box
from tests.footage import marked, scene

OVERLAY = frozenset({"overlay"})
WIDTH, HEIGHT = 96, 64
BOX = Box(20, 20, 50, 32)


def spread_of(pictures: list[np.ndarray], stride: int = 5) -> ExposureStack:
    spread = ExposureStack()
    for index, picture in enumerate(pictures):
        spread.add((index * stride, picture))
    return spread


def seen(box: Box, first: int, last: int, *, confirmed: bool = True) -> Track:
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    total[box.slices] = 0.9
    return Track(first, last, 1, 0, total, confirmed)


@given(st.integers(0, 700))
def test_few_samples_are_kept_evenly_and_the_first_always(count: int) -> None:
    spread = ExposureStack()
    samples: list[Sample] = [(5 * i, np.zeros((1, 1, 3), np.uint8)) for i in range(count)]
    for sample in samples:
        spread.add(sample)
    kept = [index for index, _ in spread.kept]
    assert len(kept) <= MAX_SAMPLES
    assert len(kept) >= min(count, MAX_SAMPLES // 2)
    assert kept[:1] == [0][:count]
    assert len(set(np.diff(kept))) <= 1


@given(st.integers(MIN_SAMPLES, 200))
def test_exposures_hold_every_sample_once_in_order_and_about_as_many_each(count: int) -> None:
    """Told by one lit pixel a sample."""
    spread = ExposureStack()
    for index in range(count):
        picture = np.zeros((1, count, 3), np.uint8)
        picture[0, index] = 255
        spread.add((index, picture))
    lit = spread.exposures()[:, 0, 0]
    np.testing.assert_allclose(lit.sum(1), 1, atol=1e-5)
    holders = lit.argmax(0)
    assert ((lit > 0).sum(0) == 1).all()
    assert (np.diff(holders) >= 0).all()
    shares = np.bincount(holders, minlength=SEGMENTER_FRAMES)
    np.testing.assert_allclose(lit.max(1), 1 / shares, rtol=1e-5)
    assert shares.max() <= 4 * shares.min()


def test_a_mark_in_every_kept_sample_stands_and_one_that_goes_does_not() -> None:
    there = [marked(scene(9 * i, WIDTH, HEIGHT), BOX) for i in range(40)]
    (mark,) = find_static_marks(spread_of(there), Batcher(FakeSegmenter()), OVERLAY)
    np.testing.assert_array_equal(mark.mask, marked(np.zeros((HEIGHT, WIDTH, 3), np.uint8), BOX)[..., 0] > 0)
    gone = [*there[:25], *(scene(9 * i, WIDTH, HEIGHT) for i in range(25, 40))]
    assert find_static_marks(spread_of(gone), Batcher(FakeSegmenter()), OVERLAY) == []


def test_lines_that_follow_each_other_in_one_place_do_not_stand() -> None:
    """All of the exposures show something there, but not the same."""
    first, second = Box(20, 20, 50, 32), Box(30, 20, 60, 32)
    lines = [marked(scene(9 * i, WIDTH, HEIGHT), first if i < 20 else second) for i in range(40)]
    assert find_static_marks(spread_of(lines), Batcher(FakeSegmenter()), OVERLAY) == []


def test_a_short_video_has_no_frames_far_apart() -> None:
    there = [marked(scene(9 * i, WIDTH, HEIGHT), BOX) for i in range(MIN_SAMPLES - 1)]
    assert find_static_marks(spread_of(there), Batcher(FakeSegmenter()), OVERLAY) == []


def test_a_standing_mark_takes_in_what_tracks_showed_of_it_and_all_tracks_stay() -> None:
    part, beyond, other = seen(Box(20, 20, 30, 32), 0, 40), seen(Box(40, 20, 54, 32), 60, 195), seen(Box(70, 40, 90, 50), 10, 90)
    *kept, whole = merge_static_marks([part, other, beyond], [seen(BOX, 5, 190)])
    assert kept == [part, other, beyond]
    assert whole.static
    assert (whole.first_sample, whole.last_sample) == (0, 195)
    np.testing.assert_array_equal(whole.mask, seen(BOX, 0, 0).mask | beyond.mask)


def test_what_is_not_sure_adds_nothing_to_a_standing_mark() -> None:
    *_, whole = merge_static_marks([seen(Box(40, 20, 54, 32), 0, 9, confirmed=False)], [seen(BOX, 5, 190)])
    np.testing.assert_array_equal(whole.mask, seen(BOX, 0, 0).mask)
    assert whole.first_sample == 5
