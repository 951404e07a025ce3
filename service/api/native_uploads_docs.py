"""Large uploads in the OpenAPI document."""

from typing import Any, Final

from fastapi import Response

from service.api.native_docs import inline_schema, json_response, problems
from service.api.tus_headers import ALGORITHMS, PIECE, VERSION
from service.api.upload_models import NewUploadBody, UploadView

UPLOAD_ID: Final = "upl_3f1c9a7e5b2d4c6f8a0e1b3d5c7e9f01"
NEW: Final = {"name": "holiday.mp4", "bytes": 20_000_000, "sha256": None}
ARRIVING: Final[dict[str, Any]] = {
    "id": UPLOAD_ID,
    "state": "arriving",
    "name": "holiday.mp4",
    "bytes": 20_000_000,
    "received_bytes": 0,
    "part_bytes": 16_777_216,
    "parts": [
        {"number": 1, "bytes": 16_777_216, "url": "https://bucket.example.com/uploads/1/holiday.mp4?partNumber=1&X-Amz-Signature=..."}
    ],
    "content_type": None,
    "file_id": None,
    "url": None,
    "expires_at": "2025-12-09T08:50:31.860Z",
}
FINISHED: Final[dict[str, Any]] = ARRIVING | {
    "state": "finished",
    "received_bytes": 20_000_000,
    "part_bytes": None,
    "parts": None,
    "content_type": "video/mp4",
    "file_id": "M2YxYzlhN2U1YjJkNGM2Zi9ob2xpZGF5Lm1wNA",
    "url": "http://example.com/files/uploads/1/3f1c9a7e5b2d4c6f/holiday.mp4?expires=1766393431&signature=9f86d081",
}


def _header(name: str, description: str, example: str, required: bool = True) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema, "example": example}


RESUMABLE: Final = _header("Tus-Resumable", "The version of the protocol.", VERSION)
SAID: Final[dict[str, Any]] = {
    "Upload-Offset": {"description": "How many bytes have arrived.", "schema": {"type": "string"}},
    "Upload-Expires": {"description": "When the upload is deleted unless more of it comes.", "schema": {"type": "string"}},
}

BEGIN: Final[dict[str, Any]] = {
    "summary": "Begin an upload straight to the bucket",
    "description": (
        "For a service whose storage is S3-compatible. PUT each of the `parts` to its link, several at once if you like and again after a "
        "fault, then complete the upload. Links expire after an hour: ask for the upload to get new ones for the parts that are missing."
    ),
    "status_code": 201,
    "openapi_extra": {
        "requestBody": {"required": True, "content": {"application/json": {"schema": inline_schema(NewUploadBody), "example": NEW}}}
    },
    "responses": {201: json_response("The upload; `Location` is its URL.", UploadView, ARRIVING)} | problems(400, 409, 413, 415, 507),
}
FIND_UPLOAD: Final[dict[str, Any]] = {
    "summary": "Get an upload",
    "description": "By its id, or by the `fileId` of another upload's response. `url` of a finished one is a source for jobs.",
    "responses": {200: json_response("The upload.", UploadView, FINISHED)} | problems(404),
}
COMPLETE: Final[dict[str, Any]] = {
    "summary": "Complete an upload to the bucket",
    "description": "The sizes of all parts are checked, and the `sha256` if one was given. Repeating the request changes nothing.",
    "responses": {200: json_response("The upload.", UploadView, FINISHED)} | problems(404, 409) | {460: {"description": "Wrong checksum."}},
}
DELETE_UPLOAD: Final[dict[str, Any]] = {
    "summary": "Delete an upload",
    "description": (
        "By its id, or by the `fileId` of another upload's response; one that is still arriving too. A job that has not ended keeps its "
        "file: 409."
    ),
    "status_code": 204,
    "responses": {204: {"description": "The file is gone."}} | problems(404, 409),
}
TUS_OPTIONS: Final[dict[str, Any]] = {
    "summary": "What resumable uploads can do",
    "status_code": 204,
    "responses": {204: {"description": "`Tus-Version`, `Tus-Extension`, `Tus-Max-Size`, `Tus-Checksum-Algorithm`."}},
}
TUS_CREATE: Final[dict[str, Any]] = {
    "summary": "Begin a resumable upload",
    "description": (
        "By tus 1.0.0, with any of its clients. `Upload-Metadata` may say `filename`, and `sha256` of the whole file, hexadecimal before "
        "it is base64: it is verified at the end. What is announced counts towards the account's space."
    ),
    "status_code": 201,
    "response_class": Response,
    "openapi_extra": {
        "parameters": [
            RESUMABLE,
            _header("Upload-Length", "Size of the whole file in bytes.", "12"),
            _header("Upload-Metadata", "Pairs of a name and a value in base64.", "filename aG9saWRheS5tcDQ=", required=False),
        ]
    },
    "responses": {201: {"description": "Send the file to `Location`.", "headers": {"Upload-Expires": SAID["Upload-Expires"]}}}
    | problems(400, 412, 413, 507),
}
TUS_HEAD: Final[dict[str, Any]] = {
    "summary": "Ask how much of a resumable upload has arrived",
    "response_class": Response,
    "openapi_extra": {"parameters": [RESUMABLE]},
    "responses": {200: {"description": "Go on at `Upload-Offset`.", "headers": SAID}}
    | problems(404, 412, 423)
    | {460: {"description": "Wrong checksum."}},
}
TUS_PATCH: Final[dict[str, Any]] = {
    "summary": "Send a piece of a resumable upload",
    "description": (
        "As many bytes as you like. What has arrived when the connection is lost stays, unless the piece has a checksum. The last one "
        "finishes the upload: ask for `/v1/uploads/{id}`, whose `url` is a source for jobs."
    ),
    "status_code": 204,
    "openapi_extra": {
        "parameters": [
            RESUMABLE,
            _header("Upload-Offset", "Where the piece begins: as many bytes as have arrived.", "0"),
            _header("Upload-Checksum", f"Of the piece: {' or '.join(ALGORITHMS)}, and base64.", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", False),
        ],
        "requestBody": {"required": True, "content": {PIECE: {"schema": {"type": "string", "format": "binary"}}}},
    },
    "responses": {204: {"description": "So much has arrived.", "headers": SAID}}
    | problems(400, 404, 408, 409, 412, 413, 415, 423, 507)
    | {460: {"description": "The piece does not have its checksum, or the whole file not its `sha256`."}},
}
TUS_DELETE: Final[dict[str, Any]] = {
    "summary": "Delete a resumable upload",
    "status_code": 204,
    "openapi_extra": {"parameters": [RESUMABLE]},
    "responses": {204: {"description": "Nothing of it is left."}} | problems(404, 409, 412),
}
