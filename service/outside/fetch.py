"""Downloads a remote file to this disk: complete and within its limits, or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from service.disk import CHECK_BYTES, DiskGuard, is_full
from service.errors import FetchRefused, StorageError, StorageFull, TooLarge
from service.outside.exchange import Deadline, HostResponse, Pace, get
from service.outside.guard import EgressPolicy, address_of

MIB: Final = 2**20


PACE: Final = Pace(bytes_per_second=16 * 1024, grace_seconds=10)
NO_GUARD: Final = DiskGuard()


@dataclass(frozen=True)
class FetchLimits:
    """Limits of a download: size in bytes, total time, the longest silence of the host, and its slowest pace."""

    bytes: int = 200 * MIB
    seconds: float = 120
    stall_seconds: float = 20
    pace: Pace = PACE


@dataclass(frozen=True)
class Fetched:
    """A downloaded file: its size, its final URL after redirects, and the content type that the host declared."""

    bytes: int
    content_type: str | None
    final_url: str


def ignore(_done_bytes: int) -> None:
    """Ignore progress."""


def fetch(
    url: str,
    target: Path,
    egress: EgressPolicy,
    limits: FetchLimits,
    on_progress: Callable[[int], None] = ignore,
    disk: DiskGuard = NO_GUARD,
    shown_host: str | None = None,
) -> Fetched:
    """Download a file to `target`, unchanged; an error leaves no file, and names the host, or says `shown_host` instead.

    `on_progress` gets the bytes so far, also while the host is silent, and may raise to stop.
    Raises FetchRefused, FetchTooSlow, FetchUnavailable, TooLarge, StorageFull, StorageError.
    """
    progress = _Progress(limits, on_progress, disk)
    deadline = Deadline(limits.seconds, limits.stall_seconds, limits.pace, progress.report)
    with get(address_of(url), egress, deadline, shown_host) as response:
        disk.require(_announced_bytes(response, limits))
        with _new_file(target) as file:
            for part in response.body:
                progress.add(len(part))
                file.write(part)
            if not progress.done_bytes:
                raise FetchRefused(f"{response.host} sent an empty file")
        return Fetched(progress.done_bytes, _content_type(response), str(response.address))


class _Progress:
    """Counts the bytes, and checks size and free space. Raises TooLarge, StorageFull."""

    def __init__(self, limits: FetchLimits, on_progress: Callable[[int], None], disk: DiskGuard) -> None:
        self.done_bytes = 0
        self._limits = limits
        self._on_progress = on_progress
        self._disk = disk
        self._checked_bytes = 0

    def report(self) -> None:
        self._on_progress(self.done_bytes)

    def add(self, part_bytes: int) -> None:
        self.done_bytes += part_bytes
        if self.done_bytes > self._limits.bytes:
            raise TooLarge(f"the file has more than {self._limits.bytes / MIB:g} MiB, which is the limit")
        if self.done_bytes - self._checked_bytes > CHECK_BYTES:
            self._checked_bytes = self.done_bytes
            self._disk.require()
        self.report()


def _announced_bytes(response: HostResponse, limits: FetchLimits) -> int:
    """How much the host will send, 0 if it does not say. Raises TooLarge."""
    announced_bytes = int(response.headers.get("Content-Length", 0))  # digits only: the HTTP parser has checked it
    if announced_bytes > limits.bytes:
        raise TooLarge(f"the file has {announced_bytes / MIB:.1f} MiB, the limit is {limits.bytes / MIB:g} MiB")
    return announced_bytes


def _content_type(response: HostResponse) -> str | None:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower() or None


@contextmanager
def _new_file(target: Path) -> Iterator[BinaryIO]:
    """A new file, removed again on any error."""
    try:
        with target.open("wb") as file:
            yield file
    except OSError as error:  # from the disk only: network errors are FetchErrors by now
        target.unlink(missing_ok=True)
        if is_full(error):
            raise StorageFull("the disk is full") from error
        raise StorageError(f"cannot write the fetched file: {(error.strerror or 'unknown').lower()}") from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
