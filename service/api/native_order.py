"""Reads what a native job is to do: a JSON body with addresses, or a form with the files themselves."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from service.api.facade import AppContext
from service.api.native_models import NewJobBody, Options
from service.api.parameters import parse_object, read_body
from service.api.problems import InvalidFields, read_as
from service.api.source import Source, source_of
from service.api.upload import keep_stream, read_form, upload_key
from service.errors import UnsupportedFormat
from service.jobs.job import JobSpec, Media, Rights
from service.media import HEAD_BYTES, suffix_of_head

JSON_BYTES: Final = 2**20
READ_BYTES: Final = 2**20
FORM_BYTES: Final = 2**16  # what a form has besides its files
FORM_FIELDS: Final = frozenset({"file", "mask", "options"})
IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})


@dataclass(frozen=True)
class Order:
    """A job as it was asked for. `digest`: the same for the same request. `folder`: where the request's own files are stored."""

    spec: JobSpec
    callback_url: str | None
    priority: int
    digest: str
    rights: Rights | None
    folder: str | None = None


async def read_order(request: Request, account_id: int, context: AppContext) -> Order:
    """What a request asks for; its files are stored by then. Raises ParameterError, TooLarge, NotMedia, UnsupportedFormat."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        data = parse_object(await read_body(request, min(JSON_BYTES, context.options.body_bytes)), context.options.json_depth)
        return await run_in_threadpool(_order_of_addresses, read_as(NewJobBody, data), account_id, context)
    if kind == "multipart/form-data":
        async with read_form(request, context.options.upload_bytes, most_files=2) as form:
            return await run_in_threadpool(_order_of_files, form, account_id, context)
    raise UnsupportedFormat("the body is neither application/json nor multipart/form-data")


def _order_of_addresses(wanted: NewJobBody, account_id: int, context: AppContext) -> Order:
    source = source_of(wanted.source_url, account_id, context)
    mask = Source() if wanted.mask_url is None else source_of(wanted.mask_url, account_id, context)
    return Order(_spec(wanted, source, mask), wanted.callback_url, wanted.priority, _digest(wanted.model_dump_json()), wanted.rights)


def _order_of_files(form: FormData, account_id: int, context: AppContext) -> Order:
    wanted, file, mask = _parts(form, context.options.json_depth)
    folder = str(PurePosixPath(upload_key(account_id, "source")).parent)
    source_url = wanted.source_url if isinstance(wanted, NewJobBody) else None
    source, mask_source = (
        source_of(url, account_id, context) if url else Source(key=f"{folder}/{name}{_suffix(part)}" if part else None)
        for name, url, part in (("source", source_url, file), ("mask", wanted.mask_url, mask))
    )
    spec = _spec(wanted, source, mask_source)
    digest = _digest(wanted.model_dump_json(), *(_digest_of(part) for part in (file, mask) if part))
    for part, place in ((file, source), (mask, mask_source)):  # last: a request that is refused leaves nothing behind
        if part and place.key:
            keep_stream(context.storage, place.key, part.file)
    return Order(spec, wanted.callback_url, wanted.priority, digest, wanted.rights, folder)


def _spec(wanted: Options, source: Source, mask: Source) -> JobSpec:
    """Boxes and a mask stand in for detection, unless it is asked for too."""
    pointed = bool(wanted.boxes or mask.url or mask.key)
    detect = not pointed if wanted.detect is None else wanted.detect
    if not (detect or pointed):
        raise InvalidFields([("detect", "without it, and with neither boxes nor a mask, there is nothing to do")])
    return JobSpec(
        media=wanted.media or _media_of(source),
        source_url=source.url,
        source_key=source.key,
        mask_url=mask.url,
        mask_key=mask.key,
        boxes=tuple(box.to_timed_box() for box in wanted.boxes),
        classes=tuple(dict.fromkeys(wanted.classes)),
        detect=detect,
        remove_audio=wanted.remove_audio,
    )


def _media_of(source: Source) -> Media:
    path = source.key or urlsplit(source.url or "").path
    return "image" if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES else "video"


def _parts(form: FormData, most_depth: int) -> tuple[Options, UploadFile | None, UploadFile | None]:
    """The options, the file and the mask. Without a file the options are those of a job from an address."""
    if unknown := sorted(set(form) - FORM_FIELDS):
        raise InvalidFields([(name, "no such field") for name in unknown])
    file, mask, options = (form.get(name) for name in ("file", "mask", "options"))
    if isinstance(file, str):
        raise InvalidFields([("file", "must be a file")])
    if isinstance(mask, str) or isinstance(options, UploadFile):
        raise InvalidFields([("mask", "must be a file")] if isinstance(mask, str) else [("options", "must be json")])
    told = parse_object(options or json.dumps({}), most_depth)
    if file is None and "source_url" not in told:
        raise InvalidFields([("file", "a file is required, or a source_url among the options")])
    wanted = read_as(NewJobBody if file is None else Options, told)
    if mask and wanted.mask_url:
        raise InvalidFields([("mask", "there is a mask_url as well")])
    return wanted, file, mask


def _suffix(file: UploadFile) -> str:
    """By the first bytes, whatever its name says."""
    head = file.file.read(HEAD_BYTES)
    file.file.seek(0)
    return suffix_of_head(head)


def _digest_of(file: UploadFile) -> str:
    digest = hashlib.sha256()
    while part := file.file.read(READ_BYTES):
        digest.update(part)
    file.file.seek(0)
    return digest.hexdigest()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
