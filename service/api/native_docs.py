"""The native API in the OpenAPI document."""

from http import HTTPStatus
from typing import Any, Final

from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from service.api.native_events import EventStream
from service.api.native_models import AccountView, JobPage, JobView, NewJobBody, UploadBody
from service.api.native_report import EXAMPLE, ReportView
from service.api.problems import MEDIA_TYPE

SCHEMA: Final = {"$ref": "#/components/schemas/ProblemView"}
JOB_ID: Final = "job_1765183831860_3f1c9a7e5b2d4c6f8a0e1b3d"
NEW_JOB: Final[dict[str, Any]] = {
    "source_url": "http://example.com/clip.mp4",
    "boxes": [{"x1": 0.7, "y1": 0.05, "x2": 0.98, "y2": 0.2}],
    "rights": "owner",
}
RESULT: Final = {
    "url": "http://example.com/files/jobs/1/clean.mp4",
    "source_url": "http://example.com/files/jobs/1/source.mp4",
    "thumbnail_url": "http://example.com/files/jobs/1/thumbnail.jpg",
    "report_page_url": "http://example.com/files/jobs/1/report.html",
    "content_type": "video/mp4",
    "bytes": 1048576,
    "frames": 240,
    "mark_found": True,
    "seconds": 4.2,
}
JOB: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "state": "queued",
    "progress_percent": 0,
    "media": "video",
    "source_url": "http://example.com/clip.mp4",
    "callback_url": None,
    "credits_used": 0,
    "rights": "owner",
    "created_at": "2025-12-08T08:50:31.860Z",
    "started_at": None,
    "finished_at": None,
    "error": None,
    "result": None,
}
DONE: Final[dict[str, Any]] = JOB | {
    "state": "succeeded",
    "progress_percent": 100,
    "credits_used": 1,
    "started_at": "2025-12-08T08:50:32.100Z",
    "finished_at": "2025-12-08T08:50:36.300Z",
    "result": RESULT,
}
CANCELLED: Final[dict[str, Any]] = JOB | {
    "state": "cancelled",
    "rights": None,
    "finished_at": "2025-12-08T08:50:32.100Z",
    "error": {"type": "urn:cleanplate:problem:job-cancelled", "title": "Job cancelled", "status": 409, "detail": "the job was cancelled"},
}
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
    'event: progress\ndata: {"progress_percent": 40}\n\n'
    'id: 5\nevent: state\ndata: {"state": "succeeded", "at": "2025-12-08T08:50:36.300Z"}\n\n'
)


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """A model's schema without references: those of a schema within the document would lead to the document's own top."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return resolved(parts[value["$ref"].rpartition("/")[2]])
        return {name: resolved(part) for name, part in value.items()}

    found: dict[str, Any] = resolved(schema)
    return found


def says(description: str, model: type[BaseModel], example: object) -> dict[str, Any]:
    """An answer of this model."""
    return {"description": description, "model": model, "content": {"application/json": {"example": example}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an endpoint may answer, and those that every one may."""
    content = {MEDIA_TYPE: {"schema": SCHEMA}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({401, 403, 422, 429, 500, 503, *statuses})
    }


BODY: Final = {
    "application/json": {"schema": inlined(NewJobBody), "example": NEW_JOB},
    "multipart/form-data": {"schema": inlined(UploadBody), "example": {"file": "(the file's bytes)"}},
}
CREATE: Final[dict[str, Any]] = {
    "summary": "Create a job",
    "description": (
        "From an address, or from a file in a form. With an `Idempotency-Key`, the same request again answers the same job, "
        "with 200 and `Idempotent-Replayed: true`; another request with that key is refused."
    ),
    "status_code": 201,
    "openapi_extra": {"requestBody": {"required": True, "content": BODY}},
    "responses": {
        201: says("The job; `Location` is its address.", JobView, JOB),
        200: says("The job that this key already stands for.", JobView, JOB),
    }
    | problems(400, 402, 413, 415),
}
LIST: Final[dict[str, Any]] = {
    "summary": "List jobs",
    "description": "The account's jobs, whichever of the APIs they came by, newest first.",
    "responses": {200: says("Some of them.", JobPage, {"data": [DONE], "next_cursor": None})} | problems(),
}
FIND: Final[dict[str, Any]] = {"summary": "Look at a job", "responses": {200: says("The job.", JobView, DONE)} | problems(404)}
CANCEL: Final[dict[str, Any]] = {
    "summary": "Cancel a job",
    "description": "One that waits ends at once, one that runs as soon as its worker hears of it; one that has ended stays as it is.",
    "responses": {200: says("The job as it is now.", JobView, CANCELLED)} | problems(404),
}
STREAM: Final[dict[str, Any]] = {
    "summary": "Follow a job",
    "description": "Server-sent events: the job's states, numbered, and its progress. `Last-Event-ID` goes on after a number.",
    "response_class": EventStream,
    "responses": {
        200: {"description": "What happens, until the job has ended.", "content": {"text/event-stream": {"example": EVENTS}}},
        204: {"description": "It has ended, and you know all of it."},
    }
    | problems(404),
}
DOWNLOAD: Final[dict[str, Any]] = {
    "summary": "Download a job's result",
    "status_code": 303,
    "response_class": RedirectResponse,
    "responses": {303: {"description": "To the file: a signed link that expires."}} | problems(404, 409, 413, 415, 502, 504),
}
REPORT: Final[dict[str, Any]] = {
    "summary": "Read a job's report",
    "description": "Where marks were found, when, and how they look; the figures of each step. `report_page_url` shows the same.",
    "responses": {200: says("What was done.", ReportView, EXAMPLE)} | problems(404, 409, 413, 415, 502, 504),
}
ACCOUNT_OF_KEY: Final[dict[str, Any]] = {
    "summary": "Look at the account",
    "responses": {200: says("The key's account.", AccountView, ACCOUNT)} | problems(),
}
