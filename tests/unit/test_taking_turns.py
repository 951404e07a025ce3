"""A second look where captions take turns. The fake network takes what one of several pictures shows for scene, as the real one does."""

from collections.abc import Sequence
from contextlib import nullcontext
from operator import itemgetter

import numpy as np
import pytest

from service.inference.batcher import Arrays, Batcher
from service.inference.fake import FakeSegmenter
from service.pipeline.locate.locate import locate
from service.pipeline.locate.taking_turns import Gap, gaps_between
from service.pipeline.locate.track import MAX_GAP_FRAMES, Track
from service.pipeline.marks.candidate import Candidate
from service.pipeline.marks.similarity import iou
from service.pipeline.placement import Box
from service.pipeline.request import Request
from service.pipeline.video import Limits
from tests.footage import Picture, described, film, marked, scene

WIDTH, HEIGHT, TOTAL, STRIDE = 160, 120, 80, 4
INFO = described(WIDTH, HEIGHT, frames=TOTAL)
WORD, NEXT, BRIEF = Box(40, 84, 90, 96), Box(10, 84, 130, 96), Box(50, 85, 112, 95)
ELSEWHERE = Box(50, 20, 112, 30)


class Comparing(FakeSegmenter):
    """Sees nothing that is in one of several pictures alone."""

    def run(self, inputs: Arrays) -> Arrays:
        probability = super().run(inputs)["probability"]
        often = (probability > 0.5).sum(1, keepdims=True) > 1
        return {"probability": probability * often if probability.shape[1] > 1 else probability}


def found(*captions: tuple[Box, range]) -> list[tuple[int, Box]]:
    """The candidates' first samples, and which of these captions they show, in a film with them."""
    pictures = [scene(0, WIDTH, HEIGHT)] * TOTAL
    for box, shown in captions:
        for frame in shown:
            pictures[frame] = marked(pictures[frame], box)
    frames = film(pictures)
    candidates, _ = locate(frames, lambda: nullcontext(frames), INFO, Request(), Batcher(Comparing()), Limits())
    return sorted(((one.first_sample, shown_of(one, captions)) for one in candidates), key=itemgetter(0))


def shown_of(candidate: Candidate, captions: Sequence[tuple[Box, range]]) -> Box:
    """The caption that a candidate shows, and nothing else; its edge may be blurred."""
    seen = np.zeros((HEIGHT, WIDTH), bool)
    seen[candidate.box.slices] = candidate.probability > 0.5
    masks = {box: np.zeros((HEIGHT, WIDTH), bool) for box, _ in captions}
    for box, mask in masks.items():
        mask[box.slices] = True
    (box,) = (box for box, mask in masks.items() if iou(seen, mask) > 0.75)
    return box


CAPTIONS = [(WORD, range(20)), (NEXT, range(44, 64))]


@pytest.mark.parametrize("brief", [range(27, 30), range(39, 42), range(66, 69)])
def test_a_caption_that_one_sample_shows_is_found_where_others_come_and_go(brief: range) -> None:
    """Between two others, and after the last."""
    sample = next(frame for frame in brief if frame % STRIDE == 0)
    assert found(*CAPTIONS, (BRIEF, brief)) == sorted([(0, WORD), (44, NEXT), (sample, BRIEF)], key=itemgetter(0))


def test_what_is_as_brief_elsewhere_is_not() -> None:
    assert found(*CAPTIONS, (ELSEWHERE, range(27, 30))) == [(0, WORD), (44, NEXT)]
    assert found((WORD, range(20)), (BRIEF, range(27, 30))) == [(0, WORD)]  # nothing takes turns with it


def written(axis: int) -> Picture:
    """A scene with white strokes across this axis in the place of a caption."""
    picture = scene(0, WIDTH, HEIGHT)
    picture[WORD.slices][np.indices((WORD.height, WORD.width))[axis] % 7 < 4] = 255
    return picture


def in_lines(first: Picture, second: Picture) -> list[bool]:
    """Of the candidates of a film with two captions in one place, one after the other, whether they are of a line."""
    empty = scene(0, WIDTH, HEIGHT)
    frames = film([*[first] * 20, *[empty] * (TOTAL - 40), *[second] * 20])
    candidates, _ = locate(frames, lambda: nullcontext(frames), INFO, Request(), Batcher(FakeSegmenter()), Limits())
    return [one.in_line for one in candidates]


def test_captions_that_take_turns_are_of_a_line_and_a_mark_that_comes_back_is_not() -> None:
    lying, standing = written(0), written(1)
    assert in_lines(lying, standing) == [True, True]
    assert in_lines(lying, lying) == [False, False]


