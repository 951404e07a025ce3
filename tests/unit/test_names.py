"""Names of files, as people know them and as archives need them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.jobs.names import MAX_CHARACTERS, file_name, name_in_url, result_name, told_apart


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("holiday.mp4", "holiday.mp4"),
        ("C:\\films\\holiday.mp4", "holiday.mp4"),
        ("../../etc/passwd", "passwd"),
        ("假期 1.mov", "假期 1.mov"),
        ("gpj\u202e.exe", "gpj.exe"),
        ("a\r\nb.mp4", "ab.mp4"),
        ("films/", None),
        ("..", None),
        ("", None),
    ],
)
def test_a_name_has_no_folders_and_nothing_unseen(given_name: str, kept: str | None) -> None:
    assert file_name(given_name) == kept


@given(st.text(max_size=400))
def test_any_text_gives_a_name_that_stays_as_it_is(text: str) -> None:
    name = file_name(text)
    assert name is None or (len(name) <= MAX_CHARACTERS and "/" not in name and file_name(name) == name)


def test_a_long_name_keeps_its_suffix() -> None:
    assert file_name("a" * 300 + ".mp4") == "a" * (MAX_CHARACTERS - 4) + ".mp4"


def test_the_result_is_called_after_the_source_and_has_its_own_suffix() -> None:
    assert result_name("holiday.mov", ".mp4") == "holiday_clean.mp4"
    assert result_name("a.b.png", ".png") == "a.b_clean.png"
    assert name_in_url("https://example.com/a/b%20c.mp4?x=1") == "b c.mp4"
    assert name_in_url("https://example.com/") is None


@given(st.lists(st.sampled_from(["a.mp4", "A.mp4", "a (2).mp4", "b"])))
def test_names_in_an_archive_differ_and_stay_in_order(names: list[str]) -> None:
    apart = told_apart(names)
    assert len({name.casefold() for name in apart}) == len(names)
    assert [new[0] for new in apart] == [name[0] for name in names]
