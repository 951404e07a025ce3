"""The native API: jobs as resources, ordinary HTTP status codes, problems as RFC 9457 has them."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Self

from fastapi import APIRouter, Depends, Header, Query, Request, Response, Security
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.api import native_docs as docs
from service.api.auth import account_of
from service.api.facade import AppContext, Callback, Facade
from service.api.native_events import HEADERS, EventStream, news, stream
from service.api.native_models import AccountView, JobPage, JobView
from service.api.native_order import Order, read_order
from service.api.native_report import ReportMissing
from service.api.problems import CODES, IdempotencyKeyReused, JobNotEnded, Problem, ProblemRoute
from service.api.rates import READ, SUBMIT
from service.errors import JobCancelled, UnknownJob
from service.jobs.accounts import Account
from service.jobs.job import Failure, Job, NewJob, Result, new_id
from service.outside.links import Links

PREFIX: Final = "job_"
JOB_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")  # of all facades; no database is asked for anything else
CURSOR: Final = r"^\d{1,15}-\d{1,4}$"

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200, description="Makes a repeated request find the same job.")]
LastEventId = Annotated[int, Header(ge=0, le=2**31 - 1, description="The number of the last event that you know.")]
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(pattern=CURSOR, description="`next_cursor` of the page before.")]


def router(context: AppContext) -> APIRouter:
    """All endpoints below `/v1`."""
    # The switch `sora_links_only` is about what vendors document; here any source will do.
    context = replace(context, options=replace(context.options, sora_links_only=False))

    async def sign_in(request: Request) -> None:
        request.state.account = await account_of(request, context)

    bearer = HTTPBearer(auto_error=False, scheme_name="BearerKey", description="The account's key.")
    routes = APIRouter(prefix="/v1", route_class=ProblemRoute, tags=["native"], dependencies=[Security(bearer), Depends(sign_in)])
    _add_jobs(routes, context)
    _add_job(routes, context)
    return routes


def _add_jobs(routes: APIRouter, context: AppContext) -> None:
    """What is about the account: its jobs and credits."""

    @routes.post("/jobs", **docs.CREATE)
    async def create(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
        account = _caller(request, context, SUBMIT)
        order = await read_order(request, account.id, context)
        job, is_new = await run_in_threadpool(_submit, order, idempotency_key, account.id, context)
        headers = {"Location": f"/v1/jobs/{job.id}"} | ({} if is_new else {"Idempotent-Replayed": "true"})
        return _shown(_view(job, context), 201 if is_new else 200, headers)

    @routes.get("/jobs", **docs.LIST)
    async def jobs(request: Request, limit: Limit = 20, cursor: After = None) -> Response:
        account = _caller(request, context, READ)
        place = Cursor.parse(cursor) if cursor else Cursor()
        found = await run_in_threadpool(context.job_service.jobs, account.id, limit + place.seen + 1, place.before_ms)
        page = found[place.seen :][:limit]
        following = place.after(page) if len(found) > place.seen + limit else None
        return _shown(JobPage(data=[_view(job, context) for job in page], next_cursor=str(following) if following else None))

    @routes.get("/account", **docs.ACCOUNT_OF_KEY)
    async def account(request: Request) -> Response:
        account = _caller(request, context, READ)
        return _shown(await run_in_threadpool(_account, account, context))


def _add_job(routes: APIRouter, context: AppContext) -> None:
    """What is about one job."""

    @routes.get("/jobs/{job_id}", **docs.FIND)
    async def find(request: Request, job_id: str) -> Response:
        return _shown(_view(await _find(request, job_id, context), context))

    @routes.post("/jobs/{job_id}/cancel", **docs.CANCEL)
    async def cancel(request: Request, job_id: str) -> Response:
        job = await _find(request, job_id, context)
        return _shown(_view(await run_in_threadpool(context.job_service.cancel, job.account_id, job.id), context))

    @routes.get("/jobs/{job_id}/events", **docs.STREAM)
    async def events(request: Request, job_id: str, last_event_id: LastEventId = 0) -> Response:
        job = await _find(request, job_id, context)
        job, missed = await run_in_threadpool(news, context.job_service, job, last_event_id)
        if job.ended and not missed:
            return Response(status_code=204)  # which tells a browser not to come back
        return EventStream(stream(context.job_service, job, last_event_id), headers=HEADERS)

    @routes.get("/jobs/{job_id}/result", **docs.DOWNLOAD)
    async def result(request: Request, job_id: str) -> Response:
        found = _result(await _find(request, job_id, context))
        if isinstance(found, Failure):
            return Problem.of_failure(found).answer()
        return RedirectResponse(context.links.url(found.clean_key, int(context.options.result_link_seconds)), 303)

    @routes.get("/jobs/{job_id}/report", **docs.REPORT)
    async def report(request: Request, job_id: str) -> Response:
        found = _result(await _find(request, job_id, context))
        if isinstance(found, Failure):
            return Problem.of_failure(found).answer()
        return Response(await run_in_threadpool(_report, found, context), media_type="application/json")


@dataclass(frozen=True)
class Cursor:
    """A place in the account's jobs, newest first: before this millisecond, and behind so many of the jobs there. Jobs may share one."""

    before_ms: int | None = None
    seen: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        before_ms, _, seen = text.partition("-")
        return cls(int(before_ms), int(seen))

    def after(self, page: Sequence[Job]) -> "Cursor":
        """The place behind these jobs, which are those that follow this place."""
        before_ms = page[-1].created_ms + 1
        seen = sum(job.created_ms + 1 == before_ms for job in page)
        return Cursor(before_ms, seen + (self.seen if before_ms == self.before_ms else 0))

    def __str__(self) -> str:
        return f"{self.before_ms}-{self.seen}"


