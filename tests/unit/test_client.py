"""Both clients, sync and async, against the real native API, and against services and networks that misbehave."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from service import errors, remote_order
from service.api.facade import rendered
from service.api.native import FACADE
from service.api.problems import problem_response
from service.async_client import AsyncClient
from service.client import Client
from service.errors import (
    AccountBanned,
    CleanplateError,
    EncodeFailed,
    FetchRefused,
    FetchUnavailable,
    InsufficientCredits,
    InternalError,
    JobCancelled,
    KeyInvalid,
    Maintenance,
    NotMedia,
    ParameterError,
    RateLimited,
    RequestError,
    ServiceError,
    TooLong,
    UnknownJob,
)
from service.jobs import store
from service.jobs.job import State
from service.remote_job import RemoteJob, error_of
from service.timed_box import TimedBox, parse_box
from tests.fixture_host import Host, host
from tests.workerless_server import CLEAN, Customer, WorkerlessServer, workerless_server

VIDEO = "http://example.com/clip.mp4"
MP4 = b"\x00\x00\x00\x18ftypmp42 a video"
PNG = b"\x89PNG\r\n\x1a\n a picture"
AT_ONCE = (0.0, 0.0)  # pauses before two further tries

QUEUED = {"id": "job_1", "state": "queued", "progress_percent": 0, "error": None, "result": None}
DONE = QUEUED | {"state": "succeeded", "progress_percent": 100, "result": {"url": "http://example.com/clean.mp4"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("client"), FACADE) as server:
        yield server


@pytest.fixture
def customer(server: WorkerlessServer) -> Customer:
    return server.customer(credits=5)


@pytest.fixture
def client(server: WorkerlessServer, customer: Customer) -> Iterator[Client]:
    with connected(str(server.client.base_url), customer.key) as client:
        yield client


@pytest.fixture
def there() -> Iterator[Host]:
    with host() as there:
        yield there


class Awaited:
    """An AsyncClient with the methods of Client: each is run to its end in one event loop."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.run(self._client.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.__aexit__(None, None, None))
        self._runner.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments, **named: self._runner.run(getattr(self._client, name)(*arguments, **named))


def connected(url: str, key: str = "a key") -> Client:
    return Client(url, key, timeout_seconds=20, pauses_seconds=AT_ONCE)


def connected_async(url: str, key: str = "a key") -> Awaited:
    return Awaited(AsyncClient(url, key, timeout_seconds=20, pauses_seconds=AT_ONCE))


@pytest.fixture(autouse=True, params=["sync", "async"])
def _each_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "async":
        monkeypatch.setitem(globals(), "connected", connected_async)


# Submitting.


def test_an_address(server: WorkerlessServer, customer: Customer, client: Client) -> None:
    job = client.submit(
        VIDEO,
        mask="http://example.com/mask.png",
        boxes=[parse_box("0.7,0.1,0.9,0.2@1-2")],
        keep=[parse_box("0,0,0.2,0.2")],
        reject=["3f9a1c07"],
        classes=["scene_text", "overlay"],
        detect=True,
        remove_audio=True,
        callback_url="http://example.com/done",
    )
    assert (job.id, job.state, job.progress_percent) == (server.job_of(customer).id, State.QUEUED, 0)
    assert (job.kind, job.media, job.source_url) == ("clean", "video", VIDEO)
    job_found = server.job_of(customer)
    assert (job_found.spec.source_url, job_found.spec.mask_url) == (VIDEO, "http://example.com/mask.png")
    assert job_found.spec.boxes == (TimedBox(0.7, 0.1, 0.9, 0.2, 1, 2),)
    assert job_found.spec.keep == (TimedBox(0, 0, 0.2, 0.2),)
    assert job_found.spec.reject == ("3f9a1c07",)
    assert sorted(job_found.spec.classes) == ["overlay", "scene_text"]
    assert (job_found.spec.detect, job_found.spec.remove_audio, job_found.callback_url) == (True, True, "http://example.com/done")
    assert client.get(job.id) == job


