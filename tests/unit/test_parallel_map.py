"""Items are mapped on several threads: results come in the order of the items, and an error ends the map."""

import os
from collections.abc import Iterator
from threading import Barrier, Event, current_thread, main_thread

import pytest

from service.pipeline.marks.parallel_map import parallel_map

TIMEOUT_SECONDS = 60


def test_results_come_in_the_order_of_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    second_is_done = Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(TIMEOUT_SECONDS)
        if number == 1:
            second_is_done.set()
        return 10 * number

    assert list(parallel_map(work, range(20))) == [10 * number for number in range(20)]


def test_two_items_are_mapped_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    both = Barrier(2)
    assert sorted(parallel_map(lambda _: both.wait(TIMEOUT_SECONDS), range(2))) == [0, 1]


def test_items_are_read_in_the_callers_thread_and_not_far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    read: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            assert current_thread() is main_thread()
            read.append(number)
            yield number

    for done, number in enumerate(parallel_map(lambda number: number, items()), 1):
        assert number == done - 1
        assert len(read) <= done + 2


def test_an_error_is_raised_and_calls_that_have_not_started_are_cancelled() -> None:
    started: list[int] = []

    def work(number: int) -> None:
        started.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(parallel_map(work, range(1000)))
    assert len(started) < 20


def test_an_error_of_the_items_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        list(parallel_map(lambda number: number, items()))
