"""Whether the matte network's opacity sigma is calibrated: the predicted one next to the errors that occur."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training import losses
from training.task import Batch

EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)  # of the bins of predicted sigma
REACH_PIXELS = 4  # around the mark: the pixels that count


@dataclass(frozen=True)
class Bin:
    """Pixels of similar predicted sigma: their number, the root mean square of that sigma, and that of the opacity's error."""

    low: float
    high: float
    pixels: int
    predicted: float
    actual: float


@torch.no_grad()
def reliability(network: nn.Module, batches: Sequence[Batch]) -> list[Bin]:
    """The bins that have pixels, over the pixels near the mark. The error is that of the opacity at its true level, as in the loss."""
    network.eval()
    pairs = [_near_mark(network, batch) for batch in batches]
    sigma, error = (torch.cat(values) for values in zip(*pairs, strict=True))
    within = torch.bucketize(sigma, torch.tensor(EDGES[1:-1]), right=True)
    chosen = ((low, high, within == number) for number, (low, high) in enumerate(pairwise(EDGES)))
    kept = ((low, high, sigma[of], error[of]) for low, high, of in chosen if of.any())
    return [Bin(low, high, len(s), _root_mean_square(s), _root_mean_square(e)) for low, high, s, e in kept]


def _near_mark(network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """The predicted sigma and the error of each pixel near the mark, flat."""
    predicted = network(batch["statistics"])
    levelled, _ = losses.level(predicted.opacity, predicted.colour, batch["opacity"], batch["colour"])
    mark, _ = losses.extent(batch["opacity"])
    near = F.max_pool2d(mark, 2 * REACH_PIXELS + 1, 1, REACH_PIXELS) > 0
    return predicted.opacity_sigma[near], (levelled - batch["opacity"])[near]


def _root_mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def table(bins: Sequence[Bin]) -> str:
    """A Markdown table with a row for each bin."""
    rows = [f"| {b.low:g} to {b.high:g} | {b.pixels} | {b.predicted:.4f} | {b.actual:.4f} |" for b in bins]
    return "\n".join(["| opacity sigma | pixels | predicted RMS | actual RMS error |", "| --- | ---: | ---: | ---: |", *rows]) + "\n"
