"""The training loop that the three networks share: sample, loss, step, average, validate, checkpoint.

Sample i depends on (seed, i) alone and the step decides which samples are next, so a run that is stopped and resumed ends with
the same weights as one that was not. With several devices each takes its own samples of a step, and the gradients are averaged.
"""

import time
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import nn

from training import checkpoint, clips
from training.checkpoint import Run
from training.config import TrainConfig
from training.cutouts import cutouts_under
from training.feed import batches
from training.journal import Journal
from training.mistakes import mistakes
from training.samples import Source
from training.task import Task
from training.validation import Examination
from training.vocabulary import training_vocabulary

HELD_OUT = ("sam2_blocks", "intel_car", "pexels_dog_eating", "tam_aquarium", "scott_riley", "maple_leaf", "tunnel", "lighthouse", "mr_lee")


@dataclass(frozen=True)
class Sources:
    """Clips to train on and clips never trained on."""

    training: Source
    validation: Source


def open_sources(config: TrainConfig) -> Sources:
    """The configured clips, split by name; if that is asked for, with places in those to train on that are taken for marks."""
    everything, vocabulary = clips.load(config.data, config.cache), training_vocabulary()
    held = tuple(c for c in everything if c.name.rsplit(".", 1)[0] in HELD_OUT)
    rest = tuple(c for c in everything if c not in held)
    things, found = cutouts_under(), mistakes(rest, config.cache) if config.mistake_share else ()
    training = Source(rest, vocabulary, config.seed, things, found, config.mistake_share)
    return Sources(training, Source(held or rest, vocabulary, 10**6 + config.seed, things))


def fit(task: Task, config: TrainConfig, sources: Sources) -> nn.Module:
    """Trains until the steps or the minutes are up, from the run's last checkpoint if there is one; returns the averaged network."""
    started = time.monotonic()
    fabric = _fabric(config)
    run = checkpoint.begun(task.network, config)
    network, optimiser = fabric.setup(run.network, run.optimiser)
    if hasattr(run.network, "restore"):  # called beside forward, so Fabric must know of it for its precision
        network.mark_forward_method("restore")
    run.average.to(fabric.device)
    examination = Examination(task, sources.validation, config.validation_samples)
    first_step = config.steps if run.ended and config.minutes else run.step  # what the clock has ended stays so
    feed = batches(task.sample, sources.training, config, first_step, fabric.global_rank, fabric.world_size)
    with Journal(config.folder, run.step, config.log_every_steps) if fabric.is_global_zero else nullcontext() as journal:
        for batch in feed:
            rate = learning_rate(run.step, config, _position(run.step, config, started, fabric))
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = task.loss(network, fabric.to_device(batch))
            fabric.backward(loss)
            fabric.clip_gradients(network, optimiser, max_norm=config.clip_norm)
            optimiser.step()
            optimiser.zero_grad()
            run.step += 1
            _follow(run.average, run.network, min(config.ema_decay, run.step / (run.step + 10)))
            run.ended = _position(run.step, config, started, fabric) >= config.steps
            if journal:
                journal.trained(run.step, loss.detach(), rate)
                _keep(run, config, examination, journal)
            if run.ended:
                break
    return run.average


def learning_rate(step: int, config: TrainConfig, position: float | None = None) -> float:
    """Warms up, stays, and falls linearly to zero in the last `decay_share` of the run; by `position`, in steps, if the clock is ahead."""
    left = (config.steps - (step if position is None else position)) / max(1.0, config.steps * config.decay_share)
    return config.learning_rate * max(0.0, min(1.0, (step + 1) / config.warmup_steps, left))


def _fabric(config: TrainConfig) -> Fabric:
    """Sets up this process, and starts one for each further device."""
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = True  # windows have one size
    fabric = Fabric(
        accelerator=config.accelerator,
        strategy=config.strategy,
        devices=config.devices,
        precision=_precision(config),  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def _precision(config: TrainConfig) -> str:
    """The precision that "auto" stands for. Without AVX-512 a CPU emulates bfloat16: a step takes 10 to 15 times as long as in float32."""
    if config.precision != "auto":
        return config.precision
    on_gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    fast = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else "AVX512" in torch.backends.cpu.get_cpu_capability()
    return "bf16-mixed" if fast else "32-true"


def _position(step: int, config: TrainConfig, started: float, fabric: Fabric) -> float:
    """How far the run is, in steps; with a limit of minutes, what the clock says if that is further. The same on every device."""
    if not config.minutes:
        return step
    passed = (time.monotonic() - started) / (60 * config.minutes)
    return fabric.broadcast(max(step, passed * config.steps))


def _keep(run: Run, config: TrainConfig, examination: Examination, journal: Journal) -> None:
    """Validates and writes checkpoints when it is time."""
    if run.ended or run.step % config.validate_every_steps == 0:
        scores, goal = examination.scores(run.average), examination.task.goal
        journal.validated(run.step, scores, examination.sheet(run.average, config.picture_samples))
        if goal and goal.reached(scores[goal.score], run.best):
            run.best = scores[goal.score]
            checkpoint.save(config.folder / checkpoint.BEST, run, config)
    if run.ended or run.step % config.checkpoint_every_steps == 0:
        checkpoint.save(config.folder / checkpoint.LAST, run, config)


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the averaged weights towards the network's; running statistics are averages already and are copied."""
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
    for kept, new in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(new)
