"""What a process counts for Prometheus: requests, steps, frames, batches. Totals over all jobs come from the database at each scrape."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.version import VERSION

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"  # the library's name for it; child processes inherit it
REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 300)
RESERVED_BYTES: Final = 2**20  # of each metrics file: more than all series of a process take
ENTRY_BYTES: Final = 32  # what an entry takes beside its key, at most
STEPS: Final = ("fetch", "clean", "publish", "settle", "notify")
STEP_SECONDS: Final = (0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280)


class Meters:
    """The metrics of one process. Labels have few values: route templates, never the requested paths."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        _register_process_collectors(registry)
        labels = ("facade", "route", "method", "status")
        self._requests = Counter("cleanplate_http_requests", "HTTP requests.", labels, registry=registry)
        self._request_seconds = Histogram(
            "cleanplate_http_request_seconds", "Duration of requests.", ("facade", "route"), buckets=REQUEST_SECONDS, registry=registry
        )
        self._step_seconds = Histogram(
            "cleanplate_step_seconds", "Duration of the steps of jobs.", ("step",), buckets=STEP_SECONDS, registry=registry
        )
        for name in STEPS:  # created now: the metrics folder is shared and may be swept when the service beside us dies
            self._step_seconds.labels(name)
        self._frames = Counter("cleanplate_frames", "Frames cleaned.", registry=registry)
        self._batches = Counter("cleanplate_batches", "Batches that the networks ran.", ("network",), registry=registry)
        self._windows = Counter("cleanplate_batch_windows", "Windows in those batches.", ("network",), registry=registry)
        self._capacity = Counter(
            "cleanplate_batch_capacity", "Windows that those batches could have held.", ("network",), registry=registry
        )
        self._counted_before: dict[str, tuple[int, int, int]] = {}

    def count_request(self, facade: str, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(facade, route, method, str(status)).inc()
        self._request_seconds.labels(facade, route).observe(seconds)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step of a job, whether it succeeds or fails."""
        started = perf_counter()
        try:
            yield
        finally:
            self._step_seconds.labels(name).observe(perf_counter() - started)

    def count_frames(self, frames: int) -> None:
        self._frames.inc(frames)

    def count_batches(self, network: str, batches: int, windows: int, capacity: int) -> None:
        """Record a network's totals so far; fill is windows / capacity. Call it from one thread only."""
        totals = (batches, windows, capacity)
        counted_before = self._counted_before.get(network, (0, 0, 0))
        for counter, count, before in zip((self._batches, self._windows, self._capacity), totals, counted_before, strict=True):
            counter.labels(network).inc(count - before)
        self._counted_before[network] = totals


class ProcessTree(Collector):
    """Version and memory of this process and all its descendants: decoders, encoders and the worker run as processes of their own."""

    def collect(self) -> Iterable[Metric]:
        version = GaugeMetricFamily("cleanplate_version", "Always 1; the label holds the version.", labels=("version",))
        version.add_metric((VERSION,), 1)
        yield version
        text = "Resident memory of this process and its descendants; shared pages count in each."
        yield GaugeMetricFamily("cleanplate_memory_bytes", text, resident_bytes(os.getpid()))


class DiskSpace(Collector):
    """Free and total space of the disk on which this process works."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        usage = shutil.disk_usage(self._folder)
        yield GaugeMetricFamily("cleanplate_disk_free_bytes", "Free space on the disk of the data folder.", usage.free)
        yield GaugeMetricFamily("cleanplate_disk_bytes", "Size of the disk of the data folder.", usage.total)


def resident_bytes(process_id: int) -> int:
    """Resident memory of a process and its descendants, in bytes; 0 if the process is gone."""
    folder = Path(f"/proc/{process_id}")
    try:
        pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
        children = {int(child) for task in (folder / "task").iterdir() for child in (task / "children").read_text(encoding="ascii").split()}
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(resident_bytes, children))


def _register_process_collectors(registry: CollectorRegistry) -> None:
    ProcessCollector(registry=registry)
    registry.register(ProcessTree())


class _ReservedFile(MmapedDict):
    """The library's mapped file of values, with its space reserved: touching a page for which the disk has no room kills the process.

    A value for which there is no room is kept in memory only, and written with its next change once there is.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            with open(filename, "ab") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVED_BYTES)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]

    def read_value(self, key: str) -> tuple[float, float]:
        return super().read_value(key) if self._has_room(key) else (0.0, 0.0)  # type: ignore[no-untyped-call]

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        if self._has_room(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _has_room(self, key: str) -> bool:
        """Whether the value has a place, or one is reserved; the library doubles the file when it is full."""
        if key not in self._positions and self._used + len(key.encode()) + ENTRY_BYTES > self._capacity:
            try:
                os.posix_fallocate(self._f.fileno(), 0, 2 * self._capacity)
            except OSError:
                return False
        return True


def share_in_folder(folder: Path) -> None:
    """Keep the metrics of this process in files of this folder, which its children share. Call it before any Meters is created."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.db"):  # of ended processes: counters restart with the service
        old.unlink(missing_ok=True)
    os.environ[FOLDER_VARIABLE] = str(folder)
    reserve_space()
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


def reserve_space() -> None:
    """Let the metrics files that this process makes hold their space. Call it before any Meters is created."""
    values.MmapedDict = _ReservedFile  # type: ignore[attr-defined]


def scrape_registry(meters: Meters, folder: Path | None, *collectors: Collector) -> CollectorRegistry:
    """The registry that a scrape reads: this process's metrics, or those of all that share the folder, plus these collectors."""
    registry = meters.registry
    if folder is not None:  # the files hold all metrics, this process's included
        registry = CollectorRegistry()
        _register_process_collectors(registry)
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    for collector in collectors:
        registry.register(collector)
    return registry
