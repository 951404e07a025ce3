"""What a person does with many jobs: knows the limits, gives files names, and downloads the results together."""

from dataclasses import asdict
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.api import native_docs as docs
from service.api.body import KEYLESS_BYTES, read_body
from service.api.facade import AppContext
from service.api.json_body import parse_object
from service.api.native_caller import caller_of, find_job
from service.api.native_models import ArchiveBody, RenameBody
from service.api.native_views import ArchiveView, LimitsView, job_view
from service.api.parameters import type_of
from service.api.problems import JobNotEnded, read_as
from service.api.rates import READ
from service.errors import UnsupportedFormat

ARCHIVE_SECONDS = 3600.0  # for so long its link is valid

Body = TypeVar("Body", bound=BaseModel)


def add_library(routes: APIRouter, context: AppContext) -> None:
    """Add the routes."""

    @routes.get("/limits", **docs.LIMITS)
    async def limits(request: Request) -> Response:
        caller_of(request, context, READ)
        price = context.job_service.price_of
        view = LimitsView(
            **asdict(context.options.limits),
            video_credits=price("clean", "video"),
            image_credits=price("clean", "image"),
            detection_credits=price("detect", "video"),
        )
        return _json(view)

    @routes.patch("/jobs/{job_id}", **docs.RENAME)
    async def rename(request: Request, job_id: str) -> Response:
        job = await find_job(request, job_id, context)
        name = (await _body(request, RenameBody, context)).name
        return _json(await run_in_threadpool(lambda: job_view(context.job_service.rename(job.account_id, job.id, name), context)))

    @routes.post("/archives", **docs.ARCHIVE)
    async def pack(request: Request) -> Response:
        account = caller_of(request, context, READ)
        ids = list(dict.fromkeys((await _body(request, ArchiveBody, context)).jobs))
        return _json(await run_in_threadpool(_archive, account.id, ids, context))


def _archive(account_id: int, job_ids: list[str], context: AppContext) -> ArchiveView:
    """A link to those that have a result. Raises UnknownJob, JobNotEnded if none has."""
    jobs = [context.job_service.find(account_id, job_id) for job_id in job_ids]
    packed = [job.id for job in jobs if job.result is not None and job.ended and job.cleared_ms is None]
    if not packed:
        raise JobNotEnded("none of the jobs has a result")
    return ArchiveView(url=context.links.archive(account_id, packed, ARCHIVE_SECONDS), files=len(packed))


async def _body(request: Request, kind: type[Body], context: AppContext) -> Body:
    if type_of(request) != "application/json":
        raise UnsupportedFormat("the body must be application/json")
    return read_as(kind, parse_object(await read_body(request, context.capacity, KEYLESS_BYTES), context.options.json_depth))


def _json(view: BaseModel) -> Response:
    return JSONResponse(view.model_dump(mode="json"))
