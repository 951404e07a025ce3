"""Marks that move on their own way are followed; what moves with the scene is not, and neither is what stands."""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import chain

import numpy as np
import pytest

from service.inference import fake
from service.inference.batcher import Arrays, Batcher
from service.pipeline.locate.candidates import from_moving
from service.pipeline.locate.follow import MovingMark, follow
from service.pipeline.locate.locate import locate
from service.pipeline.locate.moving_marks import Glances
from service.pipeline.locate.segment import is_sampled, sampling_stride
from service.pipeline.marks.candidate import Followed
from service.pipeline.placement import Box
from service.pipeline.request import Request
from service.pipeline.video import Limits
from tests.footage import Picture, described, film, marked, texture
from tests.unit.standing import SeesWhatStands

WIDTH, HEIGHT, TOTAL = 160, 120, 72
INFO = described(WIDTH, HEIGHT, frames=TOTAL)
OVERLAY = frozenset({"overlay"})
WIDE = np.rint(texture(5, 2 * WIDTH, HEIGHT) * 255).astype(np.uint8)
Path = Callable[[int], tuple[int, int]]


class SeesAlone(fake.FakeSegmenter):
    """Sees in a single picture what it does not see in several."""

    def run(self, inputs: Arrays) -> Arrays:
        answer = super().run(inputs)
        return answer if inputs["frames"].shape[1] == 1 else {"probability": np.zeros_like(answer["probability"])}


def panned(index: int, pixels: float) -> Picture:
    """The scene, of which the camera shows another part in each frame."""
    left = round(index * pixels)
    return WIDE[:, left : left + WIDTH].copy()


def square(left: int, top: int) -> Box:
    return Box(max(0, left), top, min(WIDTH, left + 24), top + 12)


def found(pictures: list[Picture], network: Batcher | None = None) -> list[MovingMark]:
    network, stride = network or fake.networks().segmenter, sampling_stride(INFO)
    glances = Glances(network, OVERLAY, stride)
    for index, picture in enumerate(pictures):
        if is_sampled(index, stride, TOTAL):
            glances.add((index, picture))
    return follow(film(pictures), len(pictures), INFO, glances.moving, network, OVERLAY)


def drifting(index: int) -> tuple[int, int]:
    return 8 + round(1.5 * index), 20 + index // 2


def bouncing(index: int) -> tuple[int, int]:
    return round(abs((1.25 * index + 40) % 160 - 80)), 40


@pytest.mark.parametrize("path", [drifting, bouncing])
@pytest.mark.parametrize("pan", [0.0, 0.4])
def test_a_mark_is_followed_to_the_pixel_over_a_scene_that_rests_or_moves(path: Path, pan: float) -> None:
    (mark,) = found([marked(panned(i, pan), square(*path(i))) for i in range(TOTAL)])
    assert list(mark.places) == list(range(TOTAL))
    errors = [np.abs(np.subtract(mark.places[i], path(i)[::-1])).max() for i in range(TOTAL)]
    assert np.median(errors) <= 0.5
    assert max(errors) <= 2  # between two frames that are looked at, where it bounces


def test_what_moves_with_the_scene_is_scene() -> None:
    assert found([marked(panned(i, 1.0), square(130 - i, 40)) for i in range(TOTAL)]) == []


def test_what_stands_is_left_to_the_tracks() -> None:
    assert found([marked(panned(i, 0.7), square(60, 40)) for i in range(TOTAL)]) == []


def test_a_mark_that_leaves_is_followed_over_the_edge() -> None:
    lefts = [round(70 - 1.5 * index) for index in range(TOTAL)]
    (mark,) = found([marked(panned(i, 0), square(left, 40)) if left > -24 else panned(i, 0) for i, left in enumerate(lefts)])
    assert min(mark.places) == 0
    assert abs(max(mark.places) - max(index for index, left in enumerate(lefts) if left > -24)) <= 2


