"""The mean of weights, with statistics that fit them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models.matte import Matte, MatteConfig
from models.segmenter import Segmenter, SegmenterConfig
from tests.material import small_source
from training import average, checkpoint, store
from training.store import draw

CHANNELS = (4, 4, 4, 4, 4)


def state_of(seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    return {"step": seed, "network_config": {"channels": CHANNELS}, "average": Segmenter(SegmenterConfig(CHANNELS)).state_dict()}


def test_the_mean_is_weighted_and_its_shares_must_add_up() -> None:
    first, second = state_of(1), state_of(2)
    mean = average.mean_of([(0.75, first), (0.25, second)])
    for name, value in mean.items():
        one, other = first["average"][name], second["average"][name]
        torch.testing.assert_close(value, one.lerp(other, 0.25) if one.is_floating_point() else one)
    with pytest.raises(ValueError, match="add up to 1"):
        average.mean_of([(0.5, first), (0.4, second)])


def test_the_statistics_are_those_of_the_batches() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3))
    batches = [torch.randn(4, 3, 8, 8) * 5 + 2 for _ in range(6)]
    average.with_statistics(network, iter(batches))
    everything = torch.cat(batches)
    torch.testing.assert_close(network[0].running_mean, everything.mean((0, 2, 3)))
    torch.testing.assert_close(network[0].running_var, torch.stack([batch.var((0, 2, 3)) for batch in batches]).mean(0))
    assert not network.training


def test_the_command_writes_a_checkpoint_to_go_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHARD_SAMPLES", 4)
    draw(tmp_path / "store", "segmenter", small_source(), 4, size=32)
    for seed in (1, 2):
        torch.save(state_of(seed), tmp_path / f"{seed}.pt")
    parts = [f"0.5*{tmp_path / '1.pt'}", f"0.5*{tmp_path / '2.pt'}"]
    average.main([str(tmp_path / "out.pt"), *parts, "--store", str(tmp_path / "store"), "--batches", "2", "--overlay-bias", "0.5"])
    state = checkpoint.load(tmp_path / "out.pt")
    expected = average.mean_of([(0.5, state_of(1)), (0.5, state_of(2))])
    bias = expected["head.bias"] + torch.tensor([0.5] * 4 + [0.0] * 4)
    torch.testing.assert_close(state["average"]["head.bias"], bias)
    assert state["step"] == 2
    changed = [name for name, value in expected.items() if not torch.equal(value, state["average"][name])]
    assert all("running" in name or "num_batches" in name or name == "head.bias" for name in changed)
    assert any("running_var" in name for name in changed)


def test_matte_heads_are_averaged_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(store, "SHARD_SAMPLES", 4)
    draw(tmp_path / "store", "matte", small_source(), 4, size=32)
    config = MatteConfig((4, 4, 4, 4))
    torch.save({"step": 3, "network_config": vars(config), "average": Matte(config).state_dict()}, tmp_path / "1.pt")
    out, parts = str(tmp_path / "out.pt"), [f"1*{tmp_path / '1.pt'}", "--store", str(tmp_path / "store"), "--batches", "1"]
    average.main([out, *parts])
    before, after = (checkpoint.load(tmp_path / name)["average"] for name in ("1.pt", "out.pt"))
    assert all(torch.equal(after[name], value) for name, value in before.items() if "running" not in name and "num_batches" not in name)
    assert any(not torch.equal(after[name], value) for name, value in before.items() if "running_var" in name)
    with pytest.raises(SystemExit):
        average.main([out, *parts, "--overlay-bias", "0.3"])
    assert "the store is of the matte" in capsys.readouterr().err


def test_a_checkpoint_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    """Half precision has no room for variances of 65,520 and more."""
    state = state_of(1)
    name = next(name for name in state["average"] if "running_var" in name)
    state["average"][name] = torch.full_like(state["average"][name], 1e6).half()
    torch.save(state, tmp_path / "half.pt")
    with pytest.raises(checkpoint.BrokenCheckpoint, match=name):
        checkpoint.load(tmp_path / "half.pt")
