"""Settings of a training run: a frozen dataclass, filled from one TOML file and `--key value`; an unknown key is refused."""

import argparse
import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run does; saved whole into its checkpoints."""

    name: str
    data: Path = Path("../shared/data/train")  # a folder with clips/ and photos/
    cache: Path = Path("build/clips")  # decoded frames are kept here
    runs: Path = Path("build/runs")  # checkpoints and logs
    start: str = ""  # a checkpoint whose averaged weights a fresh run begins with, such as models/weights/segmenter.pt
    mistake_share: float = 0.0  # of the segmenter's scenes, that go back to what the shipped one takes for marks; 0: nobody looks for that
    steps: int = 1000
    batch: int = 4  # samples of a step, for each device
    learning_rate: float = 5e-4
    warmup_steps: int = 100
    decay_share: float = 0.25  # the last part of the run, in which the rate falls to zero
    ema_decay: float = 0.998
    clip_norm: float = 1.0
    seed: int = 1
    threads: int = 1
    workers: int = 0  # processes that draw samples in the background; 0: the loop draws them itself
    precision: str = "auto"  # bf16-mixed where the processor computes with it, else 32-true
    accelerator: str = "auto"
    devices: int = 1  # -1: all that there are
    strategy: str = "auto"  # of Fabric, for several devices: ddp
    minutes: float = 0  # the run ends after this time, its rate falling by the clock; 0: it takes what its steps take
    log_every_steps: int = 25
    validate_every_steps: int = 250
    validation_samples: int = 48
    picture_samples: int = 3  # of them, drawn on the page of each validation
    checkpoint_every_steps: int = 250

    @property
    def folder(self) -> Path:
        return self.runs / self.name


_ACCEPTED: dict[object, tuple[type, ...]] = {str: (str,), Path: (str,), int: (int,), float: (float, int)}  # of a key's type, in TOML


def from_command_line(arguments: list[str], defaults: TrainConfig | None = None) -> TrainConfig:
    """`CONFIG.toml [--key value ...]` -> settings. Exits with a usage message on an unknown key or a wrong value."""
    fields = {f.name: f for f in dataclasses.fields(TrainConfig)}
    parser = argparse.ArgumentParser(description="Keys override the file's.")
    parser.add_argument("config", type=Path)
    for name, field in fields.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=field.type if isinstance(field.type, type) else str)
    given = vars(parser.parse_args(arguments))
    from_file = tomllib.loads(given.pop("config").read_text())
    if unknown := set(from_file) - set(fields):
        parser.error(f"unknown key in the file: {', '.join(sorted(unknown))}")
    if wrong := [key for key, value in from_file.items() if not isinstance(value, _ACCEPTED[fields[key].type])]:
        parser.error(f"wrong type in the file: {', '.join(sorted(wrong))}")
    values = {**(dataclasses.asdict(defaults) if defaults else {}), **from_file, **{k: v for k, v in given.items() if v is not None}}
    return TrainConfig(**{k: Path(v) if fields[k].type is Path else v for k, v in values.items()})
