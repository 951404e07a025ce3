"""Marks have ids, and those that a person rejects are left out."""

from dataclasses import replace

import numpy as np
import pytest

from service.errors import RequestError
from service.pipeline.placement import Box, Placement
from service.pipeline.request import MAX_NAMED, chosen_marks
from tests.footage import placement

MARK = placement(3, 12, Box(4, 5, 24, 15))


def test_an_id_is_the_same_in_every_run() -> None:
    assert MARK.id == "74137a92"  # written down, as people may have


def test_what_a_run_measures_does_not_change_the_id() -> None:
    assert replace(MARK, confidence=0.5, opacity=np.zeros_like(MARK.opacity)).id == MARK.id


@pytest.mark.parametrize("other", [{"kind": "user"}, {"first_frame": 4}, {"last_frame": 13}, {"box": Box(4, 6, 24, 16)}])
def test_another_mark_has_another_id(other: dict[str, object]) -> None:
    assert replace(MARK, **other).id != MARK.id  # type: ignore[arg-type]


def many(count: int) -> list[Placement]:
    return [placement(3, 12, Box(left, 5, left + 20, 15)) for left in range(count)]


def test_rejected_marks_are_left_out() -> None:
    first, second, third = many(3)
    assert chosen_marks([first, second, third], {second.id}) == [first, third]
    assert chosen_marks([first], {first.id}) == []
    assert chosen_marks([first], ()) == [first]
    assert chosen_marks([first, second, third], (), {third.id}) == [third]
    assert chosen_marks([first, second, third], {third.id}, {second.id, third.id}) == [second]


def test_an_unknown_id_is_refused_and_the_known_ones_are_named() -> None:
    marks = many(MAX_NAMED + 1)
    with pytest.raises(RequestError, match=f"no mark has the id 00000000; the marks found are {marks[0].id}, .*, \\.\\.\\."):
        chosen_marks(marks, {"00000000", marks[0].id})
    with pytest.raises(RequestError, match="no mark has the id 00000000; no mark was found"):
        chosen_marks([], {"00000000"})
