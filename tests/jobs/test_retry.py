"""Which errors are retried, and when a callback is given up."""

import pytest

from service import errors
from service.errors import CleanplateError
from service.jobs.retry import callback_delay_seconds, worth_a_retry

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CleanplateError)]
AGAIN = {"FetchUnavailable", "StorageError", "StorageFull", "ContentCheckFailed", "DecodeFailed", "EncodeFailed"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_transient_errors_are_retried_and_permanent_ones_are_not(kind: type[CleanplateError]) -> None:
    error = kind.__new__(kind)
    assert worth_a_retry(error) == (kind.__name__ in AGAIN)


@pytest.mark.parametrize("error", [OSError("disk"), MemoryError(), KeyError("bug")])
def test_unexpected_errors_are_retried(error: Exception) -> None:
    assert worth_a_retry(error)


def test_a_callback_of_kie_is_tried_four_times_at_growing_intervals() -> None:
    assert [callback_delay_seconds(attempts, "kie") for attempts in (1, 2, 3, 4, 5)] == [5, 30, 180, None, None]


def test_other_callbacks_are_tried_for_three_days_at_growing_intervals() -> None:
    delays = [delay for attempts in range(1, 11) if (delay := callback_delay_seconds(attempts, "native")) is not None]
    assert len(delays) == 10
    assert callback_delay_seconds(11, "native") is None
    assert delays == sorted(delays)
    assert 72 <= sum(delays) / 3600 <= 96
    assert max(delays) <= 24 * 3600
