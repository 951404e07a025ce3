"""Buckets of the accounts' own in the native API."""

import json
from typing import Final

from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.api import destination_docs as docs
from service.api.capacity import in_thread
from service.api.destination_models import DestinationBody, DestinationTestView, DestinationView
from service.api.facade import AppContext
from service.api.native_caller import caller_of, find_job, read_json
from service.api.native_views import JobView, job_view
from service.api.problems import JobNotEnded
from service.api.rates import READ, SUBMIT
from service.api.upload import AccountSlots
from service.errors import FetchError, UnknownJob
from service.jobs.destinations import Destination
from service.jobs.job import Job

TESTS: Final = 8  # at once, as each waits for a remote host
TEST_NAME: Final = "cleanplate-test.json"
TEST_BODY: Final = json.dumps({"written_by": "Cleanplate"}).encode()


class DestinationMissing(UnknownJob):
    """The account has no bucket of its own."""


def add_destination(routes: APIRouter, context: AppContext) -> None:
    """Add the routes."""
    threads, slots = CapacityLimiter(TESTS), AccountSlots(1, "test of a bucket")

    @routes.put("/destination", **docs.SET)
    async def put(request: Request) -> Response:
        account = caller_of(request, context, SUBMIT)
        body = await read_json(request, DestinationBody, context)
        await run_in_threadpool(context.destinations.set, account.id, body.destination)
        return _json(DestinationView.of(await run_in_threadpool(destination_of, account.id, context)))

    @routes.get("/destination", **docs.FIND)
    async def find(request: Request) -> Response:
        account = caller_of(request, context, READ)
        return _json(DestinationView.of(await run_in_threadpool(destination_of, account.id, context)))

    @routes.delete("/destination", **docs.REMOVE)
    async def remove(request: Request) -> Response:
        account = caller_of(request, context, SUBMIT)
        await run_in_threadpool(context.destinations.remove, account.id)
        return Response(status_code=204)

    @routes.post("/destination/test", **docs.TEST)
    async def test(request: Request) -> Response:
        account = caller_of(request, context, SUBMIT)
        destination = await run_in_threadpool(destination_of, account.id, context)
        with slots.one(account.id):
            return _json(await in_thread(threads, _try, destination, context))

    @routes.post("/jobs/{job_id}/export", **docs.AGAIN)
    async def again(request: Request, job_id: str) -> Response:
        job = await find_job(request, job_id, context)
        return _json(await run_in_threadpool(_deliver, job, context), 202)


def destination_of(account_id: int, context: AppContext) -> Destination:
    """The account's bucket. Raises DestinationMissing."""
    destination = context.destinations.find(account_id)
    if destination is None:
        raise DestinationMissing("the account has no bucket of its own")
    return destination


def _try(destination: Destination, context: AppContext) -> DestinationTestView:
    bucket = destination.bucket
    url = bucket.address_of(TEST_NAME)
    try:
        bucket.put(TEST_NAME, [TEST_BODY], len(TEST_BODY), "application/json", context.egress)
    except FetchError as error:
        return DestinationTestView(delivered=False, url=url, detail=str(error))
    return DestinationTestView(delivered=True, url=url)


def _deliver(job: Job, context: AppContext) -> JobView:
    """Raises DestinationMissing, and JobNotEnded for a job without a result."""
    destination_of(job.account_id, context)
    if not job.ended or job.result is None or job.failure or job.cleared_ms is not None:
        raise JobNotEnded(f"the job is {job.state}, and has no result to deliver")
    return job_view(context.job_service.export(job.account_id, job.id), context)


def _json(view: BaseModel, status: int = 200) -> Response:
    return JSONResponse(view.model_dump(mode="json"), status)
