"""A stranger's file onto this disk: whole, within its limits, or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from service.errors import FetchRefused, StorageError, TooLarge
from service.outside.exchange import Answer, Deadline, get
from service.outside.guard import EgressPolicy, address_of

MIB: Final = 2**20


@dataclass(frozen=True)
class FetchLimits:
    """What a file may cost: its size, the time from the first try to the last byte, the longest silence."""

    bytes: int = 200 * MIB
    seconds: float = 120
    stall_seconds: float = 20


@dataclass(frozen=True)
class Fetched:
    """What came, and from where after all redirects; the type is what the host says, its bytes may say otherwise."""

    bytes: int
    content_type: str | None
    final_url: str


def ignore(_done_bytes: int) -> None:
    """Watch nothing."""


def fetch(url: str, target: Path, egress: EgressPolicy, limits: FetchLimits, watch: Callable[[int], None] = ignore) -> Fetched:
    """Fetch a file into `target`, as it is on the wire. `watch` hears the bytes so far and may raise to end it; an error leaves no file."""
    deadline = Deadline(limits.seconds, limits.stall_seconds)
    with get(address_of(url), egress, deadline) as answer:
        _check_promise(answer, limits)
        with _new_file(target) as file:
            done_bytes = _copy(answer, file, limits, watch)
            if not done_bytes:
                raise FetchRefused(f"{answer.host} sent an empty file")
        return Fetched(done_bytes, _content_type(answer), str(answer.address))


def _check_promise(answer: Answer, limits: FetchLimits) -> None:
    promised_bytes = int(answer.headers.get("Content-Length", 0))  # digits: the protocol's parser sees to it
    if promised_bytes > limits.bytes:
        raise TooLarge(f"the file has {promised_bytes / MIB:.1f} MiB, the limit is {limits.bytes / MIB:g} MiB")


def _copy(answer: Answer, file: BinaryIO, limits: FetchLimits, watch: Callable[[int], None]) -> int:
    done_bytes = 0
    for part in answer.body:
        done_bytes += len(part)
        if done_bytes > limits.bytes:
            raise TooLarge(f"the file has more than {limits.bytes / MIB:g} MiB, which is the limit")
        file.write(part)
        watch(done_bytes)
    return done_bytes


def _content_type(answer: Answer) -> str | None:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() or None


@contextmanager
def _new_file(target: Path) -> Iterator[BinaryIO]:
    """A file to write, which is gone again if anything goes wrong."""
    try:
        with target.open("wb") as file:
            yield file
    except OSError as error:  # the disk's alone: those of the network have other names by now
        target.unlink(missing_ok=True)
        raise StorageError(f"the fetched file cannot be kept: {(error.strerror or 'unknown').lower()}") from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
