"""Results in a bucket of the account's own: on a real S3 server that checks signatures."""

import secrets
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from service.errors import StorageError
from service.exporter import Exporter
from service.jobs import exports, store
from service.jobs.account_files import AccountFiles
from service.jobs.job import JobSpec, Result, State
from service.jobs.keys import Scope
from service.jobs.tables import DESTINATIONS, JOBS
from service.outside.storage import Storage
from tests.s3_server import ACCESS_KEY, SECRET_KEY, s3
from tests.service_process import Service, TestAccount, running

CLEAN = b"\x00\x00\x00\x18ftypmp42 clean"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("exports"), worker=False) as service:
        yield service


@pytest.fixture
def exporter(service: Service) -> Exporter:
    return Exporter(service.core, threading.Event())


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The customer's, as the customer sees it."""
    for name, value in s3().environment.items():
        monkeypatch.setenv(name, value)
    return Storage.open(s3().bucket)


def order(prefix: str, **more: Any) -> dict[str, Any]:
    keys = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
    return {"bucket": "cleanplate", "prefix": prefix, "endpoint": s3().url, "region": "us-east-1"} | keys | more


def set_bucket(service: Service, account: TestAccount, prefix: str, **more: Any) -> None:
    answer = service.client.put("/v1/destination", headers=account.bearer, json=order(prefix, **more))
    assert answer.status_code == 200, answer.text
    assert SECRET_KEY not in answer.text
    assert "access_key" not in answer.text


def succeeded(service: Service, account: TestAccount) -> str:
    """A job that has succeeded, with files as a worker stores them."""
    body = {"source_url": "http://127.0.0.1:9/Ferien am Meer.mov", "name": "Ferien am Meer.mov"}
    job_id = str(service.client.post("/v1/jobs", headers=account.bearer, json=body).json()["id"])
    keys = [f"jobs/{job_id}/1/{name}" for name in ("clean.mp4", "source.mp4", "thumbnail.jpg", "report.json")]
    for key in keys:
        service.core.storage.put_bytes(key, CLEAN, "video/mp4")
    with service.core.database.write() as connection:
        job = store.locked(connection, job_id)
        for state in (State.FETCHING, State.CLEANING, State.PUBLISHING):
            job = store.advance(connection, job, state)
        result = Result(*keys[:3], "video/mp4", len(CLEAN), 1, True, 0.1, report_key=keys[3])
        store.update(connection, job_id, result=result.to_json())
        service.core.finalizer.succeed(connection, store.locked(connection, job_id))
    return job_id


def export_of(service: Service, account: TestAccount, job_id: str) -> Any:
    return service.client.get(f"/v1/jobs/{job_id}", headers=account.bearer).json()["export"]


def change(service: Service, job_id: str, **values: object) -> None:
    with service.core.database.write() as connection:
        connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(values))


def due_ms(service: Service, job_id: str) -> int | None:
    with service.core.database.read() as connection:
        return connection.execute(sa.select(JOBS.c.export_due_ms).where(JOBS.c.id == job_id)).scalar_one()


def test_a_result_is_put_into_the_bucket(service: Service, exporter: Exporter, bucket: Storage) -> None:
    account, prefix = service.account(), secrets.token_hex(4)
    set_bucket(service, account, prefix)
    job_id = succeeded(service, account)
    assert export_of(service, account, job_id) == {"outcome": "pending", "attempts": 0, "url": None, "detail": None}
    assert exporter.deliver_next()
    url = f"s3://cleanplate/{prefix}/{job_id}/Ferien am Meer_clean.mp4"
    assert export_of(service, account, job_id) == {"outcome": "delivered", "attempts": 1, "url": url, "detail": None}
    assert bucket.get_bytes(f"{prefix}/{job_id}/report.json") == CLEAN
    assert not exporter.deliver_next()
    assert service.client.get(f"/v1/jobs/{job_id}/result", headers=account.bearer).status_code == 303  # here as well


def test_a_result_may_be_only_there(service: Service, exporter: Exporter) -> None:
    account = service.account()
    set_bucket(service, account, secrets.token_hex(4), keep_here=False)
    job_id = succeeded(service, account)
    assert exporter.deliver_next()
    job = service.client.get(f"/v1/jobs/{job_id}", headers=account.bearer).json()
    assert job["export"]["outcome"] == "delivered"
    assert job["files_deleted_at"]
    assert list(service.core.storage.list_under(f"jobs/{job_id}")) == []


def test_files_that_another_job_needs_are_deleted_after_it(service: Service, exporter: Exporter) -> None:
    account = service.account()
    set_bucket(service, account, secrets.token_hex(4), keep_here=False)
    key = f"uploads/{account.id}/0f3c/source.mp4"
    service.core.account_files.put_stream(account.id, key, BytesIO(CLEAN))
    body = {"source_url": "http://127.0.0.1:9/other.mov"}
    job_id, other_id = succeeded(service, account), service.client.post("/v1/jobs", headers=account.bearer, json=body).json()["id"]
    for each in (job_id, other_id):
        change(service, each, wish=JobSpec("video", source_key=key).to_json())
    assert exporter.deliver_next()
    assert export_of(service, account, job_id)["outcome"] == "delivered"
    assert service.core.storage.stat(key)
    service.context.job_service.cancel(account.id, other_id)
    assert not exporter.deliver_next(), "not at once"
    change(service, job_id, export_due_ms=0)
    assert exporter.deliver_next()
    assert list(service.core.storage.list_under(f"jobs/{job_id}")) == []
    assert export_of(service, account, job_id)["attempts"] == 1, "it is not put there again"
    assert due_ms(service, job_id) is None


