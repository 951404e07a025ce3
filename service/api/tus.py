"""`/v1/uploads/resumable`: uploads in pieces by tus 1.0.0, which go on after a lost connection where they stopped."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, Request, Response, Security
from starlette.concurrency import run_in_threadpool

from service.api import native_uploads_docs as docs
from service.api import transfers
from service.api.auth import BEARER_KEY, caller
from service.api.facade import AppContext
from service.api.native_uploads import delete_upload
from service.api.parameters import type_of
from service.api.problems import ProblemRoute, VersionUnsupported
from service.api.rates import READ
from service.api.times import http_date
from service.api.tus_headers import ALGORITHMS, EXTENSIONS, PIECE, VERSION, Checksum, Metadata, number
from service.api.tus_receive import Receiver
from service.errors import MethodNotAllowed, UnsupportedFormat
from service.jobs.keys import Scope
from service.jobs.transfers import Transfer

PRECONDITION_FAILED: Final = 412
PATH: Final = "/uploads/resumable"
ONE: Final = PATH + "/{upload_id}"


class TusRoute(ProblemRoute):  # type: ignore[misc,valid-type]  # a class that is made when the module is loaded
    """Every response says which version of tus it is of."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def respond(request: Request) -> Response:
            response: Response = await handle(request)
            response.headers["Tus-Resumable"] = VERSION
            if response.status_code == PRECONDITION_FAILED:
                response.headers["Tus-Version"] = VERSION
            return response

        return respond


def router(context: AppContext) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", route_class=TusRoute, tags=["native"], dependencies=[Security(BEARER_KEY)])
    _add_beginning(routes, context)
    _add_pieces(routes, context)
    return routes


def _add_beginning(routes: APIRouter, context: AppContext) -> None:
    """Add the routes that say what is supported, and that begin an upload."""

    @routes.options(PATH, **docs.TUS_OPTIONS)
    async def options() -> Response:
        said = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Checksum-Algorithm": ",".join(ALGORITHMS)}
        return Response(status_code=204, headers=said | {"Tus-Max-Size": str(context.options.upload_bytes)})

    @routes.post(PATH, **docs.TUS_CREATE)
    async def create(request: Request) -> Response:
        account_id = await _sender(request, context)
        metadata = Metadata.of(request.headers.get("upload-metadata", ""))
        size_bytes = number(request.headers, "upload-length")
        new = await run_in_threadpool(transfers.begin, account_id, metadata.name, size_bytes, metadata.sha256, context)
        return Response(status_code=201, headers={"Location": f"/v1{PATH}/{new.id}", **_expiry(new)})


def _add_pieces(routes: APIRouter, context: AppContext) -> None:
    """Add the routes of one upload."""
    receiver = Receiver(context)

    @routes.head(ONE, **docs.TUS_HEAD)
    async def head(request: Request, upload_id: str) -> Response:
        transfer, received_bytes = await receiver.look(await _sender(request, context), upload_id)
        said = {"Upload-Offset": str(received_bytes), "Upload-Length": str(transfer.bytes), "Cache-Control": "no-store"}
        return Response(headers=said | _expiry(transfer))

    @routes.patch(ONE, **docs.TUS_PATCH)
    async def patch(request: Request, upload_id: str) -> Response:
        account_id = await _sender(request, context)
        if type_of(request) != PIECE:
            raise UnsupportedFormat(f"the body must be {PIECE}")
        offset = number(request.headers, "upload-offset")
        announced = request.headers.get("upload-checksum")
        checksum = Checksum.of(announced) if announced else None
        transfer, received_bytes = await receiver.receive(account_id, upload_id, request, offset, checksum)
        return Response(status_code=204, headers={"Upload-Offset": str(received_bytes), **_expiry(transfer)})

    @routes.delete(ONE, **docs.TUS_DELETE)
    async def delete(request: Request, upload_id: str) -> Response:
        await run_in_threadpool(delete_upload, await _sender(request, context), upload_id, context)
        return Response(status_code=204)

    @routes.post(ONE, include_in_schema=False)
    async def overridden(request: Request, upload_id: str) -> Response:
        act = {"PATCH": patch, "DELETE": delete, "HEAD": head}.get(request.headers.get("x-http-method-override", "").upper())
        if act is None:
            raise MethodNotAllowed("X-HTTP-Method-Override must be PATCH, DELETE or HEAD")
        return await act(request, upload_id)


async def _sender(request: Request, context: AppContext) -> int:
    """The id of the request's account. Raises VersionUnsupported, and as `caller`."""
    account = await caller(request, context, READ, Scope.SUBMIT)
    if request.headers.get("tus-resumable") != VERSION:
        raise VersionUnsupported(f"the header Tus-Resumable must be {VERSION}")
    return account.id


def _expiry(transfer: Transfer) -> dict[str, str]:
    """Until when an unfinished upload is kept if nothing more of it comes."""
    return {} if transfer.is_finished else {"Upload-Expires": http_date(transfer.expires_ms)}
