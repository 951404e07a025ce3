"""Reads request parameters from the query, a form or a JSON body."""

import json
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import UploadFile

from service.api.facade import ApiOptions
from service.errors import ParameterError, ParameterMissing, TooLarge

TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off", ""})


async def read_parameters(request: Request, options: ApiOptions) -> dict[str, Any]:
    """The query parameters and those of a form or JSON object, which take precedence. Raises ParameterError, TooLarge."""
    parameters: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=100, max_part_size=options.body_bytes) as form:
            return parameters | {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    body = await read_body(request, options.body_bytes)
    if kind == "application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{"):  # curl's default type for any body
        return parameters | dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    return parameters | parse_object(body, options.json_depth) if body.strip() else parameters


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it exceeds the limit."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > max_bytes:
            raise TooLarge(f"the request has more than {max_bytes / 2**20:g} MiB, which is the limit")
    return bytes(body)


def parse_object(body: bytes | str, max_depth: int) -> dict[str, Any]:
    """Parse a JSON object nested at most `max_depth` levels. Raises ParameterError."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise ParameterError("the body is not JSON") from None
    if not isinstance(data, dict):
        raise ParameterError("the body is not a JSON object")
    if _is_deeper(data, max_depth):
        raise ParameterError(f"the body is nested deeper than {max_depth} levels")
    return data


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in (value.values() if isinstance(value, dict) else value))


def text(parameters: dict[str, Any], *names: str) -> str:
    """The first of these parameters that was sent, as text; empty if none was. Raises ParameterError for another type."""
    for name in names:
        value = parameters.get(name)
        if value is not None and value != "":
            if not isinstance(value, (str, int)) or isinstance(value, bool):
                raise ParameterError(f"{name} must be text")
            return storable(str(value).strip(), name)
    return ""


def storable(value: str, name: str) -> str:
    """The value, if a database can store it: no NUL, and no unpaired surrogate, which JSON allows. Raises ParameterError."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ParameterError(f"{name} contains invalid characters")
    return value


def required(parameters: dict[str, Any], *names: str) -> str:
    """Like `text`, but raises ParameterMissing, which names the first, if none was sent."""
    value = text(parameters, *names)
    if not value:
        raise ParameterMissing(f"{names[0]} is required")
    return value


def flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    """A boolean parameter, which may be sent as text. Raises ParameterError."""
    value = parameters.get(name)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise ParameterError(f"{name} must be true or false")
