"""What the loop must know of a network: how its samples are drawn, what it is asked for, and when it is good."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from training.samples import Sample, Source

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Goal:
    """The score of the validation that tells the best checkpoint, and whether more of it is better."""

    score: str
    higher: bool

    def reached(self, value: float, best: float | None) -> bool:
        """Whether `value` is better than the best so far."""
        return best is None or (value > best if self.higher else value < best)


@dataclass(frozen=True)
class Task:
    """What is particular to one network. Without a goal only the last checkpoint is kept, without pictures none are drawn."""

    network: nn.Module
    sample: Callable[[Source, int], Sample]
    loss: Callable[[nn.Module, Batch], Tensor]
    score: Callable[[nn.Module, Batch], dict[str, float]]
    goal: Goal | None = None
    pictures: Callable[[nn.Module, Batch], list[Tensor]] | None = None  # of a batch of one: input, truth, answer; each (C, H, W)
