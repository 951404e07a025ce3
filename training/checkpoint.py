"""Self-describing checkpoints from which a run resumes exactly: weights, their average, optimiser, step and the whole configuration."""

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.config import TrainConfig

LAST, BEST = "last.pt", "best.pt"  # in a run's folder: to resume from, and the best by validation


class BrokenCheckpoint(Exception):
    """A checkpoint holds weights or statistics that are not finite; the message names them."""


@dataclass
class Run:
    """The state of a run."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    best: float | None = None  # the goal's score at the best validation so far
    ended: bool = False  # by its steps or by the clock


def start_or_resume(network: nn.Module, config: TrainConfig) -> Run:
    """Resume the run from its last checkpoint, or start a new one, from the weights of `config.start` if that is set."""
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, betas=(0.9, 0.98), weight_decay=1e-4, fused=True)
    run = Run(network, copy.deepcopy(network), optimiser)
    path = config.folder / LAST
    if path.exists():
        state = load(path)
        network.load_state_dict(state["network"])
        run.average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        run.step, run.best, run.ended = int(state["step"]), state.get("best"), state.get("ended", False)
    elif config.start:
        for module in (network, run.average):
            warm_start(module, load(Path(config.start))["average"])
    return run


def warm_start(network: nn.Module, weights: dict[str, Any]) -> None:
    """Set the weights that a checkpoint has; layers that the network has gained since keep their initial ones.

    Raises RuntimeError if the checkpoint has weights that the network lacks, or of another shape.
    """
    missing = network.load_state_dict(weights, strict=False)
    if missing.unexpected_keys:
        raise RuntimeError(f"the checkpoint has weights that the network lacks: {', '.join(missing.unexpected_keys)}")


def save(path: Path, run: Run, config: TrainConfig) -> None:
    """Write the checkpoint atomically: a run killed while saving keeps the previous one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "step": run.step,
        "best": run.best,
        "ended": run.ended,
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "network_config": dataclasses.asdict(run.network.config),  # type: ignore[call-overload]
        "train_config": {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(config).items()},
    }
    unfinished = path.with_suffix(".part")
    torch.save(state, unfinished)
    unfinished.replace(path)


def load(path: Path) -> dict[str, Any]:
    """The dictionary that `save` wrote.

    Raises BrokenCheckpoint if averaged weights are not finite: half precision has no room for variances.
    """
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    broken = [name for name, value in state["average"].items() if not torch.isfinite(value).all()]
    if broken:
        raise BrokenCheckpoint(f"{path}: not finite: {', '.join(broken)}")
    return state
