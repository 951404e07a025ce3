"""What the segmenter looks at: far apart while nothing changes, everywhere around a change, and where a glance shows something new."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Bytes, Floats
from models.preprocess import SEGMENTER_FRAMES
from service.pipeline.locate.detection import Detection, Sample
from service.pipeline.locate.looks import MAX_GROUPS_BETWEEN, Group, Looks, alike, watch

HEIGHT, WIDTH, STRIDE = 24, 40, 5
PLACES = (slice(4, 10), slice(4, 12)), (slice(14, 20), slice(20, 34))


@dataclass
class Recorder:
    """A network that sees what is bright, and records the frames that it looks at: their number is in a corner that nothing covers."""

    looks: list[list[int]] = field(default_factory=list)

    def __call__(self, pictures: Bytes) -> Floats:
        self.looks.append([int(picture[:2, 0, 0] @ (256, 1)) for picture in pictures.astype(int)])
        probability = (pictures.min(1) > 250).astype(np.float32)
        probability[:, 0] = 0
        return probability

    def groups(self) -> list[list[int]]:
        return [look for look in self.looks if len(look) > 1]


def sample(index: int, shown: int | None) -> Sample:
    """A frame with a mark at one of the places; None: no mark."""
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    if shown is not None:
        picture[PLACES[shown]] = 255
    picture[0, 0, :2] = divmod(index, 256)
    return index, picture


def groups_of(shown: Sequence[int | None]) -> Iterator[Group]:
    """Groups of samples of a video; `shown` says what each sample shows. The first group is of its first frames."""
    first = [sample(index, shown[0]) for index in range(SEGMENTER_FRAMES)]
    yield Group(first, SEGMENTER_FRAMES, brief=True)
    samples = [sample(STRIDE * (number + 1), what) for number, what in enumerate(shown)]
    for start in range(0, len(samples), SEGMENTER_FRAMES):
        part = samples[start : start + SEGMENTER_FRAMES]
        yield Group((first + samples[:start] + part)[-SEGMENTER_FRAMES:], len(part), brief=False)


def watched(shown: Sequence[int | None], glances: Sequence[int] = ()) -> tuple[list[Detection], Recorder]:
    """The detections, and what was looked at; `glances`: numbers of samples that are glanced at before."""
    recorder = Recorder()
    looks = Looks(recorder)
    for number in glances:
        looks.alone(sample(STRIDE * (number + 1), shown[number]))
    return list(watch(groups_of(shown), looks)), recorder


def seen_at(detection: Detection) -> int | None:
    return next((place for place, where in enumerate(PLACES) if (detection.probability[where] > 0.5).all()), None)


@pytest.mark.parametrize("shown", [None, 0])
def test_while_nothing_changes_a_fourth_is_looked_at(shown: int | None) -> None:
    count = 24 * SEGMENTER_FRAMES
    detections, recorder = watched([shown] * count)
    assert [one.frame_index for one in detections] == [*range(4), *(STRIDE * (number + 1) for number in range(count))]
    assert {seen_at(one) for one in detections} == {shown}
    assert len(recorder.groups()) <= 24 / (MAX_GROUPS_BETWEEN + 1) + 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(17, 60), st.sampled_from([None, 0, 1])), min_size=1, max_size=6))
def test_every_change_is_found_at_its_sample(stretches: list[tuple[int, int | None]]) -> None:
    """Each of what follows another for three seconds or more, as if all samples were looked at."""
    shown = [what for count, what in stretches for _ in range(count)]
    detections, _ = watched(shown)
    assert [seen_at(one) for one in detections[SEGMENTER_FRAMES:]] == shown


@pytest.mark.parametrize("glances", [(), (26,)])
def test_what_is_there_for_a_moment_is_found_if_a_glance_shows_it(glances: tuple[int, ...]) -> None:
    shown: list[int | None] = [0] * 60
    shown[25:29] = [1] * 4
    detections, _ = watched(shown, glances)
    found = [number for number, one in enumerate(detections[SEGMENTER_FRAMES:]) if seen_at(one) == 1]
    assert found == ([25, 26, 27, 28] if glances else [])


def test_an_end_is_looked_at_if_its_outermost_frame_shows_something_else() -> None:
    first = [sample(index, 1 if index < 2 else 0) for index in range(SEGMENTER_FRAMES)]
    rest = [sample(STRIDE * (number + 1), 0) for number in range(SEGMENTER_FRAMES)]
    recorder = Recorder()
    groups = [Group(first, SEGMENTER_FRAMES, brief=True), Group(rest, SEGMENTER_FRAMES, brief=False)]
    detections = list(watch(groups, Looks(recorder)))
    assert [seen_at(one) for one in detections] == [1, 1, *[0] * 6]
    assert [index for index, _ in first] in recorder.groups()


def test_masks_are_alike_where_marks_and_places_are() -> None:
    one, other = ((sample(0, place)[1].min(2) > 250).astype(np.float32) for place in (0, 1))
    assert alike(one, one)
    assert not alike(one, other)
    assert not alike(one, np.maximum(one, other))
    assert alike(np.zeros_like(one), np.zeros_like(one))
    assert not alike(one, np.zeros_like(one))
