"""The kie facade in the OpenAPI document."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from service.api.kie_codes import MODEL
from service.api.openapi import example_responses, query_parameter, request_body

TASK_ID: Final = "task_sora-watermark-remover_1765183831860_3f1c9a7e5b2d4c6f8a0e1b3d"
VIDEO: Final = "https://sora.chatgpt.com/p/s_68e83bd7eee88191be79d2ba7158516f"
RESULT: Final = "http://example.com/files/jobs/1/clean.mp4"
SOURCE: Final = "http://example.com/files/jobs/1/source.mp4"
DENIED: Final = {"code": 401, "msg": "You do not have access permissions"}
TOO_MANY: Final = "Too many requests from this account; try again after `Retry-After` seconds."
LIMITED: Final = {"code": 429, "msg": "Rate limit exceeded", "data": None}
UPLOAD_LIMITED: Final = {"success": False, "code": 429, "msg": "Rate limit exceeded"}
PIXEL: Final = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
UPLOADED: Final = {
    "success": True,
    "code": 200,
    "msg": "File uploaded successfully",
    "data": {
        "fileName": "pixel.png",
        "filePath": "images/pixel.png",
        "downloadUrl": "http://example.com/files/uploads/1/named/images-/pixel.png?expires=1766393431&signature=9f86d081",
        "fileSize": 68,
        "mimeType": "image/png",
        "uploadedAt": "2025-12-08T08:50:31.860Z",
        "fileId": "bmFtZWQvaW1hZ2VzLS9waXhlbC5wbmc",
        "fileUrl": "http://example.com/files/uploads/1/named/images-/pixel.png?expires=1766393431&signature=9f86d081",
        "originalName": "pixel.png",
        "uploadPath": "images",
        "uploadTime": "2025-12-08T08:50:31.860Z",
        "expiresAt": "2025-12-22T08:50:31.860Z",
    },
}


def _refused(name: str) -> dict[str, Any]:
    return {"success": False, "code": 400, "msg": f"{name} is required"}


class TaskInput(BaseModel):
    """What to clean."""

    video_url: str = Field(max_length=500, description="URL of a video, a share link, or the `downloadUrl` of an upload.")
    upload_method: Literal["s3", "oss"] = Field("s3", description="Accepted but ignored.")


class CreateTask(BaseModel):
    """A new task."""

    model: Literal["sora-watermark-remover"]
    callBackUrl: str | None = Field(None, description="URL to which the task's outcome is POSTed.")
    input: Annotated[
        Any, WithJsonSchema({"anyOf": [TaskInput.model_json_schema(), {"type": "string", "description": "The same as JSON text."}]})
    ]


class FileLink(BaseModel):
    """A file in this service's storage."""

    url: str = Field(description="A link from this service that has not expired.")


class Named(BaseModel):
    """Where an upload is stored."""

    uploadPath: str | None = Field(None, description="A folder of your choice.")
    fileName: str | None = Field(
        None,
        description="Replaces an older file of this name in this folder. The suffix is corrected to match a video's or an image's type.",
    )


class StreamUpload(Named):
    """A file in a form."""

    file: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]


class UrlUpload(Named):
    """A file by its URL."""

    fileUrl: str = Field(description="A publicly reachable URL.")


class Base64Upload(Named):
    """A file in JSON."""

    base64Data: str = Field(description="Base64 text, or a `data:` URL.")


def _endpoint(
    summary: str, responses: dict[int | str, dict[str, Any]], extra: dict[str, Any] | None = None, limited: object = LIMITED
) -> dict[str, Any]:
    too_many = {"description": TOO_MANY, "content": {"application/json": {"example": limited}}}
    return {"summary": summary, "responses": responses | {429: too_many}, "openapi_extra": extra}


RECORD: Final = {
    "taskId": TASK_ID,
    "model": MODEL,
    "state": "success",
    "param": f'{{"model":"{MODEL}","input":"{{\\"video_url\\":\\"{VIDEO}\\"}}"}}',
    "resultJson": f'{{"resultUrls":["{RESULT}"],"resultWaterMarkUrls":["{SOURCE}"]}}',
    "failCode": None,
    "failMsg": None,
    "costTime": 15000,
    "completeTime": 1765183863860,
    "createTime": 1765183831860,
    "updateTime": 1765183863860,
    "progress": 100,
    "creditsConsumed": 1,
}
CREATE_TASK: Final = _endpoint(
    "Create a task",
    example_responses(
        created={"code": 200, "msg": "success", "data": {"taskId": TASK_ID}},
        denied=DENIED,
        no_credits={"code": 402, "msg": "The current credits are insufficient. Please top up.", "data": None},
    ),
    request_body(CreateTask, {"model": MODEL, "callBackUrl": "https://example.com/callback", "input": {"video_url": VIDEO}}),
)
RECORD_INFO: Final = _endpoint(
    "Get a task",
    example_responses(
        succeeded={"code": 200, "msg": "success", "message": "success", "data": RECORD},
        denied=DENIED,
        unknown={"code": 422, "msg": "recordInfo is null", "data": None},
    ),
    query_parameter("taskId", "The task's id.", TASK_ID),
)
CREDIT: Final = _endpoint("Credits left", example_responses(credits={"code": 200, "msg": "success", "data": 100}, denied=DENIED))
DOWNLOAD_URL: Final = _endpoint(
    "Get a link to a stored file, valid for 20 minutes",
    example_responses(
        link={"code": 200, "msg": "success", "data": RESULT},
        foreign={"code": 422, "msg": "the url does not point to a file of this account", "data": None},
        denied=DENIED,
    ),
    request_body(FileLink, {"url": RESULT}),
)
STREAM_UPLOAD: Final = _endpoint(
    "Upload a file in a form",
    example_responses(uploaded=UPLOADED, refused=_refused("file")),
    request_body(StreamUpload, {"file": "(the file's bytes)", "uploadPath": "videos", "fileName": "clip.mp4"}, "multipart/form-data"),
    UPLOAD_LIMITED,
)
URL_UPLOAD: Final = _endpoint(
    "Upload a file by its URL",
    example_responses(uploaded=UPLOADED, refused=_refused("fileUrl")),
    request_body(UrlUpload, {"fileUrl": "http://example.com/pixel.png", "uploadPath": "images", "fileName": "pixel.png"}),
    UPLOAD_LIMITED,
)
BASE64_UPLOAD: Final = _endpoint(
    "Upload a file as base64",
    example_responses(uploaded=UPLOADED, refused=_refused("base64Data")),
    request_body(Base64Upload, {"base64Data": PIXEL, "uploadPath": "images", "fileName": "pixel.png"}),
    UPLOAD_LIMITED,
)
