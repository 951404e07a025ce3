"""The training loop: it learns, and a resumed run equals an uninterrupted one."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from models.inpainter import InpainterConfig
from models.matte import Matte, MatteConfig
from models.segmenter import SegmenterConfig
from tests.material import small_source
from training import checkpoint, train_inpainter, train_matte, train_segmenter
from training.config import TrainConfig
from training.feed import batches, collated
from training.fit import Sources, fit, learning_rate
from training.samples import Sample, Source
from training.task import Batch, Goal, Task

SOURCES = Sources(small_source(2), small_source(2))  # with this seed, the segmenter's first sample has a mark and its second has none
SMALL: dict[str, Callable[[], Task]] = {
    "segmenter": lambda: _smaller(train_segmenter.task(SEED, SegmenterConfig((8, 8, 12, 12, 16))), 64),
    "matte": lambda: _smaller(train_matte.task(SEED, MatteConfig((8, 8, 12, 12))), 48),
    "inpainter": lambda: _smaller(train_inpainter.task(SEED, InpainterConfig((8, 12), (8, 12, 16, 16))), 48),
}
SEED = TrainConfig("small", seed=3)


def _smaller(task: Task, size: int) -> Task:
    """The task with smaller windows."""
    return replace(task, sample=partial(task.sample, size=size))


class PowerFailure(Exception):
    """Interrupts a run."""


def small_task(name: str) -> Task:
    """A small network, the same for every call."""
    return SMALL[name]()


def memoized(task: Task, count: int) -> Task:
    """The task restricted to its first `count` samples, each drawn once."""
    samples: dict[int, Sample] = {}

    def sample(source: Source, index: int) -> Sample:
        if index % count not in samples:
            samples[index % count] = task.sample(source, index % count)
        return samples[index % count]

    return replace(task, sample=sample)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        "small",
        runs=tmp_path,
        steps=6,
        batch=2,
        warmup_steps=1,
        precision="32-true",
        accelerator="cpu",
        validate_every_steps=3,
        validation_samples=2,
        checkpoint_every_steps=3,
    )


@pytest.mark.parametrize("name", SMALL)
def test_three_steps_on_one_batch_lower_the_loss(name: str, config: TrainConfig) -> None:
    task = memoized(small_task(name), config.batch)
    batch = collated([task.sample(SOURCES.training, i) for i in range(config.batch)])
    before = float(task.loss(task.network, batch).detach())
    fit(task, replace(config, steps=3, learning_rate=1e-3, decay_share=0.01), SOURCES)
    assert float(task.loss(task.network, batch).detach()) < before


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("name", SMALL)
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(name: str, precision: str, config: TrainConfig) -> None:
    uninterrupted, resumed = (replace(config, name=run, precision=precision) for run in ("uninterrupted", "resumed"))
    samples = memoized(small_task(name), config.batch * config.steps).sample
    fit(replace(small_task(name), sample=samples), uninterrupted, SOURCES)

    def until_power_failure(source: Source, index: int) -> Sample:
        if source is SOURCES.training and index >= 4 * config.batch:
            raise PowerFailure
        return samples(source, index)

    with pytest.raises(PowerFailure):
        fit(replace(small_task(name), sample=until_power_failure), resumed, SOURCES)
    assert checkpoint.load(resumed.folder / "last.pt")["step"] == 3
    fit(replace(small_task(name), sample=samples), resumed, SOURCES)
    assert_same_results(uninterrupted, resumed)


def assert_same_results(one: TrainConfig, other: TrainConfig) -> None:
    ends = [checkpoint.load(run.folder / "last.pt") for run in (one, other)]
    assert ends[0]["step"] == ends[1]["step"] == one.steps
    assert ends[0]["best"] == ends[1]["best"]
    for part in ("network", "average"):
        assert ends[0][part].keys() == ends[1][part].keys()
        for key, value in ends[0][part].items():
            torch.testing.assert_close(ends[1][part][key], value, rtol=0, atol=0, msg=f"{part}: {key}")


@pytest.mark.slow
def test_background_workers_change_nothing_even_when_a_run_is_resumed(config: TrainConfig) -> None:
    alone, helped = replace(config, name="alone"), replace(config, name="helped", workers=2)
    fit(small_task("matte"), alone, SOURCES)
    steps = 0

    def until_power_failure(network: nn.Module, batch: Batch) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise PowerFailure
        return train_matte.loss(network, batch)

    with pytest.raises(PowerFailure):
        fit(replace(small_task("matte"), loss=until_power_failure), helped, SOURCES)
    assert checkpoint.load(helped.folder / "last.pt")["step"] == 3
    fit(small_task("matte"), helped, SOURCES)
    assert_same_results(alone, helped)


def test_several_devices_share_the_samples_of_one(config: TrainConfig) -> None:
    task, source = small_task("matte"), SOURCES.training
    alone = next(iter(batches(task.sample, source, replace(config, batch=4, steps=2), first_step=1)))
    shares = [next(iter(batches(task.sample, source, replace(config, steps=2), 1, rank, ranks=2))) for rank in (0, 1)]
    for key, value in alone.items():
        torch.testing.assert_close(torch.cat([share[key] for share in shares]), value, rtol=0, atol=0)


def test_the_best_checkpoint_is_that_of_the_best_validation(config: TrainConfig) -> None:
    """Each validation gets the next of these scores."""
    errors = iter([0.5, 0.2, 0.4, 0.3])
    task = replace(memoized(small_task("matte"), 2), score=lambda *_: {"error": next(errors)}, goal=Goal("error", higher=False))
    fit(task, replace(config, steps=4, validate_every_steps=1, validation_samples=1), SOURCES)
    best, last = (checkpoint.load(config.folder / name) for name in (checkpoint.BEST, checkpoint.LAST))
    assert (best["step"], best["best"], last["step"], last["best"]) == (2, 0.2, 4, 0.2)


@pytest.mark.parametrize("name", SMALL)
def test_a_validation_writes_a_picture_and_metrics_for_tensorboard(name: str, config: TrainConfig) -> None:
    fit(memoized(small_task(name), 2), replace(config, steps=1, log_every_steps=1), SOURCES)
    with Image.open(config.folder / "pictures" / "step_0000001.png") as picture:
        assert np.asarray(picture).std() > 10
    board = EventAccumulator(str(config.folder)).Reload()
    goal = small_task(name).goal
    assert goal is not None
    assert {"training/loss", "training/learning_rate", "training/seconds_per_step", f"validation/{goal.score}"} <= {
        *board.Tags()["scalars"]
    }
    assert board.Tags()["images"] == ["validation"]


def test_a_run_with_a_time_limit_ends_and_is_not_continued(config: TrainConfig) -> None:
    limited = replace(config, steps=10**4, minutes=1 / 60, validate_every_steps=10**4, checkpoint_every_steps=10**4)
    ends = []
    for _ in range(2):
        fit(memoized(small_task("matte"), 2), limited, SOURCES)
        ends.append(checkpoint.load(config.folder / "last.pt")["step"])
    assert 1 <= ends[0] == ends[1] < limited.steps


def test_a_finished_run_is_not_continued(config: TrainConfig) -> None:
    average = fit(memoized(small_task("matte"), 2), replace(config, steps=2), SOURCES)
    again = fit(memoized(small_task("matte"), 2), replace(config, steps=2), SOURCES)
    assert same_weights(average, again)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


def test_the_log_has_a_line_per_validation_and_the_checkpoint_describes_itself(config: TrainConfig) -> None:
    task = memoized(small_task("matte"), 2)
    fit(task, config, SOURCES)
    rows = [json.loads(line) for line in (config.folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6]
    assert all({"loss", "seconds", "opacity_error", "colour_error"} <= row.keys() for row in rows)
    state = checkpoint.load(config.folder / "last.pt")
    assert state["train_config"]["learning_rate"] == config.learning_rate
    rebuilt = Matte(MatteConfig(**{key: tuple(value) for key, value in state["network_config"].items()}))
    rebuilt.load_state_dict(state["average"])


def test_the_rate_warms_up_stays_constant_and_falls_to_zero() -> None:
    config = TrainConfig("x", steps=1000, warmup_steps=100, decay_share=0.25, learning_rate=1.0)
    assert learning_rate(0, config) == pytest.approx(0.01)
    assert learning_rate(99, config) == learning_rate(700, config) == 1.0
    assert learning_rate(875, config) == pytest.approx(0.5)
    assert 0 < learning_rate(999, config) < 0.01
    assert learning_rate(9, config, progress=875) == pytest.approx(0.1)  # the clock is ahead: still warming up
    assert learning_rate(300, config, progress=875) == pytest.approx(0.5)
    assert learning_rate(300, config, progress=1200) == 0


@pytest.mark.parametrize("module", [train_segmenter, train_matte, train_inpainter])
def test_equal_seeds_initialise_equal_weights(module: object) -> None:
    one, other = (module.task(TrainConfig("x", seed=5)) for _ in range(2))  # type: ignore[attr-defined]
    assert same_weights(one.network, other.network)
    assert sum(p.numel() for p in one.network.parameters() if p.requires_grad) < 4_000_000
