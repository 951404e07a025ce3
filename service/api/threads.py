"""Threads for long work. Queries and authentication have the default ones to themselves, so that they never wait for anything here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

PARSERS: Final = 2  # they hold the interpreter's lock: more would only delay the event loop
SPOOLERS: Final = 8
STORERS: Final = 2  # a store holds up to four parts of 8 MiB of each file


@dataclass(frozen=True)
class Threads:
    """How many threads parse bodies, write temporary files, and copy files into the storage at the same time."""

    parsing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(PARSERS))
    spooling: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(SPOOLERS))
    storing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(STORERS))


async def in_thread(
    limiter: CapacityLimiter, function: Callable[Arguments, Result], *arguments: Arguments.args, **more: Arguments.kwargs
) -> Result:
    """The function's result, computed in one of the limiter's threads; waits until one is free."""
    return await to_thread.run_sync(lambda: function(*arguments, **more), limiter=limiter)
