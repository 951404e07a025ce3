"""Trains the matte head.

python -m training.train_matte training/configs/matte.toml [--steps N ...]
"""

import sys

import torch
from torch import Tensor, nn

from models.matte import Matte, MatteConfig
from training import losses
from training.config import TrainConfig, from_command_line
from training.fit import Batch, Task, fit, open_sources
from training.samples import matte_sample


def task(config: TrainConfig) -> Task:
    """A fresh matte head and what it learns from."""
    torch.manual_seed(config.seed)
    return Task(Matte(MatteConfig()), matte_sample, loss, score)


def loss(network: nn.Module, batch: Batch) -> Tensor:
    opacity, colour = network(batch["statistics"])
    return losses.matte(opacity.float(), colour.float(), batch)


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Mean absolute errors of opacity and colour on the mark's pixels."""
    opacity, colour = network(batch["statistics"])
    mark = (batch["opacity"] > 0.03).float()
    area = float(mark.sum()) + 1
    wrong_colour = ((colour - batch["colour"]).abs().mean(1, keepdim=True) * mark).sum()
    return {"opacity_error": float(((opacity - batch["opacity"]).abs() * mark).sum()) / area, "colour_error": float(wrong_colour) / area}


if __name__ == "__main__":
    settings = from_command_line(sys.argv[1:])
    fit(task(settings), settings, open_sources(settings))
