"""Threads for long work. Queries and authentication have the default ones to themselves, so that they never wait for anything here."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

from service.errors import RateLimited

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

PARSERS: Final = 2  # they hold the interpreter's lock: more would only delay the event loop
SPOOLERS: Final = 8
STORERS: Final = 2  # a store holds up to four parts of 8 MiB of each file
FETCHERS: Final = 16
FETCHES_OF_ACCOUNT: Final = 4  # at the same time


@dataclass(frozen=True)
class Threads:
    """How many threads parse bodies, write temporary files, copy files into the storage, and fetch files at the same time."""

    parsing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(PARSERS))
    spooling: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(SPOOLERS))
    storing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(STORERS))
    fetching: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(FETCHERS))
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
