"""Uploads in pieces, by tus 1.0.0: over real HTTP, with lost connections, and with a client that is not ours."""

import base64
import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tusclient.client import TusClient

from service.api.kie import FACADE as KIE
from service.api.native import FACADE as NATIVE
from service.jobs.account_files import used_bytes
from service.jobs.tables import TRANSFERS
from tests.workerless_server import Customer, WorkerlessServer, until, workerless_server

RESUMABLE = "/v1/uploads/resumable"
PIECE = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
FILE = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 2000  # half a megabyte


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("resumable"), NATIVE, KIE) as server:
        yield server


def base64_of(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def begun(server: WorkerlessServer, customer: Customer, size_bytes: int = len(FILE), **metadata: str) -> str:
    """The path of a new upload."""
    pairs = ",".join(f"{name} {base64_of(value)}" for name, value in metadata.items())
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(size_bytes)} | ({"Upload-Metadata": pairs} if pairs else {})
    answer = server.client.post(RESUMABLE, headers=customer.bearer | headers)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def sent(server: WorkerlessServer, customer: Customer, path: str, data: bytes, offset: int, **more: str) -> httpx.Response:
    headers = customer.bearer | PIECE | {"Upload-Offset": str(offset)} | {name.replace("_", "-"): value for name, value in more.items()}
    return server.client.patch(path, content=data, headers=headers)


def offset_of(server: WorkerlessServer, customer: Customer, path: str) -> int:
    answer = server.client.head(path, headers=customer.bearer | {"Tus-Resumable": "1.0.0"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def view_of(server: WorkerlessServer, customer: Customer, path: str) -> dict[str, object]:
    answer = server.client.get(path.replace("/resumable", ""), headers=customer.bearer)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["tus-resumable"] == "1.0.0"
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def used(server: WorkerlessServer, customer: Customer) -> int:
    with server.database.read() as connection:
        return used_bytes(connection, customer.id)


def test_a_file_in_pieces_becomes_an_upload_like_any_other(server: WorkerlessServer) -> None:
    customer = server.customer()
    path = begun(server, customer, filename="Ferien am Meer.mov", sha256=hashlib.sha256(FILE).hexdigest())
    half = len(FILE) // 2
    assert sent(server, customer, path, FILE[:half], 0).headers["upload-offset"] == str(half)
    view = view_of(server, customer, path)
    assert (view["state"], view["received_bytes"], view["url"]) == ("arriving", half, None)
    last = sent(server, customer, path, FILE[half:], half)
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(FILE)))
    assert "upload-expires" not in last.headers
    view = view_of(server, customer, path)
    assert (view["state"], view["name"], view["content_type"]) == ("finished", "Ferien am Meer.mov", "video/mp4")  # by its bytes
    assert server.client.get(str(view["url"])).content == FILE
    assert used(server, customer) == len(FILE)
    job = server.client.post("/v1/jobs", headers=customer.bearer, json={"source_url": view["url"], "name": view["name"]}).json()
    kie = {"model": "sora-watermark-remover", "input": {"video_url": view["url"]}}
    assert server.client.post("/api/v1/jobs/createTask", headers=customer.bearer, json=kie).json()["code"] == 200
    assert job["name"] == "Ferien am Meer.mov"
    assert server.client.delete(f"/v1/uploads/{view['file_id']}", headers=customer.bearer).status_code == 409  # the jobs need it
    for open_job in server.context.job_service.jobs(customer.id, 2):
        server.context.job_service.cancel(customer.id, open_job.id)
    assert server.client.delete(f"/v1/uploads/{view['id']}", headers=customer.bearer).status_code == 204
    assert used(server, customer) == 0
    assert server.client.get(f"/v1/uploads/{view['id']}", headers=customer.bearer).status_code == 404


