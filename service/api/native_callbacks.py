"""Callbacks of the native API: how far a delivery is, sending it again, and an event that tests a receiver."""

import secrets
from typing import Final

from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from service.api import native_docs as docs
from service.api.capacity import in_thread
from service.api.facade import AppContext, Callback
from service.api.native_caller import caller_of, find_job, read_json
from service.api.native_models import ReceiverBody
from service.api.native_views import DeliveryView, ReceiverView, SecretView
from service.api.problems import ProblemRoute
from service.api.rates import READ, SUBMIT
from service.api.upload import AccountSlots
from service.errors import FetchError, UnknownJob
from service.jobs.callbacks import Delivery
from service.jobs.database import now_ms
from service.jobs.job import Job
from service.jobs.webhook_secrets import SecretInfo
from service.outside.post import post

TEST_SECONDS: Final = 15.0  # as for a job's callback
TESTS: Final = 16  # at once, as each waits for a remote host; none of them keeps a thread from other requests
EVENT_BYTES: Final = 12


class CallbackMissing(UnknownJob):
    """The job has no callback: it has not ended, or none was ordered."""


def add_callbacks(routes: APIRouter, context: AppContext) -> None:
    """Add the routes."""
    assert routes.route_class is ProblemRoute
    threads, slots = CapacityLimiter(TESTS), AccountSlots(1, "test of a callback")

    @routes.get("/jobs/{job_id}/callback", **docs.CALLBACK)
    async def delivery(request: Request, job_id: str) -> Response:
        job = await find_job(request, job_id, context)
        return _view(job, await run_in_threadpool(context.job_service.delivery, job.account_id, job.id))

    @routes.post("/jobs/{job_id}/callback/redeliver", **docs.REDELIVER)
    async def redeliver(request: Request, job_id: str) -> Response:
        job = await find_job(request, job_id, context)
        return _view(job, await run_in_threadpool(context.job_service.redeliver, job.account_id, job.id), 202)

    @routes.post("/callbacks/test", **docs.TEST)
    async def test(request: Request) -> Response:
        account = caller_of(request, context, SUBMIT)
        url = (await read_json(request, ReceiverBody, context)).callback_url
        with slots.one(account.id):
            outcome = await in_thread(threads, _send_test, url, account.id, context)
        return JSONResponse(outcome.model_dump(mode="json"))

    @routes.get("/callbacks/secret", **docs.SECRET)
    async def secret(request: Request) -> Response:
        account = caller_of(request, context, READ)
        return _secret_response(await run_in_threadpool(context.webhook_secrets.info, account.id))

    @routes.post("/callbacks/secret", **docs.ROTATE_SECRET)
    async def rotate(request: Request) -> Response:
        account = caller_of(request, context, READ)
        made = await run_in_threadpool(context.webhook_secrets.rotate, account.id)
        return _secret_response(await run_in_threadpool(context.webhook_secrets.info, account.id), made, 201)

    @routes.delete("/callbacks/secret", **docs.REMOVE_SECRET)
    async def remove(request: Request) -> Response:
        account = caller_of(request, context, READ)
        await run_in_threadpool(context.webhook_secrets.remove, account.id)
        return Response(status_code=204)


def _secret_response(info: SecretInfo | None, secret: str | None = None, status: int = 200) -> Response:
    return JSONResponse(SecretView.of(info, secret).model_dump(mode="json"), status, {"Cache-Control": "no-store"})


def _view(job: Job, delivery: Delivery | None, status: int = 200) -> Response:
    if delivery is None or job.callback_url is None:
        raise CallbackMissing("the job has no callback, or has not ended")
    return JSONResponse(DeliveryView.of(job.callback_url, delivery).model_dump(mode="json"), status)


def _send_test(url: str, account_id: int, context: AppContext) -> ReceiverView:
    """Send an event of the type `test`, signed like any other, once."""
    now_seconds = now_ms() // 1000
    event_id = f"evt_test_{secrets.token_hex(EVENT_BYTES)}"
    event = Callback(event_id, event_id, {"type": "test", "id": event_id, "created": now_seconds, "data": {}})
    headers = context.webhook_secrets.keys_of(account_id).headers(event.event_id, event.task_id, event.payload, now_seconds)
    try:
        post(url, event.payload, headers, context.egress, TEST_SECONDS)
    except FetchError as error:
        return ReceiverView(event_id=event_id, delivered=False, detail=str(error))
    return ReceiverView(event_id=event_id, delivered=True)