def test_files_are_deleted_after_a_crash_or_an_error_of_the_storage(service: Service, exporter: Exporter) -> None:
    account = service.account()
    set_bucket(service, account, secrets.token_hex(4), keep_here=False)
    job_id = succeeded(service, account)
    with patch.object(AccountFiles, "clear_job", side_effect=StorageError("not now")), pytest.raises(StorageError):
        exporter.deliver_next()
    assert export_of(service, account, job_id)["outcome"] == "delivered"
    change(service, job_id, export_due_ms=0)
    assert exporter.deliver_next()
    assert list(service.core.storage.list_under(f"jobs/{job_id}")) == []
    assert due_ms(service, job_id) is None


def test_what_an_exporter_records_too_late_is_lost(service: Service) -> None:
    account, database = service.account(), service.core.database
    set_bucket(service, account, secrets.token_hex(4))
    job_id = succeeded(service, account)
    slow = exports.claim(database, set())
    assert slow is not None
    assert exports.renew(database, slow)
    change(service, job_id, export_due_ms=0)  # a minute later
    other = exports.claim(database, set())
    assert other is not None
    assert other.job.id == job_id
    assert not exports.renew(database, slow)
    assert exports.delivered(database, other, "s3://there")
    exports.failed(database, slow, "the connection was lost")
    exports.give_back(database, slow)
    exports.finished(database, other)
    assert export_of(service, account, job_id) == {"outcome": "delivered", "attempts": 1, "url": "s3://there", "detail": None}
    assert due_ms(service, job_id) is None


def test_a_failed_delivery_is_tried_again_and_shown(service: Service, exporter: Exporter) -> None:
    account, prefix = service.account(), secrets.token_hex(4)
    set_bucket(service, account, prefix, secret_access_key="wrong")
    job_id = succeeded(service, account)
    assert exporter.deliver_next()
    shown = export_of(service, account, job_id)
    assert (shown["outcome"], shown["attempts"], shown["detail"]) == ("pending", 1, "127.0.0.1 answered with status 403")
    with service.core.database.read() as connection:
        row = connection.execute(sa.select(JOBS.c.export_due_ms, JOBS.c.finished_ms).where(JOBS.c.id == job_id)).one()
    assert row.export_due_ms >= row.finished_ms + 5000  # not at once
    set_bucket(service, account, prefix)
    assert service.client.post(f"/v1/jobs/{job_id}/export", headers=account.bearer).status_code == 202
    assert exporter.deliver_next()
    assert export_of(service, account, job_id)["outcome"] == "delivered"


def test_a_removed_bucket_gets_nothing(service: Service, exporter: Exporter) -> None:
    account = service.account()
    set_bucket(service, account, "")
    job_id = succeeded(service, account)
    assert service.client.delete("/v1/destination", headers=account.bearer).status_code == 204
    assert service.client.get("/v1/destination", headers=account.bearer).status_code == 404
    assert exporter.deliver_next()
    assert export_of(service, account, job_id)["outcome"] == "given_up"
    assert service.client.post(f"/v1/jobs/{job_id}/export", headers=account.bearer).status_code == 404


def test_the_keys_are_encrypted_and_the_test_says_what_is_wrong(service: Service) -> None:
    account = service.account()
    set_bucket(service, account, secrets.token_hex(4))
    with service.core.database.read() as connection:
        row = connection.execute(sa.select(DESTINATIONS).where(DESTINATIONS.c.account_id == account.id)).one()
    assert SECRET_KEY not in str(row)
    assert service.client.post("/v1/destination/test", headers=account.bearer).json()["delivered"] is True
    set_bucket(service, account, "", secret_access_key="wrong")
    tested = service.client.post("/v1/destination/test", headers=account.bearer).json()
    assert (tested["delivered"], tested["detail"]) == (False, "127.0.0.1 answered with status 403")


def test_the_guard_keeps_deliveries_from_the_network_of_the_service(tmp_path: Path) -> None:
    with running(tmp_path, worker=False, fetch_allow="192.0.2.1") as closed:
        account = closed.account()
        set_bucket(closed, account, "")
        tested = closed.client.post("/v1/destination/test", headers=account.bearer).json()
    assert tested["delivered"] is False
    assert "not public" in tested["detail"]


@pytest.mark.parametrize(
    "wrong", [{"bucket": "../x"}, {"endpoint": "https://a.example/path"}, {"endpoint": "file:///etc"}, {"prefix": "/a"}]
)
def test_refused_buckets(service: Service, wrong: dict[str, str]) -> None:
    answer = service.client.put("/v1/destination", headers=service.account().bearer, json=order("a") | wrong)
    assert answer.status_code == 422
    assert SECRET_KEY not in answer.text


def test_operators_set_it_too(service: Service, exporter: Exporter) -> None:
    account = service.account()
    admin = {"Authorization": f"Bearer {service.core.accounts.create_key(service.account().account, {Scope.ADMIN}).key}"}
    path = f"/v1/admin/accounts/{account.id}/destination"
    assert service.client.put(path, headers=admin, json=order("by-operator")).status_code == 200
    assert service.client.get("/v1/destination", headers=account.bearer).json()["prefix"] == "by-operator"
    assert service.client.delete(path, headers=admin).status_code == 204
    assert service.client.put(path.replace(str(account.id), "999999"), headers=admin, json=order("x")).status_code == 404
    job_id = succeeded(service, account)
    assert export_of(service, account, job_id) is None
    assert not exporter.deliver_next()
    with service.core.database.read() as connection:
        assert connection.execute(sa.select(JOBS.c.export_due_ms).where(JOBS.c.id == job_id)).scalar() is None
