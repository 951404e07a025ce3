"""Trains the matte network.

python -m training.train_matte training/configs/matte.toml [--steps N ...]
"""

import sys

import torch
from torch import Tensor, nn

from models.matte import Matte, MatteConfig
from training import losses
from training.config import TrainConfig, from_command_line
from training.fit import fit, open_sources
from training.samples import matte_sample
from training.task import Batch, Goal, Task, channels_last

GOAL = Goal("shape_error", higher=False)


def task(config: TrainConfig, shape: MatteConfig | None = None) -> Task:
    """The task of training the matte network, with weights initialised from the seed."""
    torch.manual_seed(config.seed)
    return Task("matte", channels_last(Matte(shape or MatteConfig())), matte_sample, loss, score, GOAL, pictures)


def loss(network: nn.Module, batch: Batch) -> Tensor:
    """The loss of a batch, a scalar."""
    opacity, colour, opacity_sigma = (output.float() for output in network(batch["statistics"]))
    return losses.matte(opacity, colour, opacity_sigma, batch)


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Mean absolute errors on the mark's pixels: of the opacity, of the opacity at the true level (its shape), and of the colour."""
    opacity, colour, _ = network(batch["statistics"])
    levelled, shade = losses.level(opacity, colour, batch["opacity"], batch["colour"])
    mark = (batch["opacity"] > 0.03).float()
    area = float(mark.sum()) + 1
    errors = {"opacity": opacity - batch["opacity"], "shape": levelled - batch["opacity"], "colour": shade - batch["colour"]}
    return {f"{key}_error": float((error.abs().mean(1, keepdim=True) * mark).sum()) / area for key, error in errors.items()}


def pictures(network: nn.Module, batch: Batch) -> list[Tensor]:
    """The mean frame, the true opacity and coloured mark, and the predicted ones."""
    opacity, colour, _ = (output[0] for output in network(batch["statistics"]))
    true_opacity, true_colour = batch["opacity"][0], batch["colour"][0]
    return [batch["statistics"][0, 1:4] + 0.5, true_opacity, true_opacity * true_colour, opacity, opacity * colour]


if __name__ == "__main__":
    settings = from_command_line(sys.argv[1:])
    fit(task(settings), settings, open_sources(settings))
