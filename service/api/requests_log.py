"""What every request gets, whichever facade it is for: an id, a line in the log, a place in the figures, and a limit of its body."""

import logging
import re
import secrets
import time
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem
from service.errors import TooLarge
from service.logs import bound
from service.metrics import Meters

log = logging.getLogger(__name__)

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN: Final = "other"  # one label for all that strangers try
QUIET: Final = frozenset({"operations"})  # asked for every few seconds, by machines


class RequestsLog:
    """ASGI middleware. The log tells the path, never the query: there are signatures and keys in it."""

    def __init__(self, app: ASGIApp, meters: Meters, most_bytes: int) -> None:
        self._app = app
        self._meters = meters
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        answer = _Answer(send, request_id)
        with bound(request_id=request_id):
            started = time.perf_counter()
            try:
                app = _refusal(self._most_bytes) if _announced_bytes(headers) > self._most_bytes else self._app
                await app(scope, _bounded(receive, self._most_bytes), answer.send)
            finally:
                self._note(scope, answer.status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        facade = str(next(iter(getattr(route, "tags", [])), UNKNOWN))
        template = str(getattr(route, "path", UNKNOWN))
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN
        self._meters.count_request(facade, template, method, status, seconds)
        told: dict[str, Any] = {"method": method, "path": scope["path"], "status": status, "seconds": round(seconds, 4), "facade": facade}
        log.log(logging.DEBUG if facade in QUIET else logging.INFO, "request", extra=told)


class _Answer:
    """Passes an answer on, with the request's id; remembers its status. One that never began is a 500."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self._request_id
        await self._send(message)


def _request_id(headers: Headers) -> str:
    """The id that a proxy gave, if it is a plain one."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _announced_bytes(headers: Headers) -> int:
    announced = headers.get("content-length", "0")
    return int(announced) if announced.isascii() and announced.isdecimal() else 0


def _bounded(receive: Receive, most_bytes: int) -> Receive:
    """The body as it comes, up to its limit: what was not announced, or wrongly, ends in a TooLarge within the handler that reads it."""
    seen_bytes = 0

    async def part() -> Message:
        nonlocal seen_bytes
        message = await receive()
        seen_bytes += len(message.get("body", b""))
        if seen_bytes > most_bytes:
            raise TooLarge(f"the request has more than {most_bytes / 2**20:g} MiB")
        return message

    return part


def _refusal(most_bytes: int) -> ASGIApp:
    """Answers before the body is sent, and hangs up: it is not read."""
    response = problem(TooLarge(f"the request has more than {most_bytes / 2**20:g} MiB"))
    response.headers["Connection"] = "close"
    return response
