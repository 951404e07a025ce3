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
MAX_ATTEMPTS: Final = 3  # at cleaning a job, counting those that ended with the worker's death
CALLBACK_ATTEMPTS: Final = 4  # one and three retries, as the vendor documents
CALLBACK_FIRST_DELAY_SECONDS: Final = 5.0
CALLBACK_DELAY_GROWTH: Final = 6.0  # 5 s, 30 s, 3 min


def worth_a_retry(error: BaseException) -> bool:
    """Whether the step may succeed on a retry. Errors of the input or the request are permanent; unexpected ones may pass."""
    return isinstance(error, (*TRANSIENT, *PERHAPS_TRANSIENT)) or not isinstance(error, CleanplateError)


def callback_delay_seconds(attempts: int) -> float | None:
    """The delay before the next attempt after so many failed ones; None: give up."""
    if attempts >= CALLBACK_ATTEMPTS:
        return None
    return CALLBACK_FIRST_DELAY_SECONDS * CALLBACK_DELAY_GROWTH ** (attempts - 1)
