"""Rate limits per account: moving windows, counted in this process or in a store that the fleet shares."""

import math
import time
from collections.abc import Callable
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from service.errors import RateLimited, SettingsError

SUBMIT: Final = "submit"  # new jobs
DETECT: Final = "detect"  # those of them that only look for marks, and are free by default; counted beside SUBMIT
READ: Final = "read"  # everything else


class Rates:
    """`limits`: the rate of each kind of request, as `{"submit": "20/10 second"}`. `store`: `memory://`, or the URL of a shared store."""

    def __init__(self, limits: dict[str, str], store: str = "memory://", clock: Callable[[], float] = time.time) -> None:
        try:
            self._limits: dict[str, RateLimitItem] = {name: parse(text) for name, text in limits.items()}
            self._window = MovingWindowRateLimiter(storage_from_string(store))
        except Exception as error:  # the library's exception classes differ by store
            raise SettingsError(f"rate limits: {error}") from error
        self._clock = clock

    def count(self, account_id: int, kind: str) -> None:
        """Count one request of this kind. Raises RateLimited if there were too many."""
        limit = self._limits.get(kind)
        if limit is None or self._window.hit(limit, str(account_id), kind):
            return
        reset = self._window.get_window_stats(limit, str(account_id), kind).reset_time
        raise RateLimited(f"more requests than {limit}", max(1, math.ceil(reset - self._clock())))
