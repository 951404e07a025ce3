"""The interface between the training loop and a network: how samples are drawn, the loss, and the scores."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.samples import Sample

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Goal:
    """The validation score by which the best checkpoint is chosen, and whether higher is better."""

    score: str
    higher: bool

    def is_better(self, value: float, best: float | None) -> bool:
        """Whether `value` is better than the best so far."""
        return best is None or (value > best if self.higher else value < best)


@dataclass(frozen=True)
class Task:
    """The network-specific parts of training. Without a goal, only the last checkpoint is kept; without `pictures`, none are drawn."""

    name: str
    network: nn.Module
    sample: Callable[[Any, int], Sample]  # of a Source, or of None where the samples are stored
    loss: Callable[[nn.Module, Batch], Tensor]
    score: Callable[[nn.Module, Batch], dict[str, float]]
    goal: Goal | None = None
    pictures: Callable[[nn.Module, Batch], list[Tensor]] | None = None  # of a batch of one: input, truth, output; each (C, H, W)


def channels_last(network: nn.Module) -> nn.Module:
    """The network with the weights of its convolutions in the order in which a CPU is a quarter faster; in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
    return network
