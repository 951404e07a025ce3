"""Sources on slow hosts: they hold up neither other accounts, nor other requests, nor what their own account uploads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from service.jobs import credits, ledger, store
from service.jobs.database import now_ms
from service.jobs.job import JobSpec, NewJob, State, new_id
from tests.fixture_host import Host, eventually, host
from tests.service_process import JOB_SECONDS, Service, TestAccount, file, running

SLOW_JOBS = 6
SLOW_UPLOADS = 45  # more than there are threads for other requests
SETTINGS = {"worker_jobs": "1", "worker_fetches": "3", "account_fetches": "2", "fetch_seconds": "40"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("slow"), **SETTINGS) as service:
        yield service


@pytest.fixture
def there() -> Iterator[Host]:
    """A host of this test, whose end ends all its connections."""
    with host() as there:
        yield there


def order(service: Service, account: TestAccount, url: str) -> str:
    answer = service.client.post("/v1/jobs", headers=account.bearer, json={"source_url": url})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def states(service: Service, account: TestAccount, job_ids: list[str]) -> set[State]:
    return {service.context.job_service.find(account.id, job_id).state for job_id in job_ids}


def cancel(service: Service, account: TestAccount, job_id: str) -> None:
    assert service.client.post(f"/v1/jobs/{job_id}/cancel", headers=account.bearer).status_code == 200


def test_jobs_of_others_and_uploads_do_not_wait_for_slow_sources(service: Service, there: Host) -> None:
    slow, other = service.account(), service.account()
    waiting = [order(service, slow, there.never_answer(f"/{number}.mp4")) for number in range(SLOW_JOBS)]
    eventually(lambda: len(there.asked) == 2, JOB_SECONDS)
    assert service.wait(other, order(service, other, service.video_url())).state is State.SUCCEEDED
    uploaded = service.client.post("/v1/jobs", headers=slow.bearer, files={"file": file("marked")[0]}).json()["id"]
    assert service.wait(slow, uploaded).state is State.SUCCEEDED
    assert states(service, slow, waiting) <= {State.QUEUED, State.FETCHING}
    for job_id in reversed(waiting):  # the last ones wait for the first
        cancel(service, slow, job_id)
    for job_id in waiting:
        assert service.wait(slow, job_id).state is State.CANCELLED
    assert service.context.job_service.balance(slow.id).total_credits == 99


def test_a_source_that_takes_too_long_is_fetched_once(tmp_path: Path, there: Host) -> None:
    with running(tmp_path, fetch_seconds="1") as service:
        account = service.account()
        job = service.wait(account, order(service, account, there.trickle("/drip.mp4")))
    assert (job.state, job.failure and job.failure.kind) == (State.FAILED, "FetchTooSlow")
    assert len(there.asked) == 1
    assert service.context.job_service.balance(account.id).total_credits == 100


def test_slow_uploads_by_url_hold_up_no_other_request(tmp_path: Path) -> None:
    with running(tmp_path, worker=False, account_fetches=str(SLOW_UPLOADS)) as service, ThreadPoolExecutor(SLOW_UPLOADS) as threads:
        slow, other = service.account(), service.account()

        def upload(account: TestAccount, url: str) -> int:
            body = {"fileUrl": url, "uploadPath": "a"}
            return int(service.client.post("/api/file-url-upload", headers=account.bearer, json=body).json()["code"])

        with host() as there:
            url = there.never_answer("/slow.mp4")
            uploads = [threads.submit(upload, slow, url) for _ in range(SLOW_UPLOADS)]
            eventually(lambda: len(there.asked) == SLOW_UPLOADS)
            assert upload(slow, service.video_url()) == 429, "an account has its share"
            assert upload(other, service.video_url()) == 200
            assert service.client.get("/v1/account", headers=slow.bearer).status_code == 200
            assert not any(each.done() for each in uploads)
        assert {each.result() for each in uploads} == {400}


def test_a_job_that_an_earlier_version_queued_is_fetched_and_cleaned(service: Service) -> None:
    account, url = service.account(), service.video_url()
    spec = JobSpec("video", source_key=f"uploads/{account.id}/0f3c/source.mp4")
    new = NewJob(new_id("job_", now_ms()), account.id, "native", spec)
    on_the_web = replace(spec, source_key=None, source_url=url)
    with service.core.database.write() as connection:  # as it was: queued to be cleaned, its source still on the web
        job = store.insert(connection, replace(new, spec=on_the_web), 1)
        ledger.write(connection, account.id, credits.reserve(ledger.locked_balance(connection, account.id), job.id, 1))
        service.core.queues.enqueue_job(connection, new)
    assert service.wait(account, job.id).state is State.SUCCEEDED
