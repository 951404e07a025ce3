"""Files of our own pages, kept in memory, with headers that let a browser run them and nothing else."""

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
    """A file of a page, in memory."""

    body: bytes
    media_type: str
    tag: str

    @classmethod
    def read(cls, name: str) -> Self:
        """A file below `service/web`, by its path there."""
        body = resources.files(web).joinpath(name).read_bytes()
        return cls(body, MEDIA_TYPES[PurePosixPath(name).suffix], f'"{sha256(body).hexdigest()[:32]}"')

    def answer(self, known_tags: str, more: Mapping[str, str] | None = None) -> Response:
        """The file, or that the browser has it already. `known_tags`: of If-None-Match; `more`: headers instead of the usual ones."""
        headers = {**HEADERS, **(more or {}), "ETag": self.tag}
        if self.tag in {tag.strip().removeprefix("W/") for tag in known_tags.split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type=self.media_type)


def names_in(folder: str) -> list[str]:
    """The paths of the files of a folder below `service/web`."""
    found = resources.files(web).joinpath(folder).iterdir()
    return sorted(f"{folder}/{file.name}" for file in found if PurePosixPath(file.name).suffix in MEDIA_TYPES)


def add(routes: APIRouter, path: str, name: str) -> None:
    """Serve a file below `service/web` at a path."""
    endpoint = _serving(Asset.read(name))
    routes.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)


def known_tags(request: Request) -> str:
    """What the browser says it has."""
    return request.headers.get("if-none-match", "")


def _serving(asset: Asset) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return asset.answer(known_tags(request))

    return serve
