"""What a client sends to the native API: its address and key, a job's form and files, and when it asks again."""

import json
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from service.errors import FetchUnavailable, KeyInvalid, RateLimited, RequestError, StorageError, StorageFull
from service.jobs.job import Kind, Media
from service.jobs.names import file_name
from service.remote_upload import LARGE_BYTES
from service.timed_box import TimedBox
from service.version import VERSION

JOBS: Final = "/v1/jobs"
ESTIMATE: Final = "/v1/estimate"
MAX_PAGE_JOBS: Final = 100  # of one answer
TIMEOUT_SECONDS: Final = 30.0  # of one request, between two signs of life
PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)  # before each further try; the last also between two looks at a job
LONGEST_PAUSE_SECONDS: Final = 60.0  # that a service may ask for
WORTH_ANOTHER_TRY: Final = (httpx.HTTPError, FetchUnavailable, StorageError, StorageFull, RateLimited)


def connection(base_url: str, key: str, timeout_seconds: float) -> dict[str, Any]:
    """The arguments of an HTTP client for one account. Raises RequestError for the address, KeyInvalid for the key."""
    if not is_address(base_url):
        raise RequestError("the service's address must begin with http:// or https://")
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise KeyInvalid("the key has characters that no key has")
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise RequestError("the service's address cannot be read") from None
    headers = {"Authorization": f"Bearer {key}", "User-Agent": f"cleanplate/{VERSION}"}
    return {"base_url": url, "headers": headers, "timeout": timeout_seconds}


@dataclass(frozen=True)
class Order:
    """A job as it is handed in. The idempotency key is fixed, so that another try finds the job that the one before has made."""

    fields: Mapping[str, object]
    files: Mapping[str, Path]
    idempotency_key: str

    @classmethod
    def of(
        cls,
        source: str,
        mask: str | None,
        boxes: Sequence[TimedBox],
        keep: Sequence[TimedBox],
        reject: Collection[str],
        classes: Collection[str],
        detect: bool | None,
        remove_audio: bool,
        callback_url: str | None,
        idempotency_key: str | None,
        kind: Kind = "clean",
        preview: tuple[float, float] | None = None,
        deinterlace: bool = False,
    ) -> "Order":
        """As `Client.submit` has it. Raises RequestError for a file that cannot be sent."""
        files = _files(source, mask)
        fields: dict[str, object] = {
            "mask_url": mask if mask and is_address(mask) else None,
            "boxes": [_wire(box) for box in boxes],
            "classes": sorted(classes),
            "detect": detect,
            "remove_audio": remove_audio,
            "callback_url": callback_url,
        }
        newer = {"keep": [_wire(box) for box in keep], "reject": sorted(reject), "kind": "" if kind == "clean" else kind}
        newer |= {"preview": dict(zip(("first_seconds", "seconds"), preview, strict=True)) if preview else None, "deinterlace": deinterlace}
        fields |= {name: value for name, value in newer.items() if value}  # an older service refuses names that it does not know
        if not files:
            fields["source_url"] = source
        return cls(fields, files, idempotency_key or secrets.token_hex(16))

    @classmethod
    def of_detection(cls, detection: str, marks: Collection[str], keep: Sequence[TimedBox], idempotency_key: str | None) -> "Order":
        """The order to remove marks that a job has found."""
        fields = {"detection": detection, "marks": sorted(marks), "keep": [_wire(box) for box in keep]}
        return cls(fields, {}, idempotency_key or secrets.token_hex(16))

    @property
    def large_file(self) -> Path | None:
        """The file that is better sent in pieces before; None if it is small enough for the form."""
        path = self.files.get("file")
        return path if path is not None and path.stat().st_size > LARGE_BYTES else None

    def with_source(self, url: str) -> "Order":
        """The same with the link of its file, which is uploaded already."""
        fields = {**self.fields, "source_url": url, "name": file_name(self.files["file"].name)}
        return replace(self, fields=fields, files={name: path for name, path in self.files.items() if name != "file"})

    @contextmanager
    def opened(self) -> Iterator[dict[str, Any]]:
        """The arguments of the POST, its files open: anew for each try, as the one before may have read half of them."""
        headers = {"Idempotency-Key": self.idempotency_key}
        if not self.files:
            yield {"headers": headers, "json": self.fields}
            return
        with ExitStack() as opened:
            try:
                parts = {name: (path.name, opened.enter_context(path.open("rb"))) for name, path in self.files.items()}
            except OSError as error:
                raise RequestError(f"a file cannot be read: {(error.strerror or 'unknown').lower()}") from error
            yield {"headers": headers, "data": {"options": json.dumps(self.fields)}, "files": parts}


def estimate_query(kind: Kind, media: Media, seconds: float | None, width: int | None, height: int | None) -> dict[str, str | float]:
    """What is asked of an estimate, without what is not known."""
    given = {"kind": kind, "media": media, "seconds": seconds, "width": width, "height": height}
    return {name: value for name, value in given.items() if value is not None}


def page_query(jobs_left: int, cursor: str | None) -> dict[str, str | int]:
    """The query for a page of the jobs that are still to be listed."""
    return {"limit": min(jobs_left, MAX_PAGE_JOBS)} | ({"cursor": cursor} if cursor else {})


def path_of(job_id: str) -> str:
    """The path of a job."""
    return f"{JOBS}/{quote(job_id, safe='')}"


def pause_seconds_after(error: Exception, usual_seconds: float) -> float:
    """How long to wait before another try: as long as the service asks for, within reason."""
    if isinstance(error, RateLimited):
        return min(max(usual_seconds, error.retry_after_seconds), LONGEST_PAUSE_SECONDS)
    return usual_seconds


def unreachable(base_url: httpx.URL) -> FetchUnavailable:
    """The error of a service that did not answer any of the tries."""
    return FetchUnavailable(f"{base_url.host} cannot be reached, or broke off")


def is_address(text: str) -> bool:
    """Whether this is a web address, not a file."""
    return text.lower().startswith(("http://", "https://"))


def _files(source: str, mask: str | None) -> dict[str, Path]:
    """What is to be uploaded, by its name in the form; raises RequestError for what cannot be."""
    given = {"file": source} | ({"mask": mask} if mask else {})
    files = {name: Path(text) for name, text in given.items() if not is_address(text)}
    for path in files.values():
        if not path.is_file():
            raise RequestError(f"{path.name}: no such file")
    if "mask" in files and "file" not in files:
        raise RequestError("a mask that is a file goes with a source that is a file; give the mask's address")
    return files


def _wire(box: TimedBox) -> dict[str, Any]:
    """A box as the native API takes it."""
    given = {name: value for name, value in asdict(box).items() if value is not None}
    return given | ({"end": dict(zip(("x1", "y1", "x2", "y2"), box.end, strict=True))} if box.end else {})
