"""Moving windows: how many requests there were lately, counted in this process or in a store that the fleet shares."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from limits import RateLimitItem
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

MEMORY: Final = "memory://"
SWEEP_SECONDS: Final = 60.0  # until what nobody asks for is forgotten; what is asked for is never more than its limit


@dataclass(frozen=True)
class Count:
    """A window after a request. `is_within`: whether there was room for it; `reset_time`: when the oldest is forgotten, by the clock."""

    is_within: bool
    left: int
    reset_time: float


class Windows(Protocol):
    """Windows of any number of names."""

    def hit(self, limit: RateLimitItem, *names: str, cost: int = 1) -> Count:
        """Count a request as `cost`, if there is room for all of that."""

    def look(self, limit: RateLimitItem, *names: str) -> Count:
        """What `hit` would say of a cost of 1, without counting."""


class MemoryWindows:
    """In this process. A request costs the same however many there were: the library's own store looks at all of them, ten ms apart."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._hits: dict[tuple[str, ...], deque[float]] = {}  # when each is forgotten, oldest first
        self._swept_at = clock()

    def hit(self, limit: RateLimitItem, *names: str, cost: int = 1) -> Count:
        return self._count(limit, (str(limit), *names), cost, counts=True)

    def look(self, limit: RateLimitItem, *names: str) -> Count:
        return self._count(limit, (str(limit), *names), 1, counts=False)

    def _count(self, limit: RateLimitItem, names: tuple[str, ...], cost: int, *, counts: bool) -> Count:
        now = self._clock()
        with self._lock:
            if now > self._swept_at + SWEEP_SECONDS:
                self._swept_at = now
                self._hits = {each: hits for each, hits in self._hits.items() if hits[-1] > now}
            hits = self._hits.get(names) or deque()
            while hits and hits[0] <= now:
                hits.popleft()
            is_within = len(hits) + cost <= limit.amount
            if is_within and counts:
                hits.extend([now + limit.get_expiry()] * cost)
            if hits:
                self._hits[names] = hits
            else:
                self._hits.pop(names, None)
            return Count(is_within, limit.amount - len(hits), hits[0] if hits else now + limit.get_expiry())


class SharedWindows:
    """In a store such as Redis, by its URL. Raises what the library raises for a URL that it does not know."""

    def __init__(self, url: str) -> None:
        self._limiter = MovingWindowRateLimiter(storage_from_string(url))

    def hit(self, limit: RateLimitItem, *names: str, cost: int = 1) -> Count:
        is_within = self._limiter.hit(limit, *names, cost=cost)
        stats = self._limiter.get_window_stats(limit, *names)
        return Count(is_within, stats.remaining, stats.reset_time)

    def look(self, limit: RateLimitItem, *names: str) -> Count:
        stats = self._limiter.get_window_stats(limit, *names)
        return Count(stats.remaining > 0, stats.remaining, stats.reset_time)


def windows_of(url: str, clock: Callable[[], float]) -> Windows:
    """The windows of a setting: `memory://`, or a shared store."""
    return MemoryWindows(clock) if url == MEMORY else SharedWindows(url)
