"""Which errors are worth another try, and when. Pure."""

from typing import Final

from service.errors import (
    CleanplateError,
    ContentCheckFailed,
    DecodeFailed,
    EncodeFailed,
    FetchUnavailable,
    StorageError,
)

TRANSIENT: Final = (FetchUnavailable, StorageError, ContentCheckFailed)
ONCE_MORE: Final = (DecodeFailed, EncodeFailed)  # may be the machine's fault: out of memory, a full disk
MOST_ATTEMPTS: Final = 3  # of a job's cleaning, those included that ended with the worker's death
CALLBACK_ATTEMPTS: Final = 4  # the first, and three retries (the vendor's own number)
CALLBACK_FIRST_DELAY_SECONDS: Final = 5.0
CALLBACK_DELAY_GROWTH: Final = 6.0  # 5 s, 30 s, 3 min


def worth_a_retry(error: BaseException) -> bool:
    """Whether the same step may succeed next time; what is wrong with the input or the request stays wrong."""
    return isinstance(error, (*TRANSIENT, *ONCE_MORE)) or not isinstance(error, CleanplateError)


def callback_delay_seconds(attempts: int) -> float | None:
    """How long to wait after so many failed deliveries; None: give up."""
    if attempts >= CALLBACK_ATTEMPTS:
        return None
    return CALLBACK_FIRST_DELAY_SECONDS * CALLBACK_DELAY_GROWTH ** (attempts - 1)
