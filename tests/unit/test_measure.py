"""From tracks to placements: exact pixels, opacity, colour and ends."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Mask
from service.inference import fake
from service.inference.batcher import Arrays, Batcher
from service.pipeline.extent.time_extent import find_extents
from service.pipeline.locate.candidates import from_tracks
from service.pipeline.locate.closer_look import closer_look
from service.pipeline.locate.segment import segment
from service.pipeline.locate.track import track
from service.pipeline.marks.candidate import Candidate, Detected, UserMask
from service.pipeline.marks.plan import CONTEXT_PIXELS
from service.pipeline.measure.measure import measure
from service.pipeline.placement import Box, Kind, Placement
from service.pipeline.video import Timeline
from tests.footage import Picture, described, film, marked, scene

WIDTH, HEIGHT = 128, 96
SQUARE = Box(40, 32, 64, 52)


def clip(total: int, *placed: tuple[int, int, Box]) -> list[Picture]:
    """`total` pictures with white squares, each from its first to its last frame."""
    pictures = [scene(i, WIDTH, HEIGHT) for i in range(total)]
    for first, last, box in placed:
        pictures[first : last + 1] = [marked(picture, box) for picture in pictures[first : last + 1]]
    return pictures


def found(pictures: list[Picture], confidence: float | None = None) -> list[Placement]:
    """The placements, located, measured and bounded as in a run; every mark gets the confidence, if one is given."""
    info, networks, total = described(WIDTH, HEIGHT, frames=len(pictures)), fake.networks(), len(pictures)
    classes = frozenset[Kind]({"overlay"})
    tracks = track(segment(film(pictures), info, networks.segmenter, classes), closer_look(networks.segmenter, classes))
    candidates = from_tracks(tracks, info, Timeline(range(total), info.time_base), "overlay")
    marks = measure(film(pictures), info, candidates, networks, total)
    if confidence is not None:
        marks = [replace(mark, confidence=confidence) for mark in marks]
    return find_extents(film(pictures), info, marks, total)


def test_a_square_in_frames_13_to_37_is_placed_there_exactly() -> None:
    (one,) = found(clip(60, (13, 37, SQUARE)))
    assert (one.first_frame, one.last_frame) == (13, 37)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[one.box.slices] = one.mask > 0.5
    expected = np.zeros_like(mask)
    expected[SQUARE.slices] = True
    np.testing.assert_array_equal(mask, expected)
    inside = one.mask > 0.5
    assert (one.opacity[inside] == 1).all()
    assert (one.colour[:, inside] == 1).all()
    assert one.kind == "overlay"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 20), st.integers(12, 40), st.integers(0, 20))
def test_both_ends_are_exact_to_the_frame(before: int, length: int, after: int) -> None:
    (one,) = found(clip(before + length + after, (before, before + length - 1, SQUARE)))
    assert (one.first_frame, one.last_frame) == (before, before + length - 1)


def test_a_mark_that_jumps_has_two_placements_that_do_not_overlap() -> None:
    other = Box(84, 60, 108, 80)
    one, two = found(clip(60, (0, 29, SQUARE), (30, 59, other)))
    assert (one.first_frame, one.last_frame, two.first_frame, two.last_frame) == (0, 29, 30, 59)


def test_a_mark_that_slides_out_is_followed() -> None:
    sunk = [Box(SQUARE.left, SQUARE.top + d, SQUARE.right, SQUARE.bottom + d) for d in (2, 3, 4)]
    placements = found(clip(60, (13, 37, SQUARE), *((38 + i, 38 + i, box) for i, box in enumerate(sunk))))
    for frame, box in zip((37, 38, 39, 40), (SQUARE, *sunk), strict=True):
        covered = np.zeros((HEIGHT, WIDTH), bool)
        for placement in placements:
            if placement.covers(frame):
                covered[placement.box.slices] |= placement.mask > 0.5
        assert covered[box.slices].mean() > 0.85
        assert covered.sum() <= 1.2 * box.width * box.height
    assert not any(p.covers(12) or p.covers(41) for p in placements)


def test_a_mark_that_fades_out_at_its_place_does_not_slide() -> None:
    """Its score falls as that of a sliding mark does, but no shift scores better."""
    plain, pictures = clip(60), clip(60, (13, 43, SQUARE))
    for frame, share in zip(range(38, 44), (0.85, 0.7, 0.6, 0.5, 0.3, 0.1), strict=True):
        mixed = share * pictures[frame].astype(np.float32) + (1 - share) * plain[frame]
        pictures[frame] = np.rint(mixed).astype(np.uint8)
    (one,) = found(pictures)
    assert one.first_frame == 13
    assert 39 <= one.last_frame <= 42


def test_without_a_mark_there_is_no_placement() -> None:
    assert found(clip(30)) == []


def test_one_frame_is_enough() -> None:
    (one,) = found(clip(1, (0, 0, SQUARE)))
    assert (one.first_frame, one.last_frame) == (0, 0)


@pytest.mark.parametrize("interval", [(0, 0), (3, 9), (0, 19)])
def test_frames_and_a_mask_from_a_person_are_not_refined(interval: tuple[int, int]) -> None:
    """Even where nothing is seen."""
    info = described(WIDTH, HEIGHT, frames=20)
    box = Box(10, 10, 40, 30)
    mask = np.zeros((box.height, box.width), np.float32)
    mask[5:9, 5:20] = 1
    candidate = Candidate(box, mask, *interval, confidence=1.0, kind="user", slack_frames=0, origin=UserMask())
    (one,) = find_extents(film(clip(20)), info, measure(film(clip(20)), info, [candidate], fake.networks(), 20), 20)
    assert (one.first_frame, one.last_frame) == interval
    given, placed = np.zeros((2, HEIGHT, WIDTH), np.float32)
    given[box.slices], placed[one.box.slices] = mask, one.mask
    np.testing.assert_array_equal(placed, given)


class ReadsText(fake.FakeSegmenter):
    """What is bright is text of the scene."""

    def run(self, inputs: Arrays) -> Arrays:
        return {"probability": super().run(inputs)["probability"][:, :, ::-1]}


def test_scene_text_is_seen_at_native_size_too() -> None:
    """In a picture far larger than the analysed one."""
    info, networks = described(WIDTH, HEIGHT, frames=20), replace(fake.networks(), segmenter=Batcher(ReadsText()))
    around = SQUARE.expanded(CONTEXT_PIXELS, WIDTH, HEIGHT)
    probability = np.zeros((HEIGHT, WIDTH), np.float32)
    probability[SQUARE.slices] = 1
    one = Candidate(around, probability[around.slices], 4, 16, 1.0, "scene_text", slack_frames=4, origin=Detected(0.2))
    pictures = clip(20, (0, 19, SQUARE))
    for classes, count in ((frozenset[Kind](["overlay", "scene_text"]), 1), (frozenset[Kind](["overlay"]), 0)):
        assert len(measure(film(pictures), info, [one], networks, 20, classes=classes)) == count


@pytest.mark.parametrize(("same", "last"), [(True, 19), (False, 19), (True, 39)])
def test_an_unconfirmed_candidate_counts_if_it_matches_a_confirmed_one_that_is_gone(same: bool, last: int) -> None:
    info, networks = described(WIDTH, HEIGHT, frames=40), fake.networks()
    other = Box(104, 60, 128, 80) if same else Box(90, 40, 94, 90)
    pictures = clip(40, (0, last, SQUARE), (24, 39, other))

    def candidate(box: Box, first: int, last: int, confirmed: bool) -> Candidate:
        around = box.expanded(CONTEXT_PIXELS, info.width, info.height)
        probability = np.zeros((HEIGHT, WIDTH), np.float32)
        probability[box.slices] = 1
        return Candidate(around, probability[around.slices], first, last, 1.0, "overlay", slack_frames=4, origin=Detected(0.0, confirmed))

    candidates = [candidate(SQUARE, 4, last - 3, True), candidate(other, 28, 36, False)]
    placements = find_extents(film(pictures), info, measure(film(pictures), info, candidates, networks, 40), 40)
    assert [(p.first_frame, p.last_frame) for p in placements] == ([(0, 19), (24, 39)] if same and last < 24 else [(0, last)])


@given(st.integers(0, 60), st.integers(0, 40), st.integers(1, 60), st.integers(1, 40), st.integers(0, 50))
def test_an_expanded_box_stays_in_the_picture(left: int, top: int, width: int, height: int, pixels: int) -> None:
    info = described(WIDTH, HEIGHT)
    box = Box(left, top, left + width, top + height).expanded(pixels, info.width, info.height)
    assert 0 <= box.left <= left
    assert 0 <= box.top <= top
    assert left + width <= box.right <= WIDTH
    assert top + height <= box.bottom <= HEIGHT


def test_the_box_has_context_around_the_mark() -> None:
    (one,) = found(clip(40, (0, 39, SQUARE)))
    assert one.box == SQUARE.expanded(CONTEXT_PIXELS, WIDTH, HEIGHT)


@pytest.mark.parametrize("confidence", [0.7, 0.9])
def test_a_mark_that_fades_out_ends_where_little_of_it_is_left(confidence: float) -> None:
    plain, pictures = clip(60), clip(60, (0, 43, SQUARE))
    for frame, share in enumerate(np.linspace(0.95, 0.05, 12), start=32):
        pictures[frame] = np.rint(share * pictures[frame].astype(np.float32) + (1 - share) * plain[frame]).astype(np.uint8)
    (mark,) = found(pictures, confidence)
    assert mark.first_frame == 0
    assert 36 <= mark.last_frame <= 43


def caption(seed: int) -> Mask:
    """Strokes in one place, (96, 128)."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[60:80, 30:90] = np.kron(np.random.default_rng(seed).random((5, 15)) > 0.45, np.ones((4, 4))) > 0
    return mask


