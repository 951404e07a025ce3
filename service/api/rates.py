"""Rate limits, of requests per account and of wrong keys per address: moving windows, counted here or in a store that the fleet shares."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItem, parse

from service.api.windows import MEMORY, windows_of
from service.errors import RateLimited, SettingsError

SUBMIT: Final = "submit"  # new jobs
DETECT: Final = "detect"  # those of them that only look for marks, and are free by default; counted beside SUBMIT
READ: Final = "read"  # everything else
WRONG: Final = "wrong_key"


@dataclass(frozen=True)
class Window:
    """What is left of an account's limit: of `quota` requests in `seconds`, the rest, and in how many seconds the oldest is forgotten."""

    kind: str
    quota: int
    seconds: int
    left: int
    reset_seconds: int


# Of the request that is served: a list that is shared with the threads in which it is counted.
_COUNTED: ContextVar[list[Window] | None] = ContextVar("counted", default=None)


@contextmanager
def counted_windows() -> Iterator[Sequence[Window]]:
    """The windows in which the request of this block is counted, as they are then."""
    windows: list[Window] = []
    token = _COUNTED.set(windows)
    try:
        yield windows
    finally:
        _COUNTED.reset(token)


def rate_headers(windows: Sequence[Window]) -> dict[str, str]:
    """`RateLimit` and `RateLimit-Policy`, as draft 10 of the IETF's httpapi group has them."""
    if not windows:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{each.kind}";q={each.quota};w={each.seconds}' for each in windows),
        "RateLimit": ", ".join(f'"{each.kind}";r={each.left};t={each.reset_seconds}' for each in windows),
    }


class Rates:
    """`limits`: the rate of each kind of request, as `{"submit": "20/10 second"}`. `store`: `memory://`, or the URL of a shared store."""

    def __init__(self, limits: dict[str, str], store: str = MEMORY, clock: Callable[[], float] = time.time) -> None:
        with _settings_errors():
            self._limits: dict[str, RateLimitItem] = {name: parse(text) for name, text in limits.items()}
            self._windows = windows_of(store, clock)
        self._clock = clock

    def most(self, kind: str) -> int | None:
        """How many requests of this kind may be counted at once; None: any number."""
        limit = self._limits.get(kind)
        return None if limit is None else limit.amount

    def count(self, account_id: int, kind: str, cost: int = 1) -> None:
        """Count a request of this kind, as `cost` of them or not at all. Raises RateLimited if those are too many."""
        limit = self._limits.get(kind)
        if limit is None:
            return
        count = self._windows.hit(limit, str(account_id), kind, cost=cost)
        reset_seconds = max(1, math.ceil(count.reset_time - self._clock()))
        if (windows := _COUNTED.get()) is not None:
            windows.append(Window(kind, limit.amount, limit.get_expiry(), count.left, reset_seconds))
        if not count.is_within:
            raise RateLimited(f"more requests than {limit}", reset_seconds)


class WrongKeys:
    """Counts wrong keys by the address that sent them. `limit`: such as `30/minute`; `store`: as for `Rates`."""

    def __init__(self, limit: str, store: str = MEMORY, clock: Callable[[], float] = time.time) -> None:
        with _settings_errors():
            self._limit = parse(limit)
            self._windows = windows_of(store, clock)
        self._clock = clock

    def check(self, address: str) -> None:
        """Raises RateLimited if the address has sent too many."""
        count = self._windows.look(self._limit, address, WRONG)
        if not count.is_within:
            raise RateLimited("too many wrong keys from this address", max(1, math.ceil(count.reset_time - self._clock())))

    def count(self, address: str) -> None:
        self._windows.hit(self._limit, address, WRONG)


@contextmanager
def _settings_errors() -> Iterator[None]:
    """Raises SettingsError for what the library refuses, whose exception classes differ by store."""
    try:
        yield
    except Exception as error:
        raise SettingsError(f"rate limits: {error}") from error
