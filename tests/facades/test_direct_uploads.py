"""Large uploads to an S3-compatible bucket: parts by signed links, and pieces by tus that any process of the API may receive."""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.jobs.account_files import used_bytes
from service.jobs.half_object import PART_BYTES
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


def test_a_folder_takes_no_parts(tmp_path: Path) -> None:
    with running(tmp_path, worker=False) as local:
        account = local.account()
        refused = local.client.post("/v1/uploads", headers=account.bearer, json={"name": "a.mp4", "bytes": 5})
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "no-direct-upload")
