"""The training loop of the three networks: sample, loss, step, average, validate, checkpoint.

Sample i depends on (seed, i) alone, and the step determines the next samples, so a resumed run ends with the same weights as an
uninterrupted one. With several devices, each takes its own samples of a step, and the gradients are averaged.
"""

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

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
from training.stored import StoredSamples
from training.task import Task
from training.validation import Validation
from training.vocabulary import training_vocabulary

HELD_OUT = ("sam2_blocks", "intel_car", "pexels_dog_eating", "tam_aquarium", "scott_riley", "maple_leaf", "tunnel", "lighthouse", "mr_lee")


@dataclass(frozen=True)
class Sources:
    """Clips to train on, and held-out clips."""

    training: Source
    validation: Source


def open_sources(config: TrainConfig) -> Sources:
    """The configured clips, split by name; with `mistake_share`, also false positives of the shipped segmenter in the training clips."""
    every_clip, vocabulary = clips.load(config.data, config.cache), training_vocabulary()
    held_out = tuple(c for c in every_clip if c.name.rsplit(".", 1)[0] in HELD_OUT)
    training_clips = tuple(c for c in every_clip if c not in held_out)
    cutouts, found = cutouts_under(), mistakes(training_clips, config.cache) if config.mistake_share else ()
    training = Source(training_clips, vocabulary, config.seed, cutouts, found, config.mistake_share)
    return Sources(training, Source(held_out or training_clips, vocabulary, 10**6 + config.seed, cutouts))


def fit(task: Task, config: TrainConfig, sources: Sources) -> nn.Module:
    """Train until the steps or the minutes are over, from the run's last checkpoint if there is one; return the averaged network."""
    started = time.monotonic()
    fabric = _fabric(config)
    run = checkpoint.start_or_resume(task.network, config)
    network, optimiser = fabric.setup(run.network, run.optimiser)
    if hasattr(run.network, "encode_and_restore"):  # called instead of forward, so Fabric must apply its precision to it
        network.mark_forward_method("encode_and_restore")
    run.average.to(fabric.device)
    validation = Validation(task, sources.validation, config.validation_samples)
    first_step = config.steps if run.ended and config.minutes else run.step  # a run ended by the clock is not continued
    stores = [Path(folder) for folder in config.store.split(",") if folder]
    sample = StoredSamples(stores, task.name, config.seed) if stores else task.sample
    feed = batches(sample, sources.training, config, first_step, fabric.global_rank, fabric.world_size)
    with Journal(config.folder, run.step, config.log_every_steps) if fabric.is_global_zero else nullcontext() as journal:
        for batch in feed:
            rate = learning_rate(run.step, config, _progress(run.step, config, started, fabric))
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = task.loss(network, fabric.to_device(batch))
            fabric.backward(loss)
            fabric.clip_gradients(network, optimiser, max_norm=config.clip_norm)
            optimiser.step()
            optimiser.zero_grad()
            run.step += 1
            _update_average(run.average, run.network, min(config.ema_decay, run.step / (run.step + 10)))
            run.ended = _progress(run.step, config, started, fabric) >= config.steps
            if journal:
                journal.log_step(run.step, loss.detach(), rate)
                _validate_and_save(run, config, validation, journal)
            if run.ended:
                break
    return run.average


def learning_rate(step: int, config: TrainConfig, progress: float | None = None) -> float:
    """The rate at a step: it warms up, stays constant, and falls linearly to zero in the last `decay_share` of the run.

    `progress`: how far the run is, in steps, if the clock is ahead of the step.
    """
    decay = (config.steps - (step if progress is None else progress)) / max(1.0, config.steps * config.decay_share)
    return config.learning_rate * max(0.0, min(1.0, (step + 1) / config.warmup_steps, decay))


def _fabric(config: TrainConfig) -> Fabric:
    """Set up this process, and start one for each further device."""
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = True  # all windows have the same size
    fabric = Fabric(
        accelerator=config.accelerator,
        strategy=config.strategy,
        devices=config.devices,
        precision=_precision(config),  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def _precision(config: TrainConfig) -> str:
    """Resolve the precision "auto". A CPU without AVX-512 emulates bfloat16, and a step takes 10 to 15 times as long as in float32."""
    if config.precision != "auto":
        return config.precision
    on_gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    fast = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else "AVX512" in torch.backends.cpu.get_cpu_capability()
    return "bf16-mixed" if fast else "32-true"


def _progress(step: int, config: TrainConfig, started: float, fabric: Fabric) -> float:
    """How far the run is, in steps: by step or, with a time limit, by the clock if that is further. The same on every device."""
    if not config.minutes:
        return step
    elapsed_share = (time.monotonic() - started) / (60 * config.minutes)
    return fabric.broadcast(max(step, elapsed_share * config.steps))


def _validate_and_save(run: Run, config: TrainConfig, validation: Validation, journal: Journal) -> None:
    """Validate and write checkpoints at their intervals, and at the end."""
    if run.ended or run.step % config.validate_every_steps == 0:
        scores, goal = validation.scores(run.average), validation.task.goal
        journal.log_validation(run.step, scores, validation.sheet(run.average, config.picture_samples))
        if goal and goal.is_better(scores[goal.score], run.best):
            run.best = scores[goal.score]
            checkpoint.save(config.folder / checkpoint.BEST, run, config)
    if run.ended or run.step % config.checkpoint_every_steps == 0:
        checkpoint.save(config.folder / checkpoint.LAST, run, config)


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Update the exponential moving average of the weights; running statistics are averages already and are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
    for averaged, current in zip(average.buffers(), network.buffers(), strict=True):
        averaged.copy_(current)
