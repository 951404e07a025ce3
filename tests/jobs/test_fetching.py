"""The step that fetches a job's source: what it stores, enqueues and counts, and what it leaves when it cannot."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from service import settings
from service.core import Core, opened
from service.disk import DiskGuard
from service.errors import InternalError, JobCancelled, QuotaExceeded, StorageError, StorageFull
from service.inference import fake
from service.jobs import store
from service.jobs.account_files import AccountFiles, used_bytes
from service.jobs.accounts import Account
from service.jobs.credits import Fund
from service.jobs.database import now_ms
from service.jobs.fence import Fence, Superseded
from service.jobs.job import Job, JobSpec, NewJob, State, new_id
from service.jobs.job_service import JobService, Rules
from service.jobs.queues import fetch_id
from service.jobs.retry import MAX_ATTEMPTS
from service.jobs.workflow import ATTEMPTS
from service.metrics import Meters
from service.scratch import Scratch
from service.sources import fetch_source
from service.steps import JobSteps
from tests.fixture_host import Host, eventually, host
from tests.jobs.bench import take
from tests.service_process import file

LIMIT_BYTES = 10**6


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    variables = {
        "CLEANPLATE_DATA_DIR": str(tmp_path_factory.mktemp("fetching")),
        "CLEANPLATE_FETCH_ALLOW": "127.0.0.0/8",
        "CLEANPLATE_LIMITS__FILE_BYTES": str(LIMIT_BYTES),
    }
    with patch.dict(os.environ, variables), opened(settings.read()) as core:
        yield core


@pytest.fixture(scope="module")
def there() -> Iterator[Host]:
    with host() as there:
        yield there


@pytest.fixture
def account(core: Core) -> Account:
    account = core.accounts.create(f"account {now_ms()}")
    core.administration.grant(account, Fund.PAID, 10, "test")
    return account


def steps(core: Core, folder: Path) -> JobSteps:
    """The steps, with scratch files in this folder."""
    scratch = Scratch(folder)
    scratch.own.mkdir()
    return JobSteps(core, fake.networks(workers=1), Meters(CollectorRegistry()), scratch, threading.Event())


def execute(step: Callable[[str], None], job: Job) -> None:
    """Run a step of a workflow that this worker has taken: the one that fetches the source, or the one that cleans it."""
    worker: JobSteps = step.__self__  # type: ignore[attr-defined]
    workflow_id = fetch_id(job.id) if step.__name__ == "fetch_and_enqueue" else job.id
    with patch.object(Fence, "of_this_execution", return_value=take(worker.core.database, workflow_id)):
        step(job.id)


def service(core: Core) -> JobService:
    return JobService(core.database, core.accounts, core.queues, core.finalizer, Rules())


def order(core: Core, account: Account, url: str) -> Job:
    return service(core).submit(NewJob(new_id("job_", now_ms()), account.id, "native", JobSpec("video", url)))


def counted(core: Core, account: Account) -> int:
    with core.database.read() as connection:
        return used_bytes(connection, account.id)


def workflows(core: Core, job: Job) -> dict[str, str]:
    """The queues of the job's workflows, by id."""
    table = sa.table("workflow_status", sa.column("workflow_uuid"), sa.column("queue_name"))
    statement = sa.select(table).where(table.c.workflow_uuid.in_([job.id, fetch_id(job.id)]))
    with core.database.read() as connection:
        return {row.workflow_uuid: row.queue_name for row in connection.execute(statement)}


def test_a_fetched_job_is_enqueued_once_however_often_the_step_is_repeated(
    core: Core, there: Host, account: Account, tmp_path: Path
) -> None:
    data, _ = file("marked")
    job = order(core, account, there.serve("/v.mp4", data))
    assert workflows(core, job) == {fetch_id(job.id): "fetches"}
    worker = steps(core, tmp_path)
    for _ in range(2):
        execute(worker.fetch_and_enqueue, job)
        assert workflows(core, job) == {fetch_id(job.id): "fetches", job.id: "jobs"}
    found = service(core).find(account.id, job.id)
    assert (found.state, found.started_ms) == (State.QUEUED, None), "its time begins when it is cleaned"
    assert found.spec.source_key
    assert core.storage.get_bytes(found.spec.source_key) == data
    with core.database.read() as connection:
        assert [event.state for event in store.events(connection, job.id)] == [State.QUEUED, State.FETCHING, State.QUEUED]
    assert counted(core, account) == len(data)
    assert len([asked for asked in there.asked if asked.path == "/v.mp4"]) == 1

    cancelled = service(core).cancel(account.id, job.id)
    assert (cancelled.state, counted(core, account)) == (State.CANCELLED, 0), "a job that waits is cancelled at once"
    with pytest.raises(JobCancelled):
        execute(worker.clean, job)


