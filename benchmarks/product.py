"""The program under test, as the benchmarks call it."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, cast

import numpy as np
from PIL import Image

from benchmarks.given import Given
from service.inference.session import Networks
from service.pipeline.placement import Placement
from service.pipeline.request import Request
from service.pipeline.run import clean

Clean = Callable[[Path, Path, Given | None], tuple[Placement, ...]]  # source, target, and what a person gives


def cleaner(device: str) -> Clean:
    """A function that cleans a file on a device with the shipped networks, which are loaded once."""
    return cleaner_with(Networks.load(cast(Literal["auto", "cpu", "cuda"], device)))


def cleaner_with(networks: Networks) -> Clean:
    """A function that cleans a file with these networks: what they find or, where something is given, that."""

    def cleaned(source: Path, target: Path, given: Given | None = None) -> tuple[Placement, ...]:
        with TemporaryDirectory() as scratch:
            request = Request() if given is None else _pointing(given, Path(scratch))
            return clean(source, target, request, networks).placements

    return cleaned


def _pointing(given: Given, scratch: Path) -> Request:
    if given.mask is None:
        return Request(boxes=given.boxes, detect=given.detect)
    Image.fromarray(given.mask.astype(np.uint8) * 255).save(scratch / "mask.png")
    return Request(given.boxes, scratch / "mask.png", detect=given.detect)
