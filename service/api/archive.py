"""`/archive`: the results of several jobs as one ZIP file, by a signed link. It is made while it is sent, and never held whole."""

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from service.api.batch_zip import Entry, zipped
from service.api.facade import AppContext
from service.api.files import HEADERS
from service.api.problems import MEDIA_TYPE, Problem, ProblemRoute
from service.errors import KeyInvalid, SignatureExpired, UnknownJob
from service.jobs.names import told_apart

NAME: Final = "cleanplate.zip"
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The archive.", "content": {"application/zip": {}}},
    403: {"description": "The link's signature is wrong or has expired.", "content": {MEDIA_TYPE: {}}},
}

Ids = Annotated[str, Query(description="The jobs, comma-separated.", examples=["job_1765183831860_3f1c9a7e5b2d4c6f8a0e1b3d"])]
Expires = Annotated[int, Query(description="When the link expires, in seconds since 1970.", examples=[1766393431])]
Signature = Annotated[str, Query(description="Signature of jobs, account and expiry, in hexadecimal.", examples=["9f86d081"])]


def router(context: AppContext) -> APIRouter:
    """The route `/archive`."""
    routes = APIRouter(tags=["files"], route_class=ProblemRoute)

    @routes.get("/archive", response_class=StreamingResponse, responses=RESPONSES, summary="Download several results")
    async def archive(jobs: Ids, account: int = 0, expires: Expires = 0, signature: Signature = "") -> Response:
        """The results of several jobs in one ZIP file, by its signed link."""
        ids = jobs.split(",")
        try:
            context.links.verify_archive(account, ids, expires, signature)
        except (KeyInvalid, SignatureExpired) as error:
            return Problem("about:blank", HTTPStatus.FORBIDDEN.phrase, 403, str(error)).response({"Cache-Control": "no-store"})
        files = await run_in_threadpool(_results, account, ids, context)
        headers = HEADERS | {"Content-Disposition": f'attachment; filename="{NAME}"'}
        return StreamingResponse(zipped(files), headers=headers, media_type="application/zip")

    return routes


def _results(account_id: int, job_ids: Sequence[str], context: AppContext) -> list[Entry]:
    """The results that are still there. Each is read when it is its turn."""
    found: list[tuple[str, str]] = []  # names and keys
    for job_id in job_ids:
        try:
            job = context.job_service.find(account_id, job_id)
        except UnknownJob:  # expired since the link was made
            continue
        if job.result is not None and (stored := context.storage.stat(job.result.clean_key)):
            found.append((job.result_name or f"{job.id}{PurePosixPath(stored.key).suffix}", stored.key))
    names = told_apart(name for name, _ in found)
    return [Entry(name, context.storage.read(key)) for name, (_, key) in zip(names, found, strict=True)]
