"""What a person does with many jobs: knows the limits, gives files names, and downloads the results together."""

from dataclasses import asdict

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.api import native_library_docs as docs
from service.api.facade import AppContext
from service.api.native_caller import caller_of, find_job, read_json
from service.api.native_models import ArchiveBody, RenameBody
from service.api.native_views import ArchiveView, LimitsView, job_view
from service.api.problems import JobNotEnded
from service.api.rates import READ
from service.jobs.job import JobSpec

ARCHIVE_SECONDS = 3600.0  # for so long its link is valid


def add_library(routes: APIRouter, context: AppContext) -> None:
    """Add the routes."""

    @routes.get("/limits", **docs.LIMITS)
    async def limits(request: Request) -> Response:
        caller_of(request, context, READ)
        price = context.job_service.price_of
        view = LimitsView(
            **asdict(context.options.limits),
            video_credits=price(JobSpec("video")),
            image_credits=price(JobSpec("image")),
            detection_credits=price(JobSpec("video", kind="detect")),
        )
        return _json(view)

    @routes.patch("/jobs/{job_id}", **docs.RENAME)
    async def rename(request: Request, job_id: str) -> Response:
        job = await find_job(request, job_id, context)
        name = (await read_json(request, RenameBody, context)).name
        return _json(await run_in_threadpool(lambda: job_view(context.job_service.rename(job.account_id, job.id, name), context)))

    @routes.post("/archives", **docs.ARCHIVE)
    async def pack(request: Request) -> Response:
        account = caller_of(request, context, READ)
        ids = list(dict.fromkeys((await read_json(request, ArchiveBody, context)).jobs))
        return _json(await run_in_threadpool(_archive, account.id, ids, context))


def _archive(account_id: int, job_ids: list[str], context: AppContext) -> ArchiveView:
    """A link to those that have a result. Raises UnknownJob, JobNotEnded if none has."""
    jobs = [context.job_service.find(account_id, job_id) for job_id in job_ids]
    packed = [job.id for job in jobs if job.result is not None and job.ended and job.cleared_ms is None]
    if not packed:
        raise JobNotEnded("none of the jobs has a result")
    return ArchiveView(url=context.links.archive(account_id, packed, ARCHIVE_SECONDS), files=len(packed))


def _json(view: BaseModel) -> Response:
    return JSONResponse(view.model_dump(mode="json"))
