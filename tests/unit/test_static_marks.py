"""Static marks are found in long exposures, and are united with the tracks that show a part of them."""

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


def stack_of(pictures: list[np.ndarray], stride: int = 5) -> ExposureStack:
    stack = ExposureStack()
    for index, picture in enumerate(pictures):
        stack.add((index * stride, picture))
    return stack


def track_of(box: Box, first: int, last: int, *, confirmed: bool = True) -> Track:
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    total[box.slices] = 0.9
    return Track(first, last, 1, 0, total, confirmed)


@given(st.integers(0, 700))
def test_kept_samples_are_few_and_evenly_spaced_and_include_the_first(count: int) -> None:
    stack = ExposureStack()
    samples: list[Sample] = [(5 * i, np.zeros((1, 1, 3), np.uint8)) for i in range(count)]
    for sample in samples:
        stack.add(sample)
    kept = [index for index, _ in stack.kept]
    assert len(kept) <= MAX_SAMPLES
    assert len(kept) >= min(count, MAX_SAMPLES // 2)
    assert kept[:1] == [0][:count]
    assert len(set(np.diff(kept))) <= 1
    if samples:
        assert stack.span == (0, 5 * (count - 1))


@given(st.integers(MIN_SAMPLES, 200))
def test_every_sample_is_in_one_exposure_in_order_and_exposures_are_of_similar_length(count: int) -> None:
    """Each sample lights a pixel that no other sample lights."""
    stack = ExposureStack()
    for index in range(count):
        picture = np.zeros((1, count, 3), np.uint8)
        picture[0, index] = 255
        stack.add((index, picture))
    lit = stack.exposures()[:, 0, 0]
    np.testing.assert_allclose(lit.sum(1), 1, atol=1e-5)
    exposure_of_sample = lit.argmax(0)
    assert ((lit > 0).sum(0) == 1).all()
    assert (np.diff(exposure_of_sample) >= 0).all()
    lengths = np.bincount(exposure_of_sample, minlength=SEGMENTER_FRAMES)
    np.testing.assert_allclose(lit.max(1), 1 / lengths, rtol=1e-5)
    assert lengths.max() <= 4 * lengths.min()


def test_a_mark_in_every_sample_is_static_and_one_that_disappears_is_not() -> None:
    there = [marked(scene(9 * i, WIDTH, HEIGHT), BOX) for i in range(40)]
    (mark,) = find_static_marks(stack_of(there), Batcher(FakeSegmenter()), OVERLAY)
    np.testing.assert_array_equal(mark.mask, marked(np.zeros((HEIGHT, WIDTH, 3), np.uint8), BOX)[..., 0] > 0)
    gone = [*there[:25], *(scene(9 * i, WIDTH, HEIGHT) for i in range(25, 40))]
    assert find_static_marks(stack_of(gone), Batcher(FakeSegmenter()), OVERLAY) == []


def test_subtitles_that_follow_each_other_in_one_place_are_not_static() -> None:
    """All exposures show a mark there, but not the same one."""
    first, second = Box(20, 20, 50, 32), Box(30, 20, 60, 32)
    lines = [marked(scene(9 * i, WIDTH, HEIGHT), first if i < 20 else second) for i in range(40)]
    assert find_static_marks(stack_of(lines), Batcher(FakeSegmenter()), OVERLAY) == []


def test_a_video_of_too_few_samples_has_no_static_marks() -> None:
    there = [marked(scene(9 * i, WIDTH, HEIGHT), BOX) for i in range(MIN_SAMPLES - 1)]
    assert find_static_marks(stack_of(there), Batcher(FakeSegmenter()), OVERLAY) == []


def test_a_static_mark_is_united_with_the_tracks_of_its_parts_and_all_tracks_are_kept() -> None:
    part, beyond, other = (
        track_of(Box(20, 20, 30, 32), 0, 40),
        track_of(Box(40, 20, 54, 32), 60, 195),
        track_of(Box(70, 40, 90, 50), 10, 90),
    )
    *kept, united = merge_static_marks([part, other, beyond], [track_of(BOX, 5, 190)])
    assert kept == [part, other, beyond]
    assert united.static
    assert (united.first_sample, united.last_sample) == (0, 195)
    np.testing.assert_array_equal(united.mask, track_of(BOX, 0, 0).mask | beyond.mask)


def test_unconfirmed_tracks_add_nothing_to_a_static_mark() -> None:
    *_, united = merge_static_marks([track_of(Box(40, 20, 54, 32), 0, 9, confirmed=False)], [track_of(BOX, 5, 190)])
    np.testing.assert_array_equal(united.mask, track_of(BOX, 0, 0).mask)
    assert united.first_sample == 5