def test_a_job_that_was_cancelled_meanwhile_is_not_enqueued(core: Core, there: Host, account: Account, tmp_path: Path) -> None:
    job = order(core, account, there.serve("/w.mp4", file("marked")[0]))
    service(core).cancel(account.id, job.id)
    with pytest.raises(JobCancelled):
        execute(steps(core, tmp_path).fetch_and_enqueue, job)
    assert workflows(core, job) == {fetch_id(job.id): "fetches"}


def test_a_job_that_is_cancelled_as_its_source_has_arrived_is_not_enqueued(
    core: Core, there: Host, account: Account, tmp_path: Path
) -> None:
    job = order(core, account, there.serve("/z.mp4", file("marked")[0]))

    def fetch(*arguments: Any) -> Any:
        fetched = fetch_source(*arguments)
        assert service(core).cancel(account.id, job.id).cancel_asked
        return fetched

    with patch("service.steps.fetch_source", fetch), pytest.raises(JobCancelled):
        execute(steps(core, tmp_path).fetch_and_enqueue, job)
    assert workflows(core, job) == {fetch_id(job.id): "fetches"}


def test_an_account_that_is_full_fetches_no_more_until_a_job_ends(core: Core, there: Host, account: Account, tmp_path: Path) -> None:
    data, _ = file("marked")
    small = replace(core, account_files=replace(core.account_files, account_bytes=LIMIT_BYTES))
    worker = steps(small, tmp_path)
    first, second = (order(core, account, there.serve(f"/{number}.mp4", data)) for number in range(2))
    execute(worker.fetch_and_enqueue, first)
    with pytest.raises(QuotaExceeded):
        execute(worker.fetch_and_enqueue, second)
    assert workflows(core, second) == {fetch_id(second.id): "fetches"}
    service(core).cancel(account.id, first.id)
    execute(worker.fetch_and_enqueue, second)
    assert workflows(core, second)[second.id] == "jobs"
    assert counted(core, account) == len(data)


def test_a_full_disk_fails_no_job_and_counts_as_no_attempt(core: Core, there: Host, account: Account, tmp_path: Path) -> None:
    full = DiskGuard((tmp_path,), floor_bytes=2**60)
    no_room = replace(core, disk=full, account_files=replace(core.account_files, disk=full))
    job = order(core, account, there.serve("/x.mp4", file("marked")[0]))
    with pytest.raises(StorageFull):
        execute(steps(no_room, tmp_path).fetch_and_enqueue, job)
    worker = JobSteps(core, fake.networks(workers=1), Meters(CollectorRegistry()), Scratch(tmp_path), threading.Event())
    execute(worker.fetch_and_enqueue, job)
    waiting = replace(worker, core=no_room)
    for _ in range(5):
        with pytest.raises(StorageFull):
            execute(waiting.clean, job)
    found = service(core).find(account.id, job.id)
    assert (found.state, found.attempts) == (State.CLEANING, 0)


def test_an_error_is_reported_as_it_is_however_often_the_step_is_repeated(
    core: Core, there: Host, account: Account, tmp_path: Path
) -> None:
    worker = steps(core, tmp_path)
    job = order(core, account, there.serve("/u.mp4", file("marked")[0]))
    execute(worker.fetch_and_enqueue, job)
    core.storage.delete(service(core).find(account.id, job.id).spec.source_key or "")
    for _ in range(ATTEMPTS):
        with pytest.raises(StorageError):
            execute(worker.clean, job)
    assert service(core).find(account.id, job.id).attempts == 0, "only a worker's death counts"


