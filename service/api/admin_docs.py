"""The admin API in the OpenAPI document."""

from typing import Annotated, Any, Final

from fastapi import Header
from pydantic import BaseModel

from service.api.admin_models import (
    AccountBody,
    AdminAccountPage,
    AdminAccountView,
    CreditsBody,
    KeyList,
    LinePage,
    NewAccountBody,
    NewKeyBody,
    NewKeyView,
)
from service.api.native_docs import JOB_ID, inline_schema, json_response, problems
from service.api.oversight_models import (
    AdminCallbackPage,
    AdminJobPage,
    AuditPage,
    FailureList,
    QueueView,
    RedeliveredView,
    StatusView,
    UsageList,
)

IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=200, pattern=r"^[ -~]+$", description="With the same key credits change once.")
]
CREATED: Final = "2025-12-08T08:50:31.860Z"
ACCOUNT_VIEW: Final[dict[str, Any]] = {
    "id": 2,
    "name": "alice",
    "banned": False,
    "created_at": CREATED,
    "paid_credits": 50,
    "one_time_credits": 0,
    "held_credits": 0,
    "spent_credits": 0,
    "upload_bytes": 0,
    "rights": "licensed",
    "digital_source_type": None,
    "queue_jobs": 1000,
    "storage_bytes": None,
}
KEY_VIEW: Final[dict[str, Any]] = {
    "id": "key_3f1c9a7e5b2d",
    "hint": "cp_Zk3q",
    "account_id": 2,
    "account": "alice",
    "scopes": ["submit", "read"],
    "created_at": CREATED,
    "expires_at": "2026-12-08T08:50:31.860Z",
    "state": "active",
}
LINE: Final[dict[str, Any]] = {
    "id": 7,
    "at": CREATED,
    "kind": "grant",
    "fund": "paid",
    "free_credits": 50,
    "held_credits": 0,
    "job_id": None,
    "note": "order 4711",
}
USAGE_DAY: Final[dict[str, Any]] = {
    "date": "2025-12-08",
    "account_id": 2,
    "account": "alice",
    "accepted_jobs": 12,
    "succeeded_jobs": 11,
    "failed_jobs": 1,
    "cancelled_jobs": 0,
    "spent_credits": 11,
    "processing_seconds": 61.4,
}
JOB: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "account_id": 2,
    "account": "alice",
    "facade": "native",
    "state": "failed",
    "kind": "clean",
    "media": "video",
    "progress_percent": 0,
    "attempts": 0,
    "price_credits": 1,
    "credits_used": 0,
    "created_at": CREATED,
    "started_at": "2025-12-08T08:50:32.100Z",
    "finished_at": "2025-12-08T08:50:36.300Z",
    "failure": "FetchRefused",
    "detail": "example.com answered with status 404",
}
STATUS_VIEW: Final[dict[str, Any]] = {
    "versions": {"cleanplate": "0.2.0", "python": "3.11.2", "av": "16.0.1", "numpy": "2.3.5", "opencv-python-headless": "4.12.0.88"},
    "queued_jobs": 3,
    "oldest_queued_seconds": 1.2,
    "jobs": {"queued": 3, "cleaning": 2, "succeeded": 410, "failed": 5},
    "recent_jobs": {"succeeded": 40, "failed": 1},
    "recent_failures": {"FetchRefused": 1},
    "recent_callbacks": {"delivered": 12},
    "callbacks": {"delivered": 120},
    "held_credits": 5,
    "disks": [{"name": "data", "free_bytes": 52428800000, "total_bytes": 107374182400, "floor_bytes": 536870912}],
    "workers": [{"id": "host-4711-1a2b3c4d", "host": "host", "version": "0.2.0", "alive": True, "silent_seconds": 1.1, "running": 2}],
}

BACKLOG: Final[dict[str, Any]] = {"account_id": 2, "account": "alice", "queued_jobs": 3, "running_jobs": 1, "oldest_queued_seconds": 1.2}
FAILURE: Final[dict[str, Any]] = {
    "kind": "FetchRefused",
    "jobs": 4,
    "last_at": CREATED,
    "last_job_id": JOB_ID,
    "last_account": "alice",
    "last_detail": "example.com answered with status 404",
}
CALLBACK: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "account_id": 2,
    "account": "alice",
    "host": "example.com",
    "outcome": "given_up",
    "attempts": 9,
    "at": CREATED,
    "next_attempt_at": None,
    "last_error": "example.com answered with status 500",
}
AUDIT_LINE: Final[dict[str, Any]] = {
    "id": 12,
    "at": CREATED,
    "actor": "first",
    "key_id": "key_3f1c9a7e5b2d",
    "action": "credits.grant",
    "subject": "alice",
    "given": '{"kind": "grant", "credits": 50, "note": "order 4711"}',
    "outcome": "done",
}


def _body(model: type[BaseModel], example: object) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inline_schema(model), "example": example}}}}


