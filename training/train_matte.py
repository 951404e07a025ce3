"""Trains the matte network.

python -m training.train_matte training/configs/matte.toml [--steps N ...]
"""

import sys

import torch
from torch import Tensor, nn

from models.matte import Matte, MatteConfig, Prediction
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
    return losses.matte(network(batch["statistics"]), batch)


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Mean absolute errors on the mark's pixels: of the opacity, of the opacity at the true level (its shape), and of the colour.

    And the F1 of the pixels that belong to the mark, and of those that hide the scene; NaN where there are none and none are found.
    """
    predicted = network(batch["statistics"])
    levelled, shade = losses.level(predicted.opacity, predicted.colour, batch["opacity"], batch["colour"])
    belongs, hides = losses.extent(batch["opacity"])
    area = float(belongs.sum()) + 1
    errors = {"opacity": predicted.opacity - batch["opacity"], "shape": levelled - batch["opacity"], "colour": shade - batch["colour"]}
    means = {f"{key}_error": float((error.abs().mean(1, keepdim=True) * belongs).sum()) / area for key, error in errors.items()}
    return {**means, "belongs_f1": f1(predicted.belongs, belongs), "hides_f1": f1(predicted.hides, hides)}


def f1(probability: Tensor, label: Tensor) -> float:
    """The F1 score of the pixels whose probability exceeds 0.5, against a label of 0 and 1; NaN without any of either."""
    found = (probability > 0.5).float()
    total = float(found.sum() + label.sum())
    return 2 * float((found * label).sum()) / total if total else float("nan")


def pictures(network: nn.Module, batch: Batch) -> list[Tensor]:
    """The mean frame, the true opacity and coloured mark, the predicted ones, and which pixels belong and hide."""
    predicted = Prediction(*(output[0] for output in network(batch["statistics"])))
    true_opacity, true_colour = batch["opacity"][0], batch["colour"][0]
    mark, seen = true_opacity * true_colour, predicted.opacity * predicted.colour
    return [batch["statistics"][0, 1:4] + 0.5, true_opacity, mark, predicted.opacity, seen, predicted.belongs, predicted.hides]


if __name__ == "__main__":
    settings = from_command_line(sys.argv[1:])
    fit(task(settings), settings, open_sources(settings))
