"""`/docs`: the OpenAPI document as a page, from files of our own; a browser that reads it asks no other host for anything."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import Final, Self

from fastapi import APIRouter, Request, Response

PACKAGE: Final = "service.web"
ASSETS: Final = {
    "/docs": ("docs.html", "text/html"),
    "/docs/docs.js": ("docs.js", "text/javascript"),
    "/docs/curl.js": ("curl.js", "text/javascript"),
    "/docs/docs.css": ("docs.css", "text/css"),
}
HEADERS: Final = {
    "Cache-Control": "no-cache",  # kept, but asked about: a new version shows at once
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page, in memory."""

    body: bytes
    media_type: str
    tag: str

    @classmethod
    def read(cls, name: str, media_type: str) -> Self:
        body = resources.files(PACKAGE).joinpath(name).read_bytes()
        return cls(body, media_type, f'"{sha256(body).hexdigest()[:32]}"')

    def answer(self, known_tags: str) -> Response:
        """The file, or that the browser has it already. `known_tags`: of If-None-Match."""
        headers = HEADERS | {"ETag": self.tag}
        if self.tag in {tag.strip().removeprefix("W/") for tag in known_tags.split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type=self.media_type)


def router() -> APIRouter:
    """The page and its files."""
    routes = APIRouter(tags=["docs"])
    for path, (name, media_type) in ASSETS.items():
        endpoint = _serving(Asset.read(name, media_type))
        routes.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)
    return routes


def _serving(asset: Asset) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return asset.answer(request.headers.get("if-none-match", ""))

    return serve
