"""The program under test, as the benchmarks call it."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

from service.inference.session import Networks
from service.pipeline.placement import Placement
from service.pipeline.request import Request
from service.pipeline.run import clean


def cleaner(device: str) -> Callable[[Path, Path], tuple[Placement, ...]]:
    """A function (source, target) that cleans a file on a device with the shipped networks, which are loaded once."""
    return cleaner_with(Networks.load(cast(Literal["auto", "cpu", "cuda"], device)))


def cleaner_with(networks: Networks) -> Callable[[Path, Path], tuple[Placement, ...]]:
    """A function (source, target) that cleans a file with these networks."""
    return lambda source, target: clean(source, target, Request(), networks).placements
