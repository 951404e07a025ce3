"""Trains the segmenter.

python -m training.train_segmenter training/configs/segmenter.toml [--steps N ...]
"""

import sys
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from models.segmenter import Segmenter, SegmenterConfig
from training import checkpoint, losses
from training.config import TrainConfig, from_command_line
from training.fit import fit, open_sources
from training.pretrained import load_pretrained
from training.samples import segmenter_sample
from training.task import Batch, Goal, Task, channels_last

GOAL = Goal("f1", higher=True)


def task(config: TrainConfig, shape: SegmenterConfig | None = None) -> Task:
    """The task of training the segmenter, with weights initialised from the seed and its pretrained features as they were published."""
    torch.manual_seed(config.seed)
    network = Segmenter(shape or SegmenterConfig())
    load_pretrained(network.pretrained)
    teacher = _teacher(Path(config.teacher)) if config.teacher else None
    return Task("segmenter", channels_last(network), segmenter_sample, partial(loss, teacher=teacher), score, GOAL, pictures)


def _teacher(path: Path) -> Segmenter:
    """The segmenter of a checkpoint, which learns no more."""
    state = checkpoint.load(path)
    network = Segmenter(SegmenterConfig(tuple(state["network_config"]["channels"])))
    network.load_state_dict(state["average"])
    channels_last(network)
    return network.eval().requires_grad_(False)


def loss(network: nn.Module, batch: Batch, teacher: Segmenter | None = None) -> Tensor:
    """The loss of a batch, a scalar; with a teacher, also of what is forgotten of the marks that it sees."""
    logits, target = network(batch["frames"]).float(), batch["target"]
    learned = losses.segmentation(logits, target)
    if teacher is None:
        return learned
    known = teacher.to(target.device)(batch["frames"]).float()
    return learned + losses.retention(logits, known, target)


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """F1 of the overlay in marked samples; share of wrongly marked pixels in unmarked ones. The other is NaN."""
    found, truth = network(batch["frames"])[:, :, 0] > 0, batch["target"][:, :, 0] > 0.5
    hits, total = float((found & truth).sum()), float(found.sum() + truth.sum())
    marked = bool(truth.any())
    return {"f1": 2 * hits / max(total, 1) if marked else float("nan"), "wrong": float("nan") if marked else float(found.float().mean())}


def pictures(network: nn.Module, batch: Batch) -> list[Tensor]:
    """The first and the last frame, and the last one's target and predicted probability."""
    frames, found = batch["frames"][0], network(batch["frames"])[0, -1, :1].sigmoid()
    return [frames[0], frames[-1], batch["target"][0, -1, :1], found]


if __name__ == "__main__":
    settings = from_command_line(sys.argv[1:])
    fit(task(settings), settings, open_sources(settings))
