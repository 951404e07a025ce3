"""What a process counts for Prometheus: requests, steps, frames, batches. Sums over all jobs come from the database, when asked."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.version import VERSION

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"  # the library's own name; child processes inherit it
REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 300)
STEPS: Final = ("fetch", "clean", "publish", "settle", "notify")
STEP_SECONDS: Final = (0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280)


class Meters:
    """The figures of one process. Labels have few values: routes as they are written, never as they were asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        _tell_of_this_process(registry)
        asked = ("facade", "route", "method", "status")
        self._requests = Counter("cleanplate_http_requests", "Requests answered.", asked, registry=registry)
        self._request_seconds = Histogram(
            "cleanplate_http_request_seconds", "How long answers took.", ("facade", "route"), buckets=REQUEST_SECONDS, registry=registry
        )
        self._step_seconds = Histogram(
            "cleanplate_step_seconds", "How long the steps of jobs took.", ("step",), buckets=STEP_SECONDS, registry=registry
        )
        for name in STEPS:  # all from the start: no file is opened later, when the service that shares the folder may be dead and swept
            self._step_seconds.labels(name)
        self._frames = Counter("cleanplate_frames", "Frames cleaned.", registry=registry)
        self._batches = Counter("cleanplate_batches", "Batches that the networks ran.", ("network",), registry=registry)
        self._windows = Counter("cleanplate_batch_windows", "Windows in those batches.", ("network",), registry=registry)
        self._capacity = Counter("cleanplate_batch_capacity", "Windows that had room in those batches.", ("network",), registry=registry)
        self._told: dict[str, tuple[int, int, int]] = {}

    def count_request(self, facade: str, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(facade, route, method, str(status)).inc()
        self._request_seconds.labels(facade, route).observe(seconds)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step of a job, however it ends."""
        started = perf_counter()
        try:
            yield
        finally:
            self._step_seconds.labels(name).observe(perf_counter() - started)

    def count_frames(self, frames: int) -> None:
        self._frames.inc(frames)

    def count_batches(self, network: str, batches: int, windows: int, capacity: int) -> None:
        """Take over what a network's batcher has counted so far; the fill is windows / capacity. For one thread to call, now and then."""
        so_far = (batches, windows, capacity)
        told = self._told.get(network, (0, 0, 0))
        for counter, count, before in zip((self._batches, self._windows, self._capacity), so_far, told, strict=True):
            counter.labels(network).inc(count - before)
        self._told[network] = so_far


class Family(Collector):
    """This process with all that it started: decoders, encoders and the worker beside a service are processes of their own."""

    def collect(self) -> Iterable[Metric]:
        version = GaugeMetricFamily("cleanplate_version", "Always 1; the label tells the version.", labels=("version",))
        version.add_metric((VERSION,), 1)
        yield version
        told = "Resident memory of this process and of all that it started; what they share counts in each."
        yield GaugeMetricFamily("cleanplate_memory_bytes", told, resident_bytes(os.getpid()))


class Disk(Collector):
    """The room where this process keeps its files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        usage = shutil.disk_usage(self._folder)
        yield GaugeMetricFamily("cleanplate_disk_free_bytes", "Free space where files are worked on.", usage.free)
        yield GaugeMetricFamily("cleanplate_disk_bytes", "All space where files are worked on.", usage.total)


def resident_bytes(process_id: int) -> int:
    """Of a process and of those that it started, and so on; 0 when it is gone."""
    here = Path(f"/proc/{process_id}")
    try:
        pages = int((here / "statm").read_text(encoding="ascii").split()[1])
        children = {int(child) for task in (here / "task").iterdir() for child in (task / "children").read_text(encoding="ascii").split()}
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(resident_bytes, children))


def _tell_of_this_process(registry: CollectorRegistry) -> None:
    ProcessCollector(registry=registry)
    registry.register(Family())


def share(folder: Path) -> None:
    """Keep the figures of this process and of its children in files of this folder; call it before any Meters is built."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.db"):  # of processes that ended: counters begin anew with the service
        old.unlink(missing_ok=True)
    os.environ[FOLDER_VARIABLE] = str(folder)
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


def scraped(meters: Meters, folder: Path | None, *collectors: Collector) -> CollectorRegistry:
    """What a scrape reads: the figures of this process, or of all that share the folder with it, and these collectors."""
    registry = meters.registry
    if folder is not None:  # there the files hold all figures, of this process too
        registry = CollectorRegistry()
        _tell_of_this_process(registry)
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    for collector in collectors:
        registry.register(collector)
    return registry
