"""Bodies: the key and the rate before anything is read, a limit for each endpoint, a least speed; refusals in the dialect's own words."""

import base64
import gzip
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.api import body, body_pace, capacity
from service.api.rates import SUBMIT
from service.core import FACADES
from tests.fixture_host import host
from tests.workerless_server import Customer, WorkerlessServer, until, workerless_server

MIB = 2**20
KIE = ("/api/v1/jobs/createTask", "/api/v1/common/download-url")
KIE_UPLOADS = ("/api/file-stream-upload", "/api/file-url-upload", "/api/file-base64-upload")
KAZE = tuple(f"/api/ext/v1/{name}" for name in ("submit_watermark_removal", "get_task_result"))
SAVESORA = ("/api/v1/download", "/api/v1/credits")
NATIVE = ("/v1/jobs",)
WITH_KEY = (*KIE, *KIE_UPLOADS, *KAZE, *NATIVE)
FORM = "multipart/form-data; boundary=x"
MP4 = b"\x00\x00\x00\x18ftypmp42"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("bodies"), *FACADES.values()) as server:
        yield server


@contextmanager
def opened(
    server: WorkerlessServer, path: str, key: str = "", length: int = 10**9, kind: str = "application/json"
) -> Iterator[socket.socket]:
    """A request whose body has not been sent yet."""
    url = server.client.base_url
    with socket.create_connection((url.host, url.port or 0)) as line:
        line.settimeout(20)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {key}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        )
        line.sendall(head.encode())
        yield line


def answered(line: socket.socket) -> tuple[int, dict[str, Any]]:
    """The status and the body of the response."""
    file = line.makefile("rb")
    status = int(file.readline().split()[1])
    length = 0
    while (header := file.readline().strip().lower()) != b"":
        length = int(header.partition(b":")[2]) if header.startswith(b"content-length") else length
    return status, json.loads(file.read(length))


def code_of(response: tuple[int, dict[str, Any]]) -> int:
    """The code in the dialect, or HTTP's where there is none."""
    return int(response[1].get("resCode") or response[1].get("code") or response[0])


def test_wrong_keys_are_refused_before_the_body_is_sent(server: WorkerlessServer) -> None:
    for path in WITH_KEY:
        for key in ("", "cp_wrong"):
            with opened(server, path, key) as line:
                assert code_of(answered(line)) in (401, 1002)
    with opened(server, "/ai/video/removal?sign_ver=v2&app_key=a&timestamp=1&sign=b") as line:
        assert answered(line)[1]["code"] == "InvalidTimestamp"


def test_the_rate_counts_before_the_body_is_sent(server: WorkerlessServer) -> None:
    for path in ("/api/v1/jobs/createTask", "/api/ext/v1/submit_watermark_removal", "/v1/jobs"):
        customer = server.customer()
        for _ in range(20):
            server.context.rates.count(customer.id, SUBMIT)
        with opened(server, path, customer.key) as line:
            assert code_of(answered(line)) in (429, 1100)


def test_an_image_is_not_received_without_credits(server: WorkerlessServer) -> None:
    with opened(server, "/api/ext/v1/submit_watermark_removal", server.customer(0).key, 500_000) as line:
        assert code_of(answered(line)) == 1003