@pytest.mark.parametrize("promised_frames", [TOTAL - 6, TOTAL + 6])
def test_a_mark_is_followed_to_the_last_frame_whatever_the_container_promises(promised_frames: int) -> None:
    frames = film([marked(panned(i, 0), square(*drifting(i))) for i in range(TOTAL)])
    info = described(WIDTH, HEIGHT, frames=promised_frames)
    candidates, timeline = locate(frames, lambda: nullcontext(frames), info, Request(), fake.networks().segmenter, Limits())
    followed = [range(one.first_sample, one.last_sample + 1) for one in candidates if isinstance(one.origin, Followed)]
    assert sorted(chain.from_iterable(followed)) == list(range(timeline.frames))


def test_candidates_cover_the_mark_in_every_frame_and_little_else() -> None:
    (mark,) = found([marked(panned(i, 0), square(*drifting(i))) for i in range(TOTAL)])
    candidates = from_moving(mark, INFO, "overlay")
    assert [one.first_sample for one in candidates[1:]] == [one.last_sample + 1 for one in candidates[:-1]]
    for one in candidates:
        assert isinstance(one.origin, Followed)
        assert one.path == candidates[0].path != ""
        covered = np.zeros((HEIGHT, WIDTH), bool)
        covered[one.box.slices] = one.probability > 0.5
        for frame in range(one.first_sample, one.last_sample + 1):
            assert covered[square(*drifting(frame)).slices].all()
        assert covered.sum() < 36 * 26


def test_what_touches_a_mark_in_one_glance_is_no_part_of_it() -> None:
    """A bright thing that stands below its path."""
    thing = Box(60, 50, 76, 72)
    pictures = [marked(marked(panned(i, 0.0), thing), square(20 + round(1.5 * i), 40)) for i in range(TOTAL)]
    (mark,) = found(pictures)
    assert list(mark.places) == list(range(TOTAL))
    height, width = mark.probability.shape
    assert abs(height - 12) + abs(width - 24) <= 4
    assert max(np.abs(np.subtract(mark.places[i], (40, 20 + round(1.5 * i)))).max() for i in range(TOTAL)) <= 2