def test_files(server: WorkerlessServer, customer: Customer, client: Client, tmp_path: Path) -> None:
    source, mask = tmp_path / "Fête d'été.mp4", tmp_path / "mask.png"
    source.write_bytes(MP4)
    mask.write_bytes(PNG)
    client.submit(str(source), mask=str(mask), remove_audio=True)
    spec = server.job_of(customer).spec
    assert spec.source_key is not None
    assert spec.mask_key is not None
    assert (server.storage.get_bytes(spec.source_key), server.storage.get_bytes(spec.mask_key)) == (MP4, PNG)
    assert (spec.detect, spec.remove_audio) == (False, True)


@pytest.mark.parametrize(
    ("source", "mask", "message"),
    [
        ("clip.mp4", None, "clip.mp4: no such file"),
        (VIDEO, "mask.png", "mask.png: no such file"),
        (VIDEO, "there.png", "a mask that is a file goes with a source that is a file; give the mask's address"),
    ],
)
def test_what_cannot_be_sent(client: Client, tmp_path: Path, source: str, mask: str | None, message: str) -> None:
    (tmp_path / "there.png").write_bytes(PNG)
    with pytest.raises(RequestError) as caught:
        client.submit(source if source == VIDEO else str(tmp_path / source), mask=mask and str(tmp_path / mask))
    assert str(caught.value) == message


def test_a_preview(server: WorkerlessServer, customer: Customer, client: Client) -> None:
    client.submit(VIDEO, preview=(12.5, 3))
    spec = server.job_of(customer).spec
    assert (spec.preview_first_seconds, spec.preview_seconds) == (12.5, 3)
    with pytest.raises(ParameterError, match="preview"):
        client.submit(VIDEO, preview=(0, 0))


