"""Settings of a training run: a frozen dataclass, filled from a TOML file and `--key value` options; unknown keys are refused."""

import argparse
import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a run; saved in its checkpoints."""

    name: str
    data: Path = Path("../shared/data/train")  # a folder with clips/ and photos/
    cache: Path = Path("build/clips")  # decoded frames are kept here
    runs: Path = Path("build/runs")  # checkpoints and logs
    start: str = ""  # a checkpoint from whose averaged weights a new run starts, such as models/weights/segmenter.pt
    teacher: str = ""  # a checkpoint of the segmenter whose answers on marks are to be kept
    store: str = ""  # folders of samples that training.store drew, separated by commas; without any they are drawn as they are needed
    mistake_share: float = 0.0  # share of the segmenter's scenes that show false positives of the shipped one
    steps: int = 1000
    batch: int = 4  # samples per step and device
    learning_rate: float = 5e-4
    warmup_steps: int = 100
    decay_share: float = 0.25  # last share of the run, in which the rate falls to zero
    ema_decay: float = 0.998
    clip_norm: float = 1.0
    seed: int = 1
    threads: int = 1
    workers: int = 0  # background processes that draw samples; 0: the training process draws them
    precision: str = "auto"  # bf16-mixed where the hardware supports it, else 32-true
    accelerator: str = "auto"
    devices: int = 1  # -1: all available
    strategy: str = "auto"  # Fabric's strategy; for several devices: ddp
    minutes: float = 0  # time limit, by which the rate falls; 0: no limit
    log_every_steps: int = 25
    validate_every_steps: int = 250
    validation_samples: int = 48
    picture_samples: int = 3  # of the validation samples, drawn on the page of each validation
    checkpoint_every_steps: int = 250

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.runs / self.name


_ACCEPTED: dict[object, tuple[type, ...]] = {
    str: (str,),
    Path: (str,),
    int: (int,),
    float: (float, int),
}  # TOML types accepted for each field type


def from_command_line(arguments: list[str], defaults: TrainConfig | None = None) -> TrainConfig:
    """Parse `CONFIG.toml [--key value ...]`. Exits with a usage message on an unknown key or a wrong value."""
    fields = {f.name: f for f in dataclasses.fields(TrainConfig)}
    parser = argparse.ArgumentParser(description="Options override the keys of the file.")
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
