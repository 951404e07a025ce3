"""The aidge facade's response envelope and error codes."""

from collections.abc import Mapping
from typing import Any, Final

from service import errors
from service.api.aidge_sign import SignatureInvalid
from service.api.facade import Code, Codes, code_of
from service.errors import AccessError, CleanplateError
from service.jobs.job import Failure

SUCCESS: Final = Code(200, "success")
INPUT: Final = Code(400, "invalid input")
SYSTEM: Final = Code(500, "system error")
MODEL: Final = Code(801, "model failed")
ADDRESS: Final = Code(900, "tpp url error")
CODES: Final[Codes] = {
    errors.AccessError: Code(401, "access denied"),
    errors.ParameterError: INPUT,
    errors.RequestError: INPUT,
    errors.PathUnknown: Code(404, "invalid path"),
    errors.MethodNotAllowed: Code(405, "invalid method"),
    errors.InsufficientCredits: Code(402, "insufficient credits"),
    errors.Busy: Code(501, "rate limit exceed"),
    errors.Maintenance: SYSTEM,
    errors.FeatureDisabled: SYSTEM,
    errors.StorageFull: SYSTEM,
    errors.InputError: Code(702, "video format not supported"),
    errors.TooLong: Code(700, "video duration exceeds the limit"),
    errors.TooLarge: Code(701, "the video file size exceeds the limit"),
    errors.TooManyPixels: Code(703, "video resolution is not supported"),
    errors.DecodeFailed: MODEL,
    errors.ModelError: MODEL,
    errors.EncodeFailed: MODEL,
    errors.MediaAddressInvalid: ADDRESS,
    errors.FetchError: ADDRESS,
    errors.ContentRefused: Code(1000, "content has sensitive data, please try other input"),
    errors.ContentCheckFailed: Code(1001, "content control failed, please retry"),
    errors.ContentBlocked: Code(1002, "content risk filter failed, please contact us"),
    errors.StorageError: SYSTEM,
    errors.JobTimeout: SYSTEM,
    errors.JobCancelled: SYSTEM,
    errors.SettingsError: SYSTEM,
    errors.InternalError: SYSTEM,
}
GATEWAY: Final[Mapping[type[CleanplateError], str]] = {  # the vendor's gateway reports access errors with codes of another form
    errors.AccessError: "InvalidAppKey",
    errors.KeyMissing: "MissingParameter",
    errors.SignatureExpired: "InvalidTimestamp",
    SignatureInvalid: "IncompleteSignature",
}


def envelope(code: Code, data: Mapping[str, Any], request_id: str, **more: str) -> dict[str, Any]:
    """The envelope of every response, with both spellings of the fields that clients read."""
    succeeded = code is SUCCESS
    body = {
        "code": "0" if succeeded else str(code.code),
        "success": succeeded,
        "resCode": code.code,
        "resMessage": code.message,
        "data": data,
    }
    return body | {"requestId": request_id, "request_id": request_id} | more


def error_body(error: CleanplateError, request_id: str) -> dict[str, Any]:
    """The response to an error; `message` is our own, which names the parameter or the limit."""
    body = envelope(code_of(CODES, type(error)), {}, request_id, message=str(error))
    if not isinstance(error, AccessError):
        return body
    gateway_code = next(GATEWAY[kind] for kind in type(error).__mro__ if kind in GATEWAY)
    return {"type": "ISV"} | body | {"code": gateway_code}


def failure_body(failure: Failure, data: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    """The response for a failed task. It is an error's, as some clients wait for ever if only the task's status says so."""
    return envelope(code_of(CODES, failure.error_kind), data, request_id, message=failure.message)