def test_an_independent_client_uploads_and_resumes(server: WorkerlessServer, tmp_path: Path) -> None:
    customer = server.customer()
    file = tmp_path / "clip.mp4"
    file.write_bytes(FILE)
    client = TusClient(f"{server.client.base_url}{RESUMABLE}", headers=customer.bearer)
    with file.open("rb") as stream:
        first = client.uploader(file_stream=stream, chunk_size=100_000, metadata={"filename": "clip.mp4"}, upload_checksum=True)
        first.upload(stop_at=300_000)
        client.uploader(file_stream=stream, url=first.url, chunk_size=100_000).upload()
    path = httpx.URL(first.url).path
    assert server.client.get(str(view_of(server, customer, path)["url"])).content == FILE


def test_what_arrived_before_the_connection_was_lost_stays(server: WorkerlessServer) -> None:
    customer = server.customer()
    path = begun(server, customer)
    lose_connection_after(server, customer, path, 300_000)
    until(lambda: offset_of(server, customer, path) == 300_000)
    assert sent(server, customer, path, FILE[300_000:], 300_000).status_code == 204
    assert server.client.get(str(view_of(server, customer, path)["url"])).content == FILE


def test_a_piece_with_a_checksum_stays_whole_or_not_at_all(server: WorkerlessServer) -> None:
    customer = server.customer()
    path = begun(server, customer)
    assert sent(server, customer, path, FILE[:1000], 0, Upload_Checksum=f"sha1 {base64_of(hashlib.sha1(FILE[:1000]).digest())}").is_success
    wrong = sent(server, customer, path, FILE[1000:2000], 1000, Upload_Checksum=f"sha256 {base64_of(hashlib.sha256(b'').digest())}")
    assert problem_of(wrong) == (460, "checksum-mismatch")
    lose_connection_after(server, customer, path, 200_000, 1000, checksum="sha1 AAAA")
    server.wait_for_silence()
    assert offset_of(server, customer, path) == 1000
    assert problem_of(sent(server, customer, path, b"x", 1000, Upload_Checksum="crc32 AAAA")) == (400, "parameter-error")


def test_a_newer_request_takes_over_from_one_that_hangs(server: WorkerlessServer) -> None:
    customer = server.customer()
    path = begun(server, customer)
    hanging = half_sent(server, customer, path, 300_000)
    try:
        until(lambda: server.context.transfers.received_bytes(server.context.transfers.find(customer.id, path.rpartition("/")[2])) >= 2**18)
        began = time.monotonic()
        offset = offset_of(server, customer, path)
        assert sent(server, customer, path, FILE[offset:], offset).status_code == 204
        assert time.monotonic() - began < 5  # a hanging sender would have had ten seconds and more
    finally:
        hanging.close()
    assert server.client.get(str(view_of(server, customer, path)["url"])).content == FILE


def test_a_file_with_another_checksum_than_announced_is_deleted(server: WorkerlessServer) -> None:
    customer = server.customer()
    path = begun(server, customer, sha256="0" * 64)
    assert problem_of(sent(server, customer, path, FILE, 0)) == (460, "checksum-mismatch")
    assert used(server, customer) == 0
    assert server.client.head(path, headers=customer.bearer | {"Tus-Resumable": "1.0.0"}).status_code == 404


