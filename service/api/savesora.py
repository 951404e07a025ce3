"""The savesora facade: the key is in the body, and one request waits until the video is clean."""

import hashlib
import time
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from service.api.body import KEYLESS_BYTES
from service.api.facade import AppContext, Code, Codes, Facade, code_of, guarded_route, link_of
from service.api.job_watcher import Waiter
from service.api.openapi import example_responses, request_body
from service.api.parameters import read_parameters, required
from service.api.rates import READ, SUBMIT
from service.api.sign_in import address_of
from service.api.source import share_source_of
from service.api.upload import may_be_replaced
from service.errors import (
    AccessError,
    AccountBanned,
    AccountMissing,
    Busy,
    CleanplateError,
    ContentBlocked,
    ContentCheckFailed,
    ContentRefused,
    DecodeFailed,
    EncodeFailed,
    FetchError,
    InputError,
    InsufficientCredits,
    InternalError,
    JobCancelled,
    JobTimeout,
    KeyInvalid,
    KeyMissing,
    MethodNotAllowed,
    ModelError,
    ParameterError,
    ParameterMissing,
    PathUnknown,
    RequestError,
    SettingsError,
    StorageError,
)
from service.jobs.credits import Balance
from service.jobs.database import now_ms
from service.jobs.job import Job, JobSpec, NewJob, Result, State, new_id
from service.jobs.keys import Scope
from service.outside.links import Links
from service.outside.share_link import post_id_of

DOWNLOAD: Final = "/api/v1/download"
CREDITS: Final = "/api/v1/credits"
DISCONNECT_SECONDS: Final = 1.0  # between two looks whether the client is still there
CANCEL_SECONDS: Final = 5.0  # how long to wait for a worker to notice the cancellation
FAILED: Final = Code(5002, "watermark removal failed")
BROKEN: Final = Code(5001, "internal server error")
CODES: Final[Codes] = {
    KeyMissing: Code(4001, "api_key is required"),
    ParameterMissing: Code(4002, "video_url is required"),
    AccessError: Code(4003, "invalid api_key"),
    AccountMissing: Code(4004, "user not found"),
    AccountBanned: Code(4005, "user account is banned"),
    ParameterError: Code(4006, "invalid video url"),
    InsufficientCredits: Code(4007, "insufficient credits"),
    **dict.fromkeys((Busy, StorageError, SettingsError, InternalError, ContentCheckFailed), BROKEN),
    **dict.fromkeys((PathUnknown, MethodNotAllowed), BROKEN),
    **dict.fromkeys((FetchError, InputError, RequestError, DecodeFailed, EncodeFailed, ModelError), FAILED),
    **dict.fromkeys((ContentRefused, ContentBlocked, JobTimeout, JobCancelled), FAILED),
}

STATUS: Final[Mapping[type[CleanplateError], int]] = {PathUnknown: 404, MethodNotAllowed: 405}  # the dialect has no code for these


class Download(BaseModel):
    """A video to clean."""

    api_key: str
    video_url: str = Field(description="URL of a video, or a share link.")


class Credits(BaseModel):
    """A request for an account's credits."""

    api_key: str


VIDEO: Final = "https://sora.chatgpt.com/p/s_68dc40f1f5a481919a01594fef247dd4"
DOWNLOADED: Final = {
    "code": 200,
    "msg": "watermark removed successfully",
    "data": {
        "post_id": "s_68dc40f1f5a481919a01594fef247dd4",
        "prompt": "A cinematic shot of...",
        "thumbnail": "http://example.com/files/jobs/1/thumbnail.jpg",
        "download_links": {
            "mp4": "http://example.com/files/jobs/1/clean.mp4",
            "mp4_source": "http://example.com/files/jobs/1/source.mp4",
        },
        "credits_used": 1,
        "remaining_credits": 99,
    },
}
BALANCE: Final = {"code": 200, "msg": "success", "data": {"paid_credits": 50, "onetime_credits": 50, "total_credits": 100}}
INVALID_KEY: Final = {"code": 4003, "msg": "invalid api_key", "data": {}}
LIMITED: Final = {"code": 5001, "msg": "internal server error", "data": {}}
NO_CREDITS: Final = {"code": 4007, "msg": "insufficient credits", "data": {"current_credits": 0, "required_credits": 1}}


def router(context: AppContext) -> APIRouter:
    """Both endpoints of this facade."""
    routes = APIRouter(route_class=guarded_route(render_error), tags=["savesora"])

    @routes.post(
        DOWNLOAD,
        summary="Clean a video, and wait for it",
        responses=example_responses(cleaned=DOWNLOADED, no_credits=NO_CREDITS, invalid_key=INVALID_KEY, limited=LIMITED),
        openapi_extra=request_body(Download, {"api_key": "YOUR_API_KEY", "video_url": VIDEO}),
    )
    async def download(request: Request) -> JSONResponse:
        parameters = await _read_parameters(request, context)
        key, url = _key(parameters), required(parameters, "video_url")
        account = await run_in_threadpool(context.sign_in.account_of_key, key, Scope.SUBMIT, address_of(request))
        context.rates.count(account.id, SUBMIT)
        with context.watcher.enter(account.id, key) as waiter:
            job = await run_in_threadpool(lambda: context.job_service.submit(new_download(url, account.id, context)))
            is_replay = job.ended
            job = await _wait_or_cancel(request, job, waiter.watch(job), context)
        return JSONResponse(await run_in_threadpool(_outcome, job, is_replay, context))

    @routes.post(
        CREDITS,
        summary="Credits left",
        responses=example_responses(credits=BALANCE, invalid_key=INVALID_KEY, limited=LIMITED),
        openapi_extra=request_body(Credits, {"api_key": "YOUR_API_KEY"}),
    )
    async def credits(request: Request) -> JSONResponse:
        key = _key(await _read_parameters(request, context))
        account = await run_in_threadpool(context.sign_in.account_of_key, key, Scope.READ, address_of(request))
        context.rates.count(account.id, READ)
        balance = await run_in_threadpool(context.job_service.balance, account.id)
        return JSONResponse(_success("success", credit_data(balance)))

    return routes


