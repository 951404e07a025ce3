"""Batches on both databases: accepted whole or not at all, submitted as there is room, cancelled whole, reported once."""

import threading
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.disk import DiskGuard
from service.errors import InsufficientCredits, QueueFull, UnknownJob
from service.jobs import batch_store, callbacks, credits
from service.jobs.account_files import AccountFiles
from service.jobs.accounts import Account, AccountLimits
from service.jobs.batch import Batch, NewBatch, NewItem
from service.jobs.batches import FEED_JOBS, Batches
from service.jobs.credits import Balance
from service.jobs.database import now_ms
from service.jobs.job import Job, JobSpec, State, new_id
from service.jobs.room import Room
from service.jobs.tables import BATCH_ITEMS, BATCHES, DELIVERIES, JOBS
from service.outside.storage import Storage
from tests.jobs.bench import URL, Bench

PRICE_CREDITS = 3


def batches(bench: Bench, account_jobs: int = 200) -> Batches:
    return Batches(bench.database, bench.queues, bench.finalizer, Room(account_jobs, 10**6))


def new(account: Account, count: int, **more: Any) -> NewBatch:
    items = [NewItem(new_id("job_", now_ms()), JobSpec("video", source_url=f"{URL}?{number}"), PRICE_CREDITS) for number in range(count)]
    return NewBatch(new_id("batch_", now_ms()), account.id, items, digest="the same", **more)


def jobs(bench: Bench, account: Account) -> list[Job]:
    return bench.job_service.jobs(account.id, 2000)


def end_all(bench: Bench, account: Account) -> None:
    """End the account's unfinished jobs: every third fails."""
    for number, job in enumerate(job for job in jobs(bench, account) if not job.ended):
        bench.fail(job) if number % 3 == 2 else bench.succeed(job)


def states(found: Batches, batch: Batch) -> dict[str, int]:
    return dict(found.progress(batch).states)


def test_a_batch_is_fed_as_its_jobs_end_and_costs_what_they_cost(either: Bench) -> None:
    found, account = batches(either, account_jobs=25), either.customer(paid=60 * PRICE_CREDITS, one_time=5)
    batch = found.submit(new(account, 60, callback_url=URL))
    assert either.balance(account).held_credits == 60 * PRICE_CREDITS, "all of it is held at once"
    assert states(found, batch) == {"queued": FEED_JOBS, "waiting": 40}
    found.advance_all()
    assert states(found, batch) == {"queued": 25, "waiting": 35}, "no more than the account may have unfinished"
    with pytest.raises(QueueFull):
        found.submit(new(account, 1))
    rounds = 0
    while not found.find(account.id, batch.id).ended:
        end_all(either, account)
        found.advance_all()
        rounds += 1
    assert rounds == 3
    ended = found.progress(found.find(account.id, batch.id))
    assert sum(ended.states.values()) == 60
    assert ended.used_credits == ended.states["succeeded"] * PRICE_CREDITS
    balance = either.balance(account)
    assert (balance.held_credits, balance.total_credits) == (0, 60 * PRICE_CREDITS + 5 - ended.used_credits)
    assert [item.number for item in found.items(batch)] == list(range(60))
    assert {item.job.id for item in found.items(batch) if item.job} == {job.id for job in jobs(either, account)}


