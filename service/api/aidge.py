"""The aidge facade: removes text from videos. Signed requests, one response envelope, and a query for the task's status."""

import json
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from service.api import aidge_docs
from service.api.aidge_codes import CODES, SUCCESS, envelope, error_body, failure_body
from service.api.aidge_sign import check_present, check_signature, check_time, credentials_in
from service.api.body import KEYLESS_BYTES, read_body
from service.api.facade import AppContext, Facade, guarded_route, link_of
from service.api.native_models import MAX_SECONDS
from service.api.parameters import flag, is_form, parse_body, read_parameters, required, type_of
from service.api.rates import READ, SUBMIT
from service.api.source import source_of
from service.errors import CleanplateError, ParameterError
from service.jobs.accounts import Account
from service.jobs.database import now_ms
from service.jobs.job import Job, JobSpec, NewJob, State, new_id
from service.outside.links import Links
from service.timed_box import TimedBox

REMOVAL: Final = "/ai/video/removal"  # signature version 1 covers these paths, even below another prefix
RESULT: Final = "/ai/video/removal/result"
PREFIXES: Final = ("", "/rest")
LANGUAGES: Final = ("zh", "en")
MAX_BOXES: Final = 100
MAX_WRAPPINGS: Final = 4  # such as JSON text of a list of JSON text of an object

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """What an endpoint does. `api_name`: as signed; `kind`: of its rate limit."""

    api_name: str
    kind: str
    work: Callable[[Parameters, Account, AppContext], dict[str, Any]]


def router(context: AppContext) -> APIRouter:
    """Both endpoints, for GET and POST, also under /rest."""
    routes = APIRouter(route_class=guarded_route(render_error), tags=["aidge"])

    async def submit(request: Request) -> JSONResponse:
        return await _respond(request, context, SUBMISSION)

    async def result(request: Request) -> JSONResponse:
        return await _respond(request, context, QUERY)

    for prefix, method in product(PREFIXES, ("GET", "POST")):
        routes.add_api_route(prefix + REMOVAL, submit, methods=[method], **aidge_docs.removal(method))
        routes.add_api_route(prefix + RESULT, result, methods=[method], **aidge_docs.result(method))
    return routes


def render_error(error: CleanplateError) -> JSONResponse:
    """Render an error in this dialect."""
    return JSONResponse(error_body(error, _request_id()))


def new_task(parameters: Parameters, account_id: int, context: AppContext) -> NewJob:
    """The job that a removal's parameters describe. Raises ParameterError and its subclasses."""
    url = required(parameters, "videoUrl")
    language = required(parameters, "language").lower().replace("_", "-").partition("-")[0]  # also zh-CN
    if language not in LANGUAGES:  # marks of any language are found; the parameter is validated as the vendor does
        raise ParameterError("language must be zh or en")
    artificial_only = flag(parameters, "artificialTextOnly", True)
    # Logos and plates behind text are overlays to the segmenter, so they are removed whatever `colorBlocks` says.
    colour_blocks = flag(parameters, "colorBlocks", False)
    boxes = read_boxes(parameters.get("inpaintingBoxes"))
    remove_audio = flag(parameters, "removeAudio", False)
    source = source_of(url, account_id, context)
    return NewJob(
        id=new_id("aidge_", now_ms()),
        account_id=account_id,
        facade=FACADE.name,
        spec=JobSpec(
            "video",
            source_url=source.url,
            source_key=source.key,
            boxes=boxes,
            classes=("overlay",) if artificial_only else ("overlay", "scene_text"),
            remove_audio=remove_audio,
        ),
        request={"language": language, "colorBlocks": colour_blocks},
    )


def record(job: Job, links: Links, link_seconds: float, request_id: str) -> dict[str, Any]:
    """A task as the query returns it."""
    if job.state is State.SUCCEEDED and job.result is not None:
        url = link_of(job, job.result.clean_key, links, link_seconds)
        return envelope(SUCCESS, {"taskId": job.id, "taskStatus": "finished", "videoUrl": url}, request_id)
    if job.failure is not None:
        return failure_body(job.failure, {"taskId": job.id, "taskStatus": "failed"}, request_id)
    return envelope(SUCCESS, {"taskId": job.id, "taskStatus": "processing"}, request_id)


def unwrap_param_json(value: object) -> Parameters:
    """Parse `paramJson`: an object, JSON text of one, or a list with one element. Raises ParameterError."""
    for _ in range(MAX_WRAPPINGS):
        if isinstance(value, str):
            value = _parse_json(value, "paramJson")
        elif isinstance(value, list) and len(value) == 1:
            value = value[0]
    if not isinstance(value, dict):
        raise ParameterError("paramJson must be an object, JSON text of one, or a list of one")
    return value


