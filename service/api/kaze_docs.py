"""The kaze facade in the OpenAPI document."""

from typing import Any, Final

from pydantic import BaseModel, Field

from service.api.openapi import example_responses, request_body

TASK_ID: Final = "kaze_1765183831860_3f1c9a7e5b2d4c6f8a0e1b3d"
IMAGE: Final = "http://example.com/image.png"
UNKNOWN: Final = {"code": 1000, "message": "there is no such job", "data": {}}
INCOMPLETE: Final = {"code": 1000, "message": "image_url or image_base64 is required", "data": {}}
DENIED: Final = {"code": 1002, "message": "the key is unknown or revoked", "data": {}}
LIMITED: Final = {"code": 1100, "message": "more requests than 20 per 10 second", "data": {}}
POOR: Final = {"code": 1003, "message": "1 credits are required, 0 are left", "data": {}}


class Removal(BaseModel):
    """An image, and optionally strokes over what to remove, each as a URL or as base64."""

    image_url: str | None = Field(None, description="URL of the image: png, jpg or webp.")
    image_base64: str | None = Field(None, description="The image as base64.")
    smear_url: str | None = Field(
        None, description="URL of an image of the same size: black or white, except for the strokes in any other colour."
    )
    smear_base64: str | None = Field(None, description="The same as base64.")


class Task(BaseModel):
    """A task."""

    task_id: str = Field(description="As returned by the submission.")


class Nothing(BaseModel):
    """No parameters."""


def _endpoint(summary: str, model: type[BaseModel], example: dict[str, Any], **examples: object) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": example_responses(**examples, denied=DENIED, limited=LIMITED),
        "openapi_extra": request_body(model, example),
    }


REMOVAL: Final = _endpoint(
    "Remove a watermark from an image",
    Removal,
    {"image_url": IMAGE, "smear_url": "http://example.com/smear.png"},
    submitted={"code": 0, "message": "success", "data": {"task_id": TASK_ID}},
    incomplete=INCOMPLETE,
    no_credits=POOR,
)
RESULT: Final = _endpoint(
    "Get a task",
    Task,
    {"task_id": TASK_ID},
    finished={"code": 0, "message": "success", "data": {"status": "success", "images": [{"url": IMAGE}], "err_msg": None}},
    unknown=UNKNOWN,
)
QUOTA: Final = _endpoint(
    "Credits used and left",
    Nothing,
    {},
    quota={"code": 0, "message": "Success", "data": {"limit": 500, "usage": 0, "remaining": 500}},
)
