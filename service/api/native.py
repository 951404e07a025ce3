"""The native API: jobs as resources, ordinary HTTP status codes, problem details (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response, Security
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.api import native_docs as docs
from service.api import tus
from service.api.auth import BEARER_KEY, account_of, bearer
from service.api.cursor import After, Cursor
from service.api.facade import AppContext, Callback, Facade
from service.api.native_batches import add_batches
from service.api.native_callbacks import add_callbacks
from service.api.native_caller import caller_of, find_job, read_json
from service.api.native_destination import add_destination
from service.api.native_events import EventStream, job_and_events
from service.api.native_library import add_library
from service.api.native_models import EstimateBody, Reference
from service.api.native_order import Order, read_order
from service.api.native_report import ReportMissing
from service.api.native_uploads import add_uploads
from service.api.native_views import AccountView, EstimateView, JobPage, JobView, job_view, result_link
from service.api.problems import CODES, IdempotencyKeyReused, JobNotEnded, Problem, ProblemRoute, problem_response
from service.api.rates import DETECT, READ, SUBMIT
from service.errors import JobCancelled, UnknownJob
from service.jobs.accounts import Account
from service.jobs.database import now_ms
from service.jobs.job import Failure, Job, JobSpec, NewJob, Result, State, new_id
from service.jobs.keys import Scope
from service.jobs.store import Only
from service.outside.links import Links

PREFIX: Final = "job_"

IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=200, description="A repeated request with the same key returns the same job.")
]
LastEventId = Annotated[int, Header(ge=0, le=2**31 - 1, description="Number of the last event received.")]
Limit = Annotated[int, Query(ge=1, le=100)]
OfName = Annotated[
    str | None,
    Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="Only jobs whose file's name contains this, in any case."),
]
OfState = Annotated[State | None, Query(description="Only jobs in this state.")]
WithFiles = Annotated[bool, Query(description="Only jobs whose files have not been deleted.")]
OfReference = Annotated[Reference | None, Query(description="Only jobs that were created with this `client_reference`.")]


def _asked(client_reference: OfReference = None, name: OfName = None, state: OfState = None, with_files: WithFiles = False) -> Only:
    """Which jobs a request for the list asks for."""
    return Only(client_reference, name, state, with_files)


Asked = Annotated[Only, Depends(_asked)]


def router(context: AppContext) -> APIRouter:
    """All endpoints below `/v1`."""
    # The option `sora_links_only` applies to the vendors' dialects; here any source is accepted.
    context = replace(context, options=replace(context.options, sora_links_only=False))

    async def sign_in(request: Request) -> None:
        scope = Scope.READ if request.method in ("GET", "HEAD") else Scope.SUBMIT
        request.state.account = await account_of(request, context, scope)

    routes = APIRouter(prefix="/v1", route_class=ProblemRoute, tags=["native"], dependencies=[Security(BEARER_KEY), Depends(sign_in)])
    _add_account_routes(routes, context)
    _add_job_routes(routes, context)
    _add_deletions(routes, context)
    add_callbacks(routes, context)
    add_library(routes, context)
    add_batches(routes, context)
    add_uploads(routes, context)
    add_destination(routes, context)
    both = APIRouter()
    both.include_router(routes)
    both.include_router(tus.router(context))
    return both


def _add_account_routes(routes: APIRouter, context: AppContext) -> None:
    """Add the routes of the account: its jobs and credits."""

    @routes.post("/jobs", **docs.CREATE)
    async def create(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
        account = caller_of(request, context, SUBMIT)
        order = await read_order(request, account.id, context)
        job, is_new = await run_in_threadpool(_created, order, idempotency_key, account.id, context)
        headers = {"Location": f"/v1/jobs/{job.id}"} | ({} if is_new else {"Idempotent-Replayed": "true"})
        return _json_response(job, 201 if is_new else 200, headers)

    @routes.get("/jobs", **docs.LIST)
    async def jobs(request: Request, only: Asked, limit: Limit = 20, cursor: After = None) -> Response:
        account = caller_of(request, context, READ)
        position = Cursor.parse(cursor) if cursor else Cursor()
        most = limit + position.seen + 1
        jobs_found = await run_in_threadpool(context.job_service.jobs, account.id, most, position.before_ms, only)
        page = jobs_found[position.seen :][:limit]
        next_position = position.after([job.created_ms for job in page]) if len(jobs_found) > position.seen + limit else None
        data = await run_in_threadpool(lambda: [job_view(job, context) for job in page])
        return _json_response(JobPage(data=data, next_cursor=str(next_position) if next_position else None))

    @routes.post("/estimate", **docs.ESTIMATE)
    async def estimate(request: Request) -> Response:
        caller_of(request, context, READ)
        body = await read_json(request, EstimateBody, context)
        return _json_response(await run_in_threadpool(_estimate, body, context))

    @routes.get("/account", **docs.ACCOUNT_OF_KEY)
    async def account(request: Request) -> Response:
        account = caller_of(request, context, READ)
        return _json_response(await run_in_threadpool(_account_view, account, context))


def _add_deletions(routes: APIRouter, context: AppContext) -> None:
    """Add the routes that delete files now, before they expire."""
    files = context.account_files

    @routes.delete("/jobs/{job_id}", **docs.DELETE_JOB)
    async def delete_job(request: Request, job_id: str) -> Response:
        job = await find_job(request, job_id, context)
        if not job.ended:
            raise JobNotEnded(f"the job is {job.state}; cancel it first")
        if not await run_in_threadpool(files.clear_job, job):
            raise JobNotEnded("an unfinished job still needs its files")
        return Response(status_code=204)


def _add_job_routes(routes: APIRouter, context: AppContext) -> None:
    """Add the routes of one job."""

    @routes.get("/jobs/{job_id}", **docs.FIND)
    async def find(request: Request, job_id: str) -> Response:
        job = await find_job(request, job_id, context)
        return _json_response(await run_in_threadpool(job_view, job, context))

    @routes.post("/jobs/{job_id}/cancel", **docs.CANCEL)
    async def cancel(request: Request, job_id: str) -> Response:
        job = await find_job(request, job_id, context)
        return _json_response(await run_in_threadpool(lambda: job_view(context.job_service.cancel(job.account_id, job.id), context)))

    @routes.get("/jobs/{job_id}/events", **docs.STREAM)
    async def events(request: Request, job_id: str, last_event_id: LastEventId = 0) -> Response:
        job = await find_job(request, job_id, context)
        job, missed = await run_in_threadpool(job_and_events, context.job_service, job, last_event_id)
        if job.ended and not missed:
            return Response(status_code=204)  # tells a browser not to reconnect
        waiter = context.watcher.enter(job.account_id, bearer(request)).watch(job)
        return EventStream(waiter, context.job_service, job, last_event_id)

    @routes.get("/jobs/{job_id}/result", **docs.DOWNLOAD)
    async def result(request: Request, job_id: str) -> Response:
        job = await find_job(request, job_id, context)
        outcome = _result_or_failure(job)
        if isinstance(outcome, Failure):
            return Problem.of_failure(outcome).response()
        return RedirectResponse(result_link(job, outcome, context.links, context.options.result_link_seconds), 303)

    @routes.get("/jobs/{job_id}/report", **docs.REPORT)
    async def report(request: Request, job_id: str) -> Response:
        outcome = _result_or_failure(await find_job(request, job_id, context))
        if isinstance(outcome, Failure):
            return Problem.of_failure(outcome).response()
        return Response(await run_in_threadpool(_read_report, outcome, context), media_type="application/json")


class FilesDeleted(UnknownJob):
    """The job is known, but its files have been deleted."""


def callback(job: Job, links: Links, link_seconds: float) -> Callback:
    """The callback for an ended job. The event's id is the same in every delivery."""
    event_id = f"evt_{job.id.removeprefix(PREFIX)}"
    event: Mapping[str, object] = {
        "type": f"job.{job.state}",
        "id": event_id,
        "created": (job.finished_ms or job.updated_ms) // 1000,
        "data": JobView.of(job, links, link_seconds).model_dump(mode="json"),
    }
    return Callback(event_id, job.id, event)


