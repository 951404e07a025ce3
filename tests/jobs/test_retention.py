"""Deletion of expired results, uploads and rows. The ledger is kept."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from service import retention, settings
from service.core import Core, opened
from service.errors import StorageError, UnknownJob
from service.jobs import ledger, store
from service.jobs.accounts import Account
from service.jobs.credits import Fund
from service.jobs.database import now_ms
from service.jobs.job import Job, JobSpec, NewJob, State, new_id
from service.jobs.job_service import JobService, Rules
from service.jobs.tables import DELIVERIES, EVENTS, IDEMPOTENCY, JOBS

DAY_MS = 86_400_000
FILES = ("clean.mp4", "source.mp4", "thumbnail.jpg", "report.json")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    with patch.dict(os.environ, {"CLEANPLATE_DATA_DIR": str(tmp_path_factory.mktemp("retention"))}), opened(settings.read()) as core:
        yield core


@pytest.fixture
def account(core: Core) -> Account:
    account = core.accounts.create(f"account {time.time_ns()}")
    core.administration.grant(account, Fund.PAID, 10, "test")
    return account


def delete_expired(core: Core) -> None:
    retention.delete_expired(core, threading.Event())


def job_service(core: Core) -> JobService:
    return JobService(core.database, core.accounts, core.queues, core.finalizer, Rules())


def ended_job(core: Core, account: Account, days_ago: float) -> Job:
    """A job that succeeded so many days ago, with its files, a callback and an idempotency key."""
    new = NewJob(
        new_id("job_", now_ms()), account.id, "kie", JobSpec("video", "http://example.com/"), {}, "http://example.com/", str(days_ago)
    )
    job_service(core).submit(new)
    for name in FILES:
        core.storage.put_bytes(f"jobs/{new.id}/{name}", b"data", "video/mp4")
    with core.database.write() as connection:
        job = store.locked(connection, new.id)
        for state in (State.FETCHING, State.CLEANING, State.PUBLISHING):
            job = store.advance(connection, job, state)
        job = core.finalizer.succeed(connection, job)
        connection.execute(sa.update(JOBS).where(JOBS.c.id == new.id).values(finished_ms=now_ms() - int(days_ago * DAY_MS)))
    return job


def files(core: Core, job: Job) -> int:
    return len(list(core.storage.list_under(f"jobs/{job.id}")))


def rows(core: Core, job: Job) -> int:
    """The number of rows about the job, except in the ledger."""
    with core.database.read() as connection:
        return sum(
            connection.execute(sa.select(sa.func.count()).select_from(table).where(column == job.id)).scalar_one()
            for table, column in ((JOBS, JOBS.c.id), *((table, table.c.job_id) for table in (EVENTS, IDEMPOTENCY, DELIVERIES)))
        )


def test_results_are_deleted_after_two_weeks_and_rows_after_two_months(core: Core, account: Account) -> None:
    young, middle, old = (ended_job(core, account, days) for days in (13.9, 14.1, 60.1))
    waiting = job_service(core).submit(NewJob(new_id("job_", now_ms()), account.id, "kie", JobSpec("video", "http://example.com/")))
    delete_expired(core)
    assert [files(core, job) for job in (young, middle, old)] == [len(FILES), 0, 0]
    assert [rows(core, job) for job in (young, middle, old)] == [8, 8, 0]  # the job, five events, a key, a delivery
    assert job_service(core).find(account.id, middle.id).state is State.SUCCEEDED
    with pytest.raises(UnknownJob):
        job_service(core).find(account.id, old.id)
    assert job_service(core).find(account.id, waiting.id) == waiting


def test_the_ledger_is_kept(core: Core, account: Account) -> None:
    job = ended_job(core, account, 100)
    with core.database.read() as connection:
        before = ledger.lines(connection, account.id)
    delete_expired(core)
    with core.database.read() as connection:
        assert ledger.lines(connection, account.id) == before
    assert (job_service(core).balance(account.id).total_credits, job_service(core).spent_credits(account.id)) == (9, 1)
    assert core.queues.finished([job.id, f"{job.id}.succeeded.1"]) == [job.id, f"{job.id}.succeeded.1"], "their workflows are gone too"


def test_uploads_are_deleted_after_two_weeks(core: Core, account: Account) -> None:
    keys = [f"uploads/{account.id}/{name}/clip.mp4" for name in ("young", "old")]
    for key in keys:
        core.storage.put_bytes(key, b"data", "video/mp4")
    path = core.storage.local_path(keys[1])
    assert isinstance(path, Path)
    os.utime(path, (time.time() - 14.1 * 86400,) * 2)
    delete_expired(core)
    assert [core.storage.stat(key) is not None for key in keys] == [True, False]


def test_a_second_round_deletes_nothing(core: Core, account: Account) -> None:
    job = ended_job(core, account, 20)
    delete_expired(core)
    before = rows(core, job)
    delete_expired(core)
    assert (rows(core, job), files(core, job)) == (before, 0)


def test_all_that_has_expired_is_deleted_but_what_cannot_be(core: Core, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.retention.BATCH_JOBS", 2)
    jobs = [ended_job(core, account, 20 + number) for number in range(5)]
    delete_under = core.storage.delete_under

    def fail_for_the_first(prefix: str) -> int:
        if prefix == f"jobs/{jobs[0].id}":
            raise StorageError("access denied")
        return delete_under(prefix)

    with patch.object(type(core.storage), "delete_under", side_effect=fail_for_the_first):
        delete_expired(core)
    assert [files(core, job) for job in jobs] == [len(FILES), 0, 0, 0, 0]
    delete_expired(core)
    assert files(core, jobs[0]) == 0


def test_a_worker_that_stops_deletes_no_more(core: Core, account: Account) -> None:
    jobs, until = [ended_job(core, account, 20 + number) for number in range(2)], threading.Event()
    delete_under = core.storage.delete_under

    def delete_and_stop(prefix: str) -> int:
        until.set()
        return delete_under(prefix)

    with patch.object(type(core.storage), "delete_under", side_effect=delete_and_stop):
        retention.delete_expired(core, until)
    assert sorted(files(core, job) for job in jobs) == [0, len(FILES)]
    delete_expired(core)
