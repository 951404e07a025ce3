"""Jobs that run in parallel on one device write the same files as each job alone."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle, repeat
from pathlib import Path

import numpy as np
import pytest

from service.inference import fake
from service.inference.batcher import BATCH_SIZES, Arrays, Batcher, Session
from service.inference.session import Networks
from service.pipeline.placement import Box
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.timed_box import parse_box
from tests.footage import BlendOfReferences, EncoderOfEverything, marked, scene, write_film

WIDTH, HEIGHT = 96, 64
DEADLINE_SECONDS = 20
WITH_A_BOX = Request(boxes=(parse_box("20,12,52,36"),))  # so that all networks run, whatever is detected


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Three videos of different scenes, each with a static white mark."""
    box = Box(24, 16, 48, 32)
    stories = [[marked(scene(40 * number + i, WIDTH, HEIGHT), box) for i in range(12)] for number in range(3)]
    return [write_film(tmp_path / f"{number}.mp4", story) for number, story in enumerate(stories)]


def cleaned(source: Path, request: Request, networks: Networks, suffix: str) -> bytes:
    target = source.with_name(f"{source.stem}_{suffix}.mp4")
    clean(source, target, request, networks)
    return target.read_bytes()


def alone(sources: Sequence[Path], request: Request, networks: Networks) -> list[bytes]:
    return [cleaned(source, request, networks, "alone") for source in sources]


def in_parallel(sources: Sequence[Path], request: Request, *networks: Networks) -> list[bytes]:
    """Clean all at once, with networks for each or one for all."""
    with ThreadPoolExecutor(len(sources)) as threads:
        return list(threads.map(partial(cleaned, suffix="parallel"), sources, repeat(request), cycle(networks)))


@dataclass
class SlowStart(Session):
    """A network whose first call returns when windows of two more jobs are waiting."""

    session: Session
    batches: list[list[int]] = field(default_factory=list)  # the job of each window
    batcher: Batcher = field(init=False)

    def __post_init__(self) -> None:
        self.batcher = Batcher(self, BATCH_SIZES)

    def run(self, inputs: Arrays) -> Arrays:
        self.batches.append([int(job) for job in inputs["job"]])
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(self.batches) == 1 and self.batcher.metrics().waiting < 16:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return self.session.run(inputs)


class Labelled(Batcher):
    """A batcher that labels its windows with their job."""

    def __init__(self, batcher: Batcher, job: int) -> None:
        self._batcher = batcher
        self._job = np.float32(job)

    def begin(self, windows: Sequence[Arrays]) -> Callable[[], list[Arrays]]:
        return self._batcher.begin([window | {"job": self._job} for window in windows])

    def give_back(self) -> None:
        self._batcher.give_back()


def test_windows_of_two_jobs_share_a_batch_and_no_byte_changes(sources: list[Path]) -> None:
    """Each of three jobs has eight windows in flight, from two chunks; jobs take turns, so the second batch has windows of several."""
    fakes = replace(fake.networks(), inpainter_encoder=Batcher(EncoderOfEverything()), inpainter=Batcher(BlendOfReferences()))
    expected = alone(sources, Request(), fakes)
    slow = SlowStart(BlendOfReferences())
    shared = replace(fake.networks(BATCH_SIZES), inpainter_encoder=Batcher(EncoderOfEverything(), BATCH_SIZES))
    jobs = [replace(shared, inpainter=Labelled(slow.batcher, job)) for job in range(len(sources))]
    assert in_parallel(sources, Request(), *jobs) == expected
    assert len(slow.batches[1]) == 8
    assert len(set(slow.batches[1])) > 1
    assert len(set(expected)) == len(sources)


@pytest.fixture
def shipped() -> Iterator[Networks]:
    networks = Networks.load("cpu", threads=2)
    yield networks
    networks.close()


def test_two_parallel_jobs_with_the_shipped_networks_write_the_same_as_alone(sources: list[Path], shipped: Networks) -> None:
    assert in_parallel(sources[:2], WITH_A_BOX, shipped) == alone(sources[:2], WITH_A_BOX, shipped)
    for batcher in (shipped.segmenter, shipped.matte, shipped.inpainter_encoder, shipped.inpainter):
        metrics = batcher.metrics()
        assert metrics.windows == metrics.capacity > 0
        assert metrics.waiting == 0
