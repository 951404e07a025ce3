"""Deliveries of callbacks: given up at once if the receiver wants no more, and sent again on request."""

from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from service.errors import FetchUnavailable
from service.jobs import callbacks
from service.jobs.callbacks import Delivery
from service.jobs.database import NOW_MS
from service.jobs.job import Job
from service.jobs.tables import DELIVERIES
from service.outside.post import ReceiverGone
from tests.jobs.bench import URL, Bench

DAY_SECONDS = 86_400


def ended(bench: Bench, facade: str = "kie") -> Job:
    return bench.succeed(bench.order(bench.customer(paid=3), callback_url=URL, facade=facade))


def attempt(bench: Bench, job: Job, number: int, error: Exception | None = None, *, for_days: bool = False) -> str:
    """Make the attempt with this number as a worker does."""

    def send(_: Job) -> None:
        if error is not None:
            raise error

    return callbacks.deliver(bench.take(f"{job.id}.{job.state}.{number}"), f"{job.id}.{job.state}", send, for_days=for_days)


def delivery(bench: Bench, job: Job) -> Delivery:
    found = bench.job_service.delivery(job.account_id, job.id)
    assert found is not None
    return found


def test_a_receiver_that_is_gone_gets_no_more(either: Bench) -> None:
    job = ended(either)
    assert attempt(either, job, 1, ReceiverGone("410")) == "given_up"
    found = delivery(either, job)
    assert (found.outcome, found.attempts, found.due_ms) == ("given_up", 1, None)


def test_an_attempt_that_is_recorded_is_not_repeated_after_a_crash(either: Bench) -> None:
    job, sent = ended(either), list[str]()

    def fail(job: Job) -> None:
        sent.append(job.id)
        raise FetchUnavailable("no answer")

    for _ in range(2):  # the second time as after a worker that stopped before the engine had recorded that the step was done
        assert callbacks.deliver(either.take(f"{job.id}.{job.state}.1"), f"{job.id}.{job.state}", fail) == "pending"
    assert sent == [job.id]
    assert delivery(either, job).attempts == 1
    with either.database.write() as connection:
        connection.execute(sa.update(DELIVERIES).where(DELIVERIES.c.job_id == job.id).values(due_ms=None))  # of no concern to other tests


def test_a_receiver_that_is_down_for_a_day_gets_every_event_once(either: Bench) -> None:
    """Time passes by what is due becoming due: a day and more in which nothing arrives, then what is left is delivered."""
    jobs = [ended(either) for _ in range(3)]
    passed_seconds, number = 0.0, 1
    while passed_seconds < DAY_SECONDS:
        assert {attempt(either, job, number, FetchUnavailable("down"), for_days=True) for job in jobs} == {"pending"}
        passed_seconds += wait_until_due(either, jobs)
        number += 1
        assert callbacks.enqueue_due(either.database, either.queues) == len(jobs)
    assert passed_seconds < 2 * DAY_SECONDS
    assert {attempt(either, job, number, for_days=True) for job in jobs} == {"delivered"}
    for job in jobs:
        log = delivery(either, job).log
        assert [(line.number, line.error is None) for line in log] == [(each, each == number) for each in range(1, number + 1)]
    assert callbacks.enqueue_due(either.database, either.queues) == 0


def wait_until_due(bench: Bench, jobs: Sequence[Job]) -> float:
    """Let time pass until the next attempts of these jobs are due; return how much, in seconds."""
    ours = DELIVERIES.c.job_id.in_([job.id for job in jobs])
    with bench.database.write() as connection:
        ahead_ms = connection.execute(sa.select(sa.func.max(DELIVERIES.c.due_ms) - NOW_MS).where(ours)).scalar_one()
        connection.execute(sa.update(DELIVERIES).where(ours).values(due_ms=DELIVERIES.c.due_ms - ahead_ms))
    return float(ahead_ms) / 1000


@pytest.mark.parametrize("error", [None, ReceiverGone("410")])
def test_a_finished_delivery_is_sent_again_on_request(either: Bench, error: Exception | None) -> None:
    job = ended(either)
    attempt(either, job, 1, error)
    again = either.job_service.redeliver(job.account_id, job.id)
    assert again is not None
    assert (again.outcome, again.attempts) == ("pending", 1)
    assert callbacks.enqueue_due(either.database, either.queues) == 1
    assert attempt(either, job, 2) == "delivered"
    assert delivery(either, job).attempts == 2


def test_a_delivery_that_waits_is_sent_at_once(either: Bench) -> None:
    job = ended(either)
    attempt(either, job, 1, FetchUnavailable("503"))
    assert callbacks.enqueue_due(either.database, either.queues) == 0, "too early"
    either.job_service.redeliver(job.account_id, job.id)
    assert callbacks.enqueue_due(either.database, either.queues) == 1
    assert attempt(either, job, 2) == "delivered"


def test_each_attempt_is_logged_with_what_went_wrong(either: Bench) -> None:
    job = ended(either)
    attempt(either, job, 1, FetchUnavailable("example.com answered the callback with status 503"))
    either.job_service.redeliver(job.account_id, job.id)
    callbacks.enqueue_due(either.database, either.queues)
    attempt(either, job, 2)
    first, second = delivery(either, job).log
    assert (first.number, first.error, second.number, second.error) == (
        1,
        "example.com answered the callback with status 503",
        2,
        None,
    )
    assert first.at_ms <= second.at_ms
    assert min(first.took_ms, second.took_ms) >= 0


def test_all_that_were_given_up_are_sent_again(either: Bench) -> None:
    given_up, delivered = ended(either), ended(either)
    attempt(either, given_up, 1, ReceiverGone("410"))
    attempt(either, delivered, 1)
    with either.database.write() as connection:
        again = callbacks.redeliver_given_up(connection)
    assert again >= 1
    assert callbacks.enqueue_due(either.database, either.queues) == again
    assert [delivery(either, job).outcome for job in (given_up, delivered)] == ["pending", "delivered"]


def test_an_attempt_in_progress_is_not_doubled(either: Bench) -> None:
    job = ended(either)
    before = delivery(either, job)
    assert either.job_service.redeliver(job.account_id, job.id) == before
    assert callbacks.enqueue_due(either.database, either.queues) == 0
    assert attempt(either, job, 1) == "delivered"


def test_a_job_without_a_callback_has_no_delivery(either: Bench) -> None:
    silent, unfinished = (either.order(either.customer(paid=3), **more) for more in ({}, {"callback_url": URL}))
    either.succeed(silent)
    for job in (silent, unfinished):
        assert either.job_service.delivery(job.account_id, job.id) is None
        assert either.job_service.redeliver(job.account_id, job.id) is None
    with either.database.read() as connection:
        assert connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.job_id.in_([silent.id, unfinished.id]))).all() == []