def test_the_jobs_are_listed_page_by_page(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setattr(remote_order, "MAX_PAGE_JOBS", 2)
    ids = [client.submit(VIDEO).id for _ in range(5)]
    assert [job.id for job in client.jobs()] == ids[::-1]
    assert [job.id for job in client.jobs(limit=3)] == ids[:1:-1]


def test_jobs_are_cancelled_and_their_files_deleted(server: WorkerlessServer, client: Client) -> None:
    id = client.submit(VIDEO).id
    with pytest.raises(ParameterError, match="the job is queued"):
        client.delete(id)
    assert client.cancel(id).state is State.CANCELLED
    client.delete(id)
    done = client.submit(VIDEO).id
    server.start(done)
    server.succeed(done)
    client.delete(done)
    with pytest.raises(ParameterError, match="the job's files have been deleted"):
        client.download(done, "nowhere.mp4")
    for act in (client.cancel, client.delete):
        with pytest.raises(UnknownJob):
            act("job_of_nobody")


def test_a_list_of_another_service(there: Host) -> None:
    for body in (b"[]", b'{"data": [{}], "next_cursor": null}', b"<html>"):
        there.serve("/v1/jobs", body)
        with connected(there.url) as client, pytest.raises(FetchRefused, match="does not respond like this service"):
            client.jobs()


def test_the_same_key_finds_the_same_job(client: Client) -> None:
    first = client.submit(VIDEO, idempotency_key="mine")
    assert client.submit(VIDEO, idempotency_key="mine") == first
    assert client.submit(VIDEO).id != first.id
    with pytest.raises(ParameterError, match="another request"):
        client.submit(VIDEO, remove_audio=True, idempotency_key="mine")


@pytest.mark.parametrize("uploaded", [False, True])
def test_a_lost_response_creates_no_second_job(server: WorkerlessServer, customer: Customer, tmp_path: Path, *, uploaded: bool) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(MP4)
    with opened(lossy(str(server.client.base_url), losses=2)) as line, connected(line.url, customer.key) as client:
        job = client.submit(str(source) if uploaded else VIDEO)
    assert len(line.paths) == 3
    assert [job_found.id for job_found in server.context.job_service.jobs(customer.id, 9)] == [job.id]
    assert server.context.job_service.balance(customer.id).held_credits == 1


# Waiting.


def test_waiting_reports_progress(server: WorkerlessServer, client: Client) -> None:
    received: list[tuple[State, int]] = []

    def worker(job: RemoteJob) -> None:
        received.append((job.state, job.progress_percent))
        if job.state is State.QUEUED:
            server.start(job.id)
        elif (job.state, job.progress_percent) == (State.CLEANING, 40):
            server.succeed(job.id)
        elif job.state is State.CLEANING:
            with server.database.write() as connection:
                store.update(connection, job.id, progress_percent=40)

    job = client.wait(client.submit(VIDEO).id, worker)
    assert (job.state, job.progress_percent, job.error) == (State.SUCCEEDED, 100, None)
    assert job.result_url is not None
    assert received[0] == (State.QUEUED, 0)
    assert (State.CLEANING, 40) in received
    assert received[-1] == (State.SUCCEEDED, 100)
    assert received == sorted(received, key=lambda each: list(State).index(each[0]))


def test_a_job_that_fails(server: WorkerlessServer, client: Client, tmp_path: Path) -> None:
    id = client.submit(VIDEO).id
    server.fail(id, TooLong("the video is 400.0 s long, the limit is 360 s"))
    job = client.wait(id)
    assert (job.state, job.failure_kind, job.message) == (State.FAILED, "TooLong", "the video is 400.0 s long, the limit is 360 s")
    with pytest.raises(TooLong, match="the limit is 360 s"):
        client.download(id, tmp_path / "clean.mp4")
    assert not os.listdir(tmp_path)


def test_a_job_that_is_cancelled(server: WorkerlessServer, customer: Customer, client: Client, tmp_path: Path) -> None:
    id = client.submit(VIDEO).id
    server.context.job_service.cancel(customer.id, id)
    assert isinstance(client.wait(id).error, JobCancelled)
    with pytest.raises(JobCancelled):
        client.download(id, tmp_path / "clean.mp4")


def test_the_progress_callback_may_stop_waiting(client: Client) -> None:
    def leave(_job: RemoteJob) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.wait(client.submit(VIDEO).id, leave)


@pytest.mark.parametrize(
    "events",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: state\ndata: no JSON\n\n",
        b"HTTP/1.1 200 OK\r\n\r\ndata: [1]\n\n",
        b'HTTP/1.1 200 OK\r\n\r\ndata: {"state": "baking"}\n\n',
        b'HTTP/1.1 200 OK\r\n\r\ndata: {"progress_percent": null}\n\n',
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n: cut off",
        b"",
    ],
)
def test_without_events_it_polls(events: bytes) -> None:
    responses = in_turn(json_response(QUEUED), json_response(QUEUED), json_response(DONE))
    with opened(scripted(job_1=responses, events=in_turn(events))) as line, connected(line.url) as client:
        assert client.wait("job_1").result_url == "http://example.com/clean.mp4"
    assert [path.rpartition("/")[2] for path in line.paths] == ["job_1", "events", "job_1", "events", "job_1"]


def test_replayed_events_do_not_move_the_job_back() -> None:
    job = RemoteJob("job_1", State.CLEANING, 40)
    assert job.after({"state": "queued", "at": "..."}) == job
    assert job.after({"progress_percent": 50}).progress_percent == 50
    assert job.after({"state": "publishing", "at": "..."}).state is State.PUBLISHING


# Downloading.


def test_the_result_is_downloaded(server: WorkerlessServer, client: Client, tmp_path: Path) -> None:
    id = client.submit(VIDEO).id
    with pytest.raises(ParameterError, match="queued"):
        client.download(id, tmp_path / "clean.mp4")
    server.succeed(id)
    client.download(id, tmp_path / "clean.mp4")
    assert (tmp_path / "clean.mp4").read_bytes() == CLEAN
    with pytest.raises(EncodeFailed, match="cannot be written"):
        client.download(id, tmp_path / "nowhere" / "clean.mp4")
    assert os.listdir(tmp_path) == ["clean.mp4"]


