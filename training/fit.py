"""The training loop that the three networks share: sample, loss, step, average, validate, checkpoint.

Sample i depends on (seed, i) alone and the step decides which samples are next, so a run that is stopped and resumed ends with
the same weights as one that was not.
"""

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from training import checkpoint, clips
from training.config import TrainConfig
from training.samples import Sample, Source
from training.vocabulary import training_vocabulary

Batch = dict[str, Tensor]

HELD_OUT = ("sam2_blocks", "intel_car", "pexels_dog_eating", "tam_aquarium", "scott_riley", "maple_leaf", "tunnel", "lighthouse", "mr_lee")


@dataclass(frozen=True)
class Task:
    """What is particular to one network."""

    network: nn.Module
    sample: Callable[[Source, int], Sample]
    loss: Callable[[nn.Module, Batch], Tensor]
    score: Callable[[nn.Module, Batch], dict[str, float]]


@dataclass(frozen=True)
class Sources:
    """Clips to train on and clips never trained on."""

    training: Source
    validation: Source


def open_sources(config: TrainConfig) -> Sources:
    """The configured clips, split by name."""
    everything, vocabulary = clips.load(config.data, config.cache), training_vocabulary()
    held = tuple(c for c in everything if c.name.rsplit(".", 1)[0] in HELD_OUT)
    rest = tuple(c for c in everything if c not in held)
    return Sources(Source(rest, vocabulary, config.seed), Source(held or rest, vocabulary, 10**6 + config.seed))


def fit(task: Task, config: TrainConfig, sources: Sources) -> nn.Module:
    """Trains until `config.steps`, from the run's last checkpoint if there is one; returns the averaged network."""
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    fabric = Fabric(accelerator=config.accelerator, devices=1, precision=config.precision)  # type: ignore[arg-type]
    optimiser = torch.optim.AdamW(task.network.parameters(), config.learning_rate, betas=(0.9, 0.98), weight_decay=1e-4)
    average = copy.deepcopy(task.network)
    step = _resume(config, task.network, average, optimiser)
    network, optimiser = fabric.setup(task.network, optimiser)
    if hasattr(task.network, "restore"):  # called beside forward, so Fabric must know of it for its precision
        network.mark_forward_method("restore")
    average.to(fabric.device)
    started, seen, total = time.monotonic(), 0, 0.0
    while step < config.steps:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, config)
        batch = fabric.to_device(collated([task.sample(sources.training, step * config.batch + i) for i in range(config.batch)]))
        loss = task.loss(network, batch)
        fabric.backward(loss)
        fabric.clip_gradients(network, optimiser, max_norm=config.clip_norm)
        optimiser.step()
        optimiser.zero_grad()
        step, seen, total = step + 1, seen + 1, total + float(loss.detach())
        _follow(average, task.network, min(config.ema_decay, step / (step + 10)))
        last = step == config.steps
        if last or step % config.validate_every_steps == 0:
            scores = validate(task, average, config, sources.validation)
            _log(config, {"step": step, "loss": total / seen, "seconds": (time.monotonic() - started) / seen, **scores})
            started, seen, total = time.monotonic(), 0, 0.0
        if last or step % config.checkpoint_every_steps == 0:
            checkpoint.save(config.folder / "last.pt", task.network, average, optimiser, step, config)
    return average


def learning_rate(step: int, config: TrainConfig) -> float:
    """Warms up, stays, and falls linearly to zero in the last `decay_share` of the run."""
    left = (config.steps - step) / max(1.0, config.steps * config.decay_share)
    return config.learning_rate * min(1.0, (step + 1) / config.warmup_steps, left)


def collated(samples: list[Sample]) -> Batch:
    """Stacks samples into tensors (B, ...)."""
    return {key: torch.from_numpy(np.stack([s[key] for s in samples])) for key in samples[0]}


def validate(task: Task, network: nn.Module, config: TrainConfig, source: Source) -> dict[str, float]:
    """Mean scores over fixed samples of the held-out clips, in full precision."""
    network.eval()
    device = next(network.parameters()).device
    rows = []
    with torch.no_grad():
        for index in range(config.validation_samples):
            batch = {k: v.to(device) for k, v in collated([task.sample(source, index)]).items()}
            rows.append(task.score(network, batch))
    network.train()
    return {key: _mean([row[key] for row in rows]) for key in rows[0]}


def _mean(values: list[float]) -> float:
    """Over the samples that the score applies to; 0 where there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else 0.0


def _resume(config: TrainConfig, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """The step to go on from: the run's own checkpoint's, or 0, with the weights of `config.start` if it is given."""
    path = config.folder / "last.pt"
    if not path.exists():
        if config.start:
            for module in (network, average):
                module.load_state_dict(checkpoint.load(Path(config.start))["average"])
        return 0
    state = checkpoint.load(path)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the averaged weights towards the network's; running statistics are averages already and are copied."""
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
    for kept, new in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(new)


def _log(config: TrainConfig, row: dict[str, float]) -> None:
    print("  ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
    config.folder.mkdir(parents=True, exist_ok=True)
    with (config.folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
