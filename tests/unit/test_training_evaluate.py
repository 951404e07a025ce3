"""Scores of the networks for each kind of mark, as a table and as JSON."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.matte import MatteConfig
from models.segmenter import SegmenterConfig
from tests.material import small_source
from training import evaluate, networks, store, train_matte, train_segmenter
from training.config import TrainConfig
from training.evaluate import OneKind
from training.feed import collated
from training.samples import matte_sample
from training.store import draw
from training.stored import StoredSamples
from training.validation import Validation


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A segmenter as it is shipped, and a matte network as a run saves it."""
    segmenter, matte = SegmenterConfig((8, 8, 12, 12, 16)), MatteConfig((8, 8, 12, 12))
    places = ((tmp_path / "segmenter.pt", train_segmenter, segmenter), (tmp_path / "matte" / "last.pt", train_matte, matte))
    for path, module, shape in places:
        path.parent.mkdir(exist_ok=True)
        weights = module.task(TrainConfig("x", seed=4), shape).network.state_dict()
        torch.save({"step": 1, "network_config": dataclasses.asdict(shape), "average": weights}, path)
    return tmp_path


def test_each_kind_has_a_row_and_so_have_unmarked_windows(weights: Path, tmp_path: Path) -> None:
    tasks = evaluate.tasks_in(weights)
    assert set(tasks) == {"segmenter", "matte"}
    rows = evaluate.by_kind(tasks, small_source(2), ("badge", "faint"), samples=3)
    assert list(rows) == ["badge", "faint", "no mark"]
    assert {"f1", "opacity_error", "colour_error"} <= rows["badge"].keys()
    assert "wrong" not in rows["badge"]
    assert rows["no mark"].keys() == {"wrong"}
    evaluate.write(rows, tmp_path / "found" / "scores")
    assert json.loads((tmp_path / "found" / "scores.json").read_text()) == rows
    lines = (tmp_path / "found" / "scores.md").read_text().splitlines()
    assert lines[0].startswith("| mark | F1 | wrongly marked | opacity error |")
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith(f"| badge | {rows['badge']['f1']:.3f} | - |")


def test_the_scores_equal_those_of_each_network_alone(weights: Path) -> None:
    tasks, source = evaluate.tasks_in(weights), small_source(2)
    joint = evaluate.score_all(tasks, source, 2)
    for task in tasks.values():
        alone = Validation(task, source, 2).scores(task.network)
        assert alone == {key: joint[key] for key in alone}


def test_samples_have_marks_of_the_chosen_kind() -> None:
    source = small_source()
    faint, subtitle = (matte_sample(OneKind(source.clips, source.vocabulary, 1, kind=kind), 0, size=64) for kind in ("faint", "subtitle"))
    assert 0 < faint["opacity"].max() < 0.5 < subtitle["opacity"].max()


def test_the_best_checkpoint_of_a_run_is_preferred_and_an_empty_folder_is_reported(weights: Path, tmp_path: Path) -> None:
    (weights / "matte" / "best.pt").write_bytes((weights / "matte" / "last.pt").read_bytes())
    assert networks.checkpoint_in(weights, "matte") == weights / "matte" / "best.pt"
    assert networks.checkpoint_in(weights, "inpainter") is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="no checkpoint"):
        evaluate.tasks_in(tmp_path / "empty")


def test_a_checkpoint_of_another_shape_is_reported(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = torch.load(weights / "segmenter.pt", weights_only=True)
    torch.save({**state, "network_config": {"channels": (8, 8)}}, weights / "segmenter.pt")
    with pytest.raises(SystemExit, match="of another version of the segmenter"):
        evaluate.main(["--weights", str(weights)])
    assert not capsys.readouterr().out


def test_unknown_kinds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate.main(["--kinds", "faint,loud"])
    assert "unknown kinds: loud" in capsys.readouterr().err


def test_a_store_is_scored_sample_by_sample(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHARD_SAMPLES", 2)
    folder, tasks = tmp_path / "store", evaluate.tasks_in(weights)
    draw(folder, "matte", small_source(2), 2, size=64)
    stored = StoredSamples(folder, "matte", seed=1)
    with torch.no_grad():
        alone = [tasks["matte"].score(tasks["matte"].network.eval(), collated([stored(None, index)])) for index in range(len(stored))]
    scores = evaluate.on_store(tasks, folder)
    assert scores["opacity_error"] == pytest.approx(np.mean([row["opacity_error"] for row in alone]))
    with pytest.raises(SystemExit, match="is not a store of samples"):
        evaluate.main(["--weights", str(weights), "--store", str(tmp_path / "none")])
