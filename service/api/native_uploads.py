"""Large uploads of the native API: straight to the bucket by signed links, and what has become of an upload."""

import re
from typing import Final

from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.api import native_uploads_docs as docs
from service.api import transfers
from service.api.capacity import in_thread
from service.api.facade import AppContext
from service.api.native_caller import caller_of, read_json
from service.api.problems import JobNotEnded, NoDirectUpload, UploadIncomplete
from service.api.rates import READ
from service.api.times import rfc3339
from service.api.upload import key_of_upload, upload_id
from service.api.upload_models import NewUploadBody, PartView, UploadView
from service.errors import UnknownJob
from service.jobs.database import now_ms
from service.jobs.transfers import Transfer
from service.outside.storage import content_type_of

TRANSFER_ID: Final = re.compile(r"upl_[0-9a-f]{32}")
MOST_PARTS: Final = 100
LEAST_PART_BYTES: Final = 16 * 2**20
MIB: Final = 2**20
LINK_SECONDS: Final = 3600  # of a part; the upload itself says where to get new ones
BUCKET_REQUESTS: Final = 8  # threads that wait for the bucket, and keep none from other requests


class UploadMissing(UnknownJob):
    """The account has no such upload."""


def add_uploads(routes: APIRouter, context: AppContext) -> None:
    """Add the routes."""
    threads = CapacityLimiter(BUCKET_REQUESTS)

    @routes.post("/uploads", **docs.BEGIN)
    async def begin(request: Request) -> Response:
        account = caller_of(request, context, READ)
        body = await read_json(request, NewUploadBody, context)
        transfer = await in_thread(threads, _begin, account.id, body, context)
        return _json(await in_thread(threads, _view, transfer, context), 201, {"Location": f"/v1/uploads/{transfer.id}"})

    @routes.get("/uploads/{upload_id}", **docs.FIND_UPLOAD)
    async def find(request: Request, upload_id: str) -> Response:
        account = caller_of(request, context, READ)
        return _json(await in_thread(threads, _found, account.id, upload_id, context))

    @routes.post("/uploads/{upload_id}/complete", **docs.COMPLETE)
    async def complete(request: Request, upload_id: str) -> Response:
        account = caller_of(request, context, READ)
        transfer = await run_in_threadpool(_transfer, account.id, upload_id, context)
        with context.uploads.one(account.id):
            transfer = await in_thread(context.capacity.storing, _complete, transfer, context)
        return _json(await in_thread(threads, _view, transfer, context))

    @routes.delete("/uploads/{upload_id}", **docs.DELETE_UPLOAD)
    async def delete(request: Request, upload_id: str) -> Response:
        account = caller_of(request, context, READ)
        await in_thread(threads, delete_upload, account.id, upload_id, context)
        return Response(status_code=204)


def delete_upload(account_id: int, identifier: str, context: AppContext) -> None:
    """Delete an upload, finished or not. Raises UploadMissing, and JobNotEnded if an unfinished job needs the file."""
    files = context.account_files
    if TRANSFER_ID.fullmatch(identifier):
        transfer = _transfer(account_id, identifier, context)
        if not transfer.is_finished:
            return context.transfers.delete(transfer)
    key = _key_of(account_id, identifier, context)
    if files.are_needed(account_id, [key]):
        raise JobNotEnded("an unfinished job still needs the file")
    return files.delete(key)


