"""How good a network is on samples of clips that it never trains on."""

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
class Examination:
    """Fixed samples of held-out clips, drawn once; networks are compared on them in full precision."""

    task: Task
    source: Source
    samples: int

    @cached_property
    def batches(self) -> list[Batch]:
        """Each of one sample."""
        return [collated([self.task.sample(self.source, index)]) for index in range(self.samples)]

    def scores(self, network: nn.Module) -> dict[str, float]:
        """Mean of each score over the samples that it applies to."""
        with _answering(network) as device:
            rows = [self.task.score(network, _on(device, batch)) for batch in self.batches]
        return {key: _mean([row[key] for row in rows]) for key in rows[0]}

    def sheet(self, network: nn.Module, rows: int) -> Sheet | None:
        """The first few samples: input, truth and answer. None where the task draws no pictures."""
        if self.task.pictures is None or rows == 0:
            return None
        with _answering(network) as device:
            drawn = [self.task.pictures(network, _on(device, batch)) for batch in self.batches[:rows]]
        return page([[picture.float().cpu().numpy() for picture in row] for row in drawn])


@contextmanager
def _answering(network: nn.Module) -> Iterator[torch.device]:
    """The network answers and does not learn meanwhile; gives the device it is on."""
    network.eval()
    with torch.no_grad():
        yield next(network.parameters()).device
    network.train()


def _on(device: torch.device, batch: Batch) -> Batch:
    return {key: value.to(device) for key, value in batch.items()}


def _mean(values: list[float]) -> float:
    """Over the samples that the score applies to; 0 where there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else 0.0
