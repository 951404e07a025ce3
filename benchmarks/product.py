"""The program under test, as the benchmarks call it."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, cast

import numpy as np
from PIL import Image

from service.inference.session import Networks
from service.pipeline.placement import Placement, bounding_box
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.timed_box import TimedBox
from training.metrics import Mask

Clean = Callable[[Path, Path, Mask | None], tuple[Placement, ...]]  # source, target, and the region that a person gives


def cleaner(device: str) -> Clean:
    """A function that cleans a file on a device with the shipped networks, which are loaded once."""
    return cleaner_with(Networks.load(cast(Literal["auto", "cpu", "cuda"], device)))


def cleaner_with(networks: Networks) -> Clean:
    """A function that cleans a file with these networks: what they find or, where a region is given, that alone.

    A region that is a rectangle is given as a box, any other as a mask.
    """

    def cleaned(source: Path, target: Path, region: Mask | None = None) -> tuple[Placement, ...]:
        with TemporaryDirectory() as scratch:
            request = Request() if region is None else _pointing(region, Path(scratch))
            return clean(source, target, request, networks).placements

    return cleaned


def _pointing(region: Mask, scratch: Path) -> Request:
    box = bounding_box(region)
    if region[box.slices].all():
        corners = (float(value) for value in (box.left, box.top, box.right, box.bottom))
        return Request(boxes=(TimedBox(*corners),), detect=False)
    Image.fromarray(region.astype(np.uint8) * 255).save(scratch / "mask.png")
    return Request(mask=scratch / "mask.png", detect=False)