def test_an_interrupted_download_leaves_nothing(there: Host, tmp_path: Path) -> None:
    there.serve("/v1/jobs/job_1", json.dumps(DONE).encode())
    there.cut_off("/v1/jobs/job_1/result", b"half of it", missing_bytes=10)
    with connected(there.url) as client, pytest.raises(FetchUnavailable, match="broke off"):
        client.download("job_1", tmp_path / "clean.mp4")
    assert not os.listdir(tmp_path)
    assert sum(asked.path.endswith("/result") for asked in there.asked) == 3


def test_the_key_is_sent_only_to_the_service(there: Host, tmp_path: Path) -> None:
    with host() as bucket:
        there.serve("/v1/jobs/job_1", json.dumps(DONE).encode())
        there.redirect("/v1/jobs/job_1/result", bucket.serve("/clean.mp4", CLEAN), 303)
        with connected(there.url, "a key") as client:
            client.download("job_1", tmp_path / "clean.mp4")
        (asked,) = bucket.asked
    assert (tmp_path / "clean.mp4").read_bytes() == CLEAN
    assert "Authorization" not in asked.headers
    assert {asked.headers["Authorization"] for asked in there.asked} == {"Bearer a key"}


# Errors.


def test_refusals_are_our_errors(client: Client, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"a text")
    refused: list[tuple[type[CleanplateError], str, Callable[[], object]]] = [
        (UnknownJob, "no such job", lambda: client.get("job_2")),
        (ParameterError, "Not Found", lambda: client.get("../account")),
        (NotMedia, "supported format", lambda: client.submit(str(tmp_path / "clip.mp4"))),
        (ParameterError, "classes", lambda: client.submit(VIDEO, classes=["everything"])),
    ]
    for kind, words, ask in refused:
        with pytest.raises(kind, match=words) as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_unauthorised_callers_cannot_submit(server: WorkerlessServer, customer: Customer) -> None:
    poor, banned = server.customer(credits=0), server.customer()
    server.accounts.set_banned(banned.account, True)
    url = str(server.client.base_url)
    with connected(url, poor.key) as client, pytest.raises(InsufficientCredits, match="1 credits are required, 0 are left"):
        client.submit(VIDEO)
    with connected(url, banned.key) as client, pytest.raises(AccountBanned):
        client.submit(VIDEO)
    with connected(url, "another key") as client, pytest.raises(KeyInvalid):
        client.submit(VIDEO)
    with connected(f"{url}/closed", customer.key) as client, pytest.raises(Maintenance):
        client.submit(VIDEO)


def test_every_kind_of_error_crosses_the_wire() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CleanplateError)]
    for kind in kinds:
        sent = InsufficientCredits(3, 5) if kind is InsufficientCredits else kind("in plain words")
        if kind not in (CleanplateError, ServiceError):  # base classes, which are not raised themselves
            answer = rendered(sent, problem_response, {})
            received = error_of(httpx.Response(answer.status_code, headers=dict(answer.headers), content=bytes(answer.body)))
            assert type(received) is kind
            assert str(received) == str(sent)
            assert vars(received) == vars(sent)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (502, b"<html>Bad gateway</html>", FetchUnavailable, "127.0.0.1 answered with status 502"),
        (404, b"", ParameterError, "127.0.0.1 answered with status 404"),
        (400, b'{"type": "urn:cleanplate:problem:of-tomorrow", "detail": "two\\n lines"}', ParameterError, "two lines"),
        (500, b'{"type": "urn:cleanplate:problem:internal-error", "detail": "internal error"}', InternalError, "internal error"),
        (418, b'["a list"]', ParameterError, "127.0.0.1 answered with status 418"),
        (402, b'{"type": "urn:cleanplate:problem:insufficient-credits"}', InsufficientCredits, "0 credits are required, 0 are left"),
        (301, b"", ParameterError, "127.0.0.1 answered with status 301"),
        (200, b"<html>Welcome</html>", FetchRefused, "127.0.0.1 does not respond like this service; check its address"),
        (200, b'{"id": "job_1", "state": "baking"}', FetchRefused, "127.0.0.1 does not respond like this service; check its address"),
        (200, b"[]", FetchRefused, "127.0.0.1 does not respond like this service; check its address"),
    ],
)
def test_unexpected_responses(there: Host, status: int, body: bytes, kind: type[CleanplateError], message: str) -> None:
    there.serve("/v1/jobs/job_1", body, status=status)
    with connected(there.url) as client, pytest.raises(kind) as caught:
        client.get("job_1")
    assert type(caught.value) is kind
    assert str(caught.value) == message
    assert len(there.asked) == (3 if kind is FetchUnavailable else 1)


