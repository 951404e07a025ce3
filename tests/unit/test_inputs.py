"""What the inputs of a command stand for."""

import os
from pathlib import Path

import pytest

from service.commands.inputs import Input, find_inputs
from service.errors import RequestError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.PNG", "notes.txt", "may/c.mov", "may/day/d.webm", "out/b.mp4", ".trash/e.mp4", ".f.mp4", "odd[1].mp4"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def places(*words: str, recursive: bool = False, output: str | None = "out") -> list[str]:
    found = find_inputs([Path(word) for word in words], recursive, Path(output) if output else None)
    return [str(each.place) for each in found]


def test_a_folder_stands_for_its_videos_and_images_in_order() -> None:
    assert places(".") == ["a.PNG", "b.mp4", "odd[1].mp4"]
    assert places("may") == ["c.mov"]


def test_recursive_leaves_the_output_folder_and_hidden_ones_out() -> None:
    assert places(".", recursive=True) == ["a.PNG", "b.mp4", "may/c.mov", "may/day/d.webm", "odd[1].mp4"]
    assert "out/b.mp4" in places(".", recursive=True, output=None)


def test_an_output_around_or_beside_the_folder_leaves_nothing_out() -> None:
    for output in (".", "may", "elsewhere", os.curdir + "/may/../may"):
        assert places("may", recursive=True, output=output) == ["c.mov", "day/d.webm"]


def test_each_file_is_taken_once_however_it_is_named() -> None:
    assert places("b.mp4", "./b.mp4", ".", "*.mp4") == ["b.mp4", "a.PNG", "odd[1].mp4"]
    assert find_inputs([Path("b.mp4")], False, None) == (Input(Path("b.mp4")),)


def test_a_pattern_stands_for_the_files_that_it_matches_of_whatever_kind() -> None:
    assert places("**/*.m*") == ["b.mp4", "c.mov", "odd[1].mp4"]
    assert places("may/*.mov", output=".") == places("may/*.mov", output="may") == ["c.mov"]
    assert places("*") == ["a.PNG", "b.mp4", "notes.txt", "odd[1].mp4"]
    assert places("odd[1].mp4") == ["odd[1].mp4"], "a file of this name comes before what it matches"


def test_nothing_is_an_error_of_its_own() -> None:
    Path("empty").mkdir()
    with pytest.raises(RequestError, match="empty: no video or image in this folder; --recursive"):
        places("empty")
    with pytest.raises(RequestError, match=r"empty: no video or image in this folder$"):
        places("empty", recursive=True)
    with pytest.raises(RequestError, match=r"no file matches \*\.avi"):
        places("*.avi")
    assert places("missing.mp4") == ["missing.mp4"], "whoever opens it says so"
