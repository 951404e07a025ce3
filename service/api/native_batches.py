"""Batches: `POST /v1/batches` and what follows."""

import hashlib
import re
from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.api import batch_docs as docs
from service.api.batch_models import BatchBody, BatchPage, BatchView, ItemPage, ItemView, SourceBody
from service.api.batch_zip import Entry, list_entry, name_of, zipped
from service.api.body import read_body
from service.api.capacity import in_thread
from service.api.facade import AppContext, Callback
from service.api.json_body import MAX_TOKENS, parse_object
from service.api.native_callbacks import CallbackMissing
from service.api.native_caller import caller_of
from service.api.native_order import spec_of
from service.api.native_views import DeliveryView
from service.api.parameters import type_of
from service.api.problems import IdempotencyKeyReused, InvalidFields, JobNotEnded, ProblemRoute, read_as
from service.api.rates import DETECT, READ, SUBMIT
from service.api.source import Source, source_of
from service.errors import MediaAddressInvalid, UnknownJob, UnsupportedFormat
from service.jobs.batch import MAX_JOBS, Batch, Item, NewBatch, NewItem, Progress
from service.jobs.callbacks import Delivery
from service.jobs.database import now_ms
from service.jobs.job import State, new_id

PREFIX: Final = "batch_"
BODY_BYTES: Final = 4 * 2**20  # a thousand addresses of 2 KiB, with their references
SOURCE_TOKENS: Final = 57  # of a source with a reference and all pairs of metadata
BODY_TOKENS: Final = MAX_TOKENS + MAX_JOBS * SOURCE_TOKENS
PAGE_ITEMS: Final = 100  # read at once for a zip
BATCH_ID: Final = re.compile(r"[A-Za-z0-9_]{1,128}")

IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=200, description="A repeated request with the same key returns the same batch.")
]
BatchId = Annotated[str, Path(min_length=1, max_length=200)]
Limit = Annotated[int, Query(ge=1, le=100)]
ItemLimit = Annotated[int, Query(ge=1, le=1000)]
First = Annotated[int, Query(ge=0, le=1000, description="Number of the first source of the page.")]
Before = Annotated[str | None, Query(pattern=r"^batch_[0-9a-f_]{1,64}$", description="`next_before` of the previous page.")]


def add_batches(routes: APIRouter, context: AppContext) -> None:
    """Add the routes."""
    assert routes.route_class is ProblemRoute
    _add_orders(routes, context)
    _add_outcomes(routes, context)


