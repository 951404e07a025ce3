"""CORS: which web pages of other origins may read responses. Files by a signed link: all; the APIs: those that a setting names.

Whoever has a signed link has its file, so a page of another origin learns nothing that its visitor could not give it. Requests carry their
key in a header that a page must know, and never a cookie: credentials are not allowed.
"""

from collections.abc import Collection
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

FILES: Final = "/files/"
ANY: Final = ("*",)
FILE_METHODS: Final = ("GET", "HEAD")
API_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
TUS_EXPOSED: Final = ("Tus-Resumable", "Tus-Version", "Upload-Expires", "Upload-Length", "Upload-Offset")
FILE_EXPOSED: Final = ("Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag", "Last-Modified", "X-Request-ID")
API_EXPOSED: Final = (
    "Allow",
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
    *TUS_EXPOSED,
)
PREFLIGHT_SECONDS: Final = 7200  # the longest that browsers keep the answer to a preflight


class CrossOrigin:
    """ASGI middleware. `origins`: of pages that may use the APIs, such as `https://example.com`; `*`: any; empty: none."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._files = CORSMiddleware(
            app, ANY, allow_methods=FILE_METHODS, allow_headers=ANY, expose_headers=FILE_EXPOSED, max_age=PREFLIGHT_SECONDS
        )
        self._apis = app
        if origins:
            self._apis = CORSMiddleware(
                app, sorted(origins), allow_methods=API_METHODS, allow_headers=ANY, expose_headers=API_EXPOSED, max_age=PREFLIGHT_SECONDS
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        of_file = scope["type"] == "http" and scope["path"].startswith(FILES)
        await (self._files if of_file else self._apis)(scope, receive, send)