@pytest.mark.parametrize("length", [6, 9, 14])
def test_captions_that_take_each_others_place_are_removed_each_in_its_own_frames(length: int) -> None:
    pictures, shown = clip(60), [np.zeros((HEIGHT, WIDTH), bool)] * 60
    for number in range(4):
        for frame in range(5 + length * number, min(60, 5 + length * (number + 1))):
            shown[frame] = caption(number)
            pictures[frame] = np.where(shown[frame][..., None], np.uint8(255), pictures[frame])
    placements = found(pictures)
    for frame in range(60):
        covered = np.zeros((HEIGHT, WIDTH), bool)
        for one in placements:
            if one.covers(frame):
                covered[one.box.slices] |= one.mask > 0.5
        assert (covered ^ shown[frame]).sum() <= 0.06 * shown[frame].sum(), f"frame {frame}"


def test_words_that_appear_one_after_the_other_are_removed_each_from_its_first_frame() -> None:
    words = [Box(8 + 22 * number, 60, 28 + 22 * number, 74) for number in range(4)]
    starts, last = (5, 14, 22, 31), 54
    placements = found(clip(60, *((start, last, word) for start, word in zip(starts, words, strict=True))))
    for frame in range(60):
        covered, expected = np.zeros((2, HEIGHT, WIDTH), bool)
        for one in placements:
            if one.covers(frame):
                covered[one.box.slices] |= one.mask > 0.5
        for start, word in zip(starts, words, strict=True):
            expected[word.slices] = start <= frame <= last
        np.testing.assert_array_equal(covered, expected, err_msg=f"frame {frame}")
