"""Decides which errors are retried, and when. Pure."""

from typing import Final

from service.errors import (
    CleanplateError,
    ContentCheckFailed,
    DecodeFailed,
    EncodeFailed,
    FetchUnavailable,
    StorageError,
    StorageFull,
)

TRANSIENT: Final = (FetchUnavailable, StorageError, StorageFull, ContentCheckFailed)
PERHAPS_TRANSIENT: Final = (DecodeFailed, EncodeFailed)  # possibly the machine's fault: out of memory, a full disk
MAX_ATTEMPTS: Final = 3  # to fetch a job, and to clean it; only those that ended with the worker's death count
HOUR_SECONDS: Final = 3600.0
THREE_RETRIES_SECONDS: Final = (5.0, 30.0, 180.0)
THREE_DAYS_SECONDS: Final = (*THREE_RETRIES_SECONDS, 1800.0, *(hours * HOUR_SECONDS for hours in (2, 5, 10, 14, 20, 24)))
CALLBACK_DELAYS_SECONDS: Final = {"kie": THREE_RETRIES_SECONDS}  # by facade, as its vendor documents; others have three days


def worth_a_retry(error: BaseException) -> bool:
    """Whether the step may succeed on a retry. Errors of the input or the request are permanent; unexpected ones may pass."""
    return isinstance(error, (*TRANSIENT, *PERHAPS_TRANSIENT)) or not isinstance(error, CleanplateError)


def callback_delay_seconds(attempts: int, facade: str, *, for_days: bool = False) -> float | None:
    """The delay before the next attempt after so many failed ones; None: give up. `for_days`: whatever the vendor documents."""
    delays_seconds = THREE_DAYS_SECONDS if for_days else CALLBACK_DELAYS_SECONDS.get(facade, THREE_DAYS_SECONDS)
    return delays_seconds[attempts - 1] if attempts <= len(delays_seconds) else None
