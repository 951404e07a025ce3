"""Sampled frames go to the segmenter in groups; each yields one detection."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.preprocess import SEGMENTER_FRAMES
from models.spec import SEGMENTER_MULTIPLE
from service.inference.batcher import Arrays, Batcher
from service.inference.fake import FakeSegmenter
from service.pipeline.locate.segment import Sample, analysis_size, mark_probability, sampling_stride, segment
from service.pipeline.placement import Box
from tests.footage import described, film, marked, scene

OVERLAY = frozenset({"overlay"})


@dataclass
class ShapeRecorder:
    """The fake segmenter, recording the shapes of its inputs."""

    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def run(self, inputs: Arrays) -> Arrays:
        self.shapes.append(inputs["frames"].shape)
        return FakeSegmenter().run(inputs)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 90), st.sampled_from([10, 24, 30, 60]))
def test_every_sampled_frame_has_exactly_one_detection_in_order(count: int, fps: int) -> None:
    info, session = described(40, 30, fps, frames=count), ShapeRecorder()
    detections = list(segment(film([scene(0, 40, 30)] * count), info, Batcher(session), OVERLAY))
    stride, end = sampling_stride(info), SEGMENTER_FRAMES
    expected = [i for i in range(count) if i % stride == 0 or i < end or i >= count - end]
    assert [d.frame_index for d in detections] == expected
    assert all(d.probability.shape == (30, 40) for d in detections)
    assert all(shape[1] == min(SEGMENTER_FRAMES, count) for shape in session.shapes)
    assert len(session.shapes) <= -(-len(expected) // SEGMENTER_FRAMES) + 1


@pytest.mark.parametrize(("count", "estimate"), [(50, 47), (50, 60), (50, 0), (3, 0), (3, 9)])
def test_a_wrong_frame_count_loses_no_sample(count: int, estimate: int) -> None:
    info = described(40, 30, 30, frames=estimate)
    found = [d.frame_index for d in segment(film([scene(0, 40, 30)] * count), info, Batcher(FakeSegmenter()), OVERLAY)]
    assert found == sorted(set(found))
    assert {*range(min(count, 4)), *range(0, count, sampling_stride(info))} <= set(found)


def test_a_still_is_segmented_at_two_scales_and_kept_once() -> None:
    info, session, kept = replace(described(80, 40, frames=1), container="image"), ShapeRecorder(), list[Sample]()
    box = Box(10, 6, 40, 30)
    (found,) = segment(film([marked(scene(0, 80, 40), box)]), info, Batcher(session), OVERLAY, kept.append)
    assert [shape[1:] for shape in session.shapes] == [(1, 3, 64, 96), (1, 3, 64, 128)]  # 40 x 80, and 60 x 120
    assert [(index, picture.shape) for index, picture in kept] == [(0, (40, 80, 3))]
    expected = np.zeros((40, 80), bool)
    expected[box.slices] = True
    np.testing.assert_array_equal(found.probability > 0.5, expected)


def test_a_scene_that_stands_still_is_looked_at_once() -> None:
    """From the second group on all pictures are those of the group before, until one changes."""
    box = Box(10, 6, 40, 30)
    pictures = [marked(scene(0, 80, 40), box)] * 150 + [scene(0, 80, 40)] * 30
    session = ShapeRecorder()
    detections = list(segment(film(pictures), described(80, 40, 24, frames=180), Batcher(session), OVERLAY))
    assert len(detections) > 40
    assert len(session.shapes) <= 5
    assert all((detection.probability[box.slices] > 0.5).all() == (detection.frame_index < 150) for detection in detections)


def test_a_detection_shows_the_mark_of_its_own_frame() -> None:
    boxes = [Box(4 + 2 * i, 6, 20 + 2 * i, 18) for i in range(24)]
    frames = film([marked(scene(i, 80, 40), box) for i, box in enumerate(boxes)])
    for detection in segment(frames, described(80, 40), Batcher(FakeSegmenter()), OVERLAY):
        expected = np.zeros((40, 80), np.float32)
        expected[boxes[detection.frame_index].slices] = 1
        np.testing.assert_array_equal(detection.probability, expected)


@given(st.integers(1, 240))
def test_samples_are_at_most_eight_frames_apart(fps: int) -> None:
    assert 1 <= sampling_stride(described(64, 48, fps)) <= 8


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_the_analysis_picture_is_small_and_keeps_the_aspect_ratio(width: int, height: int) -> None:
    small_width, small_height = analysis_size(described(width, height))
    assert 1 <= small_width <= min(width, 640)
    assert 1 <= small_height <= min(height, 640)
    assert small_width == pytest.approx(width * max(small_width, small_height) / max(width, height), abs=1)


@given(st.integers(1, 70), st.integers(1, 70))
@settings(max_examples=30, deadline=None)
def test_any_size_is_padded_for_the_network_and_cropped_again(width: int, height: int) -> None:
    session = ShapeRecorder()
    pictures = np.full((2, 3, height, width), 0.99, np.float32)
    answer = mark_probability(pictures, Batcher(session), OVERLAY)
    np.testing.assert_array_equal(answer, np.ones((2, height, width)))
    assert all(side % SEGMENTER_MULTIPLE == 0 for side in session.shapes[0][-2:])


def test_the_highest_probability_of_the_requested_classes_counts() -> None:
    class Both:
        def run(self, inputs: Arrays) -> Arrays:
            shape = inputs["frames"].shape
            probability = np.zeros((shape[0], shape[1], 2, *shape[3:]), np.float32)
            probability[:, :, 0], probability[:, :, 1] = 0.2, 0.7
            return {"probability": probability}

    pictures, both = np.zeros((1, 3, 32, 32), np.float32), Batcher(Both())
    assert mark_probability(pictures, both, OVERLAY).max() == pytest.approx(0.2)
    assert mark_probability(pictures, both, frozenset({"scene_text"})).max() == pytest.approx(0.7)
    assert mark_probability(pictures, both, frozenset({"overlay", "scene_text"})).max() == pytest.approx(0.7)
    assert mark_probability(pictures, both, frozenset({"user"})).max() == pytest.approx(0.2)
