"""Deleting files before they expire: a job's, and uploads. The job and the ledger stay."""

import base64
from collections.abc import Iterator

import httpx
import pytest

from service.api.kie import FACADE as KIE
from service.api.native import FACADE as NATIVE
from service.jobs.account_files import used_bytes
from service.jobs.job import JobSpec, NewJob, new_id
from service.jobs.ledger import lines
from tests.workerless_server import Customer, WorkerlessServer, workerless_server

MP4 = b"\x00\x00\x00\x18ftypmp42 and so on"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("deletion"), NATIVE, KIE) as server:
        yield server


def ordered(server: WorkerlessServer, customer: Customer) -> str:
    """A job from an uploaded file."""
    answer = server.client.post("/v1/jobs", headers=customer.bearer, files={"file": ("a.mp4", MP4)})
    return str(answer.json()["id"])


def deleted(server: WorkerlessServer, customer: Customer, path: str) -> httpx.Response:
    return server.client.delete(path, headers=customer.bearer)


def stored(server: WorkerlessServer, customer: Customer, job_id: str) -> list[str]:
    return [*server.storage.list_under(f"jobs/{job_id}"), *server.storage.list_under(f"uploads/{customer.id}")]


def used(server: WorkerlessServer, customer: Customer) -> int:
    with server.database.read() as connection:
        return used_bytes(connection, customer.id)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def test_a_deleted_job_has_no_files_and_stays_in_the_ledger(server: WorkerlessServer) -> None:
    customer = server.customer()
    job_id = ordered(server, customer)
    server.succeed(job_id)
    url = server.client.get(f"/v1/jobs/{job_id}", headers=customer.bearer).json()["result"]["url"]
    assert len(stored(server, customer, job_id)) == 4
    for _ in range(2):
        answer = deleted(server, customer, f"/v1/jobs/{job_id}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert stored(server, customer, job_id) == []
    assert used(server, customer) == 0
    assert server.client.get(url).status_code == 404
    job = server.client.get(f"/v1/jobs/{job_id}", headers=customer.bearer).json()
    assert (job["state"], job["credits_used"]) == ("succeeded", 1)
    assert job["files_deleted_at"] > job["finished_at"]
    for part in ("result", "report"):
        gone = server.client.get(f"/v1/jobs/{job_id}/{part}", headers=customer.bearer)
        assert problem_of(gone) == (404, "files-deleted")
    with server.database.read() as connection:
        assert [line.job_id for line in lines(connection, customer.id) if line.job_id] == [job_id, job_id]


def test_a_job_that_has_not_ended_keeps_its_files(server: WorkerlessServer) -> None:
    customer = server.customer()
    job_id = ordered(server, customer)
    assert problem_of(deleted(server, customer, f"/v1/jobs/{job_id}")) == (409, "job-not-ended")
    assert len(stored(server, customer, job_id)) == 1
    server.context.job_service.cancel(customer.id, job_id)
    assert deleted(server, customer, f"/v1/jobs/{job_id}").status_code == 204
    assert stored(server, customer, job_id) == []


def test_files_that_another_job_has_too_stay(server: WorkerlessServer) -> None:
    customer = server.customer()
    first = ordered(server, customer)
    job = server.succeed(first)
    again = NewJob(new_id("job_", 1), customer.id, "native", JobSpec("video", source_key=job.spec.source_key))
    server.context.job_service.submit(again)
    assert problem_of(deleted(server, customer, f"/v1/jobs/{first}")) == (409, "job-not-ended")
    server.succeed(again.id)
    assert deleted(server, customer, f"/v1/jobs/{first}").status_code == 204
    assert stored(server, customer, first) == [job.spec.source_key]
    assert deleted(server, customer, f"/v1/jobs/{again.id}").status_code == 204
    assert stored(server, customer, again.id) == []


def test_a_file_below_a_job_is_needed_by_the_job_that_takes_its_detection(server: WorkerlessServer) -> None:
    customer = server.customer()
    first = server.succeed(ordered(server, customer))
    assert first.result is not None
    spec = JobSpec("video", source_key=first.result.source_key, detection_key=f"jobs/{first.id}/detection.npz")
    later = NewJob(new_id("job_", 1), customer.id, "native", spec)
    server.context.job_service.submit(later)
    assert problem_of(deleted(server, customer, f"/v1/jobs/{first.id}")) == (409, "job-not-ended")
    server.context.job_service.cancel(customer.id, later.id)
    assert deleted(server, customer, f"/v1/jobs/{first.id}").status_code == 204


def test_an_upload_is_deleted_by_its_id(server: WorkerlessServer) -> None:
    customer = server.customer()
    body = {"base64Data": base64.b64encode(MP4).decode(), "uploadPath": "videos"}
    uploaded = server.client.post("/api/file-base64-upload", headers=customer.bearer, json=body).json()["data"]
    path = f"/v1/uploads/{uploaded['fileId']}"
    assert problem_of(deleted(server, server.customer(), path)) == (404, "upload-missing")
    job_id = server.client.post("/v1/jobs", headers=customer.bearer, json={"source_url": uploaded["downloadUrl"]}).json()["id"]
    assert problem_of(deleted(server, customer, path)) == (409, "job-not-ended")
    server.context.job_service.cancel(customer.id, job_id)
    assert deleted(server, customer, path).status_code == 204
    assert server.client.get(uploaded["downloadUrl"]).status_code == 404
    assert used(server, customer) == 0
    assert problem_of(deleted(server, customer, path)) == (404, "upload-missing")


@pytest.mark.parametrize("identifier", ["none", "*", "Li4vLi4v", "bmFtZWQvYQ==", "%2e%2e", "é"])
def test_what_is_no_upload_is_not_found(server: WorkerlessServer, identifier: str) -> None:
    assert problem_of(deleted(server, server.customer(), f"/v1/uploads/{identifier}")) == (404, "upload-missing")


def test_other_accounts_jobs_cannot_be_deleted(server: WorkerlessServer) -> None:
    job_id = ordered(server, server.customer())
    server.succeed(job_id)
    assert problem_of(deleted(server, server.customer(), f"/v1/jobs/{job_id}")) == (404, "unknown-job")
    assert server.client.delete(f"/v1/jobs/{job_id}").status_code == 401
