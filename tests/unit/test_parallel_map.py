"""Several things at once: the results come in the order of the things, and a failure ends it all."""

import os
from collections.abc import Iterator
from threading import Barrier, Event, current_thread, main_thread

import pytest

from service.pipeline.marks.parallel_map import parallel_map

PATIENCE_SECONDS = 60


def test_results_come_in_the_order_of_the_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    second_is_done = Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(PATIENCE_SECONDS)
        if number == 1:
            second_is_done.set()
        return 10 * number

    assert list(parallel_map(work, range(20))) == [10 * number for number in range(20)]


def test_two_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    both = Barrier(2)
    assert sorted(parallel_map(lambda _: both.wait(PATIENCE_SECONDS), range(2))) == [0, 1]


def test_things_are_asked_for_in_the_callers_thread_and_not_far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    asked: list[int] = []

    def things() -> Iterator[int]:
        for number in range(100):
            assert current_thread() is main_thread()
            asked.append(number)
            yield number

    for done, number in enumerate(parallel_map(lambda number: number, things()), 1):
        assert number == done - 1
        assert len(asked) <= done + 2


def test_a_failure_is_raised_and_what_has_not_begun_is_given_up() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(parallel_map(work, range(1000)))
    assert len(begun) < 20


def test_a_failure_of_the_things_themselves_is_raised() -> None:
    def things() -> Iterator[int]:
        yield 1
        raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        list(parallel_map(lambda number: number, things()))
