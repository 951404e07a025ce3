"""Names, archives and limits in the OpenAPI document."""

from typing import Any, Final

from service.api.native_docs import DONE, JOB_ID, inline_schema, json_response, problems
from service.api.native_models import ArchiveBody, RenameBody
from service.api.native_views import ArchiveView, JobView, LimitsView

LIMITS_SAID: Final = {
    "file_bytes": 209715200,
    "duration_seconds": 360.0,
    "long_side_pixels": 2048,
    "short_side_pixels": 1088,
    "still_pixels": 50000000,
    "video_credits": 1,
    "image_credits": 1,
    "detection_credits": 0,
}
ARCHIVED: Final = {"url": "http://example.com/archive?jobs=job_1&account=1&expires=1766393431&signature=9f86d081", "files": 1}
RENAME: Final[dict[str, Any]] = {
    "summary": "Rename a job's file",
    "description": "Its result is called after it from then on; links that were given out before keep the old name.",
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inline_schema(RenameBody), "example": {"name": "holiday.mp4"}}},
        }
    },
    "responses": {200: json_response("The job.", JobView, DONE)} | problems(400, 404, 413, 415),
}
ARCHIVE: Final[dict[str, Any]] = {
    "summary": "Pack results",
    "description": "The results of several jobs in one ZIP file, in the given order. Jobs without a result are left out.",
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inline_schema(ArchiveBody), "example": {"jobs": [JOB_ID]}}},
        }
    },
    "responses": {200: json_response("A link to the archive.", ArchiveView, ARCHIVED)} | problems(400, 404, 409, 413, 415),
}
LIMITS: Final[dict[str, Any]] = {
    "summary": "Get the limits and prices",
    "responses": {200: json_response("What is accepted, and what it costs.", LimitsView, LIMITS_SAID)} | problems(),
}