ACCOUNTS: Final[dict[str, Any]] = {
    "summary": "List accounts",
    "responses": {200: json_response("A page, by id.", AdminAccountPage, {"data": [ACCOUNT_VIEW], "next_after": None})} | problems(),
}
CREATE_ACCOUNT: Final[dict[str, Any]] = {
    "summary": "Create an account",
    "description": "Without credits and without a key.",
    "status_code": 201,
    "openapi_extra": _body(NewAccountBody, {"name": "alice", "rights": "licensed", "queue_jobs": 1000}),
    "responses": {201: json_response("The account.", AdminAccountView, ACCOUNT_VIEW)} | problems(400, 413, 415),
}
ACCOUNT: Final[dict[str, Any]] = {
    "summary": "Get an account",
    "responses": {200: json_response("The account.", AdminAccountView, ACCOUNT_VIEW)} | problems(404),
}
CHANGE_ACCOUNT: Final[dict[str, Any]] = {
    "summary": "Change an account",
    "description": "Only what the body names: defaults of its jobs, limits of its own, whether it is banned.",
    "openapi_extra": _body(AccountBody, {"queue_jobs": 1000, "banned": False}),
    "responses": {200: json_response("The account as it is now.", AdminAccountView, ACCOUNT_VIEW)} | problems(400, 404, 413, 415),
}
DELETE_ACCOUNT: Final[dict[str, Any]] = {
    "summary": "Delete an account",
    "description": "For ever: its keys are refused from now on. Its jobs and its ledger are kept.",
    "status_code": 204,
    "responses": {204: {"description": "It is deleted."}} | problems(404),
}
CREDITS: Final[dict[str, Any]] = {
    "summary": "Grant credits, or take them back",
    "description": "As an entry of the account's ledger.",
    "openapi_extra": _body(CreditsBody, {"kind": "grant", "credits": 50, "note": "order 4711"}),
    "responses": {200: json_response("The account as it is now.", AdminAccountView, ACCOUNT_VIEW)} | problems(400, 404, 413, 415),
}
LEDGER: Final[dict[str, Any]] = {
    "summary": "Read an account's ledger",
    "responses": {200: json_response("A page, newest line first.", LinePage, {"data": [LINE], "next_before": None})} | problems(404),
}
KEYS: Final[dict[str, Any]] = {
    "summary": "List keys",
    "responses": {200: json_response("A page, oldest first.", KeyList, {"data": [KEY_VIEW], "next_after": None})} | problems(404),
}
CREATE_KEY: Final[dict[str, Any]] = {
    "summary": "Create a key",
    "description": "The response is the only place where it is shown.",
    "status_code": 201,
    "openapi_extra": _body(NewKeyBody, {"scopes": ["submit", "read"], "valid_seconds": 31536000}),
    "responses": {201: json_response("The key.", NewKeyView, {"id": KEY_VIEW["id"], "key": "cp_Zk3q..."})} | problems(400, 404, 413, 415),
}
REVOKE_KEY: Final[dict[str, Any]] = {
    "summary": "Revoke a key",
    "description": "Effective immediately. Repeating the request changes nothing.",
    "status_code": 204,
    "responses": {204: {"description": "The key is revoked."}} | problems(404),
}
USAGE: Final[dict[str, Any]] = {
    "summary": "Usage by day",
    "description": "Of each account, on each day (UTC) on which it used the service. Ends of jobs are counted while their rows are kept.",
    "responses": {200: json_response("The latest day first.", UsageList, {"data": [USAGE_DAY]})} | problems(),
}
JOBS: Final[dict[str, Any]] = {
    "summary": "List the jobs of all accounts",
    "responses": {200: json_response("A page, newest first.", AdminJobPage, {"data": [JOB], "next_cursor": None})} | problems(),
}
STATUS: Final[dict[str, Any]] = {
    "summary": "The state of the service",
    "description": "Queue, failures, callbacks, disks of this process, and the workers of the fleet.",
    "responses": {200: json_response("As it is now.", StatusView, STATUS_VIEW)} | problems(),
}
QUEUE: Final[dict[str, Any]] = {
    "summary": "The queue",
    "description": "Its length, the oldest waiting job, and the unfinished jobs of each account.",
    "responses": {200: json_response("As it is now.", QueueView, {"queued_jobs": 3, "oldest_queued_seconds": 1.2, "data": [BACKLOG]})}
    | problems(),
}
FAILURES: Final[dict[str, Any]] = {
    "summary": "Why jobs failed",
    "description": "By kind of error, with the last job of each kind.",
    "responses": {200: json_response("The most frequent first.", FailureList, {"data": [FAILURE]})} | problems(),
}
AUDIT: Final[dict[str, Any]] = {
    "summary": "What operators changed",
    "description": "Over HTTP and by command. Kept for ever.",
    "responses": {200: json_response("A page, newest line first.", AuditPage, {"data": [AUDIT_LINE], "next_before": None})} | problems(),
}
CALLBACKS: Final[dict[str, Any]] = {
    "summary": "List the callbacks of all accounts",
    "responses": {200: json_response("A page, the last tried first.", AdminCallbackPage, {"data": [CALLBACK], "next_cursor": None})}
    | problems(),
}
REDELIVER_ONE: Final[dict[str, Any]] = {
    "summary": "Have a callback sent again",
    "description": "At once, with the same id. A worker sends it.",
    "status_code": 202,
    "responses": {202: json_response("It will be sent.", RedeliveredView, {"callbacks": 1})} | problems(404),
}
REDELIVER_GIVEN_UP: Final[dict[str, Any]] = {
    "summary": "Have all callbacks sent again that were given up",
    "description": "As after a receiver's outage.",
    "status_code": 202,
    "responses": {202: json_response("They will be sent.", RedeliveredView, {"callbacks": 4})} | problems(),
}
