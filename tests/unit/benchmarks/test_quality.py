"""The command that measures quality: which folder, which sizes, which cases."""

from dataclasses import asdict
from pathlib import Path

import pytest
import typer

from benchmarks import quality, results, summary
from benchmarks.cases import KINDS
from benchmarks.machine import stamp


def test_a_folder_is_not_measured_as_another_split(tmp_path: Path) -> None:
    for name in ("eval", "test", "mine"):
        (tmp_path / name).mkdir()
    assert quality.folder_of("eval", tmp_path / "mine").name == "mine"
    assert quality.folder_of("test", tmp_path / "test").name == "test"
    for split, folder in (("eval", "test"), ("test", "eval"), ("train", "mine"), ("eval", "absent")):
        with pytest.raises(typer.BadParameter):
            quality.folder_of(split, tmp_path / folder)


def test_heights_are_a_list() -> None:
    assert quality.heights_of("360, 720,1080") == [360, 720, 1080]
    for text in ("", "8", "360,tall"):
        with pytest.raises(typer.BadParameter):
            quality.heights_of(text)


def test_each_height_has_the_clips_that_are_large_enough(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = quality.chosen(clips, "test", ["smooth"], [], 8, [64, 128, 256])
    assert [(case.height, case.split) for case in cases] == [(height, "test") for height in (64, 128) for _ in KINDS]
    assert "at 256 lines 1 clips and photos take no part, being smaller: smooth.mp4" in capsys.readouterr().out


def test_a_run_on_one_split_keeps_the_tables_of_the_other(clips: Path, tmp_path: Path) -> None:
    path, here = tmp_path / "quality.jsonl", stamp()
    kept = results.latest(results.read(quality.RESULTS / "quality.jsonl"))[0]["figures"]
    for split in ("eval", "test"):
        (case,) = quality.chosen(clips, split, ["smooth"], ["corner"], 8, [128])
        results.append(path, asdict(case), kept, here)
    printed = quality.tables(path, [case])
    assert "### test at 128 lines" in printed
    assert "### eval at 128 lines" not in printed
    assert path.with_suffix(".md").read_text() == summary.markdown(results.read(path))
    assert "### eval at 128 lines" in path.with_suffix(".md").read_text()