def _begin(account_id: int, body: NewUploadBody, context: AppContext) -> Transfer:
    """Raises NoDirectUpload, and as `transfers.begin`."""
    if context.transfers.multipart is None:
        raise NoDirectUpload("this service's storage is not S3-compatible: send the file to /v1/uploads/resumable, by tus")
    part_bytes = max(LEAST_PART_BYTES, -(-body.bytes // (MOST_PARTS * MIB)) * MIB)
    transfer = transfers.begin(account_id, body.name, body.bytes, body.sha256, context, part_bytes)
    try:
        context.transfers.begin_multipart(transfer)
    except BaseException:
        context.transfers.delete(transfer)
        raise
    return context.transfers.find(account_id, transfer.id)


def _complete(transfer: Transfer, context: AppContext) -> Transfer:
    """Raises UploadIncomplete, and as `transfers.finish`."""
    if transfer.is_finished:
        return transfer
    if transfer.part_bytes is None:
        raise UploadIncomplete("an upload by tus completes itself with its last piece")
    parts = context.transfers.parts(transfer)
    if parts and (missing := _missing(transfer, parts)):
        raise UploadIncomplete(f"parts are missing, or not of their size: {', '.join(map(str, missing))}")
    return transfers.finish(transfer, context)


def _missing(transfer: Transfer, parts: dict[int, tuple[int, str]]) -> dict[int, int]:
    """The numbers and sizes of the parts that have not arrived with their size."""
    assert transfer.part_bytes is not None
    firsts = range(0, transfer.bytes, transfer.part_bytes)
    sizes = {number: min(transfer.part_bytes, transfer.bytes - first) for number, first in enumerate(firsts, 1)}
    return {number: size for number, size in sizes.items() if parts.get(number, (0, ""))[0] != size}


def _found(account_id: int, identifier: str, context: AppContext) -> UploadView:
    if TRANSFER_ID.fullmatch(identifier):
        return _view(_transfer(account_id, identifier, context), context)
    key = _key_of(account_id, identifier, context)
    stored = context.storage.stat(key)
    if stored is None:
        raise UploadMissing("the upload's file is gone")
    return _finished_view(identifier, key.rpartition("/")[2], stored.bytes, key, context)


def _view(transfer: Transfer, context: AppContext) -> UploadView:
    if transfer.key is not None:
        return _finished_view(transfer.id, transfer.name, transfer.bytes, transfer.key, context)
    parts, received_bytes = None, context.transfers.received_bytes(transfer)
    if transfer.part_bytes is not None and transfer.multipart_id is not None and context.transfers.multipart is not None:
        link, place = context.transfers.multipart.link, (transfer.part_key, transfer.multipart_id)
        missing = _missing(transfer, context.transfers.parts(transfer))
        parts = [PartView(number=number, bytes=size, url=link(*place, number, size, LINK_SECONDS)) for number, size in missing.items()]
    return UploadView(
        id=transfer.id,
        state="arriving",
        name=transfer.name,
        bytes=transfer.bytes,
        received_bytes=received_bytes,
        part_bytes=transfer.part_bytes,
        parts=parts,
        expires_at=rfc3339(transfer.expires_ms),
    )


def _finished_view(identifier: str, name: str, size_bytes: int, key: str, context: AppContext) -> UploadView:
    link_seconds = int(context.options.result_link_seconds)
    return UploadView(
        id=identifier,
        state="finished",
        name=name,
        bytes=size_bytes,
        received_bytes=size_bytes,
        content_type=content_type_of(key),
        file_id=upload_id(key),
        url=context.links.url(key, link_seconds),
        expires_at=rfc3339(now_ms() + 1000 * link_seconds),
    )


def _transfer(account_id: int, identifier: str, context: AppContext) -> Transfer:
    if not TRANSFER_ID.fullmatch(identifier):
        raise UploadMissing("there is no such upload")
    return context.transfers.find(account_id, identifier)


def _key_of(account_id: int, identifier: str, context: AppContext) -> str:
    """The key of a finished upload, by the id of its transfer or of its file."""
    is_transfer = TRANSFER_ID.fullmatch(identifier)
    key = _transfer(account_id, identifier, context).key if is_transfer else key_of_upload(account_id, identifier)
    if key is None or not context.account_files.has(account_id, key):
        raise UploadMissing("there is no such upload")
    return key


def _json(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(view.model_dump(mode="json"), status, headers)
