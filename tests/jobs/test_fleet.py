"""Who lives, and who takes over: a dead worker's workflows are put back, a live one's never."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from service.jobs.database import now_ms
from service.jobs.fleet import Member, is_running, started
from service.jobs.job import Job, State
from service.jobs.tables import JOBS, WORKERS
from tests.fixture_host import eventually
from tests.jobs.bench import Bench

LONG_MS = 3_600_000


@contextmanager
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its standard input ends."""
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def member(bench: Bench) -> Member:
    return Member(bench.database, bench.queues, bench.finalizer)


def worker(bench: Bench, name: str, **values: object) -> str:
    """A worker's row; by default of this very process, and as fresh as can be."""
    row = {"host": platform.node(), "process_id": os.getpid(), "process_started": started(os.getpid()), "beat_ms": now_ms()}
    with bench.database.write() as connection:
        connection.execute(sa.insert(WORKERS).values(id=name, **{**row, **values}))
    return name


def begun_by(bench: Bench, executor_id: str) -> Job:
    """A job whose workflow this worker has begun: as the engine notes it."""
    job = bench.order(bench.customer(paid=3))
    schema = "" if bench.database.is_sqlite else "dbos."
    begin = sa.text(f"UPDATE {schema}workflow_status SET status = 'PENDING', executor_id = :who WHERE workflow_uuid = :id")
    with bench.database.write() as connection:
        assert connection.execute(begin, {"who": executor_id, "id": job.id}).rowcount == 1
    return job


def running(bench: Bench) -> set[str]:
    return {workflow.workflow_id for workflow in bench.queues.running()}


def test_a_live_workers_job_stays_and_a_dead_ones_is_put_back(either: Bench) -> None:
    with process() as child:
        dead_id = child.pid, started(child.pid)
    here = {"process_id": dead_id[0], "process_started": dead_id[1]}
    elsewhere = {"host": "elsewhere", "process_id": 1, "process_started": 1}
    living = [begun_by(either, worker(either, "live")), begun_by(either, worker(either, "live elsewhere", **elsewhere))]
    lost = [
        begun_by(either, worker(either, "dead", **here)),
        begun_by(either, worker(either, "silent elsewhere", beat_ms=now_ms() - 16_000, **elsewhere)),
        begun_by(either, worker(either, "another process of that number", process_started=started(os.getpid()) + 1)),
        begun_by(either, "left without a word"),
    ]
    me = member(either)
    me.beat()
    mine = begun_by(either, me.id)
    assert set(me.take_over()) == {job.id for job in lost}
    assert running(either) >= {mine.id, *(job.id for job in living)}
    assert either.queues.over([job.id for job in lost]) == [], "they are back in line"
    assert me.take_over() == []
    with either.database.read() as connection:
        assert set(connection.execute(sa.select(WORKERS.c.id)).scalars()) == {me.id, "live", "live elsewhere"}
    with either.database.write() as connection:
        connection.execute(sa.delete(WORKERS))


def test_a_worker_that_leaves_hands_back_what_it_runs(fresh: Bench) -> None:
    me, other = member(fresh), member(fresh)
    for each in (me, other):
        each.beat()
        each.beat()
    mine, others = begun_by(fresh, me.id), begun_by(fresh, other.id)
    assert fresh.job_service.figures().workers == 2
    me.leave()
    assert running(fresh) == {others.id}
    assert fresh.queues.over([mine.id]) == []
    assert fresh.job_service.figures().workers == 1


def test_a_job_that_its_workflow_lost_fails_and_is_refunded(either: Bench) -> None:
    account = either.customer(paid=9)
    lost, waiting, young = (either.order(account) for _ in range(3))
    either.run(lost, State.FETCHING)
    either.queues.forget([lost.id, young.id])
    with either.database.write() as connection:
        old = sa.update(JOBS).where(JOBS.c.id.in_([lost.id, waiting.id]))
        connection.execute(old.values(updated_ms=now_ms() - 61_000))
    assert member(either).mend() == 1
    found = either.job_service.find(account.id, lost.id)
    assert (found.state, found.failure and found.failure.kind) == (State.FAILED, "InternalError")
    assert [either.job_service.find(account.id, job.id).state for job in (waiting, young)] == [State.QUEUED] * 2
    assert either.balance(account).total_credits == 3
    assert member(either).mend() == 0


def test_a_process_is_known_by_its_number_and_its_beginning() -> None:
    with process() as child:
        began = started(child.pid)
        assert is_running(child.pid, began)
        assert not is_running(child.pid, began + 1)
        child.kill()
        eventually(lambda: not is_running(child.pid, began))  # a zombie by now: nobody has asked for its exit code
        assert child.returncode is None
    assert started(child.pid) == -1


@pytest.mark.parametrize("number", [0, -1, 2**22 + 1])
def test_a_number_that_is_no_process(number: int) -> None:
    assert started(number) == -1