def test_an_unreachable_service() -> None:
    with host() as gone:
        url = gone.url
    with connected(url) as client, pytest.raises(FetchUnavailable, match=r"127\.0\.0\.1 cannot be reached"):
        client.get("job_1")


def test_too_many_requests_are_sent_again() -> None:
    slower = json_response({"type": "urn:cleanplate:problem:rate-limited", "detail": "slower"}, 429, "Retry-After: 0\r\n")
    with opened(scripted(job_1=in_turn(slower, slower, json_response(DONE), slower))) as line, connected(line.url) as client:
        assert client.get("job_1").state is State.SUCCEEDED
        with pytest.raises(RateLimited, match="slower"):
            client.get("job_1")
    assert len(line.paths) == 6


@pytest.mark.parametrize(
    ("url", "key", "kind"),
    [
        ("example.com", "a key", RequestError),
        ("ftp://example.com", "a key", RequestError),
        ("http://example.com:door", "a key", RequestError),
        ("http://example.com", "two\nlines", KeyInvalid),
        ("http://example.com", "schlüssel", KeyInvalid),
    ],
)
def test_invalid_urls_and_keys(url: str, key: str, kind: type[CleanplateError]) -> None:
    with pytest.raises(kind):
        connected(url, key)


def json_response(body: object, status: int = 200, headers: str = "") -> bytes:
    """A JSON response as raw bytes."""
    content = json.dumps(body).encode()
    return f"HTTP/1.1 {status} Status\r\nContent-Length: {len(content)}\r\nConnection: close\r\n{headers}\r\n".encode() + content


def in_turn(*answers: bytes) -> Callable[[str], bytes]:
    """Returns these responses in turn and repeats the last."""
    left = list(answers)
    return lambda _path: left.pop(0) if len(left) > 1 else left[0]


class Line:
    """A host that keeps what it is asked, and answers what `answer` makes of it, byte for byte; no bytes: the line breaks."""

    def __init__(self, answer: Callable[["Line", BaseHTTPRequestHandler, bytes], bytes]) -> None:
        self.paths: list[str] = []
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                line.paths.append(self.path)
                self.close_connection = True
                self.wfile.write(answer(line, self, body))

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def opened(line: Line) -> Iterator[Line]:
    thread = threading.Thread(target=line.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield line
    finally:
        line.server.shutdown()
        thread.join()
        line.server.server_close()


def scripted(**paths: Callable[[str], bytes]) -> Line:
    """Responds by the last part of the path."""
    return Line(lambda _line, handler, _body: paths[handler.path.rpartition("/")[2]](handler.path))


def lossy(upstream: str, losses: int) -> Line:
    """Forwards requests to a service, and loses its first responses."""

    def answer(line: Line, handler: BaseHTTPRequestHandler, body: bytes) -> bytes:
        passed = httpx.post(upstream.rstrip("/") + handler.path, content=body, headers=dict(handler.headers.items()), trust_env=False)
        return b"" if len(line.paths) <= losses else json_response(passed.json(), passed.status_code)

    return Line(answer)
