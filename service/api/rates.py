"""How often an account may ask: moving windows, in this process or in a store that a fleet shares."""

import math
import time
from collections.abc import Callable
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from service.errors import RateLimited, SettingsError

SUBMIT: Final = "submit"  # new jobs
READ: Final = "read"  # everything else


class Rates:
    """`limits`: what may be done how often, as `{"submit": "20/10 second"}`. `store`: `memory://`, or the address of a shared store."""

    def __init__(self, limits: dict[str, str], store: str = "memory://", clock: Callable[[], float] = time.time) -> None:
        try:
            self._limits: dict[str, RateLimitItem] = {name: parse(text) for name, text in limits.items()}
            self._window = MovingWindowRateLimiter(storage_from_string(store))
        except Exception as error:  # the library's own kinds differ by store
            raise SettingsError(f"rate limits: {error}") from error
        self._clock = clock

    def count(self, account_id: int, what: str) -> None:
        """Count one request; raises RateLimited when there were too many."""
        limit = self._limits.get(what)
        if limit is None or self._window.hit(limit, str(account_id), what):
            return
        reset = self._window.get_window_stats(limit, str(account_id), what).reset_time
        raise RateLimited(f"more than {limit}", max(1, math.ceil(reset - self._clock())))
