"""Moving windows counted in this process."""

import time
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import parse

from service.api.windows import SWEEP_SECONDS, MemoryWindows, SharedWindows, Windows

PAUSES = st.lists(st.floats(0, 6), min_size=1, max_size=40)


@given(PAUSES, st.integers(1, 5))
def test_a_window_never_holds_more_than_its_limit_and_refuses_only_when_it_is_full(pauses: list[float], amount: int) -> None:
    now = 1000.0
    windows, taken = MemoryWindows(lambda: now), deque[float]()
    limit = parse(f"{amount}/10 second")
    for pause in pauses:
        now += pause
        within = [moment for moment in taken if moment + 10 > now]
        looked, count = windows.look(limit, "1", "read"), windows.hit(limit, "1", "read")
        assert looked.is_within == count.is_within == (len(within) < amount)
        if count.is_within:
            taken.append(now)
            within.append(now)
        assert count.left == amount - len(within)
        assert count.reset_time == within[0] + 10


def test_names_and_limits_are_counted_apart() -> None:
    windows = MemoryWindows(lambda: 0.0)
    one, two = parse("1/minute"), parse("2/minute")
    assert windows.hit(one, "1", "read").is_within
    assert not windows.hit(one, "1", "read").is_within
    assert windows.hit(one, "2", "read").is_within
    assert windows.hit(one, "1", "submit").is_within
    assert windows.hit(two, "1", "read").is_within


@pytest.mark.parametrize("windows", [MemoryWindows(time.time), SharedWindows("memory://")], ids=["own", "shared"])
def test_a_request_counts_as_all_that_it_costs_or_not_at_all(windows: Windows) -> None:
    limit = parse("10/hour")
    counts = [windows.hit(limit, "1", "read", cost=cost) for cost in (11, 4, 7, 6, 1)]
    assert [(count.is_within, count.left) for count in counts] == [(False, 10), (True, 6), (False, 6), (True, 0), (False, 0)]


def test_names_that_nobody_asks_for_are_forgotten() -> None:
    now = 0.0
    windows = MemoryWindows(lambda: now)
    for number in range(100):
        windows.hit(parse("1/second"), str(number))
    now += SWEEP_SECONDS + 1
    windows.hit(parse("1/second"), "another")
    assert len(windows._hits) == 1
