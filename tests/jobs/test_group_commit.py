"""Changes that share a transaction: each ends as if it had been alone, however the others end."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from benchmarks.fleet import within
from service.errors import InsufficientCredits, QueueFull
from service.jobs.group_commit import GroupCommit
from service.jobs.job import Job
from service.jobs.tables import ACCOUNTS
from tests.jobs.bench import Bench

Change = Callable[[sa.Connection], object]


def together(bench: Bench, changes: Sequence[Change]) -> list[Future[object]]:
    """Make the changes, which all wait while somebody else writes."""
    commits = GroupCommit(bench.database)
    with ThreadPoolExecutor(len(changes)) as threads:
        with bench.database.write():
            futures = []
            for number, change in enumerate(changes, 1):
                futures.append(threads.submit(commits.run, change))
                assert within(10, lambda number=number: len(commits._waiting) == number)
        return futures


def renamed(name: str, account_id: int, then: Callable[[sa.Connection], None] | None = None) -> Change:
    def change(connection: sa.Connection) -> object:
        connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(name=name))
        if then is not None:
            then(connection)
        return connection.get_transaction()

    return change


def raises(error: Exception, _connection: sa.Connection) -> None:
    raise error


def rolls_back_all(connection: sa.Connection) -> None:
    """As SQLite does by itself where it cannot write."""
    connection.exec_driver_sql("ROLLBACK")
    raise OSError("not to be written")


def names(bench: Bench, ids: Sequence[int]) -> list[str]:
    return [bench.accounts.get(account_id).name for account_id in ids]


def test_changes_that_wait_share_a_transaction(fresh: Bench) -> None:
    ids = [fresh.customer().id for _ in range(8)]
    futures = together(fresh, [renamed(f"new {each}", each) for each in ids])
    assert len({id(future.result()) for future in futures}) == 1
    assert names(fresh, ids) == [f"new {each}" for each in ids]


def test_those_that_come_during_a_commit_share_the_next(fresh: Bench) -> None:
    ids, begun, go_on = [fresh.customer().id for _ in range(4)], threading.Event(), threading.Event()

    def waits(_connection: sa.Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    commits = GroupCommit(fresh.database)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(commits.run, renamed("first", ids[0], waits))
        assert begun.wait(10)
        others = [threads.submit(commits.run, renamed(f"new {each}", each)) for each in ids[1:]]
        assert within(10, lambda: len(commits._waiting) == 3)
        assert not any(other.done() for other in others)
        go_on.set()
        assert len({id(future.result()) for future in others}) == 1
        assert first.result() is not others[0].result()
    assert commits.run(renamed("last", ids[0])) is not None
    assert names(fresh, ids) == ["last", *(f"new {each}" for each in ids[1:])]


@pytest.mark.parametrize("fails", [partial(raises, QueueFull("full", 1)), partial(raises, OSError("a fault")), rolls_back_all])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_change_that_fails_is_undone_alone(fresh: Bench, fails: Callable[[sa.Connection], None], position: int) -> None:
    ids = [fresh.customer().id for _ in range(3)]
    before = names(fresh, ids)
    futures = together(fresh, [renamed(f"new {each}", each, fails if place == position else None) for place, each in enumerate(ids)])
    assert [type(future.exception()) for place, future in enumerate(futures) if place != position] == [type(None)] * 2
    assert isinstance(futures[position].exception(), QueueFull | OSError)
    assert names(fresh, ids) == [before[place] if place == position else f"new {each}" for place, each in enumerate(ids)]


def test_a_refusal_costs_the_others_nothing(fresh: Bench) -> None:
    ids, tries = [fresh.customer().id for _ in range(3)], []

    def refuses(_connection: sa.Connection) -> object:
        tries.append(1)
        raise QueueFull("full", 1)

    futures = together(fresh, [renamed("one", ids[0]), refuses, renamed("two", ids[1])])
    assert isinstance(futures[1].exception(), QueueFull)
    assert futures[0].result() is futures[2].result()
    assert (names(fresh, ids[:2]), len(tries)) == (["one", "two"], 1)


def test_a_change_that_the_database_refuses_costs_no_other(fresh: Bench) -> None:
    ids = [fresh.customer().id for _ in range(3)]
    futures = together(fresh, [renamed("the same", each) for each in ids])
    assert [type(future.exception()) for future in futures] == [type(None), IntegrityError, IntegrityError]
    assert names(fresh, ids)[0] == "the same"


def test_all_are_told_of_a_database_that_cannot_be_written(fresh: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    commits, account, may_fail = GroupCommit(fresh.database), fresh.customer(), threading.Event()

    @contextmanager
    def write() -> Iterator[sa.Connection]:
        assert may_fail.wait(10)
        raise OSError("gone")
        yield

    with monkeypatch.context() as patch, ThreadPoolExecutor(3) as threads:
        patch.setattr(fresh.database, "write", write)
        futures = [threads.submit(commits.run, renamed("new", account.id)) for _ in range(3)]
        assert within(10, lambda: len(commits._waiting) == 3)
        may_fail.set()
        assert [str(future.exception()) for future in futures] == ["gone"] * 3
    commits.run(renamed("new", account.id))
    assert fresh.accounts.get(account.id).name == "new"


def test_orders_at_the_same_time_are_each_paid_and_found(either: Bench) -> None:
    rich, poor = either.customer(paid=100), either.customer(paid=4)
    with ThreadPoolExecutor(16) as threads:
        futures: list[Future[Job]] = [threads.submit(either.order, account) for account in [rich, poor] * 16]
    refused = [future.exception() for future in futures if future.exception()]
    assert {type(error) for error in refused} == {InsufficientCredits}
    jobs = [future.result() for future in futures if not future.exception()]
    for account, count in ((rich, 16), (poor, 1)):
        mine = {job.id for job in jobs if job.account_id == account.id}
        assert len(mine) == count
        assert {job.id for job in either.job_service.jobs(account.id, 100)} == mine
        assert either.balance(account).held_credits == 3 * count
