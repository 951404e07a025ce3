"""The files of the metrics hold their space: no disk that fills up later can kill the process that counts, or make it forget."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, values
from prometheus_client.multiprocess import MultiProcessCollector

from service import metrics
from service.scratch import folder_in_memory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which this process keeps its metrics during the test."""
    for name in ("MmapedDict", "ValueClass"):
        monkeypatch.setattr(values, name, getattr(values, name))
    monkeypatch.setenv(metrics.FOLDER_VARIABLE, "")
    metrics.share_in_folder(tmp_path / "metrics")
    return tmp_path / "metrics"


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond this size, as on a full disk."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


def scraped(folder: Path) -> dict[str, float]:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return {sample.labels["name"]: sample.value for family in registry.collect() for sample in family.samples}


def test_the_space_is_reserved_at_once(folder: Path) -> None:
    Counter("a", "A.", registry=CollectorRegistry()).inc()
    (file,) = folder.glob("*.db")
    assert file.stat().st_blocks * 512 >= metrics.RESERVED_BYTES


def test_values_without_space_are_counted_once_there_is_some(folder: Path) -> None:
    counter = Counter("b", "B.", ("name",), registry=CollectorRegistry())
    names = [f"{number:0500}" for number in range(2500)]  # more than fit into what is reserved
    with files_of_at_most(metrics.RESERVED_BYTES):
        for name in names:
            counter.labels(name).inc()
        assert 0 < len(scraped(folder)) < len(names)
    for name in names:
        counter.labels(name).inc()
    assert scraped(folder) == dict.fromkeys(names, 2.0)
    (file,) = folder.glob("*.db")
    assert file.stat().st_blocks * 512 >= file.stat().st_size, "reserved, not sparse"


def test_a_folder_in_memory_is_this_users_alone(tmp_path: Path) -> None:
    folder = folder_in_memory(tmp_path)
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder_in_memory(tmp_path) == folder
    folder.chmod(0o777)
    assert folder_in_memory(tmp_path) is None
    folder.rmdir()
    folder.symlink_to(os.devnull)
    assert folder_in_memory(tmp_path) is None
    assert folder_in_memory(tmp_path / "missing") is None
