"""What a connection may send, and how long it may keep the server waiting: over real sockets, with short limits."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import body_pace, connection
from service.api.body_pace import BodyInTime
from service.api.connection import server_of
from tests.workerless_server import until

SECONDS = 0.3  # the limits of this server
LONG = "x" * 500_000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/echo` reads the body, `/long` sends more than the buffers hold; all others respond without reading."""
    request = Request(scope, receive)
    path = scope["path"]
    text = (await request.body()).decode() if path == "/echo" else LONG * 40 if path == "/long" else path
    await PlainTextResponse(text)(scope, receive, send)


@pytest.fixture(scope="module")
def server() -> Iterator[uvicorn.Server]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HEAD_SECONDS", "LINGER_SECONDS", "STALLED_SECONDS"):
            patch.setattr(connection, name, SECONDS)
        patch.setattr(connection, "IDLE_SECONDS", 1)
        patch.setattr(connection, "MAX_CONNECTIONS", 20)
        with serving(app) as server:
            yield server


@contextmanager
def serving(app: ASGIApp) -> Iterator[uvicorn.Server]:
    """A server for the application, on the port of its configuration."""
    with connection.listen("127.0.0.1", 0) as listener:
        server = server_of(app, close_seconds=1)
        server.config.port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started)
        yield server
        server.should_exit = True
        thread.join()


@pytest.fixture
def port(server: uvicorn.Server) -> int:
    """The server's port, once no connection of an earlier test is left."""
    until(lambda: not server.server_state.connections)
    return server.config.port


@contextmanager
def line(port: int, sent: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.settimeout(20)
        with suppress(ConnectionError):
            line.sendall(sent)
        yield line


def received(line: socket.socket) -> bytes:
    """All that the server sends until it closes the connection."""
    parts = []
    with suppress(ConnectionError):
        while part := line.recv(65536):
            parts.append(part)
    return b"".join(parts)


def answer(port: int, sent: bytes) -> bytes:
    with line(port, sent) as open_line:
        return received(open_line)


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /" + b"a" * 500_000, 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: %s\r\n" % (number, b"y" * 1000) for number in range(40)), 431),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_a_head_is_limited(port: int, sent: bytes, expected: int) -> None:
    head, _, body = answer(port, sent).partition(b"\r\n\r\n")
    assert status(head) == expected
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == expected
    assert int(re.search(rb"content-length: (\d+)", head)[1]) == len(body)  # type: ignore[index]


def test_an_application_that_reads_bodies_itself_gets_them_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_pace, "GRACE_SECONDS", SECONDS)
    with serving(BodyInTime(app)) as server:
        late = answer(server.config.port, b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\na")
        assert status(late) == 408
        in_time = answer(server.config.port, b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
        assert (status(in_time), in_time[-3:]) == (200, b"abc")


def test_trailers_after_a_body_are_limited_too(port: int) -> None:
    chunks = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    assert answer(port, chunks + b"X: y\r\n" * 50 + b"\r\n").endswith(b"a")
    assert answer(port, chunks + b"X: y\r\n" * 200 + b"\r\n") == b""


def test_the_longest_head_that_is_accepted(port: int) -> None:
    path = b"/" + b"a" * 8000
    head = b"GET %s HTTP/1.1\r\nConnection: close\r\n" % path + b"".join(b"X%d: %s\r\n" % (number, b"y" * 200) for number in range(90))
    assert answer(port, head + b"\r\n").endswith(path)


@pytest.mark.parametrize(("sent", "expected"), [(b"", b""), (b"GET / HTTP/1.1\r\nX:", b"HTTP/1.1 408 ")])
def test_a_connection_without_a_whole_head_is_closed_in_time(port: int, sent: bytes, expected: bytes) -> None:
    started = time.monotonic()
    assert answer(port, sent)[:13] == expected
    assert SECONDS * 0.9 < time.monotonic() - started < 10


def test_a_head_that_drips_is_closed_in_time(port: int) -> None:
    with line(port, b"GET / HTTP/1.1\r\n") as dripping:
        dripping.settimeout(SECONDS / 10)
        for _ in range(200):
            with suppress(TimeoutError):
                assert dripping.recv(100).startswith(b"HTTP/1.1 408 ")
                return
            dripping.sendall(b"X: y\r\n")
    pytest.fail("the head took longer than it may")


def test_an_idle_connection_is_closed(port: int) -> None:
    assert answer(port, b"GET /one HTTP/1.1\r\n\r\n").endswith(b"/one")


def test_a_response_without_its_body_leaves_the_connection_usable(port: int) -> None:
    body = b"x" * 300_000
    request = b"POST /unread HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    response = answer(port, request + body + b"GET /next HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert response.count(b"HTTP/1.1 200 ") == 2
    assert response.endswith(b"/next")


def test_a_body_that_goes_on_after_the_response_is_cut_off(port: int) -> None:
    started = time.monotonic()
    with line(port, b"POST /unread HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n") as sending:
        sending.settimeout(SECONDS / 10)
        parts = []
        while True:
            with suppress(TimeoutError):
                part = sending.recv(1000)
                if not part:
                    break
                parts.append(part)
            with suppress(ConnectionError):
                sending.sendall(b"x")
            assert time.monotonic() - started < 10
    assert b"".join(parts).endswith(b"/unread")


def test_a_client_that_takes_nothing_is_cut_off(server: uvicorn.Server, port: int) -> None:
    with line(port, b"GET /long HTTP/1.1\r\nConnection: close\r\n\r\n") as idle:
        until(lambda: len(server.server_state.connections) == 1)
        until(lambda: not server.server_state.connections)
        assert len(received(idle)) < len(LONG) * 40


def test_few_requests_may_be_sent_in_advance(port: int) -> None:
    request = b"GET / HTTP/1.1\r\n\r\n"
    assert answer(port, request * 10).count(b"HTTP/1.1 200 ") == 10
    assert answer(port, request * 1000).count(b"HTTP/1.1 200 ") <= 17


def test_new_connections_replace_those_that_wait_longest(port: int) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(line(port)) for _ in range(25)]
        assert answer(port, b"GET /late HTTP/1.1\r\nConnection: close\r\n\r\n").endswith(b"/late")
        assert status(received(waiting[0])) == 503