def test_a_mark_that_grows_on_its_way_is_followed() -> None:
    def grown(index: int) -> Box:
        left, top = drifting(index)
        return Box(left, top, left + 24 + index // 9, top + 12 + index // 18)

    (mark,) = found([marked(panned(i, 0.4), grown(i)) for i in range(TOTAL)])
    assert list(mark.places) == list(range(TOTAL))
    height, width = mark.probability.shape
    for index in range(TOTAL):
        (y, x), box = mark.places[index], grown(index)
        assert abs(y + height / 2 - (box.top + box.bottom) / 2) <= 4
        assert abs(x + width / 2 - (box.left + box.right) / 2) <= 4


def test_a_mark_that_is_seen_in_two_glances_is_followed_as_long_as_it_is_there() -> None:
    shown = range(18, 46)
    pictures = [marked(panned(i, 0.0), square(*drifting(i))) if i in shown else panned(i, 0.0) for i in range(TOTAL)]
    (mark,) = found(pictures)
    assert abs(min(mark.places) - shown.start) <= 1
    assert abs(max(mark.places) - shown.stop + 1) <= 1


def off_the_edge(index: int) -> tuple[int, int]:
    """Off the right edge."""
    room = WIDTH - 24
    return round(room - abs(room - 90 - 1.5 * index)), 30 + index // 3


@pytest.mark.parametrize("path", [drifting, off_the_edge])
def test_a_mark_that_no_single_picture_shows_is_followed_in_every_frame(path: Path) -> None:
    marks = found([marked(panned(i, 0.4), square(*path(i))) for i in range(TOTAL)], Batcher(SeesWhatStands(), (1,), 1))
    (mark,) = marks
    assert list(mark.places) == list(range(TOTAL))
    errors = [np.abs(np.subtract(mark.places[i], path(i)[::-1])).max() for i in range(TOTAL)]
    assert np.median(errors) <= 1
    assert max(errors) <= 5  # where it turns


def test_a_mark_that_is_no_longer_recognised_is_followed_by_its_pixels_and_back_from_the_edge() -> None:
    """It turns back at frame 31, while nothing is seen of it."""
    hidden = range(27, 40)
    pictures = [panned(i, 0.0) if i in hidden else marked(panned(i, 0.0), square(*off_the_edge(i))) for i in range(TOTAL)]
    glances = Glances(fake.networks().segmenter, OVERLAY, sampling_stride(INFO))
    for index in range(0, 25, glances.stride_frames):
        glances.add((index, pictures[index]))
    (mark,) = follow(film(pictures), TOTAL, INFO, glances.moving, Batcher(SeesWhatStands()), OVERLAY)
    assert list(mark.places) == list(range(TOTAL))
    errors = [np.abs(np.subtract(mark.places[i], off_the_edge(i)[::-1])).max() for i in range(TOTAL)]
    assert max(errors) <= 2


def test_what_is_no_mark_in_a_closer_look_along_its_path_is_none() -> None:
    """It moves on its own, as a leaf does, and single pictures show something like a mark."""
    pictures = [marked(panned(i, 0.0), square(*drifting(i))) for i in range(TOTAL)]
    glances = Glances(fake.networks().segmenter, OVERLAY, sampling_stride(INFO))
    for index in range(0, 25, glances.stride_frames):
        glances.add((index, pictures[index]))
    assert len(follow(film(pictures), TOTAL, INFO, glances.moving, fake.networks().segmenter, OVERLAY)) == 1
    assert follow(film(pictures), TOTAL, INFO, glances.moving, Batcher(SeesAlone()), OVERLAY) == []


def test_surroundings_that_show_no_detail_do_not_say_that_a_mark_moves_with_them() -> None:
    """A wall, and once a flash of detail: what is known once counts, and what is never known does not count against it."""
    flat = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    noise = np.random.default_rng(3).integers(0, 2, (TOTAL, HEIGHT, WIDTH, 1), np.uint8)
    backgrounds = [panned(i, 0.0) if 20 <= i < 26 else flat + noise[i] for i in range(TOTAL)]
    (mark,) = found([marked(background, square(*drifting(i))) for i, background in enumerate(backgrounds)])
    assert list(mark.places) == list(range(TOTAL))


def test_lines_that_move_as_one_are_marks_if_one_of_them_is_known_to_move_on_its_own() -> None:
    """Credits: a line passes before detail, another before a plain wall."""

    def line(top: int, left: int, index: int) -> Box:
        return Box(left, top + index, left + 24, top + index + 8)

    scene = panned(0, 0.0)
    scene[:, WIDTH // 2 :] = 90
    both = [(10, 20), (10, 110)]
    pictures = [marked(marked(scene, line(*both[0], i)), line(*both[1], i)) for i in range(TOTAL)]
    assert len(found(pictures)) == 2
    alone = [marked(scene, line(*both[1], i)) for i in range(TOTAL)]
    assert len(found(alone)) <= 1


def test_what_jumps_about_is_no_mark_that_moves() -> None:
    """As the stripes of a wall do that are taken for each other."""

    def jumping(index: int) -> tuple[int, int]:
        return 20 + index, 30 + 14 * (index // 2 % 3)

    assert found([marked(panned(i, 0.0), square(*jumping(i))) for i in range(TOTAL)]) == []


def test_a_mark_that_is_seen_in_every_second_glance_is_followed_in_every_frame() -> None:
    """The segmenter misses it where it passes over something bright."""
    network, stride = fake.networks().segmenter, sampling_stride(INFO)
    glances = Glances(network, OVERLAY, stride)
    pictures = [marked(panned(i, 0.0), square(*drifting(i))) for i in range(TOTAL)]
    for index, picture in enumerate(pictures):
        if is_sampled(index, stride, TOTAL):
            dark = index // (3 * stride) % 2 == 1
            glances.add((index, np.minimum(picture, np.uint8(200)) if dark else picture))
    (mark,) = follow(film(pictures), TOTAL, INFO, glances.moving, network, OVERLAY)
    assert list(mark.places) == list(range(TOTAL))
