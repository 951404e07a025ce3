"""What requests may take of this process at the same time: threads for long work, and memory for bodies.

Queries and authentication have the default threads to themselves, so that they never wait for anything here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

from service.disk import DiskGuard
from service.errors import Busy

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

PARSERS: Final = 2  # they hold the interpreter's lock: more would only delay the event loop
SPOOLERS: Final = 8
STORERS: Final = 2  # a store holds up to four parts of 8 MiB of each file
BUFFER_BYTES: Final = 64 * 2**20  # of all bodies that arrive at the same time
SMALL_BYTES: Final = 64 * 2**10  # a body that is always received


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
    """Threads that parse bodies, write temporary files, and copy files into the storage; the memory of bodies; and space on the disk."""

    parsing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(PARSERS))
    spooling: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(SPOOLERS))
    storing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(STORERS))
    buffer: Buffer = field(default_factory=Buffer)
    disk: DiskGuard = field(default_factory=DiskGuard)


async def in_thread(
    limiter: CapacityLimiter, function: Callable[Arguments, Result], *arguments: Arguments.args, **more: Arguments.kwargs
) -> Result:
    """The function's result, computed in one of the limiter's threads; waits until one is free."""
    return await to_thread.run_sync(lambda: function(*arguments, **more), limiter=limiter)
