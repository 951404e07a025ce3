"""The sample store: what is drawn once is what would be drawn each time, and drawing goes on where it stopped."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.matte import MatteConfig
from tests.material import small_source
from training import checkpoint, store, stored, train_matte, variation, watermarks
from training.config import TrainConfig
from training.fit import Sources, fit
from training.patches import Mark
from training.samples import Sample
from training.scenes import Source
from training.store import draw
from training.stored import INDEX, LAYOUTS, StoredSamples, StoreMismatch

SOURCE = small_source()
SIZE = 32
FEW = 4  # samples in a shard
STEP_OF = {"byte": 1 / 255, "word": 1 / 65535, "half": 2**-9, "bits": 1e-9}  # of the encodings, at the size of their values


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHARD_SAMPLES", FEW)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two shards of the matte head's samples."""
    folder = tmp_path_factory.mktemp("stores") / "matte"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "SHARD_SAMPLES", FEW)
        draw(folder, "matte", SOURCE, 2 * FEW, size=SIZE)
    return folder


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("network", LAYOUTS)
def test_a_stored_sample_is_the_one_that_is_drawn_directly(network: str, tmp_path: Path) -> None:
    draw(tmp_path, network, SOURCE, FEW, size=SIZE)
    layout, samples = LAYOUTS[network], StoredSamples(tmp_path, network, seed=1)
    for index in range(FEW):
        directly, read = layout.sampler(SOURCE, index, size=SIZE + layout.margin), samples.drawn(index)
        assert read.keys() == directly.keys()
        for name, array in directly.items():
            assert read[name].dtype == np.float32
            np.testing.assert_allclose(read[name], array, rtol=0, atol=0.51 * STEP_OF[layout.encodings[name]])


def test_drawing_goes_on_where_it_stopped_and_adds_shards(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, real, calls = tmp_path / "store", LAYOUTS["matte"], 0

    def dies_in_the_second_shard(source: Source, index: int, size: int) -> Sample:
        nonlocal calls
        calls += 1
        if calls > 1 + FEW + 2:  # one is drawn for the index
            raise KeyboardInterrupt
        return real.sampler(source, index, size=size)

    with monkeypatch.context() as patch:
        patch.setitem(LAYOUTS, "matte", replace(real, sampler=dies_in_the_second_shard))  # type: ignore[misc]
        with pytest.raises(KeyboardInterrupt):
            draw(folder, "matte", SOURCE, 2 * FEW, size=SIZE)
    assert len(StoredSamples(folder, "matte", seed=1)) == FEW
    first = (folder / "00000.npy").stat().st_mtime_ns
    draw(folder, "matte", SOURCE, 2 * FEW, size=SIZE)
    assert (folder / "00000.npy").stat().st_mtime_ns == first
    assert shards(folder) == shards(drawn)


@pytest.mark.slow
def test_workers_draw_the_same_samples(drawn: Path, tmp_path: Path) -> None:
    draw(tmp_path, "matte", SOURCE, 2 * FEW, workers=2, size=SIZE)
    assert shards(tmp_path) == shards(drawn)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda folder: draw(folder, "matte", replace(SOURCE, seed=2), FEW, size=SIZE), "seed"),
        (lambda folder: draw(folder, "matte", replace(SOURCE, clips=SOURCE.clips[:2]), FEW, size=SIZE), "material"),
        (lambda folder: draw(folder, "matte", SOURCE, FEW, size=SIZE + 8), "size, crop"),
        (lambda folder: draw(folder, "inpainter", SOURCE, FEW, size=SIZE), "network"),
    ],
)
def test_samples_of_another_kind_are_refused(drawn: Path, other: Callable[[Path], object], named: str) -> None:
    before = shards(drawn)
    with pytest.raises(StoreMismatch, match=f"another .*{named}"):
        other(drawn)
    assert shards(drawn) == before


def test_samples_of_other_code_are_refused(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "code_digest", lambda _recorded: "of tomorrow")
    with pytest.raises(StoreMismatch, match="another code"):
        draw(drawn, "matte", SOURCE, FEW, size=SIZE)
    assert len(StoredSamples(drawn, "matte", seed=1)) == 2 * FEW  # data stays readable


