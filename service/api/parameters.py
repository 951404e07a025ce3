"""Reads request parameters from the query, a form or a JSON body."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import UploadFile

from service.api.base64_file import Base64Decoder
from service.api.body import MAX_FIELDS, PLAIN_BYTES, batches, read_body, read_form, spooled_parts, too_large
from service.api.capacity import in_thread
from service.api.facade import AppContext
from service.api.json_body import JsonReader, parse_object
from service.errors import ParameterError, ParameterMissing

TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off"})
SMALL_BYTES: Final = 1024  # parsing so much takes less time than handing it to a thread
FORM: Final = "application/x-www-form-urlencoded"


async def read_parameters(request: Request, context: AppContext, max_bytes: int = PLAIN_BYTES) -> dict[str, Any]:
    """The query parameters and those of a form or JSON object, which take precedence. Raises ParameterError, TooLarge."""
    parameters: dict[str, Any] = dict(request.query_params)
    kind = type_of(request)
    if kind == "multipart/form-data":
        async with read_form(request, context.capacity, max_bytes, max_fields=MAX_FIELDS, max_field_bytes=max_bytes) as form:
            return parameters | {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    return parameters | await parse_body(await read_body(request, context.capacity, max_bytes), kind, context)


async def parse_body(body: bytes, kind: str, context: AppContext) -> dict[str, Any]:
    """The parameters of a form or a JSON object. `kind`: the type that the client says the body is of. Raises ParameterError."""
    parse = _parse_form if is_form(kind, body) else _parse_json
    if len(body) <= SMALL_BYTES:
        return parse(body, context.options.json_depth)
    return await in_thread(context.capacity.parsing, parse, body, context.options.json_depth)


def is_form(kind: str, body: bytes) -> bool:
    """Whether a body is an encoded form: that is also curl's default type for JSON."""
    return kind == FORM and not body.lstrip().startswith(b"{")


@asynccontextmanager
async def parameters_with_files(request: Request, context: AppContext) -> AsyncIterator[dict[str, Any]]:
    """Like `read_parameters`, for a request that may contain files as base64. In JSON they may be large: such a one is an open file."""
    kind = type_of(request)
    if kind == "multipart/form-data":
        yield await read_parameters(request, context)
        return
    parameters: dict[str, Any] = dict(request.query_params)
    stream = batches(spooled_parts(request, context.options.body_bytes, context.capacity.disk))
    first = await anext(stream)
    if is_form(kind, first):
        yield parameters | await in_thread(context.capacity.parsing, _parse_form, await _joined(first, stream), 0)
        return
    with JsonReader(context.options.json_depth, context.options.upload_bytes) as reader:
        await in_thread(context.capacity.parsing, reader.feed, first)
        async for batch in stream:
            await in_thread(context.capacity.parsing, reader.feed, batch)
        yield parameters | (await in_thread(context.capacity.parsing, reader.finish) if first.strip() else {})


def type_of(request: Request) -> str:
    """The body's type, such as `application/json`."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _joined(first: bytes, stream: AsyncIterator[bytes]) -> bytes:
    """The whole body of a form. Raises TooLarge."""
    body = bytearray(first)
    async for part in stream:
        body += part
        if len(body) > PLAIN_BYTES:
            raise too_large(PLAIN_BYTES)
    return bytes(body)


def _parse_json(body: bytes, max_depth: int) -> dict[str, Any]:
    return parse_object(body, max_depth) if body.strip() else {}


def _parse_form(body: bytes, _max_depth: int) -> dict[str, Any]:
    try:
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise ParameterError(f"the form has more than {MAX_FIELDS} fields") from None


def bracketed(parameters: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The object that a form writes as `name[field]=value`; None if it has no such field."""
    prefix = f"{name}["
    fields = {key[len(prefix) : -1]: value for key, value in parameters.items() if key.startswith(prefix) and key.endswith("]")}
    return fields or None


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
    """A boolean parameter, which may be sent as text; empty says nothing. Raises ParameterError."""
    value = parameters.get(name)
    if isinstance(value, bool):
        return value
    word = "" if value is None else str(value).strip().lower()
    if not word:
        return default
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise ParameterError(f"{name} must be true or false")


def file_of(parameters: dict[str, Any], name: str, max_bytes: int) -> BinaryIO | None:
    """A file that was sent as base64 text, at its start; None if it was not sent. Raises ParameterError, TooLarge."""
    value = parameters.get(name)
    if hasattr(value, "seek"):
        return value
    encoded = text(parameters, name)
    if not encoded:
        return None
    decoder = Base64Decoder(BytesIO(), max_bytes)
    decoder.feed(encoded.encode())
    decoder.finish()
    return decoder.file