@pytest.mark.parametrize("is_fetched", [False, True])
def test_a_job_that_is_handed_back_has_its_whole_time_again(
    core: Core, there: Host, account: Account, tmp_path: Path, is_fetched: bool
) -> None:
    worker = steps(core, tmp_path)
    job = order(core, account, there.serve("/t.mp4", file("marked")[0]))
    if is_fetched:
        execute(worker.fetch_and_enqueue, job)
    with core.database.write() as connection:
        store.update(connection, job.id, started_ms=1)
    worker.stopping.set()
    step, workflow_id = (worker.clean, job.id) if is_fetched else (worker.fetch_and_enqueue, fetch_id(job.id))
    with patch.object(Fence, "of_this_execution", return_value=take(core.database, workflow_id)):
        threading.Thread(target=step, args=[job.id], daemon=True).start()  # for ever, as the process would end now
        eventually(lambda: service(core).find(account.id, job.id).started_ms is None)
    assert service(core).find(account.id, job.id).attempts == 0


def test_a_source_that_kills_its_workers_fails(core: Core, there: Host, account: Account, tmp_path: Path) -> None:
    job = order(core, account, there.serve("/s.mp4", file("marked")[0]))
    worker = steps(core, tmp_path)
    with patch("service.steps.fetch_source", side_effect=Superseded("as if the worker had died")):
        for _ in range(MAX_ATTEMPTS):
            with pytest.raises(Superseded):
                execute(worker.fetch_and_enqueue, job)
    with pytest.raises(InternalError):
        execute(worker.fetch_and_enqueue, job)


def test_a_job_with_a_result_is_not_cleaned_again(core: Core, there: Host, account: Account, tmp_path: Path) -> None:
    worker = steps(core, tmp_path)
    job = order(core, account, there.serve("/y.mp4", file("marked")[0]))
    execute(worker.fetch_and_enqueue, job)
    execute(worker.clean, job)
    done = service(core).find(account.id, job.id)
    execute(worker.clean, job)  # as after a worker that stopped before the engine had recorded the step
    assert service(core).find(account.id, job.id) == done
    assert done.attempts == 1
    execute(worker.publish, job)


def test_uploads_count_until_they_are_deleted(core: Core, account: Account) -> None:
    files = AccountFiles(core.database, core.storage, DiskGuard(), account_bytes=20_000)
    key = f"uploads/{account.id}/0f3c/a.mp4"
    files.put_stream(account.id, key, BytesIO(bytes(9000)))
    files.put_stream(account.id, f"uploads/{account.id}/0f3d/b.mp4", BytesIO(b"small"))
    assert counted(core, account) == 9000 + 4096, "a small file counts as a block of the disk"
    with pytest.raises(QuotaExceeded, match="limit"):
        files.put_stream(account.id, f"uploads/{account.id}/0f3e/c.mp4", BytesIO(bytes(9000)))
    assert core.storage.stat(f"uploads/{account.id}/0f3e/c.mp4") is None
    files.delete(key)
    files.delete(key)
    assert counted(core, account) == 4096
    files.delete_under(f"uploads/{account.id}/0f3d")
    assert counted(core, account) == 0
    assert core.storage.stat(f"uploads/{account.id}/0f3d/b.mp4") is None


def test_an_upload_that_could_not_be_stored_counts_for_nothing(core: Core, account: Account, tmp_path: Path) -> None:
    files = AccountFiles(core.database, core.storage, DiskGuard(), account_bytes=20_000)
    (tmp_path / "file").write_bytes(bytes(9000))
    core.storage.put_bytes(f"uploads/{account.id}/file", b"a file, and no folder", "")
    with pytest.raises(StorageError):
        files.put_file(account.id, f"uploads/{account.id}/file/a.mp4", tmp_path / "file")
    assert counted(core, account) == 0
    full = replace(files, disk=DiskGuard((tmp_path,), floor_bytes=2**60))
    with pytest.raises(StorageFull):
        full.require(account.id)
    with pytest.raises(StorageFull):
        full.put_file(account.id, f"uploads/{account.id}/0f3c/a.mp4", tmp_path / "file")
    assert counted(core, account) == 0


def test_expired_uploads_count_no_more(core: Core, account: Account) -> None:
    files = core.account_files
    files.put_stream(account.id, f"uploads/{account.id}/0f3c/a.mp4", BytesIO(bytes(9000)))
    assert files.delete_expired(3600) == 0
    assert counted(core, account) == 9000
    assert files.delete_expired(-1) >= 1
    assert counted(core, account) == 0
