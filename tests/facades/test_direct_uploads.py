"""Large uploads to an S3-compatible bucket: parts by signed links, and pieces by tus that any process of the API may receive."""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import sqlalchemy as sa

from service.async_client import AsyncClient
from service.client import Client
from service.jobs.account_files import used_bytes
from service.jobs.half_object import PART_BYTES
from service.jobs.tables import TRANSFERS
from service.remote_upload import Memory, upload_steps
from tests.s3_server import s3
from tests.service_process import Service, TestAccount, running

MIB = 2**20
FILE = b"\x00\x00\x00\x18ftypmp42" + os.urandom(MIB) * 18  # two parts
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3().environment.items():
            environment.setenv(name, value)
        storage = f"{s3().bucket}/{secrets.token_hex(4)}"
        with running(tmp_path_factory.mktemp("direct"), worker=False, storage_url=storage) as service:
            yield service


def begun(service: Service, account: TestAccount, **more: str) -> dict[str, Any]:
    body = {"name": "holiday.mov", "bytes": len(FILE)} | more
    answer = service.client.post("/v1/uploads", headers=account.bearer, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def put(part: dict[str, Any], data: bytes) -> int:
    return httpx.put(part["url"], content=data, trust_env=False).status_code


def completed(service: Service, account: TestAccount, upload: dict[str, Any]) -> httpx.Response:
    return service.client.post(f"/v1/uploads/{upload['id']}/complete", headers=account.bearer)


def view_of(service: Service, account: TestAccount, upload_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(f"/v1/uploads/{upload_id}", headers=account.bearer).json()
    return found


def downloaded(url: str) -> bytes:
    return httpx.get(url, follow_redirects=True, trust_env=False).content


def used(service: Service, account: TestAccount) -> int:
    with service.core.database.read() as connection:
        return used_bytes(connection, account.id)


def test_parts_go_straight_to_the_bucket_and_make_one_upload(service: Service) -> None:
    account = service.account()
    upload = begun(service, account, sha256=hashlib.sha256(FILE).hexdigest())
    first, second = upload["parts"]
    assert (first["bytes"], second["bytes"]) == (16 * MIB, len(FILE) - 16 * MIB)
    assert put(first, FILE[: first["bytes"]]) == 200
    found = view_of(service, account, upload["id"])
    assert (found["received_bytes"], [part["number"] for part in found["parts"]]) == (first["bytes"], [2])
    early = completed(service, account, upload)
    assert (early.status_code, early.json()["type"].rpartition(":")[2]) == (409, "upload-incomplete")
    assert put(found["parts"][0], FILE[first["bytes"] :]) == 200
    done = [completed(service, account, upload).json() for _ in range(2)]
    assert done[0]["state"] == "finished"
    assert done[0]["content_type"] == "video/mp4"  # by its bytes, whatever its name says
    assert done[0]["file_id"] == done[1]["file_id"]
    assert downloaded(done[0]["url"]) == FILE
    assert service.client.post("/v1/jobs", headers=account.bearer, json={"source_url": done[0]["url"]}).status_code == 201


def test_a_link_takes_only_its_part(service: Service) -> None:
    account = service.account()
    part = begun(service, account)["parts"][1]
    assert put(part, b"x" * (part["bytes"] + 1)) == 403
    assert put({"url": part["url"].replace("partNumber=2", "partNumber=3")}, b"x" * part["bytes"]) == 403


def test_a_wrong_checksum_leaves_nothing(service: Service) -> None:
    account = service.account()
    upload = begun(service, account, sha256="0" * 64)
    for part, data in zip(upload["parts"], (FILE[: 16 * MIB], FILE[16 * MIB :]), strict=True):
        put(part, data)
    refused = completed(service, account, upload)
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (460, "checksum-mismatch")
    assert used(service, account) == 0
    assert list(service.core.storage.list_under(f"uploads/{account.id}")) == []


def test_a_deleted_upload_is_gone_from_the_bucket(service: Service) -> None:
    account = service.account()
    upload = begun(service, account)
    put(upload["parts"][1], FILE[16 * MIB :])
    assert service.client.delete(f"/v1/uploads/{upload['id']}", headers=account.bearer).status_code == 204
    assert used(service, account) == 0
    assert put(upload["parts"][0], FILE[: 16 * MIB]) >= 400
    assert service.client.get(f"/v1/uploads/{upload['id']}", headers=account.bearer).status_code == 404


@pytest.mark.parametrize("cuts", [(3 * MIB, 11 * MIB), (PART_BYTES, 2 * PART_BYTES), (1, 2)])
def test_pieces_by_tus_go_on_in_the_bucket(service: Service, cuts: tuple[int, int]) -> None:
    account = service.account()
    new = service.client.post("/v1/uploads/resumable", headers=account.bearer | TUS | {"Upload-Length": str(len(FILE))})
    path = new.headers["location"]
    for start, end in zip((0, *cuts), (*cuts, len(FILE)), strict=True):
        arrived = service.client.head(path, headers=account.bearer | TUS).headers["upload-offset"]
        assert arrived == str(start)
        digest = hashlib.sha1(FILE[start:end]).digest()
        headers = {"Upload-Offset": arrived, "Content-Type": "application/offset+octet-stream"} | _checksum(digest, start)
        assert service.client.patch(path, content=FILE[start:end], headers=account.bearer | TUS | headers).status_code == 204
    found = view_of(service, account, path.rpartition("/")[2])
    assert downloaded(found["url"]) == FILE
    assert [key.rpartition("/")[2] for key in service.core.storage.list_under(f"uploads/{account.id}")] == ["upload.mp4"]


def _checksum(digest: bytes, start: int) -> dict[str, str]:
    return {"Upload-Checksum": f"sha1 {base64.b64encode(digest).decode()}"} if start else {}


def test_a_wrong_piece_is_not_in_the_bucket(service: Service) -> None:
    account = service.account()
    new = service.client.post("/v1/uploads/resumable", headers=account.bearer | TUS | {"Upload-Length": str(len(FILE))})
    headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"} | _checksum(b"wrong", 1)
    path = new.headers["location"]
    assert service.client.patch(path, content=FILE[: 9 * MIB], headers=account.bearer | TUS | headers).status_code == 460
    assert service.client.head(path, headers=account.bearer | TUS).headers["upload-offset"] == "0"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "holiday.mp4"
    path.write_bytes(FILE)
    return path


def arrived_by_parts(service: Service, account: TestAccount) -> list[bool]:
    """Of each finished upload of the account, whether its bytes went straight to the bucket."""
    with service.core.database.read() as connection:
        mine = sa.select(TRANSFERS.c.part_bytes).where(TRANSFERS.c.account_id == account.id, TRANSFERS.c.key.is_not(None))
        return [part_bytes is not None for part_bytes in connection.execute(mine).scalars()]


def test_the_client_sends_a_large_file_to_the_bucket_and_its_key_to_the_service_only(service: Service, clip: Path) -> None:
    account = service.account()
    told: list[float] = []
    with Client(service.url, account.key) as client:
        assert downloaded(client.upload(clip, told.append)) == FILE
        job = client.submit(str(clip))
    assert job.state == "queued"
    assert arrived_by_parts(service, account) == [True, True]
    assert told[0] == 0 < told[-1] < 1


def test_the_asynchronous_client_does_the_same(service: Service, clip: Path) -> None:
    account = service.account()

    async def upload() -> str:
        async with AsyncClient(service.url, account.key) as client:
            return await client.upload(clip)

    assert downloaded(anyio.run(upload)) == FILE
    assert arrived_by_parts(service, account) == [True]


def test_the_client_goes_on_with_the_parts_that_are_missing(service: Service, clip: Path, tmp_path: Path) -> None:
    account, folder = service.account(), tmp_path / "half"
    steps = upload_steps(clip, Memory(folder, service.url, clip), lambda _: None)
    first = next(steps)
    with httpx.Client(base_url=service.url, headers=account.bearer, trust_env=False) as http:
        part = steps.send(http.request(**first.arguments))
    assert part.is_elsewhere
    assert httpx.put(part.path, content=part.content, trust_env=False).status_code == 200
    told: list[float] = []
    with Client(service.url, account.key, resume_folder=folder) as client:
        url = client.upload(clip, told.append)
    assert downloaded(url) == FILE
    assert told == [pytest.approx(16 * MIB / len(FILE))]
    assert len(arrived_by_parts(service, account)) == 1
    assert list(folder.iterdir()) == []


def test_where_the_bucket_cannot_be_reached_the_service_takes_the_file(clip: Path) -> None:
    def answered(status: int, body: object = None) -> httpx.Response:
        return httpx.Response(status, json=body)

    view = {"id": "upl_1", "part_bytes": 16 * MIB, "parts": [{"number": 1, "bytes": 16 * MIB, "url": "http://inside/1"}]}
    view["parts"] += [{"number": 2, "bytes": len(FILE) - 16 * MIB, "url": "http://inside/2"}]  # type: ignore[operator]
    steps = upload_steps(clip, Memory(None, "", clip), lambda _: None)
    sent = [next(steps)]
    for answer in (answered(201, view), None, answered(200, view), None, answered(204)):
        sent.append(steps.send(answer))
    assert [(step.method, step.path) for step in sent] == [
        ("POST", "/v1/uploads"),
        ("PUT", "http://inside/1"),
        ("GET", "/v1/uploads/upl_1"),
        ("PUT", "http://inside/1"),
        ("DELETE", "/v1/uploads/upl_1"),
        ("POST", "/v1/uploads/resumable"),
    ]
    assert [step.is_elsewhere for step in sent] == [False, True, False, True, False, False]


def test_a_folder_takes_no_parts(tmp_path: Path) -> None:
    with running(tmp_path, worker=False) as local:
        account = local.account()
        refused = local.client.post("/v1/uploads", headers=account.bearer, json={"name": "a.mp4", "bytes": 5})
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "no-direct-upload")