def callback(job: Job, links: Links, link_seconds: float) -> Callback:
    """What is told of a job's end. The event's id is the same however often it is told."""
    event: Mapping[str, object] = {
        "type": f"job.{job.state}",
        "id": f"evt_{job.id.removeprefix(PREFIX)}",
        "created": (job.finished_ms or job.updated_ms) // 1000,
        "data": JobView.of(job, links, int(link_seconds)).model_dump(mode="json"),
    }
    return Callback(job.id, event)


def _caller(request: Request, context: AppContext, what: str) -> Account:
    """Who asks; raises RateLimited."""
    account: Account = request.state.account
    context.rates.count(account.id, what)
    return account


async def _find(request: Request, job_id: str, context: AppContext) -> Job:
    account = _caller(request, context, READ)
    if not JOB_ID.fullmatch(job_id):
        raise UnknownJob("there is no such job")
    return await run_in_threadpool(context.job_service.find, account.id, job_id)


def _submit(order: Order, idempotency_key: str | None, account_id: int, context: AppContext) -> tuple[Job, bool]:
    """The job, and whether it is a new one; files of a request that made none are deleted."""
    new = NewJob(
        id=new_id(PREFIX, time.time_ns() // 1_000_000),
        account_id=account_id,
        facade=FACADE.name,
        spec=order.spec,
        request={"digest": order.digest},
        callback_url=order.callback_url,
        idempotency_key=f"{FACADE.name}:{idempotency_key}" if idempotency_key else None,
        priority=order.priority,
        rights=order.rights,
    )
    job: Job | None = None
    try:
        job = context.job_service.submit(new)
    finally:
        if order.folder and (job is None or job.id != new.id):
            context.storage.delete_under(order.folder)
    if job.id != new.id and job.request.get("digest") != order.digest:
        raise IdempotencyKeyReused("the Idempotency-Key was sent with another request before")
    return job, job.id == new.id


def _result(job: Job) -> Result | Failure:
    """What became of a job; raises JobNotEnded."""
    if not job.ended:
        raise JobNotEnded(f"the job is {job.state}")
    if job.result is None or job.failure:
        return job.failure or Failure.of(JobCancelled("the job was cancelled"))
    return job.result


def _report(result: Result, context: AppContext) -> bytes:
    if result.report_key is None or context.storage.stat(result.report_key) is None:
        raise ReportMissing("the job left no report, or its files have been deleted")
    return context.storage.get_bytes(result.report_key)


def _account(account: Account, context: AppContext) -> AccountView:
    return AccountView.of(account, context.job_service.balance(account.id), context.job_service.spent_credits(account.id))


def _view(job: Job, context: AppContext) -> JobView:
    return JobView.of(job, context.links, int(context.options.result_link_seconds))


def _shown(view: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(view.model_dump(mode="json"), status, headers)


FACADE: Final = Facade("native", CODES, router, callback)