def _submit(order: Order, idempotency_key: str | None, account_id: int, context: AppContext) -> tuple[Job, bool]:
    """Submit the order; return the job and whether it is new. Files of a request that created no job are deleted."""
    new = _new_job(order, idempotency_key, account_id)
    job: Job | None = None
    try:
        job = _found_or_submitted(new, context)
    finally:
        if order.folder and (job is None or job.id != new.id):
            context.account_files.delete_under(order.folder)
    if job.id != new.id and job.request.get("digest") != order.digest:
        raise IdempotencyKeyReused("the Idempotency-Key was already used with another request")
    return job, job.id == new.id


def _found_or_submitted(new: NewJob, context: AppContext) -> Job:
    """The job of the same idempotency key, or else the new one. Those that only look count towards a limit of their own."""
    if new.spec.kind == "detect":
        if (known := context.job_service.check(new)) is not None:
            return known
        context.rates.count(new.account_id, DETECT)
    return context.job_service.submit(new)


def _new_job(order: Order, idempotency_key: str | None, account_id: int) -> NewJob:
    return NewJob(
        id=new_id(PREFIX, now_ms()),
        account_id=account_id,
        facade=FACADE.name,
        spec=order.spec,
        request={"digest": order.digest},
        callback_url=order.options.callback_url,
        idempotency_key=f"{FACADE.name}:{idempotency_key}" if idempotency_key else None,
        priority=order.options.priority,
        rights=order.options.rights,
        client_reference=order.options.client_reference,
        metadata=order.options.metadata,
        name=order.name,
    )