def test_another_format_another_network_and_no_store_are_refused(drawn: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(drawn, copy)
    entries = json.loads((copy / INDEX).read_text())
    (copy / INDEX).write_text(json.dumps({**entries, "version": stored.VERSION + 1}))
    for folder, network, message in ((copy, "matte", "format"), (drawn, "segmenter", "holds samples"), (tmp_path, "matte", "not a store")):
        with pytest.raises(StoreMismatch, match=message):
            StoredSamples(folder, network, seed=1)


def test_several_stores_are_read_as_one(drawn: Path, tmp_path: Path) -> None:
    draw(tmp_path / "more", "matte", replace(SOURCE, seed=2), FEW, size=SIZE)
    both, more = (StoredSamples(folders, "matte", seed=1) for folders in ([drawn, tmp_path / "more"], tmp_path / "more"))
    assert len(both) == 3 * FEW
    np.testing.assert_array_equal(both.drawn(2 * FEW)["opacity"], more.drawn(0)["opacity"])
    draw(tmp_path / "larger", "matte", SOURCE, FEW, size=SIZE + 8)
    with pytest.raises(StoreMismatch, match="different sizes"):
        StoredSamples([drawn, tmp_path / "larger"], "matte", seed=1)


def test_every_sample_comes_once_in_each_turn_and_in_another_order(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, numbers = StoredSamples(drawn, "matte", seed=1), list[int]()
    monkeypatch.setattr(
        StoredSamples, "drawn", lambda _, number, __: numbers.append(number) or {"opacity": np.zeros((1, 8, 8), np.float32)}
    )
    for index in range(3 * len(samples)):
        samples(None, index)
    turns = [numbers[start : start + len(samples)] for start in range(0, len(numbers), len(samples))]
    assert all(sorted(turn) == list(range(len(samples))) for turn in turns)
    assert turns[0] != turns[1] != turns[2]


def test_variations_keep_the_truth_of_an_inpainters_sample() -> None:
    """The marked frame is the blend of clean frame and colour; every turn varies it anew, in the same way for the same index."""
    rng = np.random.default_rng(3)
    clean, colour = rng.random((2, 5, 3, SIZE, SIZE), np.float32)
    opacity = rng.random((5, 1, SIZE, SIZE), np.float32)
    mask = sigma = np.zeros_like(opacity)  # no region is given around a mark that is nowhere
    sample = {
        "clean": clean, "colour": colour, "opacity": opacity, "mask": mask, "doubt": sigma,
        "frames": (1 - opacity) * clean + opacity * colour,
    }  # fmt: skip
    seen, lights = set(), set()
    for seed in range(12):
        one, other = (LAYOUTS["inpainter"].varied(sample, np.random.default_rng(seed)) for _ in range(2))
        assert all((one[key] == other[key]).all() for key in one)
        blend = ((1 - one["opacity"]) * one["clean"] + one["opacity"] * one["colour"])[:, :, 4:-4, 4:-4]
        light = one["frames"][:, :, 4:-4, 4:-4].mean((1, 2, 3)) / blend.mean((1, 2, 3))  # references may be in another light
        np.testing.assert_allclose(one["frames"][0, :, 4:-4, 4:-4], blend[0], atol=1e-6)
        assert ((light > 0.85) & (light < 1.15)).all()
        lights.add(float(np.abs(light - 1).max()) > 0.01)
        seen.add(one["frames"].tobytes())
    assert len(seen) > 8
    assert lights == {True, False}


@pytest.mark.parametrize("seed", range(8))
def test_a_given_region_hides_the_mark_and_more_in_every_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((5, 1, 64, 64), np.float32)
    mask[:4, :, 28:34, 20:40] = 1  # the fifth frame has no mark
    colour = rng.random((5, 3, 64, 64), np.float32)
    sample = {
        "mask": mask,
        "opacity": 0.5 * mask,
        "colour": colour,
        "doubt": 0.1 * mask,
        "hole": mask[0],
        "clean": colour,
        "frames": colour,
    }
    given = variation.with_given_region(sample, rng)
    region = given["mask"]
    assert set(np.unique(region)) == {0, 1}
    assert (region >= mask).all()
    assert region[0].sum() > 1.5 * mask[0].sum()
    assert not region[4].any()
    np.testing.assert_array_equal(given["hole"], region[0])
    np.testing.assert_array_equal(given["opacity"], region)
    assert not given["colour"][np.broadcast_to(region > 0, colour.shape)].any()
    assert given["clean"] is colour


def test_a_given_region_that_leaves_too_little_of_the_scene_is_left_out() -> None:
    mask = np.zeros((2, 1, 32, 32), np.float32)
    mask[:, :, 4:28, 4:28] = 1
    sample = {"mask": mask, "opacity": mask, "colour": mask.repeat(3, 1), "doubt": mask, "hole": mask[0]}
    assert variation.with_given_region(sample, np.random.default_rng(1)) is sample


def test_a_run_from_a_store_resumes_exactly(drawn: Path, tmp_path: Path) -> None:
    whole = TrainConfig(
        "whole", runs=tmp_path, store=str(drawn), steps=4, batch=2, warmup_steps=1, precision="32-true", accelerator="cpu",
        validate_every_steps=4, validation_samples=1, picture_samples=0, checkpoint_every_steps=2,
    )  # fmt: skip
    stopped = replace(whole, name="stopped")
    task = train_matte.task(TrainConfig("small", seed=3), MatteConfig((8, 8, 12, 12)))
    task = replace(task, sample=lambda source, index: LAYOUTS["matte"].sampler(source, index, size=SIZE))
    task = replace(task, score=lambda *_: {"shape_error": 1.0})
    state = {key: value.clone() for key, value in task.network.state_dict().items()}

    def run(config: TrainConfig, until: int) -> None:
        task.network.load_state_dict(state)
        steps = iter(range(until))

        def loss(network: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return train_matte.loss(network, batch)

        fit(replace(task, loss=loss), config, Sources(SOURCE, SOURCE))

    run(whole, 4)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, 3)
    run(stopped, 2)
    one, other = (checkpoint.load(config.folder / checkpoint.LAST)["network"] for config in (whole, stopped))
    for key, value in one.items():
        torch.testing.assert_close(other[key], value, rtol=0, atol=0)
    assert any((value != state[key]).any() for key, value in one.items())


def test_other_colours_leave_grey_marks_grey_and_the_light_as_it_is() -> None:
    rng = np.random.default_rng(3)
    frames = rng.uniform(0.4, 0.6, (2, 3, 8, 8)).astype(np.float32)
    frames[..., :4] = 0.9
    spreads = []
    for _ in range(40):
        other = variation.recoloured(frames, rng)
        assert other.dtype == np.float32
        np.testing.assert_allclose(other[..., :4], 0.9, atol=1e-6)
        np.testing.assert_allclose(other.mean(1), frames.mean(1), atol=0.02)
        spreads.append(float(np.ptp(other[..., 4:], axis=1).mean() / np.ptp(frames[..., 4:], axis=1).mean()))
    assert min(spreads) < 0.5 < 2 < max(spreads)


def test_a_closer_look_shows_a_part_of_the_sample_enlarged_with_its_mark() -> None:
    rng = np.random.default_rng(4)
    target = np.zeros((2, 2, 48, 60), np.float32)
    target[:, 0, 20:30, 25:40] = 1
    sample = {"frames": target[:, :1].repeat(3, 1), "target": target}
    areas = []
    for _ in range(40):
        closer = variation.looked_at_closer(sample, rng)
        assert {key: value.shape for key, value in closer.items()} == {key: value.shape for key, value in sample.items()}
        assert set(np.unique(closer["target"])) == {0, 1}
        assert np.abs(closer["frames"][:, 0] - closer["target"][:, 0]).mean() < 0.02
        areas.append(float(closer["target"][0, 0].sum() / target[0, 0].sum()))
    assert max(areas) == pytest.approx(variation.ENLARGED**2, rel=0.1)


def test_a_store_of_chosen_kinds_has_no_other_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str] = []

    def noted(kind: str, *arguments: Any) -> Mark:
        kinds.append(kind)
        return drawn_mark(kind, *arguments)

    drawn_mark = watermarks.draw
    monkeypatch.setattr(watermarks, "draw", noted)
    draw(tmp_path, "segmenter", replace(SOURCE, kinds=("vertical", "plate")), FEW, size=SIZE)
    assert set(kinds) <= {"vertical", "plate"}
    assert kinds
    with pytest.raises(StoreMismatch, match="kinds"):
        draw(tmp_path, "segmenter", SOURCE, FEW, size=SIZE)


def test_a_kind_that_no_network_learns_from_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        store.main([str(tmp_path), str(tmp_path / "out"), "--network", "segmenter", "--kinds", "vertical,horizontal"])
    assert "learns from no kind of mark named horizontal" in capsys.readouterr().err
