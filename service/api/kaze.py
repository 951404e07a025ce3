"""The kaze facade: removes watermarks from images, or what strokes cover. A Bearer key, and a query for the task's status."""

from contextlib import ExitStack
from typing import Any, Final

from fastapi import APIRouter, Request, Security
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from service import errors
from service.api.auth import BEARER_KEY, caller
from service.api.capacity import in_thread
from service.api.facade import AppContext, Code, Codes, Facade, code_of, guarded_route, link_of
from service.api.kaze_docs import QUOTA, REMOVAL, RESULT
from service.api.parameters import file_of, parameters_with_files, read_parameters, required, text
from service.api.picture import Picture, picture_of
from service.api.rates import READ, SUBMIT
from service.api.source import Source, source_of
from service.api.upload import upload_key
from service.errors import CleanplateError, JobTimeout, ParameterError, ParameterMissing
from service.jobs.accounts import Account
from service.jobs.database import now_ms
from service.jobs.job import Failure, Job, JobSpec, NewJob, State, new_id
from service.outside.links import Links

PREFIX: Final = "/api/ext"

PARAMETER: Final = Code(1000)
SERVER: Final = Code(1100)
SOURCE: Final = Code(1101)
MODEL: Final = Code(1102)
CODES: Final[Codes] = {
    errors.InputError: PARAMETER,
    errors.RequestError: PARAMETER,
    errors.ParameterError: PARAMETER,
    errors.PathUnknown: PARAMETER,
    errors.MethodNotAllowed: Code(1001, "invalid HTTP method, only POST is taken"),
    errors.ContentRefused: PARAMETER,
    errors.ContentBlocked: PARAMETER,
    errors.AccessError: Code(1002),
    errors.InsufficientCredits: Code(1003),
    errors.Busy: SERVER,
    errors.ContentCheckFailed: SERVER,
    errors.JobCancelled: SERVER,
    errors.SettingsError: SERVER,
    errors.InternalError: SERVER,
    errors.FetchError: SOURCE,
    errors.StorageError: SOURCE,
    errors.DecodeFailed: MODEL,
    errors.ModelError: MODEL,
    errors.EncodeFailed: MODEL,
    errors.JobTimeout: Code(1103),
}

Parameters = dict[str, Any]


def router(context: AppContext) -> APIRouter:
    """The three endpoints."""
    routes = APIRouter(
        prefix=f"{PREFIX}/v1",
        route_class=guarded_route(render_error),
        tags=["kaze"],
        dependencies=[Security(BEARER_KEY)],
    )

    async def submit_watermark_removal(request: Request) -> JSONResponse:
        account = await caller(request, context, SUBMIT)
        await run_in_threadpool(context.job_service.check_credits, account.id, "image")  # before an image is received and decoded
        async with parameters_with_files(request, context) as parameters:
            return JSONResponse(await in_thread(context.capacity.storing, _submit, parameters, account, context))

    async def get_task_result(request: Request) -> JSONResponse:
        account = await caller(request, context, READ)
        parameters = await read_parameters(request, context)
        return JSONResponse(await run_in_threadpool(_result, parameters, account, context))

    async def get_quota(request: Request) -> JSONResponse:
        account = await caller(request, context, READ)
        return JSONResponse(await run_in_threadpool(_quota, account, context))

    for endpoint, documents in ((submit_watermark_removal, REMOVAL), (get_task_result, RESULT), (get_quota, QUOTA)):
        routes.add_api_route(f"/{endpoint.__name__}", endpoint, methods=["POST"], **documents)
    return routes


def render_error(error: CleanplateError) -> JSONResponse:
    """Render an error in this dialect."""
    code = code_of(CODES, type(error))
    return JSONResponse({"code": code.code, "message": code.message_for(error), "data": {}})


def record(job: Job, links: Links, link_seconds: float) -> dict[str, Any]:
    """A task as the query returns it. The query itself succeeded, so a failed task has its code in `err_code`."""
    if job.state is State.SUCCEEDED and job.result is not None:
        images = [{"url": link_of(job, job.result.clean_key, links, link_seconds)}]
        return {"status": "success", "images": images, "err_msg": None}
    if job.failure is None:
        return {"status": "processing", "images": [], "err_msg": None}
    return _failure_record(job.failure)


def _failure_record(failure: Failure) -> dict[str, Any]:
    kind = failure.error_kind
    status = "timeout" if issubclass(kind, JobTimeout) else "failed"
    return {"status": status, "images": [], "err_msg": failure.message, "err_code": code_of(CODES, kind).code}


def _submit(parameters: Parameters, account: Account, context: AppContext) -> dict[str, Any]:
    """Submit a task; files stored for it are deleted if it is refused."""
    image, smear = (_image_parameter(parameters, name, context.options.upload_bytes) for name in ("image", "smear"))
    if image is None:
        raise ParameterMissing("image_url or image_base64 is required")
    # As stored: either may be turned to be shown, which is checked when they are decoded.
    if isinstance(image, Picture) and isinstance(smear, Picture) and sorted(image.size) != sorted(smear.size):
        raise ParameterError("the smear and the image have different sizes")
    with ExitStack() as undo:
        source = _store_image(image, "image", account, context, undo)
        mask = _store_image(smear, "smear", account, context, undo) if smear else Source()
        # Nothing outside the strokes may change, so with strokes there is no detection.
        spec = JobSpec("image", source.url, source.key, mask.url, mask.key, mask_is_smear=bool(smear), detect=not smear)
        job = context.job_service.submit(NewJob(new_id("kaze_", now_ms()), account.id, FACADE.name, spec))
        undo.pop_all()
    return _success({"task_id": job.id})


def _image_parameter(parameters: Parameters, name: str, max_bytes: int) -> str | Picture | None:
    """A URL, or the image itself; None if neither was sent. Raises ParameterError."""
    url, file = text(parameters, f"{name}_url"), file_of(parameters, f"{name}_base64", max_bytes)
    if url and file:
        raise ParameterError(f"send either {name}_url or {name}_base64, not both")
    return picture_of(file, f"{name}_base64") if file else url or None


def _store_image(sent: str | Picture, name: str, account: Account, context: AppContext, undo: ExitStack) -> Source:
    if isinstance(sent, str):
        return source_of(sent, account.id, context)
    key = upload_key(account.id, name + sent.suffix)
    undo.callback(context.account_files.delete, key)
    context.account_files.put_stream(account.id, key, sent.file)
    return Source(key=key)


def _result(parameters: Parameters, account: Account, context: AppContext) -> dict[str, Any]:
    job = context.task(account.id, required(parameters, "task_id"), FACADE.name)
    return _success(record(job, context.links, context.options.result_link_seconds))


def _quota(account: Account, context: AppContext) -> dict[str, Any]:
    balance = context.job_service.balance(account.id)
    usage = context.job_service.spent_credits(account.id) + balance.held_credits
    quota = {"limit": usage + balance.total_credits, "usage": usage, "remaining": balance.total_credits}
    return _success(quota, "Success")  # capitalised as the vendor does here


def _success(data: dict[str, Any], message: str = "success") -> dict[str, Any]:
    return {"code": 0, "message": message, "data": data}


FACADE: Final = Facade("kaze", CODES, router, render_error, prefixes=(PREFIX,))
