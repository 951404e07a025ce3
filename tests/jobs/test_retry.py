"""Which errors are tried again, and when a callback is given up."""

import pytest

from service import errors
from service.errors import CleanplateError
from service.jobs.retry import callback_delay_seconds, worth_a_retry

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CleanplateError)]
AGAIN = {"FetchUnavailable", "StorageError", "ContentCheckFailed", "DecodeFailed", "EncodeFailed"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_may_pass_is_tried_again_what_is_wrong_stays_wrong(kind: type[CleanplateError]) -> None:
    error = kind.__new__(kind)
    assert worth_a_retry(error) == (kind.__name__ in AGAIN)


@pytest.mark.parametrize("error", [OSError("disk"), MemoryError(), KeyError("bug")])
def test_what_nobody_foresaw_is_tried_again(error: Exception) -> None:
    assert worth_a_retry(error)


def test_a_callback_is_tried_four_times_later_and_later() -> None:
    assert [callback_delay_seconds(attempts) for attempts in (1, 2, 3, 4, 5)] == [5, 30, 180, None, None]
