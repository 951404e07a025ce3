"""Scores a network on samples of held-out clips."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from training.feed import collated
from training.pages import Sheet, page
from training.samples import Source
from training.task import Batch, Task


@dataclass(frozen=True)
class Validation:
    """Fixed samples of held-out clips, drawn once, on which networks are scored in full precision."""

    task: Task
    source: Source | None  # None if the task's samples are stored
    samples: int

    @cached_property
    def batches(self) -> list[Batch]:
        """Batches of one sample each."""
        return [collated([self.task.sample(self.source, index)]) for index in range(self.samples)]

    def scores(self, network: nn.Module) -> dict[str, float]:
        """The mean of each score over the samples to which it applies."""
        with _evaluating(network) as device:
            rows = [self.task.score(network, _on(device, batch)) for batch in self.batches]
        return {key: _mean([row[key] for row in rows]) for key in rows[0]}

    def sheet(self, network: nn.Module, rows: int) -> Sheet | None:
        """A sheet of the first `rows` samples with input, truth and output; None if the task draws no pictures."""
        if self.task.pictures is None or rows == 0:
            return None
        with _evaluating(network) as device:
            drawn = [self.task.pictures(network, _on(device, batch)) for batch in self.batches[:rows]]
        return page([[picture.float().cpu().numpy() for picture in row] for row in drawn])


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[torch.device]:
    """Switch the network to evaluation without gradients; yields its device."""
    network.eval()
    with torch.no_grad():
        yield next(network.parameters()).device
    network.train()


def _on(device: torch.device, batch: Batch) -> Batch:
    return {key: value.to(device) for key, value in batch.items()}


def _mean(values: list[float]) -> float:
    """The mean of the values that are not NaN; 0 if there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else 0.0
