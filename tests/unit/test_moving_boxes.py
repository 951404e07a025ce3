"""A person's moving box is grown to the mark where it is seen beyond the box, and is as given elsewhere. Fake network."""

from contextlib import nullcontext

import numpy as np
import pytest

from service.inference import fake
from service.pipeline.locate.locate import locate
from service.pipeline.placement import Box
from service.pipeline.request import Request
from service.pipeline.video import Limits
from service.timed_box import TimedBox
from tests.footage import FPS, Picture, described, film, marked, texture

WIDTH, HEIGHT, TOTAL = 160, 120, 24
INFO = described(WIDTH, HEIGHT, frames=TOTAL)
STILL = np.rint(texture(5, WIDTH, HEIGHT) * 255).astype(np.uint8)
SECONDS = (TOTAL - 1) / FPS


def bouncing(index: int) -> Box:
    """Down to the middle of its way and up again, by ten pixels, while it goes right."""
    top = 40 + 10 - abs(10 - index * 20 // (TOTAL - 1))
    return Box(10 + 3 * index, top, 34 + 3 * index, top + 12)


def around(box: Box) -> tuple[float, float, float, float]:
    return box.left - 2.0, box.top - 2.0, box.right + 2.0, box.bottom + 2.0


def regions(pictures: list[Picture], timed: TimedBox) -> list[np.ndarray]:
    """(H, W) of each frame: what is removed for the box."""
    frames = film(pictures)
    request, network = Request(boxes=(timed,), detect=False), fake.networks().segmenter
    candidates, _ = locate(frames, lambda: nullcontext(frames), INFO, request, network, Limits())
    covered = [np.zeros((HEIGHT, WIDTH), bool) for _ in frames]
    for one in candidates:
        for region in covered[one.first_sample : one.last_sample + 1]:
            region[one.box.slices] |= one.probability > 0.5
    return covered


def test_a_mark_that_leaves_its_even_path_is_covered_in_every_frame() -> None:
    timed = TimedBox(*around(bouncing(0)), 0.0, SECONDS, around(bouncing(TOTAL - 1)))
    pictures = [marked(STILL, bouncing(index)) for index in range(TOTAL)]
    for index, region in enumerate(regions(pictures, timed)):
        assert region[bouncing(index).slices].all()
        assert region.sum() < 50 * 40
    alone = regions([STILL] * TOTAL, timed)
    assert not all(region[bouncing(index).slices].all() for index, region in enumerate(alone)), "the box alone does not cover it"


@pytest.mark.parametrize("other", [Box(110, 90, 134, 102), Box(60, 20, 64, 24)])
def test_what_is_seen_elsewhere_or_looks_otherwise_does_not_count(other: Box) -> None:
    timed = TimedBox(*around(bouncing(0)), 0.0, SECONDS, around(bouncing(TOTAL - 1)))
    first = [marked(STILL, bouncing(0))]
    for with_it, without in zip(regions(first + [marked(STILL, other)] * (TOTAL - 1), timed), regions([STILL] * TOTAL, timed), strict=True):
        assert np.array_equal(with_it, without)
