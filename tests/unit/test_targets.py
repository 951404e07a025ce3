"""Choosing output files, and what is never overwritten."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from service.commands.inputs import Input
from service.commands.targets import target_files as targets_of
from service.errors import RequestError


def target_files(sources: Sequence[Path], output: str, report: Path | None = None) -> tuple[Path, ...]:
    """Of inputs that were named themselves."""
    return targets_of([Input(source) for source in sources], output, report)


def test_one_input_goes_to_a_file_or_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    assert target_files([source], str(tmp_path / "out.mp4")) == (tmp_path / "out.mp4",)
    assert target_files([source], str(tmp_path / "out")) == (tmp_path / "out" / "in.mp4",)
    assert target_files([source], str(tmp_path / "v1.2") + "/") == (tmp_path / "v1.2" / "in.mp4",)
    (tmp_path / "there.d").mkdir()
    assert target_files([source], str(tmp_path / "there.d")) == (tmp_path / "there.d" / "in.mp4",)


def test_several_inputs_need_a_folder(tmp_path: Path) -> None:
    sources = [tmp_path / "a.mp4", tmp_path / "b.png"]
    assert target_files(sources, str(tmp_path / "out")) == (tmp_path / "out" / "a.mp4", tmp_path / "out" / "b.png")
    (tmp_path / "one.mp4").touch()
    with pytest.raises(RequestError, match="need a folder"):
        target_files(sources, str(tmp_path / "one.mp4"))


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    source, link = tmp_path / "in.mp4", tmp_path / "link.mp4"
    source.touch()
    link.symlink_to(source)
    for output in (str(source), str(tmp_path), str(tmp_path / "x" / ".." / "in.mp4"), str(link)):
        with pytest.raises(RequestError, match="would overwrite an input"):
            target_files([source], output)
    with pytest.raises(RequestError, match="would overwrite an input"):
        target_files([source], str(tmp_path / "out.mp4"), report=source)


def test_one_file_is_not_written_twice(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"two inputs are called in\.mp4"):
        target_files([tmp_path / "a" / "in.mp4", tmp_path / "b" / "in.mp4"], str(tmp_path / "out"))
    with pytest.raises(RequestError, match="is both the report and a clean file"):
        target_files([tmp_path / "in.mp4"], str(tmp_path / "out.mp4"), report=tmp_path / "out.mp4")


def test_a_folder_of_one_needs_a_folder(tmp_path: Path) -> None:
    """However its output is called."""
    inputs = [Input(tmp_path / "clips" / "may" / "a.mp4", tmp_path / "clips")]
    assert targets_of(inputs, str(tmp_path / "out.d")) == (tmp_path / "out.d" / "may" / "a.mp4",)
