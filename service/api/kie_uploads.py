"""The kie facade's three uploads: a file in a form, by its URL, and as base64 in JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from anyio import CapacityLimiter
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile

from service.api.auth import caller
from service.api.body import read_form
from service.api.capacity import in_thread
from service.api.facade import AppContext, code_of, guarded_route
from service.api.kie_codes import UPLOAD_CODES, status_of
from service.api.kie_docs import BASE64_UPLOAD, STREAM_UPLOAD, URL_UPLOAD
from service.api.parameters import file_of, parameters_with_files, read_parameters, required, text
from service.api.rates import READ
from service.api.source import web_address
from service.api.times import rfc3339
from service.api.upload import (
    FORM_BYTES,
    TEMPORARY_PREFIX,
    AccountSlots,
    named_key,
    plain_name,
    plain_path,
    upload_id,
    upload_key,
    upload_suffix,
)
from service.errors import CleanplateError, ParameterError, ParameterMissing, QueueFull
from service.jobs.database import now_ms
from service.jobs.keys import Scope
from service.media import HEAD_BYTES, head_of
from service.outside.fetch import FetchLimits, fetch
from service.outside.storage import content_type_of

FETCH_SECONDS: Final = 30.0  # the vendor's own limit
UNNAMED: Final = "upload"


def router(context: AppContext) -> APIRouter:
    """The three endpoints."""
    fetches = FetchSlots(context.options.upload_fetches, context.options.account_fetches)
    routes = APIRouter(route_class=guarded_route(render_error), tags=["kie"])

    @routes.post("/api/file-stream-upload", **STREAM_UPLOAD)
    async def stream_upload(request: Request) -> JSONResponse:
        account = await caller(request, context, READ, Scope.SUBMIT)
        most_bytes = context.options.upload_bytes + FORM_BYTES
        with context.uploads.one(account.id):
            async with read_form(request, context.capacity, most_bytes) as form:
                return await in_thread(context.capacity.storing, _store_form_file, form, account.id, context)

    @routes.post("/api/file-url-upload", **URL_UPLOAD)
    async def url_upload(request: Request) -> JSONResponse:
        account = await caller(request, context, READ, Scope.SUBMIT)
        parameters = await read_parameters(request, context)
        return await fetches.run(account.id, partial(_store_fetched, parameters, account.id, context))

    @routes.post("/api/file-base64-upload", **BASE64_UPLOAD)
    async def base64_upload(request: Request) -> JSONResponse:
        account = await caller(request, context, READ, Scope.SUBMIT)
        with context.uploads.one(account.id):
            async with parameters_with_files(request, context) as parameters:
                return await in_thread(context.capacity.storing, _store_base64, parameters, account.id, context)

    return routes


class FetchSlots:
    """Threads for uploads by URL, which take as long as a remote host pleases: none that serve other requests, and few for an account."""

    def __init__(self, total: int, of_account: int) -> None:
        self._limiter = CapacityLimiter(total)
        self._total = total
        self._slots = AccountSlots(of_account, "uploads by URL")

    async def run(self, account_id: int, work: Callable[[], JSONResponse]) -> JSONResponse:
        """Do the work in one of the threads. Raises QueueFull instead of waiting for one."""
        if self._slots.running >= self._total:
            raise QueueFull("too many uploads by URL are in progress")
        with self._slots.one(account_id):
            return await in_thread(self._limiter, work)


def render_error(error: CleanplateError) -> JSONResponse:
    """Render an error as the uploads do."""
    code = code_of(UPLOAD_CODES, type(error))
    return JSONResponse({"success": False, "code": code.code, "msg": code.message_for(error)}, status_of(error))


@dataclass(frozen=True)
class Target:
    """Where an upload is stored. `path` is the client's choice, sanitised, with the suffix of the file's type; `original_name` as sent."""

    key: str
    path: str
    original_name: str

    @classmethod
    def of(cls, parameters: dict[str, Any], default_name: str, head: bytes, account_id: int) -> Self:
        """Raises ParameterError for an empty file. A file whose name the client chooses replaces an older one of that name."""
        if not head:
            raise ParameterError("the file is empty")
        chosen = text(parameters, "fileName")
        name = PurePosixPath(chosen or default_name)
        stem = plain_name(name.stem) or UNNAMED
        path = str(PurePosixPath(plain_path(text(parameters, "uploadPath")), stem + upload_suffix(head, name.name)))
        key = named_key(account_id, path) if chosen else upload_key(account_id, path)
        return cls(key, path, PurePosixPath(default_name).name or name.name)


def _store_form_file(form: FormData, account_id: int, context: AppContext) -> JSONResponse:
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise ParameterMissing("file is required")
    target = Target.of(dict(form), upload.filename or "", upload.file.read(HEAD_BYTES), account_id)
    return _upload_response(target, context.account_files.put_stream(account_id, target.key, upload.file), context)


def _store_fetched(parameters: dict[str, Any], account_id: int, context: AppContext) -> JSONResponse:
    url = web_address(required(parameters, "fileUrl"))
    context.account_files.require(account_id)
    limits = FetchLimits(bytes=context.options.upload_bytes, seconds=FETCH_SECONDS)
    with TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        path = Path(folder) / "fetched"
        fetched = fetch(url, path, context.egress, limits, disk=context.account_files.disk)
        target = Target.of(parameters, unquote(urlsplit(url).path), head_of(path), account_id)
        context.account_files.put_file(account_id, target.key, path)
    return _upload_response(target, fetched.bytes, context)


def _store_base64(parameters: dict[str, Any], account_id: int, context: AppContext) -> JSONResponse:
    file = file_of(parameters, "base64Data", context.options.upload_bytes)
    if file is None:
        raise ParameterMissing("base64Data is required")
    target = Target.of(parameters, "", file.read(HEAD_BYTES), account_id)
    return _upload_response(target, context.account_files.put_stream(account_id, target.key, file), context)


def _upload_response(target: Target, file_bytes: int, context: AppContext) -> JSONResponse:
    path, link_seconds, at_ms = PurePosixPath(target.path), int(context.options.result_link_seconds), now_ms()
    url = context.links.url(target.key, link_seconds)
    data = {
        "fileName": path.name,
        "filePath": target.path,
        "downloadUrl": url,
        "fileSize": file_bytes,
        "mimeType": content_type_of(target.key),
        "uploadedAt": rfc3339(at_ms),
        "fileId": upload_id(target.key),
        "fileUrl": url,
        "originalName": target.original_name or path.name,
        "uploadPath": "" if path.parent == PurePosixPath() else str(path.parent),
        "uploadTime": rfc3339(at_ms),
        "expiresAt": rfc3339(at_ms + 1000 * link_seconds),
    }
    return JSONResponse({"success": True, "code": 200, "msg": "File uploaded successfully", "data": data})
