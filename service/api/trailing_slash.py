"""A slash at the end of an API's path is ignored: no redirect, which would lead to the host and the scheme that the request names."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

PREFIXES: Final = ("/v1/", "/api/", "/ai/", "/rest/")


class TrailingSlash:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIXES):
            scope["path"] = scope["path"].removesuffix("/")  # in place: what is outside of this reads in it which route was taken
        await self._app(scope, receive, send)
