"""Static files of our pages, held in memory, with headers that let a browser run them and nothing else."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from pathlib import PurePosixPath
from typing import Final, Self

from fastapi import APIRouter, Request, Response

from service import web

MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".mp4": "video/mp4",
}
HEADERS: Final = {
    "Cache-Control": "no-cache",  # cached but revalidated, so that a new version shows at once
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Asset:
    """A static file, in memory."""

    body: bytes
    media_type: str
    tag: str

    @classmethod
    def read(cls, name: str) -> Self:
        """Read a file by its path below `service/web`."""
        body = resources.files(web).joinpath(name).read_bytes()
        return cls(body, MEDIA_TYPES[PurePosixPath(name).suffix], f'"{sha256(body).hexdigest()[:32]}"')

    def response(self, known_tags: str, headers_replaced: Mapping[str, str] | None = None) -> Response:
        """The file, or 304 if `known_tags` (If-None-Match) contains its tag. `headers_replaced` override the usual headers."""
        headers = {**HEADERS, **(headers_replaced or {}), "ETag": self.tag}
        if self.tag in {tag.strip().removeprefix("W/") for tag in known_tags.split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type=self.media_type)


def names_in(folder: str) -> list[str]:
    """The paths of the servable files in a folder below `service/web`."""
    files = resources.files(web).joinpath(folder).iterdir()
    return sorted(f"{folder}/{file.name}" for file in files if PurePosixPath(file.name).suffix in MEDIA_TYPES)


def add(routes: APIRouter, path: str, name: str) -> None:
    """Add a route that serves a file below `service/web`."""
    endpoint = _file_endpoint(Asset.read(name))
    routes.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)


def known_tags(request: Request) -> str:
    """The tags of the request's If-None-Match header."""
    return request.headers.get("if-none-match", "")


def _file_endpoint(asset: Asset) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return asset.response(known_tags(request))

    return serve
