"""Trains the inpainter.

python -m training.train_inpainter training/configs/inpainter.toml [--steps N ...]
"""

import sys

import torch
from torch import Tensor, nn

from models.blocks import pull_push
from models.inpainter import Inpainter, InpainterConfig
from training import losses
from training.config import TrainConfig, from_command_line
from training.fit import fit, open_sources
from training.restoration import inpainter_sample
from training.task import Batch, Goal, Task

GOAL = Goal("over_best", higher=True)


def task(config: TrainConfig, shape: InpainterConfig | None = None) -> Task:
    """The task of training the inpainter, with weights initialised from the seed."""
    torch.manual_seed(config.seed)
    return Task("inpainter", Inpainter(shape or InpainterConfig()), inpainter_sample, loss, score, GOAL, pictures)


def loss(network: nn.Module, batch: Batch) -> Tensor:
    """The loss of a batch, a scalar."""
    restored = network.encode_and_restore(*_inputs(batch))
    return losses.inpainting(restored, batch)


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """PSNR in the hole in dB: the network's, and its gain over the pull-push fill and over the better of fill and un-blending."""
    inputs = _inputs(batch)
    filled = pull_push(batch["frames"][:, 0], 1 - batch["mask"][:, 0])
    unblended = Inpainter.candidates(*(x[:, 0] for x in inputs[:-1]))[0]
    network_psnr, fill_psnr, unblended_psnr = (_hole_psnr(x, batch) for x in (network(*inputs), filled, unblended))
    return {"psnr": network_psnr, "over_fill": network_psnr - fill_psnr, "over_best": network_psnr - max(fill_psnr, unblended_psnr)}


def _inputs(batch: Batch) -> list[Tensor]:
    return [batch[name] for name in ("frames", "mask", "opacity", "colour", "doubt", "shift")]


def _hole_psnr(picture: Tensor, batch: Batch) -> float:
    hole = batch["hole"]
    error = ((picture - batch["clean"][:, 0]).square() * hole).sum() / (hole.sum() * 3).clamp(min=1)
    return float(-10 * torch.log10(error + 1e-6))


def pictures(network: nn.Module, batch: Batch) -> list[Tensor]:
    """The marked frame, the clean frame, and the result."""
    clean = network(*_inputs(batch))
    return [batch["frames"][0, 0], batch["clean"][0, 0], clean[0]]


if __name__ == "__main__":
    settings = from_command_line(sys.argv[1:])
    fit(task(settings), settings, open_sources(settings))
