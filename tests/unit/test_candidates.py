"""Tracks, and the boxes and masks of a request, become candidates."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.errors import RequestError
from service.pipeline.locate.candidates import enlarged_part, from_boxes, from_mask, from_request, from_tracks
from service.pipeline.locate.segment import analysis_size, sampling_stride
from service.pipeline.locate.track import Track
from service.pipeline.marks.candidate import Candidate, UserBox, UserMask
from service.pipeline.marks.plan import CONTEXT_PIXELS
from service.pipeline.placement import Box
from service.pipeline.request import Request
from service.pipeline.video import Limits, Timeline
from service.timed_box import TimedBox, parse_box
from tests.footage import FPS, described, write_film

WIDTH, HEIGHT, FRAMES = 96, 64, 48
INFO = described(WIDTH, HEIGHT, frames=FRAMES)
TIMELINE = Timeline(range(FRAMES), INFO.time_base)
LIMITS = Limits()


def white(candidate: Candidate) -> np.ndarray:
    """The candidate's pixels above a probability of 0.5, in the whole picture."""
    picture = np.zeros((HEIGHT, WIDTH), bool)
    picture[candidate.box.slices] = candidate.probability > 0.5
    return picture


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 8), st.integers(1, 8), st.data())
def test_a_part_is_enlarged_as_the_whole_is(height: int, width: int, down: int, across: int, data: st.DataObject) -> None:
    values = np.random.default_rng(height * width).random((height, width), dtype=np.float32)
    full_height, full_width = height * down, width * across
    left, top = data.draw(st.integers(0, full_width - 1)), data.draw(st.integers(0, full_height - 1))
    box = Box(left, top, data.draw(st.integers(left + 1, full_width)), data.draw(st.integers(top + 1, full_height)))
    whole = cv2.resize(values, (full_width, full_height), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(enlarged_part(values, full_width, full_height, box), whole[box.slices], atol=1e-6)


def test_a_box_covers_the_frames_of_its_seconds() -> None:
    always, some = from_boxes([parse_box("8,8,40,24"), parse_box("8,8,40,24@0.5-1.0")], INFO, TIMELINE)
    assert (always.first_sample, always.last_sample) == (0, FRAMES - 1)
    assert (some.first_sample, some.last_sample) == (FPS // 2, FPS)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[8:24, 8:40] = True
    np.testing.assert_array_equal(white(some), expected)
    assert some.box == Box(8, 8, 40, 24).expanded(CONTEXT_PIXELS, INFO.width, INFO.height)
    assert (some.kind, some.slack_frames, some.origin) == ("user", 0, UserBox())


def test_a_box_goes_on_along_the_path_on_which_another_ended() -> None:
    texts = ("0,0,9,9/9,9,18,18@0-0.5", "9,9,18,18/0,0,9,9@0.5-1", "9,9,18,18/0,0,9,9@0.6-1", "0,0,9,9@1-1.2")
    every = [one.path for one in from_boxes(list(map(parse_box, texts)), INFO, TIMELINE)]
    assert list(dict.fromkeys(every)) == [every[0], str(parse_box(texts[2])), ""]


def test_times_count_from_the_first_frame_and_follow_a_variable_rate() -> None:
    timeline = Timeline([100, 110, 150, 151, 160], INFO.time_base)
    (box,) = from_boxes([TimedBox(0, 0, 1, 1, 10 / FPS, 51 / FPS)], INFO, timeline)
    assert (box.first_sample, box.last_sample) == (1, 3)


def test_a_box_that_moves_is_followed_in_short_steps() -> None:
    seconds = (FRAMES - 1) / FPS
    found = from_boxes([TimedBox(0, 8, 32, 40, 0.0, seconds, (64, 8, 96, 40))], INFO, TIMELINE)
    assert [one.first_sample for one in found[1:]] == [one.last_sample + 1 for one in found[:-1]]
    assert (found[0].first_sample, found[-1].last_sample) == (0, FRAMES - 1)
    assert len(found) > 8
    for one in found:
        assert one.path == found[0].path != ""
        for frame in range(one.first_sample, one.last_sample + 1):
            left = 64 * frame / (FRAMES - 1)
            expected = np.zeros((HEIGHT, WIDTH), bool)
            expected[8:40, round(left + 0.5) : int(left + 32)] = True
            assert white(one)[expected].all()
        assert white(one).sum() <= 32 * (32 + 5)


def test_a_box_that_does_not_move_far_is_one_region() -> None:
    (one,) = from_boxes([TimedBox(8, 8, 40, 40, 0.0, 1.0, (10, 9, 42, 41))], INFO, TIMELINE)
    assert white(one).sum() == 34 * 33


def test_a_box_after_the_end_is_refused() -> None:
    with pytest.raises(RequestError, match="after the end"):
        from_boxes([parse_box("8,8,40,24@9-10")], INFO, TIMELINE)


@settings(max_examples=40, deadline=None)
@given(st.integers(64, 1920), st.integers(64, 1080), st.data())
def test_a_candidate_lies_where_its_track_lies_at_analysis_size(width: int, height: int, data: st.DataObject) -> None:
    info = described(width, height)
    small_width, small_height = analysis_size(info)
    left, top = data.draw(st.integers(0, small_width - 8)), data.draw(st.integers(0, small_height - 8))
    small = Box(left, top, data.draw(st.integers(left + 4, small_width)), data.draw(st.integers(top + 4, small_height)))
    total = np.zeros((small_height, small_width), np.float32)
    total[small.slices] = 3 * 0.9
    (candidate,) = from_tracks([Track(8, 24, 3, 0, total)], info, TIMELINE, "overlay")
    scales = np.tile([width / small_width, height / small_height], 2)
    rows, columns = np.nonzero(candidate.probability > 0.45)
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) + np.tile([candidate.box.left, candidate.box.top], 2)
    np.testing.assert_allclose(found, np.array([small.left, small.top, small.right, small.bottom]) * scales, atol=scales.max() + 1)
    assert candidate.probability.shape == (candidate.box.height, candidate.box.width)
    assert (candidate.first_sample, candidate.last_sample, candidate.slack_frames) == (8, 24, sampling_stride(info))
    assert candidate.confidence == pytest.approx(0.9)


def test_a_logo_and_its_word_are_one_candidate_and_a_later_or_distant_track_is_another() -> None:
    info = described(320, 180)

    def track_of(first: int, last: int, left: int, top: int) -> Track:
        total = np.zeros((180, 320), np.float32)
        total[top : top + 20, left : left + 30] = 3 * 0.9
        return Track(first, last, 3, 0, total)

    logo, word, later, below = track_of(0, 40, 20, 20), track_of(4, 36, 60, 22), track_of(44, 80, 20, 20), track_of(0, 40, 20, 120)
    found = from_tracks([below, logo, word, later], info, TIMELINE, "overlay")
    assert sorted((c.first_sample, c.last_sample) for c in found) == [(0, 40), (0, 40), (44, 80)]
    both = max((c for c in found if c.box.top < 100), key=lambda c: int((c.probability > 0.5).sum()))
    assert int((both.probability > 0.5).sum()) == pytest.approx(2 * 20 * 30, rel=0.1)


@pytest.mark.parametrize(("confirmed", "static"), [(True, True), (True, False), (False, False)])
def test_a_logo_and_its_word_are_confirmed_alike_and_static_if_one_is(confirmed: bool, static: bool) -> None:
    def track_of(left: int) -> Track:
        total = np.zeros((HEIGHT, WIDTH), np.float32)
        total[20:30, left : left + 10] = 2.7
        return Track(8, 24, 3, 0, total, confirmed=confirmed, static=static and left == 20)

    (candidate,) = from_tracks([track_of(20), track_of(34)], INFO, TIMELINE, "overlay")
    assert (candidate.confirmed, candidate.spans_video) == (confirmed, static)
    assert not candidate.must_span_video, "one of them was seen in single samples"


def mask_picture(*boxes: Box) -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for box in boxes:
        picture[box.slices] = 255
    return picture


def save(picture: np.ndarray, path: Path) -> Path:
    Image.fromarray(picture).save(path)
    return path


def test_a_mask_image_covers_the_whole_video(tmp_path: Path) -> None:
    picture = mask_picture(Box(10, 10, 30, 20), Box(60, 40, 80, 50))
    (candidate,) = from_mask(save(picture, tmp_path / "mask.png"), INFO, TIMELINE, LIMITS)
    assert (candidate.first_sample, candidate.last_sample, candidate.origin) == (0, FRAMES - 1, UserMask())
    np.testing.assert_array_equal(white(candidate), picture[:, :, 0] > 0)


def test_a_mask_video_covers_frame_by_frame(tmp_path: Path) -> None:
    early, late = Box(8, 8, 40, 24), Box(48, 32, 88, 56)
    pictures = [mask_picture(early)] * 5 + [mask_picture()] * 4 + [mask_picture(late)] * 6
    one, two = from_mask(write_film(tmp_path / "mask.mp4", pictures), INFO, TIMELINE, LIMITS)
    assert (one.first_sample, one.last_sample, two.first_sample, two.last_sample) == (0, 4, 9, 14)
    np.testing.assert_array_equal(white(one), mask_picture(early)[:, :, 0] > 0)
    np.testing.assert_array_equal(white(two), mask_picture(late)[:, :, 0] > 0)


def test_a_longer_mask_video_ends_with_the_video(tmp_path: Path) -> None:
    path = write_film(tmp_path / "mask.mp4", [mask_picture(Box(8, 8, 40, 24))] * 12)
    (candidate,) = from_mask(path, INFO, Timeline(range(7), INFO.time_base), LIMITS)
    assert (candidate.first_sample, candidate.last_sample) == (0, 6)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    path = save(np.full((HEIGHT, WIDTH + 2, 3), 255, np.uint8), tmp_path / "mask.png")
    with pytest.raises(RequestError, match=f"{WIDTH + 2}x{HEIGHT}, the picture {WIDTH}x{HEIGHT}"):
        from_mask(path, INFO, TIMELINE, LIMITS)


def test_a_black_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no white pixel"):
        from_mask(save(mask_picture(), tmp_path / "mask.png"), INFO, TIMELINE, LIMITS)


def test_a_mask_that_is_not_a_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(b"not a picture")
    with pytest.raises(RequestError, match="the mask cannot be read"):
        from_mask(path, INFO, TIMELINE, LIMITS)


def test_a_request_may_have_boxes_and_a_mask(tmp_path: Path) -> None:
    mask = save(mask_picture(Box(10, 10, 30, 20)), tmp_path / "mask.png")
    request = Request((parse_box("8,8,40,24"), parse_box("0.5,0.5,1,1")), mask, detect=False)
    assert [c.origin for c in from_request(request, INFO, TIMELINE, LIMITS)] == [UserBox(), UserBox(), UserMask()]
    assert from_request(Request(), INFO, TIMELINE, LIMITS) == []