@pytest.mark.parametrize(
    ("path", "limit", "code"),
    [
        (KIE[0], MIB, 422),
        (KIE[1], MIB, 422),
        (KIE_UPLOADS[0], MIB + 64 * 1024, 400),  # `upload_bytes` of this server is 1 MiB
        (KIE_UPLOADS[1], MIB, 400),
        (KIE_UPLOADS[2], MIB, 400),  # `body_bytes` too
        (KAZE[0], MIB, 1000),
        (KAZE[1], MIB, 1000),
        (NATIVE[0], MIB, 413),
        (SAVESORA[0], 65536, 5002),
        (SAVESORA[1], 65536, 5002),
        ("/ai/video/removal", 65536, 701),
    ],
)
def test_each_endpoint_has_a_limit(server: WorkerlessServer, path: str, limit: int, code: int) -> None:
    customer = server.customer()
    kind = FORM if path == KIE_UPLOADS[0] else "application/json"
    with opened(server, path, customer.key, limit + 1, kind) as line:
        assert code_of(answered(line)) == code, "the length that is announced"
    content = iter([b" " * 65536] * (limit // 65536 + 2))
    response = server.client.post(path, headers=customer.bearer | {"Content-Type": kind}, content=content)
    assert code_of((response.status_code, response.json())) == code, "what arrives without a length"


def test_a_slow_body_is_refused(server: WorkerlessServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_pace, "GRACE_SECONDS", 0.2)
    customer = server.customer()
    for path, code in ((KIE[0], 408), (KAZE[0], 1000), (NATIVE[0], 408), (SAVESORA[1], 4001), (KIE_UPLOADS[2], 408)):
        with opened(server, path, customer.key, 1000) as line:
            line.sendall(b"{")
            assert code_of(answered(line)) == code
    with opened(server, KIE_UPLOADS[0], customer.key, 1000, FORM) as line:
        line.sendall(b"--x\r\n")
        assert code_of(answered(line)) == 408


def test_a_gzip_body_is_decompressed_on_every_path(server: WorkerlessServer) -> None:
    customer = server.customer()
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/json", **customer.bearer}

    def sent(path: str, **fields: object) -> int:
        content = gzip.compress(json.dumps(fields).encode())
        response = server.client.post(path, headers=packed, content=content)
        return code_of((response.status_code, response.json()))

    video = "http://127.0.0.1:9/video.mp4"
    assert sent(KIE[0], model="sora-watermark-remover", input={"video_url": video}) == 200
    assert sent(KAZE[0], image_url=video) == 200, "its code is 0"
    assert sent(SAVESORA[1], api_key=customer.key) == 200
    assert sent("/v1/jobs", source_url=video) == 201
    assert sent(KIE_UPLOADS[2], base64Data=base64.b64encode(MP4 + bytes(300_000)).decode()) == 200
    form = server.client.build_request("POST", KIE_UPLOADS[0], files={"file": ("a.mp4", MP4)})
    headers = packed | {"Content-Type": form.headers["content-type"], "Content-Encoding": "x-gzip"}
    uploaded = server.client.post(KIE_UPLOADS[0], headers=headers, content=gzip.compress(form.read())).json()
    assert server.client.get(uploaded["data"]["downloadUrl"]).content == MP4


@pytest.mark.parametrize(("path", "code"), [(KIE[0], 422), (KAZE[1], 1000), (SAVESORA[1], 5002), ("/v1/jobs", 413), (KIE_UPLOADS[2], 400)])
def test_a_small_gzip_body_cannot_become_a_large_one(server: WorkerlessServer, path: str, code: int) -> None:
    headers = server.customer().bearer | {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = server.client.post(path, headers=headers, content=gzip.compress(b" " * 2**28))
    assert code_of((response.status_code, response.json())) == code


@pytest.mark.parametrize(("path", "code"), [(KIE[0], 422), (KAZE[1], 1000), (SAVESORA[1], 4001), ("/v1/jobs", 415)])
def test_other_encodings_are_refused(server: WorkerlessServer, path: str, code: int) -> None:
    headers = server.customer().bearer | {"Content-Encoding": "br", "Content-Type": "application/json"}
    response = server.client.post(path, headers=headers, content=b"{}")
    assert code_of((response.status_code, response.json())) == code


@pytest.mark.parametrize(
    "content",
    [b"{}", gzip.compress(b"{}")[:-3], gzip.compress(b"{}") + b"more", gzip.compress(b"{") + gzip.compress(b"}")],
    ids=["not packed", "cut off", "more after it", "two members"],
)
def test_a_damaged_gzip_body_is_refused(server: WorkerlessServer, content: bytes) -> None:
    headers = server.customer().bearer | {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    problem = server.client.post("/v1/jobs", headers=headers, content=content)
    assert (problem.status_code, "gzip" in problem.json()["detail"]) == (400, True)


@given(st.binary(max_size=50) | st.integers(0, 300_000).map(bytes), st.integers(1, 1000))
@example(bytes(2 * body.PIECE_BYTES), 1000)
@example(bytes(body.PIECE_BYTES), 1)
def test_gzip_data_is_decompressed_in_bounded_pieces(data: bytes, part_bytes: int) -> None:
    packed = gzip.compress(data)
    gunzip = body.Gunzip()
    pieces = [piece for start in range(0, len(packed), part_bytes) for piece in gunzip.pieces(packed[start : start + part_bytes])]
    gunzip.finish()
    assert b"".join(pieces) == data
    assert max(map(len, pieces), default=0) <= body.PIECE_BYTES


MALFORMED = [b"", b"--", b"--x\r\nno header\r\n\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", b"\0" * 1000]


@pytest.mark.parametrize("kind", [FORM, "multipart/form-data", FORM + "; charset=punycode", FORM + "; charset=idna"])
def test_malformed_forms_are_refused_in_the_dialect(server: WorkerlessServer, kind: str) -> None:
    customer = server.customer()
    many = b"".join(b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n\xff\r\n' % number for number in range(200)) + b"--x--\r\n"
    accepted = {
        KIE[1]: {400, 422},
        KIE_UPLOADS[0]: {400},
        KAZE[1]: {1000},
        NATIVE[0]: {400, 422},
        "/ai/video/removal": {400, 401},
        SAVESORA[1]: {4001},
    }
    for content in (*MALFORMED, many):
        for path, codes in accepted.items():
            response = server.client.post(path, headers=customer.bearer | {"Content-Type": kind}, content=content)
            assert code_of((response.status_code, response.json())) in codes
            assert response.status_code == 200 or path in NATIVE


def test_the_fields_beside_a_file_are_limited(server: WorkerlessServer) -> None:
    headers = server.customer().bearer
    for fields in ({"uploadPath": "a" * 70_000}, {"uploadPath": "a", **{str(number): "b" for number in range(20)}}):
        response = server.client.post(KIE_UPLOADS[0], headers=headers, data=fields, files={"file": ("a.mp4", MP4)})
        assert response.json()["code"] == 400
    response = server.client.post(KIE_UPLOADS[0], headers=headers, data={"uploadPath": "a"}, files={"file": ("a.mp4", MP4)})
    assert response.json()["code"] == 200


def test_bodies_that_arrive_at_the_same_time_have_a_limit_together(server: WorkerlessServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "BUFFER_BYTES", 300_000)
    customer, buffer = server.customer(), server.context.capacity.buffer
    with opened(server, KIE[1], customer.key, MIB) as one, opened(server, KIE[1], customer.key, MIB) as two:
        one.sendall(b" " * 250_000)
        until(lambda: buffer.bytes == 250_000)
        two.sendall(b" " * 100_000)
        assert code_of(answered(two)) == 429
        small = server.client.post(KIE[1], headers=customer.bearer, json={"url": "a" * 50_000})
        assert small.json()["code"] == 422, "a small one is always received"
    until(lambda: buffer.bytes == 0)


def test_encoded_forms_are_limited_in_fields(server: WorkerlessServer) -> None:
    headers = server.customer().bearer | {"Content-Type": "application/x-www-form-urlencoded"}
    for content in (b"a&" * 1000, b"=&" * 1000):
        assert server.client.post(KIE[1], headers=headers, content=content).json()["code"] == 422
        assert server.client.post(KIE_UPLOADS[2], headers=headers, content=content).json()["code"] == 400


def test_a_large_image_as_text_is_stored_as_it_was(server: WorkerlessServer) -> None:
    customer = server.customer()
    data = MP4 + os.urandom(500_001)
    fields = {"base64Data": base64.b64encode(data).decode(), "uploadPath": "a"}
    for content_type in ("application/json", "application/x-www-form-urlencoded"):  # curl's default
        headers = customer.bearer | {"Content-Type": content_type}
        stored = server.client.post(KIE_UPLOADS[2], headers=headers, content=json.dumps(fields)).json()["data"]
        assert stored["fileSize"] == len(data)
        assert server.client.get(stored["downloadUrl"]).content == data


def test_fetches_are_few_and_take_no_thread_from_others(server: WorkerlessServer) -> None:
    other = server.customer()
    with host() as there, ThreadPoolExecutor(50) as pool:
        release = there.hold("/held.mp4", MP4)
        fields = {"fileUrl": f"{there.url}/held.mp4", "uploadPath": "a"}

        def upload(who: Customer) -> int:
            return int(server.client.post(KIE_UPLOADS[1], headers=who.bearer, json=fields).json()["code"])

        of_account = server.context.options.account_fetches
        customers = [server.customer() for _ in range(48 // of_account)]
        uploads = [pool.submit(upload, customer) for customer in customers for _ in range(of_account)]
        until(lambda: there.requests("/held.mp4") == len(uploads))
        assert server.client.get("/api/v1/chat/credit", headers=other.bearer).json()["code"] == 200, "no thread is left otherwise"
        until(lambda: upload(customers[0]) == 429)
        release.set()
        assert {each.result() for each in uploads} == {200}
        assert upload(customers[0]) == 200
