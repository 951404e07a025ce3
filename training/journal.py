"""Logs a run: `log.jsonl`, TensorBoard events, pictures of its validations, and lines in the terminal."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import torch
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from training.pages import Sheet


@dataclass
class Tally:
    """Mean loss and seconds per step since it was created. Losses stay on their device until they are read."""

    losses: list[Tensor] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def loss(self) -> float:
        return float(torch.stack(self.losses).float().mean())

    @property
    def seconds(self) -> float:
        return (time.monotonic() - self.started) / len(self.losses)


class Journal:
    """The logs of a run, written by one process. When resuming, TensorBoard events after `first_step` are discarded."""

    def __init__(self, folder: Path, first_step: int, every_steps: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._every_steps = folder, every_steps
        self._board = SummaryWriter(str(folder), purge_step=first_step)
        self._recent, self._since_validation = Tally(), Tally()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._board.close()

    def log_step(self, step: int, loss: Tensor, rate: float) -> None:
        """Record the loss of a step; write to TensorBoard every few steps."""
        self._recent.losses.append(loss)
        self._since_validation.losses.append(loss)
        if len(self._recent.losses) == self._every_steps:
            self._plot(step, "training", {"loss": self._recent.loss, "learning_rate": rate, "seconds_per_step": self._recent.seconds})
            self._recent = Tally()

    def log_validation(self, step: int, scores: dict[str, float], sheet: Sheet | None) -> None:
        """Log a validation everywhere; `loss` and `seconds` are means over the steps since the previous one."""
        row = {"step": step, "loss": self._since_validation.loss, "seconds": self._since_validation.seconds, **scores}
        print("  ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
        with (self._folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        self._plot(step, "validation", scores)
        if sheet is not None:
            self._board.add_image("validation", sheet, step, dataformats="HWC")
            pictures = self._folder / "pictures"
            pictures.mkdir(exist_ok=True)
            Image.fromarray(sheet).save(pictures / f"step_{step:07}.png")
        self._recent, self._since_validation = Tally(), Tally()

    def _plot(self, step: int, group: str, values: dict[str, float]) -> None:
        for key, value in values.items():
            self._board.add_scalar(f"{group}/{key}", value, step)
