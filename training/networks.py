"""Restores the three networks from checkpoints, by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.inpainter import InpainterConfig
from models.matte import MatteConfig
from models.segmenter import SegmenterConfig
from training import checkpoint, train_inpainter, train_matte, train_segmenter
from training.config import TrainConfig
from training.task import Task

_MADE_BY: dict[str, tuple[Callable[..., Task], Callable[..., Any]]] = {
    "segmenter": (train_segmenter.task, SegmenterConfig),
    "matte": (train_matte.task, MatteConfig),
    "inpainter": (train_inpainter.task, InpainterConfig),
}
NAMES = tuple(_MADE_BY)


class CheckpointMismatch(Exception):
    """A checkpoint does not fit this version of its network."""


def restored(name: str, path: Path) -> Task:
    """The task with the network of a checkpoint and its averaged weights. Raises CheckpointMismatch if it does not fit."""
    make_task, make_config = _MADE_BY[name]
    state = checkpoint.load(path)
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in state["network_config"].items()}
    try:
        task = make_task(TrainConfig(name), make_config(**config))
        task.network.load_state_dict(state["average"])
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointMismatch(f"{path} is of another version of the {name}") from error
    return task


def checkpoint_in(folder: Path, name: str) -> Path | None:
    """A network's checkpoint in a folder of weights (NAME.pt) or of runs (NAME/best.pt, else NAME/last.pt); None if there is none."""
    places = (folder / f"{name}.pt", folder / name / checkpoint.BEST, folder / name / checkpoint.LAST)
    return next((path for path in places if path.exists()), None)
