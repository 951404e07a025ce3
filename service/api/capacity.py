"""What requests may take of this process at the same time: threads for long work, and memory for bodies.

Queries and authentication have the default threads to themselves, so that they never wait for anything here.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

from service.errors import Busy, RateLimited

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

PARSERS: Final = 2  # they hold the interpreter's lock: more would only delay the event loop
SPOOLERS: Final = 8
STORERS: Final = 2  # a store holds up to four parts of 8 MiB of each file
FETCHERS: Final = 16
BUFFER_BYTES: Final = 64 * 2**20
SMALL_BYTES: Final = 64 * 2**10
FETCHES_OF_ACCOUNT: Final = 4  # at the same time


class Held:
    """The memory that one body holds."""

    def __init__(self, buffer: "Buffer") -> None:
        self._buffer = buffer
        self.bytes = 0

    def grow(self, to_bytes: int) -> None:
        """The body has so many bytes now. Raises Busy if all bodies together have too many; a small one is always held."""
        self._buffer.bytes += to_bytes - self.bytes
        self.bytes = to_bytes
        if self.bytes > SMALL_BYTES and self._buffer.bytes > BUFFER_BYTES:
            raise Busy("too many large requests arrive at the same time")


@dataclass
class Buffer:
    """The memory that bodies hold while they arrive."""

    bytes: int = 0

    @contextmanager
    def held(self) -> Iterator[Held]:
        held = Held(self)
        try:
            yield held
        finally:
            self.bytes -= held.bytes


@dataclass(frozen=True)
class Capacity:
    """Threads that parse bodies, write temporary files, copy files into the storage, and fetch files; and the memory of bodies."""

    parsing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(PARSERS))
    spooling: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(SPOOLERS))
    storing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(STORERS))
    fetching: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(FETCHERS))
    buffer: Buffer = field(default_factory=Buffer)
    _fetches: Counter[int] = field(default_factory=Counter)  # in progress or waiting, by account

    @contextmanager
    def fetch_of(self, account_id: int) -> Iterator[None]:
        """A fetch for an account during the block. Raises RateLimited if it has as many as it may have at the same time."""
        if self._fetches[account_id] >= FETCHES_OF_ACCOUNT:
            raise RateLimited(f"more than {FETCHES_OF_ACCOUNT} fetches at the same time")
        self._fetches[account_id] += 1
        try:
            yield
        finally:
            self._fetches[account_id] -= 1
            if not self._fetches[account_id]:
                del self._fetches[account_id]


async def in_thread(
    limiter: CapacityLimiter, function: Callable[Arguments, Result], *arguments: Arguments.args, **more: Arguments.kwargs
) -> Result:
    """The function's result, computed in one of the limiter's threads; waits until one is free."""
    return await to_thread.run_sync(lambda: function(*arguments, **more), limiter=limiter)
