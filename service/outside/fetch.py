"""Downloads a remote file to this disk: complete and within its limits, or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from service.errors import FetchRefused, StorageError, TooLarge
from service.outside.exchange import Deadline, HostResponse, get
from service.outside.guard import EgressPolicy, address_of

MIB: Final = 2**20


@dataclass(frozen=True)
class FetchLimits:
    """Limits of a download: size in bytes, total time, and the longest silence of the host."""

    bytes: int = 200 * MIB
    seconds: float = 120
    stall_seconds: float = 20


@dataclass(frozen=True)
class Fetched:
    """A downloaded file: its size, its final URL after redirects, and the content type that the host declared."""

    bytes: int
    content_type: str | None
    final_url: str


def ignore(_done_bytes: int) -> None:
    """Ignore progress."""


def fetch(url: str, target: Path, egress: EgressPolicy, limits: FetchLimits, on_progress: Callable[[int], None] = ignore) -> Fetched:
    """Download a file to `target`, unchanged. `on_progress` gets the bytes so far and may raise to stop; an error leaves no file.

    Raises FetchRefused, FetchUnavailable, TooLarge, StorageError.
    """
    deadline = Deadline(limits.seconds, limits.stall_seconds)
    with get(address_of(url), egress, deadline) as response:
        _check_announced_size(response, limits)
        with _new_file(target) as file:
            done_bytes = _copy(response, file, limits, on_progress)
            if not done_bytes:
                raise FetchRefused(f"{response.host} sent an empty file")
        return Fetched(done_bytes, _content_type(response), str(response.address))


def _check_announced_size(response: HostResponse, limits: FetchLimits) -> None:
    announced_bytes = int(response.headers.get("Content-Length", 0))  # digits only: the HTTP parser has checked it
    if announced_bytes > limits.bytes:
        raise TooLarge(f"the file has {announced_bytes / MIB:.1f} MiB, the limit is {limits.bytes / MIB:g} MiB")


def _copy(response: HostResponse, file: BinaryIO, limits: FetchLimits, on_progress: Callable[[int], None]) -> int:
    done_bytes = 0
    for part in response.body:
        done_bytes += len(part)
        if done_bytes > limits.bytes:
            raise TooLarge(f"the file has more than {limits.bytes / MIB:g} MiB, which is the limit")
        file.write(part)
        on_progress(done_bytes)
    return done_bytes


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
        raise StorageError(f"cannot write the fetched file: {(error.strerror or 'unknown').lower()}") from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
