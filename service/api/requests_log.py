"""Middleware for every request of every facade: a request id, a log line, metrics."""

import logging
import re
import secrets
import time
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import log_fields
from service.metrics import Meters

log = logging.getLogger(__name__)

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN: Final = "other"  # one label for all unknown routes and methods
QUIET: Final = frozenset({"operations"})  # requested by monitoring every few seconds


class RequestsLog:
    """ASGI middleware. The log has the path but not the query, which may contain signatures and keys."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        response = _TaggedResponse(send, request_id)
        with log_fields(request_id=request_id):
            started = time.perf_counter()
            try:
                await self._app(scope, receive, response.send)
            finally:
                self._record(scope, response.status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        facade = str(next(iter(getattr(route, "tags", [])), UNKNOWN))
        template = str(getattr(route, "path", UNKNOWN))
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN
        self._meters.count_request(facade, template, method, status, seconds)
        fields: dict[str, Any] = {"method": method, "path": scope["path"], "status": status, "seconds": round(seconds, 4), "facade": facade}
        log.log(logging.DEBUG if facade in QUIET else logging.INFO, "request", extra=fields)


class _TaggedResponse:
    """Forwards a response with the request's id and remembers its status: 500 if it never starts."""

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
    """The id set by a proxy, if it is well-formed; otherwise a random one."""
    proxy_id = headers.get("x-request-id", "")
    return proxy_id if REQUEST_ID.fullmatch(proxy_id) else secrets.token_hex(8)
