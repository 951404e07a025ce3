"""`/files`: stored files by signed links. A folder's are served; for a bucket's the bucket is told to, by a fresh link of its own."""

import os
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse, RedirectResponse, Response

from service.api.problems import MEDIA_TYPE, Problem, ProblemRoute
from service.errors import KeyInvalid, SignatureExpired
from service.outside.links import Links
from service.outside.storage import Storage, content_type_of

Key = Annotated[str, Path(description="The file's key, as the link has it.", examples=["jobs/0f3c/clean.mp4"])]
Expires = Annotated[int, Query(description="When the link ends, in seconds since 1970.", examples=[1766393431])]
Signature = Annotated[str, Query(description="Of key, end and file name, in hexadecimal digits.", examples=["9f86d081"])]
Filename = Annotated[str | None, Query(description="Under which name a browser saves the file.")]
Download = Annotated[bool, Query(description="Have a browser save the file, not show it.")]

# Strangers' bytes on our own origin: whatever they pretend to be, no browser may run them.
HEADERS = {"Cache-Control": "private", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
PAGE = ".html"  # a job's report: pictures of strangers in a page of ours
PAGE_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox",
    "Referrer-Policy": "no-referrer",  # its address is a signed link
}
REDIRECT_SECONDS = 3600.0  # a player seeks, and goes on with the bucket's link, while it plays
PROBLEM: dict[str, Any] = {"content": {MEDIA_TYPE: {}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"application/octet-stream": {}}},
    206: {"description": "The range of it that was asked for."},
    307: {"description": "The bucket has it, at this link."},
    400: {"description": "The range cannot be read."},
    403: {"description": "The link is not one of ours, or has expired.", **PROBLEM},
    404: {"description": "The file is gone.", **PROBLEM},
    416: {"description": "The range lies beyond the file's end."},
    422: {"description": "The link's end is no number.", **PROBLEM},
}


def router(links: Links, storage: Storage) -> APIRouter:
    """The route `/files/{key}` of a service."""
    routes = APIRouter(tags=["files"], route_class=ProblemRoute)

    @routes.head("/files/{key:path}", response_class=FileResponse, responses=RESPONSES, summary="Look at a file")
    @routes.get("/files/{key:path}", response_class=FileResponse, responses=RESPONSES, summary="Download a file")
    def file(key: Key, expires: Expires = 0, signature: Signature = "", filename: Filename = None, download: Download = False) -> Response:
        """A result, original or thumbnail by its signed link; ranges are served, so that a player can seek."""
        try:
            links.verify(key, expires, signature, filename)
        except (KeyInvalid, SignatureExpired) as error:
            return _problem(403, str(error))
        if presigned := storage.presign(key, REDIRECT_SECONDS):
            return RedirectResponse(presigned, 307, {"Cache-Control": "no-store"})
        path = storage.local_path(key)
        if path is None:
            return _problem(404, "the file is gone")
        return _file(path, filename or path.name, "attachment" if download else "inline")

    return routes


def _file(path: FilePath, filename: str, disposition: str) -> Response:
    is_page = path.suffix == PAGE
    headers = PAGE_HEADERS if is_page else HEADERS
    try:
        found = os.stat(path)
    except FileNotFoundError:  # deleted in this moment
        return _problem(404, "the file is gone")
    kind = content_type_of(path.name)
    return FileResponse(path, headers=headers, media_type=kind, filename=filename, stat_result=found, content_disposition_type=disposition)


def _problem(status: int, detail: str) -> Response:
    return Problem("about:blank", HTTPStatus(status).phrase, status, detail).answer({"Cache-Control": "no-store"})
