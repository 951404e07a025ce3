"""The aidge facade in the OpenAPI document."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, WithJsonSchema

from service.api.aidge_codes import SUCCESS, envelope, error_body
from service.api.aidge_sign import SignatureInvalid
from service.api.openapi import example_responses, request_body
from service.errors import ParameterMissing, RateLimited

TASK_ID: Final = "aidge_1765183831860_3f1c9a7e5b2d4c6f8a0e1b3d"
REQUEST_ID: Final = "2102fac017651838318601234e0f47"
VIDEO: Final = "http://example.com/video.mp4"
RESULT: Final = "http://example.com/files/jobs/1/clean.mp4"
SIGNATURE: Final = {
    "partner_id": ("Any text.", "aidge"),
    "app_key": ("The signer's name.", "NAME"),
    "timestamp": ("The current time in milliseconds since 1970.", "1700000000000"),
    "sign_method": ("sha256.", "sha256"),
    "sign_ver": ("v2 signs only the timestamp. Without it all parameters are signed.", "v2"),
    "sign": ("HMAC-SHA256 with the secret, in upper-case hexadecimal.", "6873910AD684AA9A8690955552D90E73D03074FDC35122604BC01170D91C762C"),
}
OPTIONAL: Final = ("partner_id", "sign_method", "sign_ver")
BOX_SCHEMA: Final = {
    "type": "object",
    "required": ["box"],
    "properties": {
        "box": {"type": "array", "items": {"type": "number"}, "description": "left, top, right, bottom: 0 to 1"},
        "timestamp": {"type": "array", "items": {"type": "number"}, "description": "first and last second"},
    },
}


class Removal(BaseModel):
    """A video and what to remove. All fields may also be in `paramJson`, as an object or as JSON text."""

    videoUrl: str = Field(description="URL of the video: mp4, mov, webm, avi or mkv.")
    language: str = Field(pattern="^(zh|en)", description="Language of the text: zh or en, also with a region, such as zh-CN.")
    artificialTextOnly: bool = Field(True, description="false: also remove scene text, such as shop signs.")
    removeAudio: bool = Field(False, description="Remove the sound.")
    colorBlocks: bool = Field(False, description="Also remove plates behind text, and logos.")
    inpaintingBoxes: Annotated[list[Any], WithJsonSchema({"type": "array", "items": BOX_SCHEMA})] = Field(
        [], description="Remove whatever is in these boxes."
    )


class Task(BaseModel):
    """A task."""

    taskId: str = Field(description="As returned by the submission.")


REMOVAL_EXAMPLE: Final = {
    "videoUrl": VIDEO,
    "language": "en",
    "artificialTextOnly": True,
    "inpaintingBoxes": [{"timestamp": [0, 2.5], "box": [0.1, 0.8, 0.9, 0.95]}],
}
SUBMITTED: Final = {"result": {"taskId": TASK_ID}, "taskId": TASK_ID}
FINISHED: Final = {"taskId": TASK_ID, "taskStatus": "finished", "videoUrl": RESULT}


def removal(method: str) -> dict[str, Any]:
    """The submission's arguments for FastAPI's route."""
    return _endpoint(method, "Remove text from a video", Removal, REMOVAL_EXAMPLE, SUBMITTED)


def result(method: str) -> dict[str, Any]:
    """The query's arguments for FastAPI's route."""
    return _endpoint(method, "Look at a task", Task, {"taskId": TASK_ID}, FINISHED)


def _endpoint(method: str, summary: str, model: type[BaseModel], example: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Parameters in the query or the body, and example responses."""
    signature = [
        _query(name, {"type": "string", "description": text}, value, name not in OPTIONAL) for name, (text, value) in SIGNATURE.items()
    ]
    body: dict[str, Any] = {} if method == "GET" else request_body(model, example)
    query = _queries(model, example) if method == "GET" else []
    responses = example_responses(
        done=envelope(SUCCESS, data, REQUEST_ID),
        refused=error_body(ParameterMissing(f"{next(iter(model.model_fields))} is required"), REQUEST_ID),
        unsigned=error_body(SignatureInvalid("the signature is wrong"), REQUEST_ID),
        limited=error_body(RateLimited("more requests than 20 per 10 second"), REQUEST_ID),
    )
    return {"summary": summary, "responses": responses, "openapi_extra": {"parameters": signature + query} | body}


def _queries(model: type[BaseModel], example: dict[str, Any]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [_query(name, field, example.get(name), name in required) for name, field in schema["properties"].items()]


def _query(name: str, schema: dict[str, Any], example: object, required: bool) -> dict[str, Any]:
    """A query parameter; lists are sent as JSON text."""
    parameter: dict[str, Any] = {"schema": schema} | ({} if example is None else {"example": example})
    content = {"content": {"application/json": parameter}} if schema.get("type") == "array" else parameter
    return {"name": name, "in": "query", "required": required} | content
