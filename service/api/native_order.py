"""Parses the request for a native job: a JSON body with URLs, or a form with the files themselves."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from service.api.body import PLAIN_BYTES, read_body, read_form
from service.api.capacity import in_thread
from service.api.facade import AppContext
from service.api.json_body import parse_object
from service.api.native_models import NewJobBody, Options
from service.api.parameters import type_of
from service.api.problems import InvalidFields, JobNotEnded, read_as
from service.api.source import Source, source_of
from service.api.upload import FORM_BYTES, upload_key
from service.errors import UnknownJob, UnsupportedFormat
from service.jobs.job import Job, JobSpec, Media
from service.jobs.names import file_name, name_in_url
from service.media import HEAD_BYTES, suffix_of_head

READ_BYTES: Final = 2**20
FORM_FIELDS: Final = frozenset({"file", "mask", "options"})
WITHOUT_DETECTION: Final = frozenset({"source_url", "mask_url", "boxes", "classes", "detect", "media", "kind", "preview"})
SINCE_DIGESTS: Final = ("client_reference", "metadata", "name", "deinterlace")
IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif"})


@dataclass(frozen=True)
class Order:
    """A parsed request for a job. `digest`: equal for equal requests. `folder`: storage prefix of the request's uploaded files.

    name: what the file is called.
    """

    spec: JobSpec
    options: Options
    digest: str
    folder: str | None = None
    name: str | None = None


async def read_order(request: Request, account_id: int, context: AppContext) -> Order:
    """Parse a request and store its files. Raises ParameterError, TooLarge, NotMedia, UnsupportedFormat."""
    kind = type_of(request)
    if kind == "application/json":
        body = await read_body(request, context.capacity, PLAIN_BYTES)
        options = await in_thread(context.capacity.parsing, lambda: read_as(NewJobBody, parse_object(body, context.options.json_depth)))
        return await run_in_threadpool(_order_of_addresses, options, account_id, context)
    if kind == "multipart/form-data":
        most_bytes = context.options.upload_bytes + FORM_BYTES
        with context.uploads.one(account_id):
            async with read_form(request, context.capacity, most_bytes, max_files=2) as form:
                return await in_thread(context.capacity.storing, _order_of_files, form, account_id, context)
    raise UnsupportedFormat("the body must be application/json or multipart/form-data")


def _order_of_addresses(options: NewJobBody, account_id: int, context: AppContext) -> Order:
    if options.detection is not None:
        return _order_of_detection(options, options.detection, account_id, context)
    if options.source_url is None:
        raise InvalidFields([("source_url", "is required, unless a detection is given")])
    if options.marks:
        raise InvalidFields([("marks", "goes with a detection; reject takes ids of an earlier report")])
    source = source_of(options.source_url, account_id, context)
    mask = Source() if options.mask_url is None else source_of(options.mask_url, account_id, context)
    name = options.name or name_in_url(source.url)
    return Order(spec_of(options, source, mask), options, _digest(_json_of(options)), name=name)


def _order_of_detection(options: NewJobBody, job_id: str, account_id: int, context: AppContext) -> Order:
    """The order for marks that an earlier job of the account found. Raises InvalidFields, JobNotEnded."""
    if given := sorted(options.model_dump(exclude_defaults=True).keys() & WITHOUT_DETECTION):
        raise InvalidFields([(given[0], "does not go with a detection, whose source and marks are fixed")])
    found = _detection(job_id, account_id, context)
    assert found.result is not None
    spec = JobSpec(
        media=found.spec.media,
        source_key=found.result.source_key,
        detection_key=found.result.detection_key,
        marks=tuple(dict.fromkeys(options.marks)),
        keep=tuple(box.to_timed_box() for box in options.keep),
        reject=tuple(dict.fromkeys(options.reject)),
        remove_audio=options.remove_audio,
        deinterlace=options.deinterlace,
    )
    return Order(spec, options, _digest(_json_of(options)), name=options.name or found.name)


def _detection(job_id: str, account_id: int, context: AppContext) -> Job:
    """The job that detected. Raises InvalidFields if there is none with its files, JobNotEnded if it has not ended."""
    try:
        job = context.job_service.find(account_id, job_id)
    except UnknownJob:
        raise InvalidFields([("detection", "there is no such job")]) from None
    if job.spec.kind != "detect":
        raise InvalidFields([("detection", "the job did not detect: its kind is clean")])
    if not job.ended:
        raise JobNotEnded(f"the detection is {job.state}")
    if job.result is None or job.result.detection_key is None or job.failure:
        raise InvalidFields([("detection", f"the job has {job.state}")])
    if any(context.storage.stat(key) is None for key in (job.result.detection_key, job.result.source_key)):
        raise InvalidFields([("detection", "its files have been deleted")])
    return job


def _order_of_files(form: FormData, account_id: int, context: AppContext) -> Order:
    options, file, mask = _form_parts(form, context.options.json_depth)
    folder = str(PurePosixPath(upload_key(account_id, "source")).parent)
    source_url = options.source_url if isinstance(options, NewJobBody) else None
    source, mask_source = (
        source_of(url, account_id, context) if url else Source(key=f"{folder}/{name}{_suffix(part)}" if part else None)
        for name, url, part in (("source", source_url, file), ("mask", options.mask_url, mask))
    )
    spec = spec_of(options, source, mask_source)
    digest = _digest(_json_of(options), *(_digest_of(part) for part in (file, mask) if part))
    try:  # last, so that a refused request leaves nothing behind
        for part, location in ((file, source), (mask, mask_source)):
            if part and location.key:
                context.account_files.put_stream(account_id, location.key, part.file)
    except BaseException:
        context.account_files.delete_under(folder)
        raise
    name = options.name or (file_name(file.filename or "") if file else name_in_url(source.url))
    return Order(spec, options, digest, folder, name)


def spec_of(options: Options, source: Source, mask: Source) -> JobSpec:
    """Boxes and a mask replace detection, unless it is requested as well. Raises InvalidFields if there is nothing to do."""
    user_marks = bool(options.boxes or mask.url or mask.key)
    detect = not user_marks if options.detect is None else options.detect
    if not (detect or user_marks):
        raise InvalidFields([("detect", "must not be false without boxes and without a mask: there would be nothing to do")])
    media = options.media or _media_of(source)
    if options.preview and (media == "image" or options.kind == "detect"):
        raise InvalidFields([("preview", "is a part of a video that is cleaned; it goes neither with an image nor with a detection")])
    return JobSpec(
        media=media,
        source_url=source.url,
        source_key=source.key,
        mask_url=mask.url,
        mask_key=mask.key,
        boxes=tuple(box.to_timed_box() for box in options.boxes),
        keep=tuple(box.to_timed_box() for box in options.keep),
        reject=tuple(dict.fromkeys(options.reject)),
        kind=options.kind,
        classes=tuple(dict.fromkeys(options.classes)),
        detect=detect,
        remove_audio=options.remove_audio,
        preview_seconds=options.preview.seconds if options.preview else None,
        preview_first_seconds=options.preview.first_seconds if options.preview else 0.0,
        deinterlace=options.deinterlace,
    )


def _media_of(source: Source) -> Media:
    path = source.key or urlsplit(source.url or "").path
    return "image" if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES else "video"


def _form_parts(form: FormData, max_depth: int) -> tuple[Options, UploadFile | None, UploadFile | None]:
    """The options, the file and the mask. Without a file, the options must be those of a job from a URL. Raises InvalidFields."""
    if unknown := sorted(set(form) - FORM_FIELDS):
        raise InvalidFields([(name, "no such field") for name in unknown])
    file, mask, options_text = (form.get(name) for name in ("file", "mask", "options"))
    if isinstance(file, str):
        raise InvalidFields([("file", "must be a file")])
    if isinstance(mask, str) or isinstance(options_text, UploadFile):
        raise InvalidFields([("mask", "must be a file")] if isinstance(mask, str) else [("options", "must be json")])
    fields = parse_object(options_text or json.dumps({}), max_depth)
    if file is None and not fields.get("source_url"):
        raise InvalidFields([("file", "a file is required, or a source_url in the options")])
    options = read_as(NewJobBody if file is None else Options, fields)
    if isinstance(options, NewJobBody) and (options.detection or options.marks):
        raise InvalidFields([("detection", "goes into a JSON body, without files")])
    if mask and options.mask_url:
        raise InvalidFields([("mask", "send either mask or mask_url, not both")])
    return options, file, mask


def _suffix(file: UploadFile) -> str:
    """The suffix by the file's first bytes, whatever its name says. Raises NotMedia, UnsupportedFormat."""
    head = file.file.read(HEAD_BYTES)
    file.file.seek(0)
    return suffix_of_head(head)


def _digest_of(file: UploadFile) -> str:
    digest = hashlib.sha256()
    while part := file.file.read(READ_BYTES):
        digest.update(part)
    file.file.seek(0)
    return digest.hexdigest()


def _json_of(options: Options) -> str:
    """The options as they were before there was anything new in them: a request repeated after an update has the same digest."""
    unsaid = {name for name in SINCE_DIGESTS if not getattr(options, name)}
    return options.model_dump_json(exclude=unsaid)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
