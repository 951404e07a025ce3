"""An execution that another one has superseded changes nothing: not the job, its progress, its credits, its callbacks or its files."""

import threading

import pytest
import sqlalchemy as sa

from service.errors import FetchUnavailable
from service.jobs import callbacks, store
from service.jobs.fence import Fence, Superseded
from service.jobs.job import Job, State
from service.jobs.progress import Pace
from service.jobs.retry import callback_delay_seconds
from service.jobs.tables import DELIVERIES
from service.pipeline.run import Progress
from service.watch import CHECK_SECONDS, Watch
from tests.jobs.bench import URL, Bench, first_workflow


def delivery(bench: Bench, job: Job) -> tuple[str, int]:
    with bench.database.read() as connection:
        row = connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.job_id == job.id)).one()
    return row.outcome, row.attempts


def test_only_the_last_execution_may_write(either: Bench) -> None:
    job = either.order(either.customer(paid=3))
    first = either.take(job)
    with first.write() as connection:
        store.update(connection, job.id, progress_percent=10)
    second = either.take(job)
    for act in (first.check, lambda: first.write().__enter__(), lambda: first.read().__enter__()):
        with pytest.raises(Superseded):
            act()
    with second.write() as connection:
        store.update(connection, job.id, progress_percent=20)
    assert either.job_service.find(job.account_id, job.id).progress_percent == 20
    assert first.name != second.name


def test_a_requeued_workflow_belongs_to_nobody(either: Bench) -> None:
    job = either.order(either.customer(paid=3))
    fence = either.take(job)
    [workflow] = [workflow for workflow in either.queues.running() if workflow.workflow_id == first_workflow(job)]
    with either.database.write() as connection:
        assert either.queues.requeue(connection, workflow)
    with pytest.raises(Superseded):
        fence.check()


def test_nobody_takes_over_within_a_transaction(either: Bench) -> None:
    job = either.order(either.customer(paid=3))
    first = either.take(job)
    taken = threading.Event()

    def take() -> None:
        either.take(job)
        taken.set()

    thread = threading.Thread(target=take)
    with first.write() as connection:
        thread.start()
        assert not taken.wait(0.2)
        store.update(connection, job.id, progress_percent=10)
    thread.join(20)
    assert taken.is_set()
    with pytest.raises(Superseded):
        first.check()


def test_a_superseded_worker_stops_at_its_next_look_and_saves_no_progress(either: Bench) -> None:
    job = either.run(either.order(either.customer(paid=3)), State.FETCHING, State.CLEANING)
    watch = Watch(either.take(job), job, 60, threading.Event(), Pace())
    watch.on_cleaned(Progress("remove", 10, 20))
    before = either.job_service.find(job.account_id, job.id).progress_percent
    either.take(job)
    watch._next_check -= CHECK_SECONDS  # as if it had passed
    with pytest.raises(Superseded):
        watch.on_cleaned(Progress("remove", 20, 20))
    assert either.job_service.find(job.account_id, job.id).progress_percent == before
    assert not issubclass(Superseded, Exception), "or an error handler would end the job as failed"


def test_a_superseded_delivery_sends_nothing_and_records_nothing(either: Bench) -> None:
    job = either.succeed(either.order(either.customer(paid=3), callback_url=URL))
    sent: list[str] = []
    first = take_delivery(either, job)
    take_delivery(either, job)
    with pytest.raises(Superseded):
        callbacks.deliver(first, f"{job.id}.succeeded", lambda job: sent.append(job.id))
    assert (sent, delivery(either, job)) == ([], ("pending", 0))


@pytest.mark.parametrize("answers", [True, False])
def test_a_delivery_superseded_while_it_sends_leaves_the_outcome_to_its_successor(either: Bench, answers: bool) -> None:
    job = either.succeed(either.order(either.customer(paid=3), callback_url=URL))

    def send(_: Job) -> None:
        take_delivery(either, job)
        if not answers:
            raise FetchUnavailable("no answer")

    with pytest.raises(Superseded):
        callbacks.deliver(take_delivery(either, job), f"{job.id}.succeeded", send)
    assert delivery(either, job) == ("pending", 0)
    assert callbacks.deliver(take_delivery(either, job), f"{job.id}.succeeded", lambda _: None) == "delivered"
    assert delivery(either, job) == ("delivered", 1)


def test_the_next_attempt_is_due_by_the_clock_of_the_database(either: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job = either.succeed(either.order(either.customer(paid=3), callback_url=URL))
    monkeypatch.setattr("time.time", lambda: 0.0)  # this worker's clock is wrong by half a century

    def fail(_: Job) -> None:
        raise FetchUnavailable("no answer")

    assert callbacks.deliver(take_delivery(either, job), f"{job.id}.succeeded", fail) == "pending"
    assert callbacks.enqueue_due(either.database, either.queues) == 0, "too early"
    with either.database.write() as connection:
        connection.execute(
            sa.update(DELIVERIES).values(due_ms=DELIVERIES.c.due_ms - int((callback_delay_seconds(1, job.facade) or 0) * 1000))
        )
    assert [callbacks.enqueue_due(either.database, either.queues) for _ in range(2)] == [1, 0]
    second = either.take(f"{job.id}.succeeded.2")
    assert callbacks.deliver(second, f"{job.id}.succeeded", lambda _: None) == "delivered"
    assert delivery(either, job) == ("delivered", 2)


def take_delivery(bench: Bench, job: Job) -> Fence:
    """Take the workflow of the job's callback."""
    return bench.take(f"{job.id}.{job.state}.1")