def _result_or_failure(job: Job) -> Result | Failure:
    """The outcome of an ended job. Raises JobNotEnded, FilesDeleted."""
    if not job.ended:
        raise JobNotEnded(f"the job is {job.state}")
    if job.result is not None and job.cleared_ms is not None:
        raise FilesDeleted("the job's files have been deleted")
    if job.result is None or job.failure:
        return job.failure or Failure.of(JobCancelled("the job was cancelled"))
    return job.result


def _read_report(result: Result, context: AppContext) -> bytes:
    if result.report_key is None or context.storage.stat(result.report_key) is None:
        raise ReportMissing("the job has no report, or its files have been deleted")
    return context.storage.get_bytes(result.report_key)


def _account_view(account: Account, context: AppContext) -> AccountView:
    return AccountView.of(account, context.job_service.balance(account.id), context.job_service.spent_credits(account.id))


def _created(order: Order, idempotency_key: str | None, account_id: int, context: AppContext) -> tuple[JobView, bool]:
    job, is_new = _submit(order, idempotency_key, account_id, context)
    return job_view(job, context), is_new


def _estimate(body: EstimateBody, context: AppContext) -> EstimateView:
    forecast = context.job_service.forecast()
    sort = (body.kind, body.media)
    pixels = (body.width or 0) * (body.height or 0)
    seconds, wait_seconds = forecast.seconds(sort, body.frames, pixels), forecast.wait_seconds()
    return EstimateView(
        credits=context.job_service.price_of(JobSpec(body.media, kind=body.kind), body.seconds, pixels),
        seconds=None if seconds is None else round(seconds, 1),
        wait_seconds=None if wait_seconds is None else round(wait_seconds, 1),
        measured_jobs=forecast.paces[sort].jobs if sort in forecast.paces else 0,
    )


def _json_response(view: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(view.model_dump(mode="json"), status, headers)


FACADE: Final = Facade("native", CODES, router, problem_response, callback)
