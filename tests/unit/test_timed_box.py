"""Boxes as a person types them: four corners and an optional interval."""

import json

import pytest

from service.errors import RequestError
from service.timed_box import TimedBox, parse_box


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("10,20,110,60", TimedBox(10, 20, 110, 60)),
        (" 10, 20, 110, 60 ", TimedBox(10, 20, 110, 60)),
        ("0.1,.2,0.5,1", TimedBox(0.1, 0.2, 0.5, 1.0)),
        ("1,2,3,4@1.5-3", TimedBox(1, 2, 3, 4, 1.5, 3.0)),
        ("1,2,3,4@2-", TimedBox(1, 2, 3, 4, 2.0, None)),
        ("1,2,3,4@-2", TimedBox(1, 2, 3, 4, None, 2.0)),
        ("1,2,3,4/11,2,13,4@0-2.5", TimedBox(1, 2, 3, 4, 0.0, 2.5, (11, 2, 13, 4))),
    ],
)
def test_a_box_is_read(text: str, box: TimedBox) -> None:
    assert parse_box(text) == box
    assert parse_box(str(box)) == box


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,2,3",
        "1,2,3,4,5",
        "a,b,c,d",
        "-1,2,3,4",
        "1,2,3,4@5",
        "1,2,3,4@5-4",
        "3,2,3,4",
        "5,2,3,4",
        "1,5,3,4",
        "nan,0,1,1",
        "1,2,3,4@1-2@3-4",
        "1,2,3,4/5,6,7,8",
        "1,2,3,4/5,6,7,8@1-",
        "1,2,3,4/5,6,5,8@1-2",
        "1,2,3,4/5,6,7@1-2",
        "1,2,3,4/@1-2",
    ],
)
def test_a_wrong_box_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_box(text)
    assert "\n" not in str(caught.value)


def test_both_ends_belong_to_the_interval() -> None:
    box = parse_box("1,2,3,4@1-2")
    assert [box.covers(seconds) for seconds in (0.99, 1.0, 1.5, 2.0, 2.01)] == [False, True, True, True, False]
    assert parse_box("1,2,3,4").covers(1e6)
    assert parse_box("1,2,3,4@3-").covers(1e6)
    assert not parse_box("1,2,3,4@-3").covers(3.5)


def test_a_box_that_moves_is_between_its_ends_and_survives_json() -> None:
    box = parse_box("10,20,30,40/30,20,70,60@1-3")
    assert [box.corners_at(seconds) for seconds in (1, 2, 3)] == [(10, 20, 30, 40), (20, 20, 50, 50), (30, 20, 70, 60)]
    assert TimedBox.from_json(json.loads(json.dumps(box.to_json()))) == box
    assert "end" not in parse_box("1,2,3,4").to_json()
    assert not box.in_fractions
    assert parse_box("0,0,0.5,0.5/0.5,0.5,1,1@0-1").in_fractions
