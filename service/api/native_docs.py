"""The native API in the OpenAPI document."""

from http import HTTPStatus
from typing import Any, Final

from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from service.api.native_events import ServerSentEvents
from service.api.native_models import EstimateBody, NewJobBody, ReceiverBody, UploadBody
from service.api.native_report import EXAMPLE, ReportView
from service.api.native_views import AccountView, DeliveryView, EstimateView, JobPage, JobView, ReceiverView, SecretView
from service.api.problems import MEDIA_TYPE

SCHEMA: Final = {"$ref": "#/components/schemas/ProblemView"}
JOB_ID: Final = "job_1765183831860_3f1c9a7e5b2d4c6f8a0e1b3d"
NEW_JOB: Final[dict[str, Any]] = {
    "source_url": "http://example.com/clip.mp4",
    "rights": "owner",
    "client_reference": "order-4711",
    "metadata": {"customer": "42"},
}
RESULT: Final = {
    "url": "http://example.com/files/jobs/1/clean.mp4",
    "name": "holiday_clean.mp4",
    "source_url": "http://example.com/files/jobs/1/source.mp4",
    "thumbnail_url": "http://example.com/files/jobs/1/thumbnail.jpg",
    "report_page_url": "http://example.com/files/jobs/1/report.html",
    "content_type": "video/mp4",
    "bytes": 1048576,
    "frames": 240,
    "mark_found": True,
    "advice": None,
    "seconds": 4.2,
    "not_kept": [],
}
JOB: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "state": "queued",
    "progress_percent": 0,
    "step": None,
    "kind": "clean",
    "media": "video",
    "name": "holiday.mp4",
    "source_url": "http://example.com/clip.mp4",
    "callback_url": None,
    "credits_used": 0,
    "boxes": [],
    "keep": [],
    "reject": [],
    "rights": "owner",
    "client_reference": "order-4711",
    "metadata": {"customer": "42"},
    "created_at": "2025-12-08T08:50:31.860Z",
    "started_at": None,
    "finished_at": None,
    "eta_seconds": 4.2,
    "error": None,
    "result": None,
    "export": None,
    "files_deleted_at": None,
}
DONE: Final[dict[str, Any]] = JOB | {
    "state": "succeeded",
    "progress_percent": 100,
    "credits_used": 1,
    "started_at": "2025-12-08T08:50:32.100Z",
    "finished_at": "2025-12-08T08:50:36.300Z",
    "eta_seconds": None,
    "result": RESULT,
}
CANCELLED: Final[dict[str, Any]] = JOB | {
    "state": "cancelled",
    "rights": None,
    "client_reference": None,
    "metadata": {},
    "finished_at": "2025-12-08T08:50:32.100Z",
    "eta_seconds": None,
    "error": {"type": "urn:cleanplate:problem:job-cancelled", "title": "Job cancelled", "status": 409, "detail": "the job was cancelled"},
}
DELIVERY: Final[dict[str, Any]] = {
    "callback_url": "https://example.com/callback",
    "outcome": "delivered",
    "attempts": 1,
    "last_attempt_at": "2025-12-08T08:50:36.400Z",
    "next_attempt_at": None,
    "log": [{"number": 1, "at": "2025-12-08T08:50:36.400Z", "seconds": 0.045, "delivered": True, "detail": None}],
}
WAITING: Final[dict[str, Any]] = DELIVERY | {"outcome": "pending", "next_attempt_at": "2025-12-08T08:51:00.000Z"}
SECRET_VIEW: Final[dict[str, Any]] = {"own": True, "secret": None, "created_at": "2025-12-08T08:50:31.860Z", "previous_until": None}
MADE: Final[dict[str, Any]] = SECRET_VIEW | {"secret": "whsec_...", "previous_until": "2025-12-09T08:50:31.860Z"}
TESTED: Final = {"event_id": "evt_test_3f1c9a7e5b2d4c6f8a0e1b3d", "delivered": True, "detail": None}
ESTIMATED: Final = {"credits": 1, "seconds": 4.2, "wait_seconds": 0.0, "measured_jobs": 200}
ACCOUNT: Final = {
    "name": "first",
    "paid_credits": 90,
    "one_time_credits": 10,
    "total_credits": 100,
    "held_credits": 1,
    "spent_credits": 4,
    "rights": None,
    "digital_source_type": None,
}
EVENTS: Final = (
    'id: 2\nevent: state\ndata: {"state": "fetching", "at": "2025-12-08T08:50:32.100Z"}\n\n'
    'event: progress\ndata: {"progress_percent": 40, "step": "remove", "eta_seconds": 2.4}\n\n'
    'id: 5\nevent: state\ndata: {"state": "succeeded", "at": "2025-12-08T08:50:36.300Z"}\n\n'
)


