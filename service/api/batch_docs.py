"""Batches in the OpenAPI document."""

from typing import Any, Final

from service.api.batch_models import BatchBody, BatchPage, BatchView, ItemPage
from service.api.native_docs import DELIVERY, JOB_ID, WAITING, inline_schema, json_response, problems
from service.api.native_views import DeliveryView

ORDER: Final[dict[str, Any]] = {
    "sources": [
        {"source_url": "http://example.com/clip.mp4", "client_reference": "clip 1"},
        {"source_url": "http://example.com/clip.mp4", "client_reference": "clip 2"},
    ],
    "rights": "owner",
    "client_reference": "week 49",
}
VIEW: Final[dict[str, Any]] = {
    "id": "batch_1765183831860_3f1c9a7e5b2d4c6f8a0e1b3d",
    "state": "running",
    "jobs": 2,
    "counts": {"waiting": 0, "queued": 2, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0},
    "credits_used": 0,
    "callback_url": None,
    "client_reference": "week 49",
    "metadata": {},
    "created_at": "2025-12-08T08:50:31.860Z",
    "finished_at": None,
}
ENDED: Final[dict[str, Any]] = VIEW | {
    "state": "ended",
    "counts": VIEW["counts"] | {"queued": 0, "succeeded": 1, "failed": 1},
    "credits_used": 1,
    "finished_at": "2025-12-08T08:50:36.300Z",
}
ITEM: Final[dict[str, Any]] = {
    "number": 0,
    "source_url": "http://example.com/clip.mp4",
    "client_reference": "clip 1",
    "metadata": {},
    "job_id": JOB_ID,
    "state": "succeeded",
    "credits_used": 1,
    "error": None,
    "result_url": "http://example.com/files/jobs/1/clean.mp4",
}

CREATE: Final[dict[str, Any]] = {
    "summary": "Create a batch",
    "description": (
        "Up to 1,000 sources with the options of a job, which hold for all of them. The credits of all are held at once. As many jobs "
        "begin as the account may have unfinished; the others wait in the batch. An `Idempotency-Key` works as for a job."
    ),
    "status_code": 201,
    "openapi_extra": {
        "requestBody": {"required": True, "content": {"application/json": {"schema": inline_schema(BatchBody), "example": ORDER}}}
    },
    "responses": {
        201: json_response("The batch; `Location` is its URL.", BatchView, VIEW),
        200: json_response("The batch that was created with this key.", BatchView, VIEW),
    }
    | problems(400, 402, 413, 415),
}
LIST: Final[dict[str, Any]] = {
    "summary": "List batches",
    "responses": {200: json_response("A page, newest first.", BatchPage, {"data": [ENDED], "next_before": None})} | problems(),
}
FIND: Final[dict[str, Any]] = {"summary": "Get a batch", "responses": {200: json_response("The batch.", BatchView, ENDED)} | problems(404)}
ITEMS: Final[dict[str, Any]] = {
    "summary": "List a batch's sources",
    "description": "In the order of the request, each with its job: what succeeded, what failed and why.",
    "responses": {200: json_response("A page.", ItemPage, {"data": [ITEM], "next_first": None})} | problems(404),
}
CANCEL: Final[dict[str, Any]] = {
    "summary": "Cancel a batch",
    "description": "What waits or is queued ends at once and is refunded, what runs as soon as its worker notices.",
    "responses": {200: json_response("The batch as it is now.", BatchView, VIEW)} | problems(404),
}
RESULT: Final[dict[str, Any]] = {
    "summary": "Download a batch's results",
    "description": "A zip of the clean files of an ended batch, and `results.json`, which says what became of each source.",
    "responses": {200: {"description": "The zip.", "content": {"application/zip": {}}}} | problems(404, 409),
}
CALLBACK: Final[dict[str, Any]] = {
    "summary": "Get the delivery of a batch's callback",
    "responses": {200: json_response("How far it is.", DeliveryView, DELIVERY)} | problems(404),
}
REDELIVER: Final[dict[str, Any]] = {
    "summary": "Send a batch's callback again",
    "status_code": 202,
    "responses": {202: json_response("It will be sent.", DeliveryView, WAITING)} | problems(404),
}
