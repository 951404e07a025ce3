"""Middleware for every request of every facade: a request id, a log line, metrics, a span of its trace."""

import logging
import re
import secrets
import time
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import tracing
from service.logs import log_fields
from service.metrics import Meters
from service.tracing import Measured

log = logging.getLogger(__name__)

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN: Final = "other"  # one label for all unknown routes and methods
QUIET: Final = frozenset({"operations"})  # requested by monitoring every few seconds
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestsLog:
    """ASGI middleware. The log has the path but not the query, which may contain signatures and keys."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        response = _TaggedResponse(send, request_id)
        with log_fields(request_id=request_id), _span(scope, headers) as measured:
            started = time.perf_counter()
            try:
                await self._app(scope, receive, response.send)
            finally:
                self._record(scope, response.status, time.perf_counter() - started, measured)

    def _record(self, scope: Scope, status: int, seconds: float, measured: Measured) -> None:
        route = scope.get("route")
        facade = str(next(iter(getattr(route, "tags", [])), UNKNOWN))
        template = str(getattr(route, "path", UNKNOWN))
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN
        self._meters.count_request(facade, template, method, status, seconds)
        fields: dict[str, Any] = {"method": method, "path": scope["path"], "status": status, "seconds": round(seconds, 4), "facade": facade}
        measured.say({"http.response.status_code": status, "http.route": template}, f"{method} {template}")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            measured.fail(str(status))
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


def _span(scope: Scope, headers: Headers) -> AbstractContextManager[Measured]:
    """The span of a request, in the trace that its client names. Monitoring asks too often for spans of its own."""
    if scope["path"] in PROBES:
        return nullcontext(tracing.OFF)
    attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
    return tracing.span(scope["method"], tracing.parsed(headers.get(tracing.HEADER)), "server", attributes)


def _request_id(headers: Headers) -> str:
    """The id set by a proxy, if it is well-formed; otherwise a random one."""
    proxy_id = headers.get("x-request-id", "")
    return proxy_id if REQUEST_ID.fullmatch(proxy_id) else secrets.token_hex(8)