def test_every_batch_is_fed_however_many_are_older_or_broken(either: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.jobs.batches.PAGE_BATCHES", 2)
    found, older, account = batches(either, account_jobs=25), either.customer(paid=99 * PRICE_CREDITS), either.customer(paid=180)
    broken, *_ = [found.submit(new(older, 25))] + [found.submit(new(older, 1)) for _ in range(4)]
    batch = found.submit(new(account, 60))
    with either.database.write() as connection:
        waiting = (BATCH_ITEMS.c.batch_id == broken.id, sa.not_(BATCH_ITEMS.c.submitted))
        connection.execute(sa.update(BATCH_ITEMS).where(*waiting).values(wish={"of a newer version": 1}))
    found.advance_all()
    assert states(found, batch) == {"queued": 25, "waiting": 35}
    for each in (broken, batch):
        with either.database.write() as connection:
            connection.execute(
                sa.update(BATCHES).where(BATCHES.c.id == each.id).values(finished_ms=now_ms())
            )  # of no concern to other tests


def test_the_first_job_of_an_accepted_batch_is_submitted_with_it(either: Bench) -> None:
    found, account = batches(either), either.customer(paid=4 * PRICE_CREDITS)
    readings = [(0, 10**6 - 1, None), (0, 10**6, None)]  # another account takes the last place between two of them
    with patch("service.jobs.store.count_open", side_effect=readings):
        batch = found.submit(new(account, 4))
    assert states(found, batch) == {"queued": 1, "waiting": 3}
    found.cancel(account.id, batch.id)


def test_a_batch_is_accepted_whole_or_not_at_all(either: Bench) -> None:
    found, account = batches(either), either.customer(paid=9)
    with pytest.raises(InsufficientCredits) as refused:
        found.submit(new(account, 4))
    assert (refused.value.current_credits, refused.value.required_credits) == (9, 12)
    assert (jobs(either, account), either.balance(account)) == ([], Balance(paid_credits=9))
    assert found.of_account(account.id, 10) == []


def test_a_batch_is_cancelled_whole(either: Bench) -> None:
    found, account = batches(either, account_jobs=4), either.customer(paid=10 * PRICE_CREDITS)
    batch = found.submit(new(account, 10, callback_url=URL))
    first, second, *_ = sorted(jobs(either, account), key=lambda job: job.id)
    either.succeed(first)
    either.run(second, State.FETCHING, State.CLEANING)
    cancelled = found.cancel(account.id, batch.id)
    assert not cancelled.ended, "one is running"
    assert states(found, cancelled) == {"succeeded": 1, "cleaning": 1, "cancelled": 8}
    running = either.job_service.find(account.id, second.id)
    assert running.cancel_asked
    assert either.balance(account).held_credits == PRICE_CREDITS
    with either.database.write() as connection:
        either.finalizer.cancel_and_refund(connection, running)
    found.advance_all()
    found.advance_all()
    assert found.find(account.id, batch.id).ended
    assert len(jobs(either, account)) == 4, "what waited never became a job"
    assert either.balance(account) == Balance(paid_credits=9 * PRICE_CREDITS)
    assert found.cancel(account.id, batch.id).ended, "and again changes nothing"


def test_the_end_is_reported_once_however_many_look(either: Bench) -> None:
    found, account = batches(either), either.customer(paid=2 * PRICE_CREDITS)
    batch = found.submit(new(account, 2, callback_url=URL))
    end_all(either, account)
    threads = [threading.Thread(target=found.advance, args=(batch.id,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with either.database.read() as connection:
        (row,) = connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.batch_id == batch.id)).all()
        assert batch_store.of_delivery(connection, row.id) == found.find(account.id, batch.id)
    assert callbacks.deliver(either.take(f"{row.id}.1"), row.id, lambda _: None) == "delivered"
    delivery = found.delivery(batch)
    assert delivery is not None
    assert delivery.outcome == "delivered"
    assert either.job_service.delivery(account.id, row.job_id) is None, "the job itself has none"
    again = found.redeliver(batch)
    assert again is not None
    assert callbacks.enqueue_due(either.database, either.queues) == 1
    assert callbacks.deliver(either.take(f"{row.id}.2"), row.id, lambda _: None) == "delivered"


def test_the_same_key_finds_the_same_batch(either: Bench) -> None:
    found, account = batches(either), either.customer(paid=30 * PRICE_CREDITS)
    first = found.submit(new(account, 2, idempotency_key="order 1"))
    assert found.submit(new(account, 2, idempotency_key="order 1")) == first
    expired = found.submit(new(account, 2, idempotency_key="order 1", idempotent_seconds=-1))
    assert expired.id != first.id
    other = either.customer(paid=PRICE_CREDITS)
    assert found.submit(new(other, 1, idempotency_key="order 1")).id not in (first.id, expired.id)
    assert len(jobs(either, account)) == 4


def test_an_account_sees_its_own_batches_newest_first(either: Bench) -> None:
    found, account = batches(either), either.customer(paid=30 * PRICE_CREDITS)
    made = sorted((found.submit(new(account, 1)) for _ in range(3)), key=lambda batch: batch.id, reverse=True)
    assert found.of_account(account.id, 2) == made[:2]
    assert found.of_account(account.id, 2, made[1].id) == made[2:]
    for wrong in (account.id + 1, 0):
        with pytest.raises(UnknownJob):
            found.find(wrong, made[0].id)


def test_a_worker_that_takes_turns_submits_each_source_once(either: Bench) -> None:
    found, account = batches(either, account_jobs=1000), either.customer(paid=90 * PRICE_CREDITS)
    batch = found.submit(new(account, 90))
    threads = [threading.Thread(target=found.advance, args=(batch.id,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.advance(batch.id)
    assert states(found, batch) == {"queued": 90}


def test_what_a_waiting_source_needs_is_not_deleted(either: Bench, tmp_path: Any) -> None:
    account = either.customer(paid=2 * PRICE_CREDITS)
    either.accounts.limit(account, AccountLimits(queue_jobs=1))
    key = f"uploads/{account.id}/x/source.mp4"
    specs = (JobSpec("video", source_url=URL), JobSpec("video", source_key=key))
    items = [NewItem(new_id("job_", now_ms()), spec, PRICE_CREDITS) for spec in specs]
    found = batches(either)
    batch = found.submit(NewBatch(new_id("batch_", now_ms()), account.id, items, "digest"))
    files = AccountFiles(either.database, Storage.open(str(tmp_path)), DiskGuard(), 2**30)
    assert files.are_needed(account.id, [key])
    found.cancel(account.id, batch.id)
    assert not files.are_needed(account.id, [key])


def test_expired_batches_are_deleted(either: Bench) -> None:
    found, account = batches(either), either.customer(paid=4 * PRICE_CREDITS)
    silent, reported, open_one = (found.submit(new(account, 1, callback_url=url)) for url in (None, URL, None))
    with either.database.read() as connection:
        open_job = connection.execute(sa.select(BATCH_ITEMS.c.job_id).where(BATCH_ITEMS.c.batch_id == open_one.id)).scalar_one()
    for job in jobs(either, account):
        if job.id != open_job:
            either.succeed(job)
    found.advance_all()
    with either.database.write() as connection:
        assert batch_store.delete_expired(connection, 3600.0, 1000) == 0
        batch_store.delete_expired(connection, -1.0, 1000)
        kept = set(connection.execute(sa.select(BATCHES.c.id).where(BATCHES.c.account_id == account.id)).scalars())
        assert kept == {reported.id, open_one.id}, "its callback may be sent again, and the other has not ended"
        assert connection.execute(sa.select(BATCH_ITEMS).where(BATCH_ITEMS.c.batch_id == silent.id)).first() is None
        assert connection.execute(sa.select(sa.func.count()).where(JOBS.c.account_id == account.id)).scalar() == 3


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(paid=st.integers(0, 50), one_time=st.integers(0, 50), prices=st.lists(st.integers(0, 9), max_size=12))
def test_reserving_all_is_reserving_one_after_the_other(paid: int, one_time: int, prices: list[int]) -> None:
    balance = Balance(paid, one_time)
    named = {str(number): price for number, price in enumerate(prices)}
    if sum(prices) > paid + one_time:
        with pytest.raises(InsufficientCredits):
            credits.reserve_all(balance, named)
        return
    entries = credits.reserve_all(balance, named)
    for job_id, price in named.items():
        assert sum(entry.held_credits for entry in entries if entry.job_id == job_id) == price
    change = credits.balance_of(entries)
    assert change.held_credits == sum(prices)
    assert change.one_time_credits == -min(one_time, sum(prices)), "one-time credits first"
    assert balance.paid_credits + change.paid_credits >= 0
