"""What a person says about a file, through the command: keep this, that is no mark. Fake networks; images, so that pixels are exact."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.cli import run_command
from tests.footage import Box, Picture, marked, scene

FIRST, SECOND = Box(20, 20, 60, 36), Box(80, 60, 110, 80)
Clean = Callable[..., tuple[Picture, dict[str, Any]]]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """An image with two marks."""
    Image.fromarray(marked(marked(scene(0), FIRST), SECOND)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


@pytest.fixture
def cleaned(picture: Path, monkeypatch: pytest.MonkeyPatch) -> Clean:
    """`cleaned(options)`: the clean picture and the entry of its report."""
    monkeypatch.setenv("CLEANPLATE_NETWORKS", "fake")
    monkeypatch.setenv("CLEANPLATE_C2PA__ENABLED", "false")

    def run(*options: str) -> tuple[Picture, dict[str, Any]]:
        target, report = picture.with_name("out.png"), picture.with_name("report.json")
        assert run_command(["clean", str(picture), "-o", str(target), "--report", str(report), "--quiet", *options]) == 0
        (entry,) = json.loads(report.read_text())["files"]
        with Image.open(target) as image:
            return np.asarray(image), entry

    return run


def changed(clean: Picture, picture: Path) -> Picture:
    with Image.open(picture) as image:
        return (np.asarray(image) != clean).any(2)


def test_a_kept_box_is_bit_equal(cleaned: Clean, picture: Path) -> None:
    everywhere = changed(cleaned()[0], picture)
    where = changed(cleaned("--keep", "0,0,40,96")[0], picture)
    assert everywhere[FIRST.slices].mean() > 0.9
    assert not where[:, :40].any()
    np.testing.assert_array_equal(where[:, 40:], everywhere[:, 40:])


def test_keeping_wins_over_pointing(cleaned: Clean, picture: Path) -> None:
    pointed = "--box", "0.5,0.5,1,1"
    everywhere = changed(cleaned(*pointed)[0], picture)
    where = changed(cleaned(*pointed, "--keep", "0.75,0.75,1,1")[0], picture)
    assert everywhere[72:, 96:].any()
    assert not where[72:, 96:].any()
    assert everywhere[48:72, 64:96].any()
    np.testing.assert_array_equal(where[:72], everywhere[:72])


def test_a_rejected_mark_stays_and_the_other_keeps_its_id(cleaned: Clean, picture: Path) -> None:
    _, entry = cleaned()
    ids = [mark["id"] for mark in entry["placements"]]
    assert len(set(ids)) == 2
    clean, again = cleaned("--reject", ids[0])
    assert [mark["id"] for mark in again["placements"]] == ids[1:]
    stays, goes = (FIRST, SECOND) if entry["placements"][0]["box"][0] < 50 else (SECOND, FIRST)
    assert not changed(clean, picture)[stays.slices].any()
    assert changed(clean, picture)[goes.slices].mean() > 0.9


def test_all_marks_rejected_is_no_mark_found(cleaned: Clean, picture: Path) -> None:
    ids = [mark["id"] for mark in cleaned()[1]["placements"]]
    clean, entry = cleaned("--reject", ids[0], "--reject", ids[1])
    assert entry["mark_found"] is False
    assert not changed(clean, picture).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep", "1,2,3"], "box '1,2,3' is not"),
        (["--keep", "200,10,220,20"], "box 200,10,220,20 lies outside the picture"),
        (["--keep", "1,1,9,9@7-8"], "after the end"),
        (["--reject", "00000000"], "no mark has the id 00000000; the marks found are"),
        (["--preview", "3"], "a part is one of a video"),
        (["--preview", "3@"], "is not SECONDS or SECONDS@FROM"),
        (["--detect-only", "--report", "a.json"], "--report does not go with --detect-only"),
        (["--detect-only", "--preview", "3"], "does not go with --detect-only"),
        (["--preview", "3", "--end", "5"], "--preview does not go with --start and --end"),
        (["--start", "5", "--end", "0:05"], "the part ends at 0:05, but begins at 5"),
        (["--start", "5 s"], "time '5 s' is neither seconds nor"),
        (["--quality", "good"], "quality 'good' is neither a constant quality"),
        (["--quiet", "--json"], "--quiet goes neither with --json"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    cleaned: Clean, picture: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    del cleaned  # its networks
    target = picture.with_name("out.png")
    assert run_command(["clean", str(picture), "-o", str(target), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not target.exists()


def test_an_id_is_that_of_one_file(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["clean", str(picture), str(picture.with_name("b.png")), "-o", str(picture.with_name("out")), "--reject", "3f9a1c07"]
    assert run_command(arguments) == 2
    assert "one input" in capsys.readouterr().err


def test_detect_only_says_what_would_be_removed(cleaned: Clean, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [mark["id"] for mark in cleaned()[1]["placements"]]
    picture.with_name("out.png").unlink()
    assert run_command(["clean", str(picture), "--detect-only"]) == 0
    printed = capsys.readouterr().out
    assert "in.png: placements: 2; to clean it takes about" in printed
    assert [line.split()[1] for line in printed.splitlines()[1:]] == ids
    assert sorted(path.name for path in picture.parent.iterdir()) == ["in.png", "report.json"], "nothing is written"


def test_detect_only_writes_masks_that_clean_takes(cleaned: Clean, picture: Path) -> None:
    folder = picture.with_name("found")
    assert run_command(["clean", str(picture), "--detect-only", "-o", str(folder)]) == 0
    document = json.loads((folder / "detection.json").read_text())
    assert sorted(path.name for path in folder.iterdir()) == sorted(["detection.json", *(mark["mask"] for mark in document["marks"])])
    for mark in document["marks"]:
        clean, entry = cleaned("--mask", str(folder / mark["mask"]))
        assert len(entry["placements"]) == 1
        left, top, right, bottom = mark["box"]
        where = changed(clean, picture)
        assert where[top:bottom, left:right].mean() > 0.9 * mark["mask_pixels"] / ((right - left) * (bottom - top))
    assert document["estimate_seconds"] >= document["removal_seconds"] >= 0


def test_detect_only_without_a_mark_says_what_to_do(picture: Path, cleaned: Clean, capsys: pytest.CaptureFixture[str]) -> None:
    del cleaned  # its networks
    Image.fromarray(scene(0)).save(picture)
    assert run_command(["clean", str(picture), "--detect-only"]) == 0
    assert "no mark found; if you see one, point at it with --box or --mask" in capsys.readouterr().out


def test_detect_only_goes_on_after_a_bad_input(picture: Path, cleaned: Clean, capsys: pytest.CaptureFixture[str]) -> None:
    del cleaned  # its networks
    nowhere = picture.with_name("nowhere.png")
    assert run_command(["clean", str(nowhere), str(picture), "--detect-only"]) == 2
    output = capsys.readouterr()
    assert output.err == "cleanplate: nowhere.png: no such file\n"
    assert "in.png: placements: 2" in output.out
