"""`/files`: stored files by signed links. Served from a folder; for a bucket, redirected to a fresh link of the bucket."""

import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from service.api.problems import MEDIA_TYPE, Problem, ProblemRoute
from service.errors import KeyInvalid, SignatureExpired
from service.outside.links import Links
from service.outside.storage import Storage, content_type_of

Key = Annotated[str, Path(description="The file's key, as in the link.", examples=["jobs/0f3c/clean.mp4"])]
Expires = Annotated[int, Query(description="When the link expires, in seconds since 1970.", examples=[1766393431])]
Signature = Annotated[str, Query(description="Signature of key, expiry and file name, in hexadecimal.", examples=["9f86d081"])]
Filename = Annotated[str | None, Query(description="Name under which a browser saves the file.")]
Download = Annotated[bool, Query(description="Make a browser save the file instead of showing it.")]

KnownTags = Annotated[str | None, Header(description="ETags of copies that the client has.")]
KnownTime = Annotated[str | None, Header(description="`Last-Modified` of the client's copy.")]

# Untrusted bytes on our own origin: no browser may run them, whatever they claim to be.
HEADERS = {"Cache-Control": "private", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
PAGE = ".html"  # a job's report: our page with untrusted pictures
PAGE_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox",
    "Referrer-Policy": "no-referrer",  # the URL is a signed link
}
REDIRECT_SECONDS = 3600.0  # a player keeps using the bucket's link while it plays and seeks
PROBLEM: dict[str, Any] = {"content": {MEDIA_TYPE: {}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"application/octet-stream": {}}},
    206: {"description": "The requested range."},
    304: {"description": "The client's copy is current."},
    307: {"description": "The file is in a bucket, at this link."},
    400: {"description": "The range is malformed."},
    403: {"description": "The link's signature is wrong or has expired.", **PROBLEM},
    404: {"description": "The file no longer exists.", **PROBLEM},
    416: {"description": "The range is beyond the end of the file."},
    422: {"description": "The link's expiry is not a number.", **PROBLEM},
}


def router(links: Links, storage: Storage) -> APIRouter:
    """The route `/files/{key}`."""
    routes = APIRouter(tags=["files"], route_class=ProblemRoute)

    @routes.head("/files/{key:path}", response_class=FileResponse, responses=RESPONSES, summary="Get a file's headers")
    @routes.get("/files/{key:path}", response_class=FileResponse, responses=RESPONSES, summary="Download a file")
    def file(
        request: Request,
        key: Key,
        expires: Expires = 0,
        signature: Signature = "",
        filename: Filename = None,
        download: Download = False,
        if_none_match: KnownTags = None,
        if_modified_since: KnownTime = None,
    ) -> Response:
        """A result, original or thumbnail by its signed link. Supports ranges, so that a player can seek."""
        try:
            links.verify(key, expires, signature, filename)
        except (KeyInvalid, SignatureExpired) as error:
            return _problem(403, str(error))
        if presigned := storage.presign(key, REDIRECT_SECONDS, "HEAD" if request.method == "HEAD" else "GET"):
            return RedirectResponse(presigned, 307, {"Cache-Control": "no-store"})
        path = storage.local_path(key)
        if path is None:
            return _problem(404, "the file no longer exists")
        response = _file(path, filename or path.name, "attachment" if download else "inline")
        return _unchanged(response) if _is_known(response.headers, if_none_match, if_modified_since) else response

    return routes


def _file(path: FilePath, filename: str, disposition: str) -> Response:
    is_page = path.suffix == PAGE
    headers = PAGE_HEADERS if is_page else HEADERS
    try:
        file_stat = os.stat(path)
    except FileNotFoundError:  # just deleted
        return _problem(404, "the file no longer exists")
    return FileResponse(
        path,
        headers=headers,
        media_type=content_type_of(path.name),
        filename=filename,
        stat_result=file_stat,
        content_disposition_type=disposition,
    )


def _is_known(headers: Mapping[str, str], tags: str | None, time: str | None) -> bool:
    """Whether the client has this file: by its tag or, if it sent none, by its time. A response without a tag is not a file."""
    if "etag" not in headers:
        return False
    if tags is not None:
        return bool({"*", headers["etag"]} & {tag.strip().removeprefix("W/") for tag in tags.split(",")})
    return time == headers["last-modified"]


def _unchanged(response: Response) -> Response:
    kept = ("cache-control", "content-security-policy", "etag", "last-modified", "x-content-type-options")
    return Response(status_code=304, headers={name: response.headers[name] for name in kept})


def _problem(status: int, detail: str) -> Response:
    return Problem("about:blank", HTTPStatus(status).phrase, status, detail).response({"Cache-Control": "no-store"})
