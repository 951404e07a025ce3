"""The HTTP server: uvicorn, with limits on what a connection may send and on how long it may keep us waiting."""

import asyncio
import socket
import time
from asyncio import TimerHandle
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Literal

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import SettingsError

TARGET_BYTES: Final = 8192  # path and query of a request: what proxies and other servers accept
HEAD_BYTES: Final = 32_768  # the request line and all headers
MAX_HEADERS: Final = 100
MAX_PIPELINED: Final = 16  # requests received before the responses to earlier ones are sent
HEAD_SECONDS: Final = 10.0  # for a head, from the connection's or the head's first byte
IDLE_SECONDS: Final = 5  # between two requests
STALLED_SECONDS: Final = 60.0  # in which a client takes none of the response
LINGER_SECONDS: Final = 5.0  # how long the rest of a refused body is still received, as most clients read no response before it is sent
LINGER_BYTES: Final = 64 * 2**20
DRAIN_SECONDS: Final = 0.01  # between two parts of it: up to 256 KiB each
MAX_CONNECTIONS: Final = 800  # of the 1,024 files that a process may usually open
CLOSE_SECONDS: Final = 10
BACKLOG: Final = 1024


Refusal = Callable[[str, HTTPStatus], Response]  # renders the response to a request for this path that the application never sees


def problem_refusal(_path: str, status: HTTPStatus) -> Response:
    """A problem (RFC 9457) for any path."""
    from service.api.problems import status_problem  # here, as the server of the tools for agents comes without what the APIs need

    return status_problem(status)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket first, so that a port in use gives one clear error line. Raises SettingsError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or "unknown").partition(" (")[0].lower()  # Python adds the address in brackets
        raise SettingsError(f"cannot listen on {host} port {port}: {reason}") from None


def server_of(
    app: ASGIApp, close_seconds: int = CLOSE_SECONDS, refusal: Refusal = problem_refusal, lifespan: Literal["on", "off"] = "off"
) -> uvicorn.Server:
    """A server for the application. `close_seconds`: for responses in progress when it stops; `lifespan`: it is told of start and end."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=partial(BoundedConnection, refusal=refusal),  # type: ignore[arg-type]  # called like the class
            ws="none",
            lifespan=lifespan,
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=close_seconds,
        )
    )


class BoundedConnection(HttpToolsProtocol):
    """A connection whose request heads are limited in size and time, and which is closed when its client sends or takes nothing."""

    def __init__(self, *arguments: Any, refusal: Refusal = problem_refusal, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._refusal = refusal
        self.url = b""  # of the request that is received
        self.waiting_since: float | None = None  # for a request's head; None while a body is received
        self._received_bytes = 0  # since then
        self._headers_bytes = 0
        self._surplus_bytes = 0  # of a body that goes on after the response
        self._status = HTTPStatus.BAD_REQUEST  # of the response to a head that cannot be parsed
        self._timers: dict[str, TimerHandle] = {}

    @property
    def is_idle(self) -> bool:
        """Whether the connection waits for a request, and no response is in progress."""
        return self.waiting_since is not None and not self._responds and not self.transport.is_closing()

    @property
    def _responds(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()
        self._start("head", HEAD_SECONDS, self._head_is_late)
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        for name in list(self._timers):
            self._stop(name)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.waiting_since is not None:
            self._received_bytes += len(data)
            if "head" not in self._timers:
                self._start("head", HEAD_SECONDS, self._head_is_late)
        super().data_received(data)
        if "linger" in self._timers:
            self._pause()
        if self.waiting_since is not None and self._received_bytes > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._headers_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > TARGET_BYTES:
            self._status = HTTPStatus.REQUEST_URI_TOO_LONG
            raise ValueError("the address is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers_bytes += len(name) + len(value)
        if self._headers_bytes > HEAD_BYTES or len(self.headers) >= MAX_HEADERS:  # trailers after a body count too
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError("the headers are too large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop("head")
        self.waiting_since = None
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests in advance")
        super().on_headers_complete()
        self.flow.pause_reading()  # a body is received once the application asks for it: refused ones cost the loop nothing

    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            self._surplus_bytes += len(body)
            if self._surplus_bytes > LINGER_BYTES:
                self._close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stop("linger")
        self._stop("drain")
        self.flow.resume_reading()
        self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif self.waiting_since is None and not self._responds:  # the body goes on: let its sender read the response
            self._surplus_bytes = 0
            self._start("linger", LINGER_SECONDS, self._close)
            self._pause()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start("write", STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop("write")

    def send_400_response(self, msg: str) -> None:
        """The response to a request that cannot be parsed, or whose head is too large."""
        self._refuse(self._status)

    def _pause(self) -> None:
        """Receive no more of a refused body for a moment: others come first."""
        self.flow.pause_reading()
        self._start("drain", DRAIN_SECONDS, self.flow.resume_reading)

    def _await_head(self) -> None:
        self.waiting_since = time.monotonic()
        self._received_bytes = 0

    def _head_is_late(self) -> None:
        if self._responds:
            self.cycle.keep_alive = False
        elif self._received_bytes:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._close()

    def _refuse(self, status: HTTPStatus) -> None:
        """Respond without the application, unless a response is in progress, and close."""
        if not self._responds and not self.transport.is_closing():
            path = self.url.partition(b"?")[0].decode("latin-1")
            self.transport.write(_bytes_of(self._refusal(path, status)))
        self._close()

    def _close(self) -> None:
        """Close once the client has taken what was sent, or has not for too long."""
        self.transport.close()
        self._start("write", STALLED_SECONDS, self.transport.abort)

    def _make_room(self) -> None:
        """Close the connection that has waited longest for a request, which may be this one."""
        idle = [each for each in self.connections if isinstance(each, BoundedConnection) and each.is_idle]
        longest = min(idle, key=lambda each: each.waiting_since or 0.0)
        longest._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def _start(self, name: str, seconds: float, act: Callable[[], object]) -> None:
        self._stop(name)
        self._timers[name] = self.loop.call_later(seconds, act)

    def _stop(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()


def _bytes_of(response: Response) -> bytes:
    """A whole response as it is sent."""
    status = HTTPStatus(response.status_code)
    lines = [f"HTTP/1.1 {status} {status.phrase}".encode(), *(name + b": " + value for name, value in response.raw_headers)]
    return b"\r\n".join([*lines, b"Connection: close", b"", bytes(response.body)])
