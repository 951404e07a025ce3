"""The kie facade: asynchronous tasks of one model, a Bearer key, and responses with `code`, `msg` and `data`."""

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Security
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from service.api import kie_uploads
from service.api.auth import BEARER_KEY, caller
from service.api.facade import AppContext, Callback, Facade, code_of, guarded_route, link_of
from service.api.json_body import parse_object
from service.api.kie_codes import CODES, MODEL, error_body, status_of
from service.api.kie_docs import CREATE_TASK, CREDIT, DOWNLOAD_URL, RECORD_INFO
from service.api.parameters import bracketed, read_parameters, required, text
from service.api.rates import READ, SUBMIT
from service.api.source import owns, share_source_of, web_address
from service.errors import CleanplateError, JobCancelled, MediaAddressInvalid, ParameterError, ParameterMissing, UnknownModel
from service.jobs.database import now_ms
from service.jobs.job import Failure, Job, JobSpec, NewJob, State, new_id
from service.outside.links import Links

MAX_ADDRESS_CHARACTERS: Final = 500
UPLOAD_METHODS: Final = ("", "s3", "oss")  # where the vendor stores results; ours go to our storage
STATES: Final[dict[State, str]] = {
    State.QUEUED: "waiting",
    State.FETCHING: "queuing",
    State.CLEANING: "generating",
    State.PUBLISHING: "generating",
    State.SUCCEEDED: "success",
    State.FAILED: "fail",
    State.CANCELLED: "fail",
}


def router(context: AppContext) -> APIRouter:
    """All endpoints of this facade."""
    routes = APIRouter(
        route_class=guarded_route(render_error),
        tags=["kie"],
        dependencies=[Security(BEARER_KEY)],
    )

    @routes.post("/api/v1/jobs/createTask", **CREATE_TASK)
    async def create_task(request: Request) -> JSONResponse:
        account = await caller(request, context, SUBMIT)
        parameters = await read_parameters(request, context)
        job = await run_in_threadpool(lambda: context.job_service.submit(new_task(parameters, account.id, context)))
        return _success({"taskId": job.id})

    @routes.get("/api/v1/jobs/recordInfo", **RECORD_INFO)
    async def record_info(request: Request) -> JSONResponse:
        account = await caller(request, context, READ)
        task_id = request.query_params.get("taskId", "").strip()
        return JSONResponse(await run_in_threadpool(_record_info, task_id, account.id, context))

    @routes.get("/api/v1/chat/credit", **CREDIT)
    async def credit(request: Request) -> JSONResponse:
        account = await caller(request, context, READ)
        balance = await run_in_threadpool(context.job_service.balance, account.id)
        return _success(balance.total_credits)

    @routes.post("/api/v1/common/download-url", **DOWNLOAD_URL)
    async def download_url(request: Request) -> JSONResponse:
        account = await caller(request, context, READ)
        parameters = await read_parameters(request, context)
        return _success(await run_in_threadpool(_direct_link, required(parameters, "url"), account.id, context))

    routes.include_router(kie_uploads.router(context))
    return routes


def render_error(error: CleanplateError) -> JSONResponse:
    """Render an error in this dialect."""
    return JSONResponse(error_body(error), status_of(error))


def new_task(parameters: dict[str, Any], account_id: int, context: AppContext) -> NewJob:
    """The job that createTask's parameters describe. Raises ParameterError and its subclasses."""
    if text(parameters, "model") != MODEL:
        raise UnknownModel(f"the model must be {MODEL}")
    task_input = _parse_input(parameters.get("input") or bracketed(parameters, "input"), context.options.json_depth)
    url = text(task_input, "video_url", "videoUrl")
    if not url:
        raise MediaAddressInvalid("input.video_url is required")
    method = text(task_input, "upload_method")
    if method not in UPLOAD_METHODS:
        raise ParameterError("input.upload_method must be s3 or oss")
    callback_url = _callback_address(_callback_parameter(parameters, task_input))
    source = share_source_of(url, account_id, context, MAX_ADDRESS_CHARACTERS)
    return NewJob(
        id=new_id(f"task_{MODEL}_", now_ms()),
        account_id=account_id,
        facade=FACADE.name,
        spec=JobSpec("video", source_url=source.url, source_key=source.key),
        request=_without_empty({"callBackUrl": callback_url, "input": _without_empty({"video_url": url, "upload_method": method})}),
        callback_url=callback_url,
    )


