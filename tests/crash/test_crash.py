"""kill -9 and SIGTERM on real processes. `python -m benchmarks.crash` does the same a hundred times, at random moments."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.crash import Kill, Plan, check_sweep, crash
from benchmarks.fence import snapshot
from benchmarks.fleet import Fleet, Part, within
from benchmarks.invariants import all_jobs, dead_folders, file_violations, ledger_violations, wait_for_end
from benchmarks.loopback_host import LoopbackHost, loopback_host
from benchmarks.orders import Customer, Order, place
from service.core import bootstrap, opened
from service.jobs import store
from service.jobs.job import Job, State
from service.jobs.retry import MAX_ATTEMPTS
from service.jobs.tables import ACCOUNTS, LEDGER
from service.settings import Settings
from tests.postgres_server import fresh_database

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 60.0
CREDITS = 10


@pytest.fixture(scope="module")
def host() -> Iterator[LoopbackHost]:
    with loopback_host() as running:
        yield running


@pytest.fixture(scope="module")
def started_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet.running(tmp_path_factory.mktemp("alone")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def started_apart(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("apart")
    with fresh_database(postgres) as database, Fleet.running(folder, database, stop_seconds="0") as fleet:
        yield fleet


@pytest.fixture
def alone(started_alone: Fleet) -> Fleet:
    """One `serve` on SQLite."""
    return ready(started_alone)


@pytest.fixture
def apart(started_apart: Fleet) -> Fleet:
    """An API and two workers on PostgreSQL; a stopping worker hands its jobs back at once."""
    return ready(started_apart)


@pytest.mark.parametrize("victim", ["worker", "api", "both"])
def test_sqlite_survives_kills(alone: Fleet, host: LoopbackHost, victim: str) -> None:
    orders = (("kie", 0, False, True, 0.0), ("missing", 0, False, False, 0.1), ("kaze", 1, False, False, 0.2))
    assert_survives(Plan(1, orders, (Kill(victim, 1.5, 0.1),)), alone, host)


def test_postgresql_with_two_workers_survives_kills(apart: Fleet, host: LoopbackHost) -> None:
    orders = (("native", 0, True, True, 0.0), ("upload", 1, False, False, 0.1), ("aidge", 1, False, False, 0.1))
    assert_survives(Plan(1, orders, (Kill("worker", 0.0, 0.5, "publishing"),)), apart, host)
    assert_survives(Plan(2, orders, (Kill("both", 0.5, 0.1, "order"),)), apart, host)


def test_files_of_killed_writers_are_swept(alone: Fleet) -> None:
    (alone.folder / "files" / "uploads").mkdir(parents=True, exist_ok=True)
    (alone.folder / "files" / "uploads" / "half.mp4#1").touch()
    assert check_sweep(alone) == []


def test_a_stopping_worker_hands_its_job_to_the_other(apart: Fleet, host: LoopbackHost) -> None:
    assert within(PATIENCE_SECONDS, lambda: len(apart.live_workers()) == 2)
    job_id = ordered(apart, host)
    wait_until_begun(apart, job_id)
    runner = next(workflow.executor_id or "" for workflow in apart.core.queues.running() if workflow.workflow_id == job_id)
    [part] = [part for part in apart.parts if f"-{part.pid}-" in runner]
    assert part.process
    part.process.terminate()
    assert part.process.wait(PATIENCE_SECONDS) == 0
    assert wait_for_end(apart.core)
    job = found(apart, job_id)
    assert (job.state, job.attempts) == (State.SUCCEEDED, 1)  # a handed-back job does not count as an attempt
    assert dead_folders(apart) == []


def test_a_worker_that_was_stopped_and_wakes_changes_nothing_of_what_another_did(apart: Fleet, host: LoopbackHost) -> None:
    assert within(PATIENCE_SECONDS, lambda: len(apart.live_workers()) == 2)
    job_id = ordered(apart, host)
    wait_until_begun(apart, job_id)
    [workflow] = [workflow for workflow in apart.core.queues.running() if workflow.workflow_id == job_id]
    [part] = [part for part in apart.parts if f"-{part.pid}-" in (workflow.executor_id or "")]
    assert part.pid
    os.kill(part.pid, signal.SIGSTOP)
    try:
        with apart.core.database.write() as connection:
            assert apart.core.queues.requeue(connection, workflow)  # as the other worker does when the lease has ended
        assert within(PATIENCE_SECONDS, lambda: found(apart, job_id).ended)
        before = snapshot(apart, [job_id])
    finally:
        os.kill(part.pid, signal.SIGCONT)
    assert within(PATIENCE_SECONDS, lambda: "another worker has taken over" in part.log.read_text())
    assert file_violations(apart) == []
    assert snapshot(apart, [job_id]) == before
    job = found(apart, job_id)
    assert (job.state, job.attempts) == (State.SUCCEEDED, 2)


def test_a_stopping_service_lets_its_job_finish(tmp_path: Path, host: LoopbackHost) -> None:
    with Fleet.running(tmp_path, stop_seconds="60") as fleet:
        job_id = ordered(fleet, host)
        wait_until_begun(fleet, job_id)
        fleet.kill("api", signal.SIGTERM)
        assert fleet.parts[0].process
        assert fleet.parts[0].process.wait(80) == 0
        job = found(fleet, job_id)
        assert (job.state, job.attempts) == (State.SUCCEEDED, 1)
        assert list((tmp_path / "scratch").iterdir()) == []


def test_a_job_that_kills_its_workers_fails_and_is_refunded(alone: Fleet, host: LoopbackHost) -> None:
    job_id = ordered(alone, host)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert within(PATIENCE_SECONDS, lambda attempt=attempt: at_attempt(alone, job_id, attempt))  # type: ignore[misc]
        alone.kill("worker")
    assert wait_for_end(alone.core)
    job = found(alone, job_id)
    assert job.failure
    assert (job.state, job.attempts, job.failure.kind) == (State.FAILED, MAX_ATTEMPTS, "InternalError")
    with alone.core.database.read() as connection:
        account = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.id == job.account_id)).one()
    assert (account.one_time_credits, account.paid_credits, account.held_credits) == (CREDITS // 2 + 1, CREDITS, 0)
    assert [*ledger_violations(alone.core, all_jobs(alone.core)), *file_violations(alone)] == []


def test_a_first_start_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    part = Part("serve --no-worker", tmp_path / "first.log")
    for name in ("secret.key", "cleanplate.sqlite-wal"):  # in the order of their creation
        part.start({"CLEANPLATE_DATA_DIR": str(tmp_path), "CLEANPLATE_PORT": "0"})
        assert part.process
        assert within(PATIENCE_SECONDS, (tmp_path / name).exists, pause_seconds=0.001)
        part.process.kill()
        part.process.wait()
    key = "a key that is known before"
    with opened(Settings.model_validate({"data_dir": tmp_path, "bootstrap_key": key})) as core:
        bootstrap(core)
        assert core.accounts.account_of_key(key).name == "first"


def test_the_checks_find_violations(alone: Fleet, host: LoopbackHost) -> None:
    job_id = ordered(alone, host)
    assert wait_for_end(alone.core)
    left = alone.folder / "scratch" / "left+1+1"
    left.mkdir()
    assert dead_folders(alone) == ["left+1+1"]
    left.rmdir()
    with alone.core.database.write() as connection:
        line = connection.execute(sa.select(LEDGER).where(LEDGER.c.kind == "settle", LEDGER.c.job_id == job_id)).first()
        assert line
        connection.execute(sa.insert(LEDGER).values({**line._mapping, "id": None, "key": "end:again"}))
    assert [violation.kind for violation in ledger_violations(alone.core, all_jobs(alone.core))] == [
        "charged",
        "charged",
    ]  # a job, its account
    with alone.core.database.write() as connection:
        connection.execute(sa.delete(LEDGER).where(LEDGER.c.key == "end:again"))


def ready(fleet: Fleet) -> Fleet:
    """The fleet, with all its processes running."""
    fleet.restart_dead()
    fleet.wait_until_ready()
    return fleet


def assert_survives(plan: Plan, fleet: Fleet, host: LoopbackHost) -> None:
    run = crash(plan, fleet, host)
    assert run.violations == []
    assert len(run.placed) == len(plan.orders)


def ordered(fleet: Fleet, host: LoopbackHost) -> str:
    """Order the longer clip for a new account; return the job's id."""
    tag = str(time.time_ns())
    job_id = place(Order("native", tag, Customer.new(fleet.core, tag, CREDITS), host, longer=True), fleet.client).job_id
    assert job_id
    return job_id


def wait_until_begun(fleet: Fleet, job_id: str) -> None:
    assert within(PATIENCE_SECONDS, lambda: found(fleet, job_id).progress_percent > 0)


def at_attempt(fleet: Fleet, job_id: str, number: int) -> bool:
    """Whether a worker makes this attempt to clean the job."""
    job = found(fleet, job_id)
    return (job.state, job.attempts) == (State.CLEANING, number)


def found(fleet: Fleet, job_id: str) -> Job:
    with fleet.core.database.read() as connection:
        return store.find(connection, job_id)
