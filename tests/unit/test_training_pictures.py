"""The pictures that training draws: curves of its runs, and a page of samples."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.material import small_source
from training import curves, samples_page, watermarks


def log(folder: Path, rows: list[dict[str, float]]) -> Path:
    folder.mkdir()
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_later_line_of_a_step_that_was_logged_twice_counts(tmp_path: Path) -> None:
    path = log(tmp_path / "run", [{"step": 10, "loss": 3.0}, {"step": 20, "loss": 2.0}, {"step": 10, "loss": 1.0}])
    assert {step: row["loss"] for step, row in curves.read(path).items()} == {10: 1.0, 20: 2.0}


def test_the_curves_of_runs_with_different_scores_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log(tmp_path / "matte", [{"step": i, "loss": 1 / i, "seconds": 1.0, "opacity_error": 0.5 / i} for i in (1, 2, 3)])
    log(tmp_path / "segmenter", [{"step": i, "loss": 1 / i, "seconds": 1.0, "f1": float("nan"), "wrong": 0.1} for i in (5, 10)])
    log(tmp_path / "not_begun", [])
    curves.main(tmp_path, tmp_path / "docs" / "training.png")
    assert "matte (3 steps), segmenter (10 steps)" in capsys.readouterr().out
    with Image.open(tmp_path / "docs" / "training.png") as image:
        assert image.width > image.height


def test_a_folder_without_runs_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no run"):
        curves.main(tmp_path, tmp_path / "out.png")


def test_a_page_shows_every_kind_and_rows_of_each_network() -> None:
    step = samples_page.CELL_PIXELS + samples_page.GAP_PIXELS
    source = small_source()
    shown = [*samples_page.marks(source), *samples_page.objects(source)]
    assert [name for name, _ in shown[: len(watermarks.KINDS)]] == [*watermarks.KINDS]
    sheet = np.asarray(samples_page.page(source, rows_of_each=2))
    rows = -(-len(shown) // samples_page.COLUMNS) + 6
    assert sheet.shape == (rows * step, samples_page.COLUMNS * step, 3)
    assert all(sheet[step * row : step * row + step - 4].std() > 10 for row in range(rows))
