"""Checkpoints that explain themselves and resume exactly: weights, their average, optimiser, step and the whole configuration."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.config import TrainConfig


def save(path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, step: int, config: TrainConfig) -> None:
    """Writes atomically: a run killed while saving keeps its former checkpoint."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "step": step,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "network_config": dataclasses.asdict(network.config),  # type: ignore[call-overload]
        "train_config": {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(config).items()},
    }
    half = path.with_suffix(".part")
    torch.save(state, half)
    half.replace(path)


def load(path: Path) -> dict[str, Any]:
    """The dictionary that `save` wrote."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
