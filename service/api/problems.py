"""Problem details (RFC 9457): renders errors with ordinary HTTP status codes."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from service import errors
from service.api.body import BodyTooSlow, EncodingUnsupported
from service.api.facade import Code, Codes, code_of, guarded_route
from service.errors import CleanplateError, ParameterError, ServiceError
from service.jobs.half_file import UploadInUse
from service.jobs.job import Failure

log = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)

CHECKSUM_MISMATCH: Final = 460  # a status of tus
MEDIA_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:cleanplate:problem:"
CHALLENGES: Final = {  # what RFC 6750 has after `Bearer`; the first that fits
    errors.KeyMissing: "",
    errors.ScopeMissing: ' error="insufficient_scope"',
    errors.AccessError: ' error="invalid_token"',
}


class InvalidFields(ParameterError):
    """Some fields of the request are invalid: the name of each, and what is wrong with it."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in fields))
        self.fields = fields

    @classmethod
    def of(cls, invalid: Sequence[Any]) -> "InvalidFields":
        """Convert pydantic's errors."""
        places = (".".join(str(part) for part in each["loc"] if part not in ("body", "query", "header", "path")) for each in invalid)
        return cls([(place or "body", _clean_message(each["msg"])) for place, each in zip(places, invalid, strict=True)])


class IdempotencyKeyReused(ParameterError):
    """The Idempotency-Key was already used with another request."""


class JobNotEnded(ServiceError):
    """The job has no result yet."""


class OffsetConflict(ServiceError):
    """The piece does not begin where the upload stopped."""


class ChecksumMismatch(ServiceError):
    """What arrived does not have the announced checksum."""


class VersionUnsupported(ServiceError):
    """The request is of another version of tus."""


class UploadIncomplete(ServiceError):
    """Parts of the upload are missing, or not of the right size."""


class NoDirectUpload(ServiceError):
    """The storage takes no parts from clients."""


CODES: Final[Codes] = {
    errors.InputError: Code(422),
    errors.NotMedia: Code(415),
    errors.UnsupportedFormat: Code(415),
    errors.TooLarge: Code(413),
    errors.RequestError: Code(422),
    errors.DecodeFailed: Code(500),
    errors.ModelError: Code(500),
    errors.EncodeFailed: Code(500),
    errors.SettingsError: Code(500),
    errors.AccessError: Code(401),
    errors.AccountBanned: Code(403),
    errors.ScopeMissing: Code(403),
    errors.ParameterError: Code(400),
    BodyTooSlow: Code(408),
    EncodingUnsupported: Code(415),
    errors.ParameterMissing: Code(422),
    errors.MediaAddressInvalid: Code(422),
    errors.UnknownModel: Code(422),
    errors.UnknownJob: Code(404),
    errors.PathUnknown: Code(404),
    errors.MethodNotAllowed: Code(405),
    InvalidFields: Code(422),
    IdempotencyKeyReused: Code(422),
    JobNotEnded: Code(409),
    OffsetConflict: Code(409),
    UploadIncomplete: Code(409),
    NoDirectUpload: Code(409),
    VersionUnsupported: Code(412),
    UploadInUse: Code(423),
    ChecksumMismatch: Code(CHECKSUM_MISMATCH),
    errors.InsufficientCredits: Code(402),
    errors.Busy: Code(503),
    errors.RateLimited: Code(429),
    errors.QuotaExceeded: Code(507),
    errors.FetchError: Code(502),
    errors.FetchRefused: Code(422),
    errors.StorageError: Code(503),
    errors.ContentRefused: Code(422),
    errors.ContentCheckFailed: Code(503),
    errors.ContentBlocked: Code(403),
    errors.JobTimeout: Code(504),
    errors.JobCancelled: Code(409),
    errors.InternalError: Code(500),
}


@dataclass(frozen=True)
class Problem:
    """A problem. `type_uri` identifies the kind of error and is stable; `detail` describes this occurrence."""

    type_uri: str
    title: str
    status: int
    detail: str
    extensions: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, error: CleanplateError) -> "Problem":
        return cls.of_kind(type(error), str(error), _extensions(error))

    @classmethod
    def of_failure(cls, failure: Failure) -> "Problem":
        """The problem for a failed job."""
        return cls.of_kind(failure.error_kind, failure.message, {})

    @classmethod
    def of_kind(cls, kind: type[CleanplateError], detail: str, extensions: Mapping[str, object]) -> "Problem":
        words = re.findall("[A-Z][a-z]*", kind.__name__)
        title = " ".join(words).capitalize()
        return cls(TYPE + "-".join(words).lower(), title, code_of(CODES, kind).code, detail, extensions)

    @property
    def body(self) -> dict[str, object]:
        return {"type": self.type_uri, "title": self.title, "status": self.status, "detail": self.detail, **self.extensions}

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        return JSONResponse(self.body, self.status, headers, MEDIA_TYPE)


def problem_response(error: CleanplateError) -> Response:
    """The response to a request that raised this error."""
    headers = {}
    if isinstance(error, errors.AccessError):
        headers["WWW-Authenticate"] = "Bearer" + next((said for kind, said in CHALLENGES.items() if isinstance(error, kind)), "")
    return Problem.of(error).response(headers)


def status_problem(status: int, detail: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """A problem that is no more than its HTTP status."""
    title = HTTPStatus(status).phrase
    return Problem("about:blank", title, status, detail or title).response(headers)


def _invalid(error: RequestValidationError) -> Response:
    return problem_response(InvalidFields.of(error.errors()))


ProblemRoute: Final = guarded_route(problem_response, {RequestValidationError: _invalid})  # renders all errors as problems


def read_as(model: type[Model], data: Mapping[str, Any]) -> Model:
    """Validate the data as this model. Raises InvalidFields."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidFields.of(error.errors()) from None


def _extensions(error: CleanplateError) -> dict[str, object]:
    if isinstance(error, InvalidFields):
        return {"errors": [{"field": name, "detail": text} for name, text in error.fields]}
    if isinstance(error, errors.InsufficientCredits):
        return {"current_credits": error.current_credits, "required_credits": error.required_credits}
    return {}


def _clean_message(text: str) -> str:
    return text.removeprefix("Value error, ").lower()
