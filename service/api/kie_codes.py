"""The kie facade's error codes."""

from typing import Any, Final

from service.api.body import BodyTooSlow
from service.api.facade import Code, Codes, code_of
from service.errors import (
    AccessError,
    Busy,
    CleanplateError,
    ContentBlocked,
    ContentCheckFailed,
    ContentRefused,
    DecodeFailed,
    EncodeFailed,
    FeatureDisabled,
    FetchError,
    FetchUnavailable,
    InputError,
    InsufficientCredits,
    InternalError,
    JobCancelled,
    JobTimeout,
    Maintenance,
    MethodNotAllowed,
    ModelError,
    ParameterError,
    ParameterMissing,
    PathUnknown,
    RateLimited,
    RequestError,
    SettingsError,
    StorageError,
    StorageFull,
    UnknownJob,
)

MODEL: Final = "sora-watermark-remover"
CODES: Final[Codes] = {
    AccessError: Code(401, "You do not have access permissions"),
    ParameterError: Code(422),
    BodyTooSlow: Code(408),
    ParameterMissing: Code(400),
    UnknownJob: Code(422, "recordInfo is null"),
    PathUnknown: Code(404, "Not Found"),
    MethodNotAllowed: Code(405, "Method Not Allowed"),
    InsufficientCredits: Code(402, "The current credits are insufficient. Please top up."),
    Busy: Code(429),
    RateLimited: Code(429, "Rate limit exceeded"),
    Maintenance: Code(455),
    FeatureDisabled: Code(505),
    InputError: Code(422),
    RequestError: Code(422),
    ContentRefused: Code(422),
    ContentBlocked: Code(422),
    ContentCheckFailed: Code(500),
    FetchError: Code(400),
    FetchUnavailable: Code(404),
    JobTimeout: Code(408),
    JobCancelled: Code(501),
    DecodeFailed: Code(501),
    EncodeFailed: Code(501),
    ModelError: Code(501),
    StorageError: Code(500),
    StorageFull: Code(500),
    SettingsError: Code(500),
    InternalError: Code(500),
}
IN_STATUS: Final = (RateLimited, PathUnknown, MethodNotAllowed)  # whose code is the HTTP status too
UPLOAD_CODES: Final[Codes] = {**CODES, ParameterError: Code(400), InputError: Code(400), FetchUnavailable: Code(400)}


def error_body(error: CleanplateError) -> dict[str, Any]:
    """The response to an error. As with the vendor, the one to a wrong key has no `data`."""
    code = code_of(CODES, type(error))
    body = {"code": code.code, "msg": code.message_for(error)}
    return body if isinstance(error, AccessError) else body | {"data": None}


def status_of(error: CleanplateError) -> int:
    """The HTTP status of the response to an error: 200, as the body has the code, but for what clients and proxies handle by its status."""
    return code_of(CODES, type(error)).code if isinstance(error, IN_STATUS) else 200
