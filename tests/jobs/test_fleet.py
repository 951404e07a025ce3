"""The fleet: workflows of dead workers are requeued, those of live ones never."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from service.jobs import store
from service.jobs.database import now_ms
from service.jobs.fleet import LOOK_SECONDS, Leases, Member, is_running, start_ticks
from service.jobs.job import Job, JobSpec, State
from service.jobs.metrics import ALIVE_SECONDS
from service.jobs.queues import fetch_id
from service.jobs.tables import JOBS, WORKERS
from tests.fixture_host import eventually
from tests.jobs.bench import Bench

ELSEWHERE = {"host": "elsewhere", "process_id": 1, "process_started": 1}
HOUR_MS = 3_600_000
CLOCKS = {"right": now_ms(), "ahead": now_ms() + HOUR_MS, "behind": now_ms() - HOUR_MS}  # first heartbeats of workers elsewhere
UPLOADED = JobSpec("video", source_key="uploads/1/0f3c/source.mp4")
ON_THE_WEB = JobSpec("video", source_url="http://example.com/video.mp4")


@contextmanager
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its standard input ends."""
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@dataclass
class Clock:
    """A steady clock that tests advance."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def member(bench: Bench, clock: Callable[[], float] = time.monotonic) -> Member:
    return Member(bench.database, bench.queues, bench.finalizer, clock)


def worker(bench: Bench, name: str, **values: object) -> str:
    """Insert a worker's row; by default of this process with a current heartbeat."""
    row = {"host": platform.node(), "process_id": os.getpid(), "process_started": start_ticks(os.getpid()), "beat_ms": now_ms()}
    with bench.database.write() as connection:
        connection.execute(sa.insert(WORKERS).values(id=name, **{**row, **values}))
    return name


def started_job(bench: Bench, executor_id: str, spec: JobSpec = UPLOADED) -> Job:
    """A job whose workflow this worker has started, as the engine records it: to clean an upload, or to fetch from the web."""
    job = bench.order(bench.customer(paid=3), spec=spec)
    bench.take(job, executor_id)
    return job


def running(bench: Bench) -> set[str]:
    return {workflow.workflow_id for workflow in bench.queues.running()}


def workers(bench: Bench) -> set[str]:
    with bench.database.read() as connection:
        return set(connection.execute(sa.select(WORKERS.c.id)).scalars())


def change(bench: Bench, *names: str, by_ms: int = 2_000) -> None:
    """Renew the leases of workers, or change them as a clock that jumps would."""
    with bench.database.write() as connection:
        connection.execute(sa.update(WORKERS).where(WORKERS.c.id.in_(names)).values(beat_ms=WORKERS.c.beat_ms + by_ms))


def test_live_workers_keep_their_jobs_and_those_of_dead_processes_are_requeued(either: Bench) -> None:
    with process() as child:
        dead_id = child.pid, start_ticks(child.pid)
    here = {"process_id": dead_id[0], "process_started": dead_id[1]}
    alive = [started_job(either, worker(either, "live")), started_job(either, worker(either, "live elsewhere", **ELSEWHERE))]
    lost = [
        started_job(either, worker(either, "dead", **here)),
        started_job(either, worker(either, "another process of that number", process_started=start_ticks(os.getpid()) + 1)),
    ]
    me = member(either)
    me.beat()
    mine = started_job(either, me.id)
    assert set(me.take_over()) == {job.id for job in lost}
    assert running(either) >= {mine.id, *(job.id for job in alive)}
    assert either.queues.finished([job.id for job in lost]) == [], "they are queued again"
    assert me.take_over() == []
    assert workers(either) == {me.id, "live", "live elsewhere"}
    with either.database.write() as connection:
        connection.execute(sa.delete(WORKERS))


def test_a_workflow_is_taken_over_once_however_many_see_the_dead_worker(either: Bench) -> None:
    gone = {"process_started": start_ticks(os.getpid()) + 1}
    job = started_job(either, worker(either, "dead", **gone))
    seen = either.queues.running()
    assert member(either).take_over() == [job.id]
    living = either.take(job, "living")
    worker(either, "dead", **gone)  # as a slower worker still sees it
    with patch.object(either.queues, "running", return_value=seen):
        assert member(either).take_over() == []
    living.check()
    either.queues.delete([job.id])


@pytest.mark.parametrize("spec", [UPLOADED, ON_THE_WEB], ids=["cleaning", "fetching"])
def test_a_job_that_is_taken_over_has_its_whole_time_again(either: Bench, spec: JobSpec) -> None:
    job, ended = (started_job(either, worker(either, f"dead {number}", process_started=-2), spec) for number in range(2))
    with either.database.write() as connection:
        for each in (job, ended):
            store.update(connection, each.id, started_ms=1)
    either.fail(ended)
    assert len(member(either).take_over()) == 2
    assert either.job_service.find(job.account_id, job.id).started_ms is None
    assert either.job_service.find(ended.account_id, ended.id).started_ms == 1, "it is only not recorded yet that it has ended"