def inline_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A model's schema with its references resolved, as they would otherwise point to the top of the document."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def resolve(value: Any) -> Any:
        if isinstance(value, list):
            return [resolve(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return resolve(parts[value["$ref"].rpartition("/")[2]])
        return {name: resolve(part) for name, part in value.items()}

    inlined: dict[str, Any] = resolve(schema)
    return inlined


def json_response(description: str, model: type[BaseModel], example: object) -> dict[str, Any]:
    """A JSON response of this model."""
    return {"description": description, "model": model, "content": {"application/json": {"example": example}}}


OF_BODIES: Final = frozenset({400, 413, 415})


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem responses of an endpoint: those of every endpoint, these, and 408 where they are those of a body."""
    content, slow = {MEDIA_TYPE: {"schema": SCHEMA}}, {408} if {*statuses} >= OF_BODIES else set()
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({401, 403, 422, 429, 500, 503, *statuses, *slow})
    }


BODY: Final = {
    "application/json": {"schema": inline_schema(NewJobBody), "example": NEW_JOB},
    "multipart/form-data": {"schema": inline_schema(UploadBody), "example": {"file": "(the file's bytes)"}},
}
CREATE: Final[dict[str, Any]] = {
    "summary": "Create a job",
    "description": (
        "From a URL, or from a file in a form. With an `Idempotency-Key`, repeating the request returns the same job "
        "with status 200 and `Idempotent-Replayed: true`; another request with the same key is refused."
    ),
    "status_code": 201,
    "openapi_extra": {"requestBody": {"required": True, "content": BODY}},
    "responses": {
        201: json_response("The job; `Location` is its URL.", JobView, JOB),
        200: json_response("The job that was created with this key.", JobView, JOB),
    }
    | problems(400, 402, 409, 413, 415, 507),
}
LIST: Final[dict[str, Any]] = {
    "summary": "List jobs",
    "description": "All jobs of the account, newest first, whichever API created them; with conditions only those that meet them all.",
    "responses": {200: json_response("A page of jobs.", JobPage, {"data": [DONE], "next_cursor": None})} | problems(),
}
ESTIMATE: Final[dict[str, Any]] = {
    "summary": "Estimate a job",
    "description": "What a job would cost and how long it would take, before it is created. Nothing is reserved.",
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inline_schema(EstimateBody), "example": {"media": "video", "frames": 240}}},
        }
    },
    "responses": {200: json_response("The estimate.", EstimateView, ESTIMATED)} | problems(400, 413, 415),
}
FIND: Final[dict[str, Any]] = {"summary": "Get a job", "responses": {200: json_response("The job.", JobView, DONE)} | problems(404)}
CANCEL: Final[dict[str, Any]] = {
    "summary": "Cancel a job",
    "description": "A queued job ends at once, a running one as soon as its worker notices. An ended job is unchanged.",
    "responses": {200: json_response("The job in its current state.", JobView, CANCELLED)} | problems(404),
}
DELETE_JOB: Final[dict[str, Any]] = {
    "summary": "Delete a job's files",
    "description": (
        "All files of an ended job, at once: result, original, thumbnail, report, and what was uploaded for it, unless another job has it "
        "too. The job itself stays until it expires, for the ledger. Repeating the request changes nothing."
    ),
    "status_code": 204,
    "responses": {204: {"description": "The files are gone."}} | problems(404, 409),
}
CALLBACK: Final[dict[str, Any]] = {
    "summary": "Get the delivery of a job's callback",
    "responses": {200: json_response("How far it is.", DeliveryView, DELIVERY)} | problems(404),
}
REDELIVER: Final[dict[str, Any]] = {
    "summary": "Send a job's callback again",
    "description": "At once, with the same id, whether it was delivered before or given up. An attempt that is in progress goes on.",
    "status_code": 202,
    "responses": {202: json_response("It will be sent.", DeliveryView, WAITING)} | problems(404),
}
TEST: Final[dict[str, Any]] = {
    "summary": "Test a receiver of callbacks",
    "description": "Sends it one event of the type `test`, signed like any other, and tells what it answered. It is not tried again.",
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": inline_schema(ReceiverBody), "example": {"callback_url": "https://example.com/callback"}}
            },
        }
    },
    "responses": {200: json_response("The outcome.", ReceiverView, TESTED)} | problems(400, 413, 415),
}
SECRET: Final[dict[str, Any]] = {
    "summary": "What signs the callbacks",
    "responses": {200: json_response("Without the secret itself.", SecretView, SECRET_VIEW)} | problems(),
}
ROTATE_SECRET: Final[dict[str, Any]] = {
    "summary": "Make a secret that signs the account's callbacks",
    "description": "The response is the only place where it is shown. The one before it signs too for 24 hours.",
    "status_code": 201,
    "responses": {201: json_response("The secret.", SecretView, MADE)} | problems(),
}
REMOVE_SECRET: Final[dict[str, Any]] = {
    "summary": "Remove the account's secret",
    "description": "At once; then the service's key signs again, if it has one.",
    "status_code": 204,
    "responses": {204: {"description": "There is none any more."}} | problems(),
}
EVENT_SCHEMA: Final[dict[str, Any]] = {  # the document has no words of its own for a stream: this is the text, or one event of it
    "type": ["string", "object"],
    "properties": {"id": {"type": "string"}, "event": {"enum": ["state", "progress"]}, "data": {"type": "string"}},
    "required": ["event", "data"],
}
STREAM: Final[dict[str, Any]] = {
    "summary": "Follow a job",
    "description": "Server-sent events: numbered changes of state, and progress. `Last-Event-ID` resumes after a number.",
    "response_class": ServerSentEvents,
    "responses": {
        200: {
            "description": "Events until the job has ended.",
            "content": {"text/event-stream": {"schema": EVENT_SCHEMA, "example": EVENTS}},
        },
        204: {"description": "The job has ended, and there are no more events."},
    }
    | problems(404),
}
DOWNLOAD: Final[dict[str, Any]] = {
    "summary": "Download a job's result",
    "status_code": 303,
    "response_class": RedirectResponse,
    "responses": {303: {"description": "Redirect to the file: a signed link that expires."}} | problems(402, 404, 409, 413, 415, 502, 504),
}
REPORT: Final[dict[str, Any]] = {
    "summary": "Read a job's report",
    "description": "Where and when marks were found, what they look like, and the timing of each step. `report_page_url` shows the same.",
    "responses": {200: json_response("The report.", ReportView, EXAMPLE)} | problems(402, 404, 409, 413, 415, 502, 504),
}
ACCOUNT_OF_KEY: Final[dict[str, Any]] = {
    "summary": "Get the account",
    "responses": {200: json_response("The account of the key.", AccountView, ACCOUNT)} | problems(),
}