def test_refusals(server: WorkerlessServer) -> None:
    customer, stranger = server.customer(), server.customer()
    path = begun(server, customer)

    def refused(method: str, path: str, headers: dict[str, str], data: bytes = b"") -> tuple[int, str]:
        return problem_of(server.client.request(method, path, headers=headers, content=data))

    tus, of_new = customer.bearer | {"Tus-Resumable": "1.0.0"}, {"Upload-Length": "5"}
    assert refused("POST", RESUMABLE, customer.bearer | of_new) == (412, "version-unsupported")
    assert refused("POST", RESUMABLE, {"Tus-Resumable": "1.0.0"} | of_new) == (401, "key-missing")
    assert refused("POST", RESUMABLE, tus) == (422, "parameter-missing")
    assert refused("POST", RESUMABLE, tus | {"Upload-Length": "0"}) == (400, "parameter-error")
    assert refused("POST", RESUMABLE, tus | {"Upload-Length": "9" * 30}) == (400, "parameter-error")
    assert refused("POST", RESUMABLE, tus | {"Upload-Length": str(2**20 + 1)}) == (413, "too-large")
    assert refused("POST", RESUMABLE, tus | of_new | {"Upload-Metadata": "filename ???"}) == (400, "parameter-error")
    assert refused("POST", RESUMABLE, tus | of_new | {"Upload-Metadata": f"sha256 {base64_of('abc')}"}) == (400, "parameter-error")
    assert refused("PATCH", path, customer.bearer | PIECE | {"Upload-Offset": "7"}, b"x") == (409, "offset-conflict")
    assert refused("PATCH", path, tus | {"Upload-Offset": "0", "Content-Type": "video/mp4"}, b"x") == (415, "unsupported-format")
    assert refused("PATCH", path, customer.bearer | PIECE | {"Upload-Offset": "0"}, FILE + b"x") == (413, "too-large")
    assert refused("PATCH", path, stranger.bearer | PIECE | {"Upload-Offset": "0"}, b"x") == (404, "unknown-job")
    assert server.client.delete(path, headers=stranger.bearer | {"Tus-Resumable": "1.0.0"}).status_code == 404
    assert offset_of(server, customer, path) == 0
    options = server.client.options(RESUMABLE)
    assert (options.status_code, options.headers["tus-extension"]) == (204, "creation,checksum,expiration,termination")
    overridden = server.client.post(
        path, headers=customer.bearer | PIECE | {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0"}, content=b"abc"
    )
    assert overridden.headers["upload-offset"] == "3"


def test_open_uploads_are_limited_counted_and_deleted(server: WorkerlessServer) -> None:
    customer = server.customer()
    paths = [begun(server, customer, 100_000) for _ in range(5)]
    headers = customer.bearer | {"Tus-Resumable": "1.0.0", "Upload-Length": "100000"}
    refused = server.client.post(RESUMABLE, headers=headers)
    assert problem_of(refused) == (503, "queue-full")
    assert used(server, customer) == 500_000
    sent(server, customer, paths[0], b"abc", 0)
    for path in paths:
        assert server.client.delete(path, headers=customer.bearer | {"Tus-Resumable": "1.0.0"}).status_code == 204
    assert used(server, customer) == 0
    assert server.client.head(paths[0], headers=customer.bearer | {"Tus-Resumable": "1.0.0"}).status_code == 404


def test_half_uploads_expire(server: WorkerlessServer) -> None:
    customer = server.customer()
    path, fresh = begun(server, customer), begun(server, customer)
    sent(server, customer, path, FILE[:1000], 0)
    with server.database.write() as connection:
        late = TRANSFERS.update().where(TRANSFERS.c.id == path.rpartition("/")[2])
        connection.execute(late.values(expires_ms=1))
    assert server.context.transfers.delete_expired() == 1
    assert used(server, customer) == len(FILE)
    assert server.client.head(path, headers=customer.bearer | {"Tus-Resumable": "1.0.0"}).status_code == 404
    assert offset_of(server, customer, fresh) == 0


def half_sent(
    server: WorkerlessServer, customer: Customer, path: str, sent_bytes: int, offset: int = 0, checksum: str = ""
) -> socket.socket:
    """A connection whose request announced the rest of the file and sent a part of it."""
    url = server.client.base_url
    connection = socket.create_connection((url.host, url.port or 80))
    headers = customer.bearer | PIECE | {"Host": "x", "Upload-Offset": str(offset), "Content-Length": str(len(FILE) - offset)}
    headers |= {"Upload-Checksum": checksum} if checksum else {}
    lines = [f"PATCH {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    connection.sendall("\r\n".join(lines).encode() + FILE[offset : offset + sent_bytes])
    until(lambda: server.app.requests == 1)
    return connection


def lose_connection_after(
    server: WorkerlessServer, customer: Customer, path: str, sent_bytes: int, offset: int = 0, checksum: str = ""
) -> None:
    connection = half_sent(server, customer, path, sent_bytes, offset, checksum)
    connection.shutdown(socket.SHUT_WR)
    connection.close()
    server.wait_for_silence()
