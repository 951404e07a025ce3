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
    steps: int = 1000
    batch: int = 4
    learning_rate: float = 5e-4
    warmup_steps: int = 100
    decay_share: float = 0.25  # the last part of the run, in which the rate falls to zero
    ema_decay: float = 0.998
    clip_norm: float = 1.0
    seed: int = 1
    threads: int = 1
    precision: str = "bf16-mixed"
    accelerator: str = "auto"
    validate_every_steps: int = 250
    validation_samples: int = 48
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
