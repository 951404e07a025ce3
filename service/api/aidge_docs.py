"""The aidge dialect in the OpenAPI document."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from service.api.aidge_codes import SUCCESS, envelope, error_body
from service.api.aidge_sign import SignatureInvalid
from service.api.openapi import answers, reads
from service.errors import ParameterMissing

TASK_ID: Final = "aidge_1765183831860_3f1c9a7e5b2d4c6f8a0e1b3d"
REQUEST_ID: Final = "2102fac017651838318601234e0f47"
VIDEO: Final = "http://example.com/video.mp4"
RESULT: Final = "http://example.com/files/jobs/1/clean.mp4"
SIGNATURE: Final = {
    "partner_id": ("Anything.", "aidge"),
    "app_key": ("The name that signs.", "NAME"),
    "timestamp": ("Now, in milliseconds since 1970.", "1700000000000"),
    "sign_method": ("sha256.", "sha256"),
    "sign_ver": ("v2: only the timestamp is signed. Left out: all parameters are.", "v2"),
    "sign": ("HMAC-SHA256 by the secret, in hexadecimal capitals.", "6873910AD684AA9A8690955552D90E73D03074FDC35122604BC01170D91C762C"),
}
UNSIGNED: Final = ("partner_id", "sign_method", "sign_ver")  # may be left out
BOX_SCHEMA: Final = {
    "type": "object",
    "required": ["box"],
    "properties": {
        "box": {"type": "array", "items": {"type": "number"}, "description": "left, top, right, bottom: 0 to 1"},
        "timestamp": {"type": "array", "items": {"type": "number"}, "description": "first and last second"},
    },
}


class Removal(BaseModel):
    """A video and what is to go; `paramJson`, an object or JSON text, may hold all of it."""

    videoUrl: str = Field(description="The video's address: mp4, mov, webm, avi or mkv.")
    language: Literal["zh", "en"] = Field(description="Of the text.")
    artificialTextOnly: bool = Field(True, description="false: text on things in the scene goes too.")
    removeAudio: bool = Field(False, description="The result is silent.")
    colorBlocks: bool = Field(False, description="The plate behind text goes too, and logos.")
    inpaintingBoxes: Annotated[list[Any], WithJsonSchema({"type": "array", "items": BOX_SCHEMA})] = Field(
        [], description="What is in these boxes goes, whatever it is."
    )


class Task(BaseModel):
    """A task."""

    taskId: str = Field(description="As the submission answered it.")


REMOVAL_EXAMPLE: Final = {
    "videoUrl": VIDEO,
    "language": "en",
    "artificialTextOnly": True,
    "inpaintingBoxes": [{"timestamp": [0, 2.5], "box": [0.1, 0.8, 0.9, 0.95]}],
}
SUBMITTED: Final = {"result": {"taskId": TASK_ID}, "taskId": TASK_ID}
FINISHED: Final = {"taskId": TASK_ID, "taskStatus": "finished", "videoUrl": RESULT}


def removal(method: str) -> dict[str, Any]:
    """What FastAPI is told of the submission."""
    return _endpoint(method, "Remove text from a video", Removal, REMOVAL_EXAMPLE, SUBMITTED)


def result(method: str) -> dict[str, Any]:
    """What FastAPI is told of the query for a task."""
    return _endpoint(method, "Look at a task", Task, {"taskId": TASK_ID}, FINISHED)


def _endpoint(method: str, summary: str, model: type[BaseModel], example: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Parameters in the query or in a body, and answers by example."""
    signature = [
        _query(name, {"type": "string", "description": text}, value, name not in UNSIGNED) for name, (text, value) in SIGNATURE.items()
    ]
    body: dict[str, Any] = {} if method == "GET" else reads(model, example)
    query = _queries(model, example) if method == "GET" else []
    responses = answers(
        done=envelope(SUCCESS, data, REQUEST_ID),
        refused=error_body(ParameterMissing(f"{next(iter(model.model_fields))} is required"), REQUEST_ID),
        unsigned=error_body(SignatureInvalid("the signature does not fit"), REQUEST_ID),
    )
    return {"summary": summary, "responses": responses, "openapi_extra": {"parameters": signature + query} | body}


def _queries(model: type[BaseModel], example: dict[str, Any]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [_query(name, field, example.get(name), name in required) for name, field in schema["properties"].items()]


def _query(name: str, schema: dict[str, Any], example: object, required: bool) -> dict[str, Any]:
    """A parameter; a list goes as JSON text."""
    told: dict[str, Any] = {"schema": schema} | ({} if example is None else {"example": example})
    content = {"content": {"application/json": told}} if schema.get("type") == "array" else told
    return {"name": name, "in": "query", "required": required} | content