def _add_orders(routes: APIRouter, context: AppContext) -> None:
    """Add the routes that create, list, find and cancel batches."""

    @routes.post("/batches", **docs.CREATE)
    async def create(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
        account = caller_of(request, context, SUBMIT)
        if type_of(request) != "application/json":
            raise UnsupportedFormat("the body must be application/json")
        text = await read_body(request, context.capacity, BODY_BYTES)
        body = await in_thread(context.capacity.parsing, _parse, text, context.options.json_depth)
        view, is_new = await run_in_threadpool(_create, body, idempotency_key, account.id, context)
        headers = {"Location": f"/v1/batches/{view.id}"} | ({} if is_new else {"Idempotent-Replayed": "true"})
        return _respond(view, 201 if is_new else 200, headers)

    @routes.get("/batches", **docs.LIST)
    async def batches(request: Request, limit: Limit = 20, before: Before = None) -> Response:
        account = caller_of(request, context, READ)
        found = await run_in_threadpool(context.batches.of_account, account.id, limit + 1, before)
        data = await run_in_threadpool(lambda: [_view(batch, context) for batch in found[:limit]])
        return _respond(BatchPage(data=data, next_before=data[-1].id if len(found) > limit else None))

    @routes.get("/batches/{batch_id}", **docs.FIND)
    async def find(request: Request, batch_id: BatchId) -> Response:
        batch = await _find(request, batch_id, context)
        return _respond(await run_in_threadpool(_view, batch, context))

    @routes.post("/batches/{batch_id}/cancel", **docs.CANCEL)
    async def cancel(request: Request, batch_id: BatchId) -> Response:
        batch = await _find(request, batch_id, context)
        return _respond(await run_in_threadpool(lambda: _view(context.batches.cancel(batch.account_id, batch.id), context)))


def _add_outcomes(routes: APIRouter, context: AppContext) -> None:
    """Add the routes of what became of a batch: its sources, its results, its callback."""

    @routes.get("/batches/{batch_id}/items", **docs.ITEMS)
    async def items(request: Request, batch_id: BatchId, limit: ItemLimit = 100, first: First = 0) -> Response:
        batch = await _find(request, batch_id, context)
        found = await run_in_threadpool(context.batches.items, batch, first, limit + 1)
        data = [_item_view(item, batch, context) for item in found[:limit]]
        return _respond(ItemPage(data=data, next_first=first + limit if len(found) > limit else None))

    @routes.get("/batches/{batch_id}/result", response_class=StreamingResponse, **docs.RESULT)
    async def result(request: Request, batch_id: BatchId) -> Response:
        batch = await _find(request, batch_id, context)
        if not batch.ended:
            raise JobNotEnded("the batch has not ended")
        headers = {"Content-Disposition": f'attachment; filename="{batch.id}.zip"', "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(zipped(_entries(batch, context)), media_type="application/zip", headers=headers)

    @routes.get("/batches/{batch_id}/callback", **docs.CALLBACK)
    async def delivery(request: Request, batch_id: BatchId) -> Response:
        batch = await _find(request, batch_id, context)
        return _delivery(batch, await run_in_threadpool(context.batches.delivery, batch))

    @routes.post("/batches/{batch_id}/callback/redeliver", **docs.REDELIVER)
    async def redeliver(request: Request, batch_id: BatchId) -> Response:
        batch = await _find(request, batch_id, context)
        return _delivery(batch, await run_in_threadpool(context.batches.redeliver, batch), 202)


def callback(batch: Batch, progress: Progress) -> Callback:
    """The callback of an ended batch. The event's id is the same in every delivery."""
    event_id = f"evt_{batch.id}"
    event = {
        "type": "batch.ended",
        "id": event_id,
        "created": (batch.finished_ms or batch.created_ms) // 1000,
        "data": BatchView.of(batch, progress).model_dump(mode="json"),
    }
    return Callback(event_id, batch.id, event)


async def _find(request: Request, batch_id: str, context: AppContext) -> Batch:
    """The account's batch, after counting the request. Raises RateLimited, UnknownJob."""
    account = caller_of(request, context, READ)
    if not BATCH_ID.fullmatch(batch_id):
        raise UnknownJob("there is no such batch")
    return await run_in_threadpool(context.batches.find, account.id, batch_id)


def _parse(text: bytes, max_depth: int) -> BatchBody:
    return read_as(BatchBody, parse_object(text, max_depth, BODY_BYTES, BODY_TOKENS))


def _create(body: BatchBody, idempotency_key: str | None, account_id: int, context: AppContext) -> tuple[BatchView, bool]:
    """Create the batch; return it and whether it is new. Raises what a job of one of its sources would raise."""
    new = _new_batch(body, idempotency_key, account_id, context)
    batch = _found_or_submitted(new, context)
    if batch.id != new.id and batch.digest != new.digest:
        raise IdempotencyKeyReused("the Idempotency-Key was already used with another request")
    return _view(batch, context), batch.id == new.id


def _found_or_submitted(new: NewBatch, context: AppContext) -> Batch:
    """The batch of the same idempotency key, or else the new one. Each of its jobs that only looks counts towards their limit."""
    if new.items[0].spec.kind != "detect":
        return context.batches.submit(new)
    if (known := context.batches.check(new)) is not None:
        return known
    if (most := context.rates.most(DETECT)) is not None and len(new.items) > most:
        raise InvalidFields([("sources", f"are more than the {most} detections that are accepted at once")])
    context.rates.count(new.account_id, DETECT, len(new.items))
    return context.batches.submit(new)


def _new_batch(body: BatchBody, idempotency_key: str | None, account_id: int, context: AppContext) -> NewBatch:
    mask = Source() if body.mask_url is None else source_of(body.mask_url, account_id, context)
    now = now_ms()
    return NewBatch(
        id=new_id(PREFIX, now),
        account_id=account_id,
        items=[_new_item(number, body, source, mask, account_id, context) for number, source in enumerate(body.sources)],
        digest=hashlib.sha256(body.model_dump_json().encode()).hexdigest(),
        callback_url=body.callback_url,
        idempotency_key=idempotency_key,
        priority=body.priority,
        rights=body.rights,
        client_reference=body.client_reference,
        metadata=body.metadata,
    )


def _new_item(number: int, body: BatchBody, source: SourceBody, mask: Source, account_id: int, context: AppContext) -> NewItem:
    """One job of the batch. Raises InvalidFields, which names the source."""
    try:
        found = source_of(source.source_url, account_id, context)
    except MediaAddressInvalid as error:
        raise InvalidFields([(f"sources.{number}.source_url", str(error))]) from None
    spec = spec_of(body, found, mask)
    context.job_service.admit("native", spec)
    price_credits = context.job_service.price_of(spec)
    return NewItem(new_id("job_", now_ms()), spec, price_credits, source.client_reference, source.metadata)


def _view(batch: Batch, context: AppContext) -> BatchView:
    return BatchView.of(batch, context.batches.progress(batch))


def _item_view(item: Item, batch: Batch, context: AppContext) -> ItemView:
    return ItemView.of(item, batch, context.links, context.options.result_link_seconds)


def _delivery(batch: Batch, delivery: Delivery | None, status: int = 200) -> Response:
    if delivery is None or batch.callback_url is None:
        raise CallbackMissing("the batch has no callback, or has not ended")
    return _respond(DeliveryView.of(batch.callback_url, delivery), status)


def _entries(batch: Batch, context: AppContext) -> Iterator[Entry]:
    """The clean files of a batch, a page of its sources at a time, and in the end what became of each source."""
    told = []
    for first in range(0, batch.jobs, PAGE_ITEMS):
        for item in context.batches.items(batch, first, PAGE_ITEMS):
            key = item.job.result.clean_key if item.job and item.job.result and item.job.state is State.SUCCEEDED else None
            stored = context.storage.stat(key) if key else None
            name = name_of(item, key[key.rindex(".") :]) if key and stored else None
            told.append(_item_view(item, batch, context).model_dump(mode="json", exclude={"result_url"}) | {"file": name})
            if key and name:
                yield Entry(name, context.storage.read(key))
    yield list_entry(told)


def _respond(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(view.model_dump(mode="json"), status, headers)