def render_error(error: CleanplateError) -> JSONResponse:
    """Render an error in this dialect."""
    data = None
    if isinstance(error, InsufficientCredits):
        data = {"current_credits": error.current_credits, "required_credits": error.required_credits}
    return JSONResponse(_failure(code_of(CODES, type(error)), data), STATUS.get(type(error), 200))


def new_download(url: str, account_id: int, context: AppContext) -> NewJob:
    """The job of a request. The same source again within a day finds the same job, so that a client may repeat a lost request.

    A post is the same however its link is written, and so is a file of ours, unless a newer one may have its place. A job whose files
    were deleted is not found, as its links lead nowhere.
    """
    source = share_source_of(url, account_id, context)
    lasting_key = source.key if source.key and not may_be_replaced(source.key) else None
    same = post_id_of(url) or lasting_key or url
    return NewJob(
        id=new_id("savesora_", now_ms()),
        account_id=account_id,
        facade=FACADE.name,
        spec=JobSpec("video", source_url=source.url, source_key=source.key),
        idempotency_key=f"savesora:{hashlib.sha256(same.encode()).hexdigest()}",
        reuse_cleared=False,
    )


def download_data(job: Job, result: Result, links: Links, link_seconds: float, credits_used: int, remaining_credits: int) -> dict[str, Any]:
    """The data of a successful response. Without a share page, the post's id is the job's and the prompt is empty."""
    page = job.post
    clean, source, thumbnail = (
        link_of(job, key, links, link_seconds) for key in (result.clean_key, result.source_key, result.thumbnail_key)
    )
    return {
        "post_id": page.post_id if page else post_id_of(job.spec.source_url or "") or job.id,
        "prompt": (page and page.prompt) or "",
        "thumbnail": (page and page.thumbnail_url) or thumbnail,
        "download_links": {"mp4": clean, "mp4_source": source},
        "credits_used": credits_used,
        "remaining_credits": remaining_credits,
    }


def credit_data(balance: Balance) -> dict[str, int]:
    """An account's credits in the vendor's format."""
    return {
        "paid_credits": balance.paid_credits,
        "onetime_credits": balance.one_time_credits,
        "total_credits": balance.total_credits,
    }


async def _wait_or_cancel(request: Request, job: Job, waiter: Waiter, context: AppContext) -> Job:
    """Wait for the job to end. A job that outlasts the wait is cancelled, unless its client has disconnected, as it may ask again."""
    job = await _wait_for_end(request, job, waiter, context, context.options.hold_seconds)
    if job.ended or await request.is_disconnected():
        return job
    job = await run_in_threadpool(context.job_service.cancel, job.account_id, job.id)
    return await _wait_for_end(request, job, waiter, context, CANCEL_SECONDS)


async def _wait_for_end(request: Request, job: Job, waiter: Waiter, context: AppContext, max_seconds: float) -> Job:
    """The job when it ends, or as it is when the time is up or the client disconnects. Raises an AccessError once the key is refused."""
    deadline = time.monotonic() + max_seconds
    while not job.ended and (left_seconds := deadline - time.monotonic()) > 0 and not await request.is_disconnected():
        if await waiter.changed(min(left_seconds, DISCONNECT_SECONDS)):
            if waiter.is_refused:
                await run_in_threadpool(context.job_service.account_of_key, waiter.key)
            job = await run_in_threadpool(context.job_service.find, job.account_id, job.id)
    return job


def _outcome(job: Job, is_replay: bool, context: AppContext) -> dict[str, Any]:
    """The response for a job that has ended. A request that found it ended has used no credits."""
    if job.state is State.SUCCEEDED and job.result:
        remaining = context.job_service.balance(job.account_id).total_credits
        used = 0 if is_replay else job.credits_used
        data = download_data(job, job.result, context.links, context.options.result_link_seconds, used, remaining)
        return _success("watermark removed successfully", data)
    wrong_address = job.failure is not None and issubclass(job.failure.error_kind, ParameterError)
    return _failure(CODES[ParameterError] if wrong_address else FAILED)


async def _read_parameters(request: Request, context: AppContext) -> dict[str, Any]:
    """The parameters; empty for a body that is not JSON, as this dialect's only error for that is a missing key."""
    try:
        return await read_parameters(request, context, KEYLESS_BYTES)
    except ParameterError:
        return {}


def _key(parameters: dict[str, Any]) -> str:
    key = parameters.get("api_key")
    if not key:
        raise KeyMissing("api_key is required")
    if not (isinstance(key, str) and key.isascii()):
        raise KeyInvalid("api_key must be plain text")
    return key.strip()


def _success(message: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"code": 200, "msg": message, "data": data}


def _failure(code: Code, data: dict[str, int] | None = None) -> dict[str, Any]:
    return {"code": code.code, "msg": code.message, "data": data or {}}


FACADE: Final = Facade("savesora", CODES, router, render_error, prefixes=(DOWNLOAD, CREDITS))