def record(job: Job, links: Links, link_seconds: float) -> dict[str, Any]:
    """A task as recordInfo returns it; times in milliseconds."""
    fail_code, fail_message = _failure_code_and_message(job)
    return {
        "taskId": job.id,
        "model": MODEL,
        "state": STATES[job.state],
        "param": _request_json(job.request),
        "resultJson": _result(job, links, link_seconds),
        "failCode": fail_code,
        "failMsg": fail_message,
        "costTime": _processing_ms(job),
        "completeTime": job.finished_ms,
        "createTime": job.created_ms,
        "updateTime": job.updated_ms,
        "progress": job.progress_percent,
        "creditsConsumed": job.credits_used,
    }


def callback(job: Job, links: Links, link_seconds: float) -> Callback:
    """The body of an ended task's callback: its record, but with `costTime` in seconds."""
    succeeded = job.state is State.SUCCEEDED
    seconds = round((_processing_ms(job) or 0) / 1000)
    data = record(job, links, link_seconds) | {"costTime": seconds, "task_id": job.id, "callbackType": "task_completed"}
    message = "Playground task completed successfully." if succeeded else "Playground task failed."
    return Callback(f"evt_{job.id}", job.id, {"code": 200 if succeeded else 501, "msg": message, "taskId": job.id, "data": data})


def _success(data: object) -> JSONResponse:
    return JSONResponse({"code": 200, "msg": "success", "data": data})


def _parse_input(value: object, max_depth: int) -> dict[str, Any]:
    """Parse the task's `input`: an object, or JSON text of one. Raises ParameterError."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return parse_object(value, max_depth)
    raise ParameterError("input must be an object")


def _callback_parameter(parameters: dict[str, Any], task_input: dict[str, Any]) -> str:
    """The callback's URL, however its parameter is spelt and also within the input: no client shall wait for one that never comes."""
    for place in (parameters, task_input):
        for name in place:
            if name.replace("_", "").replace("-", "").lower() == "callbackurl" and (url := text(place, name)):
                return url
    return ""


def _callback_address(url: str) -> str | None:
    try:
        return web_address(url) if url else None
    except MediaAddressInvalid as error:
        raise ParameterError(f"callBackUrl: {error}") from None


def _record_info(task_id: str, account_id: int, context: AppContext) -> dict[str, Any]:
    if not task_id:
        raise ParameterMissing("taskId parameter is required")
    job = context.task(account_id, task_id, FACADE.name)
    data = record(job, context.links, context.options.result_link_seconds)
    return {"code": 200, "msg": "success", "message": "success", "data": data}


def _direct_link(url: str, account_id: int, context: AppContext) -> str:
    key = context.links.key_of(url)
    if key is None or not owns(context.job_service, account_id, key):
        raise MediaAddressInvalid("the url does not point to a file of this account")
    return context.links.url(key, int(context.options.direct_link_seconds))


def _request_json(request: Mapping[str, Any]) -> str:
    """The request as the vendor repeats it: JSON text within JSON text."""
    return _json({"model": MODEL, **request, "input": _json(request["input"])})


def _result(job: Job, links: Links, link_seconds: float) -> str | None:
    if job.state is not State.SUCCEEDED or job.result is None:
        return None
    clean, source = (link_of(job, key, links, link_seconds) for key in (job.result.clean_key, job.result.source_key))
    return _json({"resultUrls": [clean], "resultWaterMarkUrls": [source]})


def _failure_code_and_message(job: Job) -> tuple[str, str] | tuple[None, None]:
    """Code and message of a failure, else None: clients treat even an empty `failCode` as a failure."""
    if STATES[job.state] != "fail":
        return None, None
    failure = job.failure or Failure.of(JobCancelled("the task was cancelled"))
    code = code_of(CODES, failure.error_kind)
    return str(code.code), code.message or failure.message


def _processing_ms(job: Job) -> int | None:
    """Time from the job's start to its end in milliseconds; None before its end."""
    return None if job.finished_ms is None else job.finished_ms - (job.started_ms or job.created_ms)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


FACADE: Final = Facade("kie", CODES, router, render_error, callback, prefixes=("/api",))