def read_boxes(value: object) -> tuple[TimedBox, ...]:
    """Parse `inpaintingBoxes`: a list of boxes, or JSON text of one. Raises ParameterError."""
    boxes = _parse_json(value.strip() or "[]", "inpaintingBoxes") if isinstance(value, str) else value
    if not boxes:
        return ()
    if not isinstance(boxes, list) or len(boxes) > MAX_BOXES:
        raise ParameterError(f"inpaintingBoxes must be a list of at most {MAX_BOXES} boxes")
    return tuple(map(_box, boxes))


def _box(value: object) -> TimedBox:
    fields = value if isinstance(value, dict) else {}
    x1, y1, x2, y2 = _numbers(fields.get("box"), 4, "box")
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        raise ParameterError("inpaintingBoxes: box must be left, top, right, bottom, from 0 to 1")
    if fields.get("timestamp") is None:
        return TimedBox(x1, y1, x2, y2)
    first, last = _numbers(fields["timestamp"], 2, "timestamp")
    if not 0 <= first <= last:
        raise ParameterError("inpaintingBoxes: timestamp must be the first and the last second")
    return TimedBox(x1, y1, x2, y2, min(first, MAX_SECONDS), min(last, MAX_SECONDS))  # some write a large number for the video's end


def _numbers(value: object, count: int, name: str) -> list[float]:
    try:
        numbers = [float(part) for part in value] if isinstance(value, list) else []
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ParameterError(f"inpaintingBoxes: {name} must be {count} numbers")
    return numbers


def _parse_json(text: str, name: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ParameterError(f"{name} is not JSON") from None


async def _respond(request: Request, context: AppContext, operation: Operation) -> JSONResponse:
    """Authenticate and count the request, then do its work with the parameters that its signature covers."""
    query: Parameters = dict(request.query_params)
    kind = type_of(request)
    if query.get("sign_ver", "").lower() == "v2":  # it signs nothing but the time, so nothing else is needed to check it
        account = await run_in_threadpool(_authenticate, query, b"", operation, context)
        parameters = await read_parameters(request, context)
    elif kind == "multipart/form-data":
        parameters = await read_parameters(request, context, KEYLESS_BYTES)
        account = await run_in_threadpool(_authenticate, parameters, b"", operation, context)
    else:
        body = await read_body(request, context.capacity, KEYLESS_BYTES)
        as_form = is_form(kind, body)
        sent = await parse_body(body, kind, context) if as_form or not query.get("sign") else {}
        signed = query | (sent if as_form else credentials_in(sent))
        account = await run_in_threadpool(_authenticate, signed, b"" if as_form else body.strip(), operation, context)
        parameters = query | (sent or await parse_body(body, kind, context))
    return JSONResponse(await run_in_threadpool(operation.work, parameters, account, context))


def _authenticate(signed: Parameters, body: bytes, operation: Operation, context: AppContext) -> Account:
    check_present(signed)
    check_time(signed["timestamp"], now_ms(), context.options.signature_window_seconds)
    account, secret = context.job_service.account_of_signer(signed["app_key"])
    check_signature(secret, operation.api_name, signed, body)
    context.rates.count(account.id, operation.kind)
    return account


def _submit(parameters: Parameters, account: Account, context: AppContext) -> dict[str, Any]:
    job = context.job_service.submit(new_task(_merge_param_json(parameters), account.id, context))
    return envelope(SUCCESS, {"result": {"taskId": job.id}, "taskId": job.id}, _request_id())


def _result(parameters: Parameters, account: Account, context: AppContext) -> dict[str, Any]:
    job = context.task(account.id, required(_merge_param_json(parameters), "taskId", "task_id"), FACADE.name)
    return record(job, context.links, context.options.result_link_seconds, _request_id())


def _merge_param_json(parameters: Parameters) -> Parameters:
    """All parameters on one level; those in `paramJson` take precedence."""
    param_json = parameters.get("paramJson")
    return parameters | unwrap_param_json(param_json) if param_json else parameters


def _request_id() -> str:
    return uuid.uuid4().hex


SUBMISSION: Final = Operation(REMOVAL, SUBMIT, _submit)
QUERY: Final = Operation(RESULT, READ, _result)
FACADE: Final = Facade("aidge", CODES, router, render_error, prefixes=("/ai", "/rest"))