def test_a_caption_whose_last_sample_is_missed_is_one() -> None:
    """The last one falls into a group of four in which nothing else is."""
    assert found((WORD, range(20)), (NEXT, range(44, 53))) == [(0, WORD), (44, NEXT)]


def test_a_line_of_two_rows_is_not_found_again_where_one_row_takes_turns_with_it() -> None:
    both = Box(30, 68, 120, 96)
    assert found((WORD, range(20)), (both, range(24, 50)), (WORD, range(54, 78))) == [(0, WORD), (24, both), (56, WORD)]


def test_a_logo_that_stands_beside_captions_is_none_and_hides_no_gap() -> None:
    logo = track_of(Box(2, 84, 8, 96), 0, TOTAL - 1)
    tracks = [logo, track_of(WORD, 0, 20), track_of(NEXT, 32, 60)]
    assert frames_of(gaps_between(tracks, STRIDE, TOTAL)) == [(24, 28), (64, 68, 72, 76)]


def test_a_logo_that_moves_by_less_than_its_width_is_not_of_a_line() -> None:
    """Its strokes are the same, wherever it is."""
    pictures = []
    for visit in range(4):
        picture = scene(0, WIDTH, HEIGHT)
        strokes = np.indices((12, 40))[1] % 9 < 4
        picture[84:96, 10 + 20 * visit : 50 + 20 * visit][strokes] = 255
        pictures += [picture] * 16 + [scene(0, WIDTH, HEIGHT)] * 4
    frames = film(pictures)
    candidates, _ = locate(frames, lambda: nullcontext(frames), INFO, Request(), Batcher(FakeSegmenter()), Limits())
    assert [one.in_line for one in candidates] == [False] * 4


def test_a_logo_of_which_only_the_word_is_seen_last_is_not_of_a_line() -> None:
    """The word stands about where it stood in the whole; from its corner, the logo has other strokes."""
    whole = scene(0, WIDTH, HEIGHT)
    strokes = np.random.default_rng(4).random((3, 20)) < 0.6
    whole[84:96, 20:100][np.kron(strokes, np.ones((4, 4), bool))] = 255
    word = scene(0, WIDTH, HEIGHT)
    word[86:98, 52:100] = whole[84:96, 52:100]
    frames = film([*[whole] * 20, *[scene(0, WIDTH, HEIGHT)] * (TOTAL - 40), *[word] * 20])
    candidates, _ = locate(frames, lambda: nullcontext(frames), INFO, Request(), Batcher(FakeSegmenter()), Limits())
    assert candidates
    assert not any(one.in_line for one in candidates)


def track_of(box: Box, first: int, last: int, confirmed: bool = True, static: bool = False) -> Track:
    seen = np.zeros((HEIGHT, WIDTH), np.float32)
    seen[box.slices] = 0.9
    return Track(first, last, 1, 0, seen, confirmed, static)


def frames_of(gaps: Sequence[Gap]) -> list[tuple[int, ...]]:
    return [gap.frames for gap in gaps]


def test_each_gap_of_a_line_is_looked_at_as_far_as_a_second_from_a_caption() -> None:
    tracks = [track_of(WORD, 200, 204), track_of(NEXT, 216, 220), track_of(BRIEF, 212, 220), track_of(BRIEF, 216, 220)]
    gaps = gaps_between(tracks, STRIDE, 1000)
    before, after = tuple(range(172, 200, STRIDE)), tuple(range(224, 220 + MAX_GAP_FRAMES + 1, STRIDE))
    assert frames_of(gaps) == [before, (208,), after]
    assert {gap.line for gap in gaps} == {Box(10, 84, 130, 96)}


def test_two_lines_have_gaps_of_their_own() -> None:
    upper = [track_of(ELSEWHERE, 0, 8), track_of(ELSEWHERE, 16, 79)]
    lower = [track_of(WORD, 0, 40), track_of(NEXT, 48, 79)]
    assert [(gap.line.top, gap.frames) for gap in gaps_between([*upper, *lower], STRIDE, TOTAL)] == [(20, (12,)), (84, (44,))]


def test_marks_that_do_not_take_turns_have_no_gaps() -> None:
    assert gaps_between([track_of(WORD, 0, 30), track_of(NEXT, 10, 40)], STRIDE, TOTAL) == []  # words of a line
    assert gaps_between([track_of(WORD, 0, 8), track_of(NEXT, 20, 30, confirmed=False)], STRIDE, TOTAL) == []
    assert gaps_between([track_of(WORD, 0, 8), track_of(NEXT, 20, 30, static=True)], STRIDE, TOTAL) == []
    assert gaps_between([], STRIDE, 0) == []