def test_a_lease_ends_by_silence_whatever_the_clocks_say(fresh: Bench) -> None:
    names = {name: started_job(fresh, worker(fresh, name, beat_ms=beat_ms, **ELSEWHERE)).id for name, beat_ms in CLOCKS.items()}
    unknown = started_job(fresh, "left without a word").id
    clock = Clock()
    me = member(fresh, clock)
    taken: list[str] = []
    for number in range(10):  # twice as long as a silent one lives
        taken += me.take_over()
        change(fresh, *names, by_ms=-HOUR_MS if number == 5 else 2_000)  # once all clocks are set back
        clock.seconds += ALIVE_SECONDS / 5
    assert taken == [unknown]
    assert me.take_over() == []
    for _ in range(2):
        clock.seconds += ALIVE_SECONDS / 2
        change(fresh, "right")
        assert me.take_over() == []
    clock.seconds += 1
    change(fresh, "right")
    assert set(me.take_over()) == {names["ahead"], names["behind"]}
    assert workers(fresh) == {"right"}


def test_a_watcher_that_was_stopped_itself_does_not_take_its_own_pause_for_silence() -> None:
    clock = Clock()
    leases = Leases(clock)
    assert leases.lost({"other": 1}) == set()
    clock.seconds += 100 * ALIVE_SECONDS
    assert leases.lost({"other": 1}) == set()
    clock.seconds += ALIVE_SECONDS - LOOK_SECONDS + 1
    assert leases.lost({"other": 1}) == {"other"}
    assert leases.lost({"other": 2}) == set(), "it renewed its lease"
    assert leases.lost({}) == set()


def test_a_leaving_worker_hands_back_its_jobs(fresh: Bench) -> None:
    me, other = member(fresh), member(fresh)
    for each in (me, other):
        each.beat()
        each.beat()
    mine, others = started_job(fresh, me.id), started_job(fresh, other.id)
    assert fresh.job_service.read_metrics().workers == 2
    me.leave()
    assert running(fresh) == {others.id}
    assert fresh.queues.finished([mine.id]) == []
    assert fresh.job_service.read_metrics().workers == 1


def test_fetches_of_dead_workers_are_requeued_too(fresh: Bench) -> None:
    dead = worker(fresh, "another process of that number", process_started=start_ticks(os.getpid()) + 1)
    job = started_job(fresh, dead, ON_THE_WEB)
    assert running(fresh) == {fetch_id(job.id)}
    assert member(fresh).take_over() == [fetch_id(job.id)]
    assert running(fresh) == set()
    assert fresh.queues.finished([job.id]) == [], "it is queued again"


def test_a_job_between_fetching_and_cleaning_is_not_lost(fresh: Bench) -> None:
    job = started_job(fresh, "a worker", ON_THE_WEB)
    fetched = replace(job, spec=replace(job.spec, source_key="jobs/1/source.mp4"))
    with fresh.database.write() as connection:
        fresh.queues.enqueue_job(connection, fetched)
    fresh.queues.delete([fetch_id(job.id)])
    assert fresh.queues.finished([job.id]) == []
    fresh.queues.delete([job.id])
    assert fresh.queues.finished([job.id]) == [job.id]


def test_a_job_whose_workflow_is_gone_fails_and_is_refunded(either: Bench) -> None:
    account = either.customer(paid=9)
    lost, waiting, young = (either.order(account) for _ in range(3))
    either.run(lost, State.FETCHING)
    either.queues.delete([fetch_id(lost.id), fetch_id(young.id)])
    with either.database.write() as connection:
        old = sa.update(JOBS).where(JOBS.c.id.in_([lost.id, waiting.id]))
        connection.execute(old.values(updated_ms=now_ms() - 61_000))
    assert member(either).fail_lost_jobs() == 1
    found = either.job_service.find(account.id, lost.id)
    assert (found.state, found.failure and found.failure.kind) == (State.FAILED, "InternalError")
    assert [either.job_service.find(account.id, job.id).state for job in (waiting, young)] == [State.QUEUED] * 2
    assert either.balance(account).total_credits == 3
    assert member(either).fail_lost_jobs() == 0


def test_a_process_is_identified_by_its_id_and_start_time() -> None:
    with process() as child:
        started_ticks = start_ticks(child.pid)
        assert is_running(child.pid, started_ticks)
        assert not is_running(child.pid, started_ticks + 1)
        child.kill()
        eventually(lambda: not is_running(child.pid, started_ticks))  # a zombie by now, as its exit code has not been collected
        assert child.returncode is None
    assert start_ticks(child.pid) == -1


@pytest.mark.parametrize("number", [0, -1, 2**22 + 1])
def test_an_id_without_a_process(number: int) -> None:
    assert start_ticks(number) == -1
