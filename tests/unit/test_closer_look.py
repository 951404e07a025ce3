"""A closer look: enlarged, with only the surroundings in view."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.inference.batcher import Arrays, Batcher
from service.inference.fake import FakeSegmenter
from service.pipeline.locate.closer_look import ENLARGED, SURROUNDINGS_PIXELS, closer_look
from service.pipeline.placement import Box
from tests.footage import marked, scene

WIDTH, HEIGHT = 320, 192
OVERLAY = frozenset({"overlay"})


@dataclass
class Recorder(FakeSegmenter):
    """The fake segmenter, recording the sizes of its inputs."""

    sizes: list[tuple[int, int]] = field(default_factory=list)

    def run(self, inputs: Arrays) -> Arrays:
        height, width = inputs["frames"].shape[-2:]
        self.sizes.append((height, width))
        return super().run(inputs)


class BySize(FakeSegmenter):
    """Takes bright things for a mark only where less than a quarter of what is in view is bright, as a network knows a wall by its size."""

    def run(self, inputs: Arrays) -> Arrays:
        answer = super().run(inputs)
        return answer if answer["probability"].mean() < 1 / 8 else {"probability": np.zeros_like(answer["probability"])}


def mask_of(box: Box) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[box.slices] = True
    return mask


def pictures_of(*frames: np.ndarray) -> np.ndarray:
    return np.stack(frames).transpose(0, 3, 1, 2)


def test_each_mask_is_answered_for_each_picture() -> None:
    first, second = Box(20, 20, 60, 40), Box(220, 120, 280, 150)
    empty = scene(0, WIDTH, HEIGHT)
    pictures = pictures_of(marked(empty, first), marked(marked(empty, first), second), empty)
    answers = closer_look(Batcher(FakeSegmenter()), OVERLAY)(pictures, [mask_of(first), mask_of(second)])
    np.testing.assert_allclose(answers, [[1, 1, 0], [0, 1, 0]], atol=0.15)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 280), st.integers(0, 170), st.integers(6, 40), st.integers(6, 20))
def test_a_mark_anywhere_is_seen_in_bytes_as_in_floats(left: int, top: int, width: int, height: int) -> None:
    box = Box(left, top, min(WIDTH, left + width), min(HEIGHT, top + height))
    pictures, look = pictures_of(marked(scene(0, WIDTH, HEIGHT), box)), closer_look(Batcher(FakeSegmenter()), OVERLAY)
    answer = look(pictures, [mask_of(box)])
    assert answer.shape == (1, 1)
    assert answer[0, 0] > 0.5
    np.testing.assert_array_equal(look(pictures.astype(np.float32) / np.float32(255), [mask_of(box)]), answer)


def test_only_the_surroundings_are_enlarged() -> None:
    box = Box(100, 80, 140, 100)
    session = Recorder()
    closer_look(Batcher(session), OVERLAY)(pictures_of(marked(scene(0, WIDTH, HEIGHT), box)), [mask_of(box)])
    ((height, width),) = session.sizes
    assert height - 32 < ENLARGED * (20 + 2 * SURROUNDINGS_PIXELS) <= height
    assert width - 32 < ENLARGED * (40 + 2 * SURROUNDINGS_PIXELS) <= width


def test_what_lies_near_each_other_is_looked_at_once() -> None:
    near, far = [Box(20, 20, 40, 30), Box(60, 20, 80, 30), Box(100, 20, 120, 30)], Box(260, 150, 280, 160)
    picture, session = scene(0, WIDTH, HEIGHT), Recorder()
    for box in (*near, far):
        picture = marked(picture, box)
    answers = closer_look(Batcher(session), OVERLAY)(pictures_of(picture), [mask_of(box) for box in (near[0], far, near[2], near[1])])
    assert len(session.sizes) == 2
    assert (answers > 0.5).all()


def test_nothing_to_look_at_runs_no_network() -> None:
    session = Recorder()
    assert closer_look(Batcher(session), OVERLAY)(pictures_of(scene(0, WIDTH, HEIGHT)), []).shape == (0, 1)
    assert session.sizes == []


@pytest.mark.parametrize(("box", "seen"), [(Box(100, 80, 130, 95), True), (Box(20, 20, 170, 150), False)])
def test_what_fills_its_surroundings_is_known_by_them(box: Box, seen: bool) -> None:
    pictures = pictures_of(marked(scene(0, WIDTH, HEIGHT), box))
    assert bool(closer_look(Batcher(BySize()), OVERLAY)(pictures, [mask_of(box)])[0, 0] > 0.5) is seen
