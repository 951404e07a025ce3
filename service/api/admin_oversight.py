"""The part of the admin API that looks: usage by day, jobs, queue, failures, the audit log, the state of the service."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.api import admin_docs as docs
from service.api.cursor import After, Cursor
from service.api.facade import AppContext
from service.api.native_caller import caller_of
from service.api.oversight_models import (
    AdminJobPage,
    AdminJobView,
    AuditPage,
    AuditView,
    BacklogView,
    DiskView,
    FailureList,
    FailureView,
    QueueView,
    StatusView,
    UsageList,
    UsageView,
    WorkerView,
)
from service.api.rates import READ
from service.jobs import metrics, oversight
from service.jobs.administration import Administration
from service.jobs.job import State
from service.jobs.oversight import JobFilter
from service.jobs.queues import Queues
from service.version import versions

LARGEST_ID: Final = 2**53
DISKS: Final[tuple[Literal["data", "files"], ...]] = ("data", "files")
NAME: Final = r"^[A-Za-z]{1,64}$"

Limit = Annotated[int, Query(ge=1, le=1000)]
OfAccount = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="Only of the account with this id.")]
Days = Annotated[int, Query(ge=1, le=400, description="Today (UTC) included.")]
Hours = Annotated[int, Query(ge=1, le=24 * 60, description="Of the last hours.")]
Before = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="`next_before` of the previous page.")]
OfState = Annotated[State | None, Query(description="Only jobs in this state.")]
OfFacade = Annotated[Literal["savesora", "kie", "kaze", "aidge", "native"] | None, Query(description="Only jobs of this API.")]
OfFailure = Annotated[str | None, Query(pattern=NAME, description="Only jobs that failed with this kind of error.")]


def add_oversight(routes: APIRouter, context: AppContext, administration: Administration, queues: Queues) -> None:
    """Add the routes that look: usage, jobs, queue, failures, the audit log, the state of the service."""
    _add_usage(routes, context, administration)
    _add_queue(routes, context, administration)

    @routes.get("/jobs", **docs.JOBS)
    async def jobs(
        request: Request,
        limit: Limit = 50,
        cursor: After = None,
        account_id: OfAccount = None,
        state: OfState = None,
        facade: OfFacade = None,
        failure: OfFailure = None,
    ) -> Response:
        caller_of(request, context, READ)
        wanted = JobFilter(account_id, state, facade, failure)
        return respond(await run_in_threadpool(_jobs, wanted, Cursor.parse(cursor) if cursor else Cursor(), limit, administration))

    @routes.get("/status", **docs.STATUS)
    async def status(request: Request) -> Response:
        caller_of(request, context, READ)
        return respond(await run_in_threadpool(_status, context, administration, queues))


def _add_usage(routes: APIRouter, context: AppContext, administration: Administration) -> None:
    """Add what was used, and what was changed."""

    @routes.get("/usage", **docs.USAGE)
    async def usage(request: Request, days: Days = 30, account_id: OfAccount = None, limit: Limit = 1000) -> Response:
        caller_of(request, context, READ)
        found = await run_in_threadpool(_usage, days, account_id, administration)
        return respond(UsageList(data=[UsageView.model_validate(asdict(each)) for each in found[:limit]]))

    @routes.get("/audit", **docs.AUDIT)
    async def audit(request: Request, limit: Limit = 100, before: Before = None) -> Response:
        caller_of(request, context, READ)
        lines = await run_in_threadpool(administration.audit.latest, limit + 1, before)
        data = [AuditView.of(line) for line in lines[:limit]]
        return respond(AuditPage(data=data, next_before=data[-1].id if len(lines) > limit else None))


def _add_queue(routes: APIRouter, context: AppContext, administration: Administration) -> None:
    """Add what waits, and what failed."""

    @routes.get("/queue", **docs.QUEUE)
    async def queue(request: Request, limit: Limit = 100) -> Response:
        caller_of(request, context, READ)
        return respond(await run_in_threadpool(_queue, limit, administration))

    @routes.get("/failures", **docs.FAILURES)
    async def failures(request: Request, hours: Hours = 24) -> Response:
        caller_of(request, context, READ)
        found = await run_in_threadpool(_failures, hours, administration)
        return respond(FailureList(data=[FailureView.of(each) for each in found]))


def _queue(limit: int, administration: Administration) -> QueueView:
    with administration.database.read() as connection:
        totals, backlogs = metrics.read(connection), oversight.backlogs(connection, limit)
    oldest_seconds = round(totals.oldest_queued_seconds, 1)
    return QueueView(queued_jobs=totals.queued_jobs, oldest_queued_seconds=oldest_seconds, data=[BacklogView.of(each) for each in backlogs])


def _failures(hours: int, administration: Administration) -> list[oversight.FailureKind]:
    with administration.database.read() as connection:
        return oversight.failures(connection, hours)


def _usage(days: int, account_id: int | None, administration: Administration) -> list[oversight.Usage]:
    with administration.database.read() as connection:
        return oversight.usage(connection, days, account_id)


def _jobs(wanted: JobFilter, position: Cursor, limit: int, administration: Administration) -> AdminJobPage:
    with administration.database.read() as connection:
        found = oversight.jobs(connection, wanted, limit + position.seen + 1, position.before_ms)
    page = found[position.seen :][:limit]
    following = position.after([job.created_ms for _, job in page]) if len(found) > position.seen + limit else None
    return AdminJobPage(data=[AdminJobView.of(*each) for each in page], next_cursor=str(following) if following else None)


def _status(context: AppContext, administration: Administration, queues: Queues) -> StatusView:
    running = [workflow.executor_id for workflow in queues.running()]
    with administration.database.read() as connection:
        totals = metrics.read(connection)
        workers = oversight.workers(connection, running)
    return StatusView(
        versions=versions(),
        queued_jobs=totals.queued_jobs,
        oldest_queued_seconds=round(totals.oldest_queued_seconds, 1),
        jobs=_by_state(totals.jobs),
        recent_jobs=_by_state(totals.recent.jobs),
        recent_failures=totals.recent.failures,
        recent_callbacks=totals.recent.deliveries,
        callbacks=totals.deliveries,
        held_credits=totals.held_credits,
        disks=_disks(context),
        workers=[WorkerView.of(worker) for worker in workers],
    )


def _by_state(jobs: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """The sums over all APIs, in the order of a job's life."""
    sums = {state.value: sum(number for (_, of), number in jobs.items() if of == state) for state in State}
    return {state: number for state, number in sums.items() if number}


def _disks(context: AppContext) -> list[DiskView]:
    guard = context.capacity.disk
    found = []
    for name, folder in zip(DISKS, guard.folders, strict=False):
        disk = shutil.disk_usage(folder)
        found.append(DiskView(name=name, free_bytes=disk.free, total_bytes=disk.total, floor_bytes=guard.floor_bytes))
    return found


def respond(view: BaseModel, status: int = 200) -> Response:
    """A JSON response that no cache keeps."""
    return JSONResponse(view.model_dump(mode="json"), status, {"Cache-Control": "no-store"})
