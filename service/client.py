"""The small client of the native API, behind `cleanplate submit`: hands in a job, follows it, brings its result home."""

import json
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote

import httpx

from service.errors import FetchUnavailable, KeyInvalid, RateLimited, RequestError, StorageError
from service.pipeline.io.whole_file import whole_file
from service.remote_job import RemoteJob, error_of, events_of, job_of
from service.timed_box import TimedBox
from service.version import VERSION

PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)  # before each further try; the last also between two looks at a job
LONGEST_PAUSE_SECONDS: Final = 60.0  # that a service may ask for

T = TypeVar("T")


def ignore(_job: RemoteJob) -> None:
    """Watch nothing."""


class Client:
    """One account's view of a service, as a context manager.

    A request that gets no answer is sent again; what it creates it creates once, by its Idempotency-Key. A refusal is raised as
    the error that the service names, a service that cannot be reached as FetchUnavailable.
    """

    def __init__(self, base_url: str, key: str, timeout_seconds: float = 30.0, pauses_seconds: Sequence[float] = PAUSES_SECONDS) -> None:
        if not is_address(base_url):
            raise RequestError("the service's address must begin with http:// or https://")
        key = key.strip()
        if not (key.isascii() and key.isprintable()):
            raise KeyInvalid("the key has characters that no key has")
        headers = {"Authorization": f"Bearer {key}", "User-Agent": f"cleanplate/{VERSION}"}
        try:
            self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_seconds)
        except httpx.InvalidURL:
            raise RequestError("the service's address cannot be read") from None
        self._pauses_seconds = pauses_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def submit(
        self,
        source: str,
        *,
        mask: str | None = None,
        boxes: Sequence[TimedBox] = (),
        classes: Collection[str] = ("overlay",),
        detect: bool | None = None,
        remove_audio: bool = False,
        callback_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> RemoteJob:
        """Hand in a job. Source and mask are addresses or files; `detect` None: unless there are boxes or a mask.

        The same `idempotency_key` with the same wish finds the job that there is already.
        """
        options = {
            "mask_url": mask if mask and is_address(mask) else None,
            "boxes": [asdict(box) for box in boxes],
            "classes": sorted(classes),
            "detect": detect,
            "remove_audio": remove_audio,
            "callback_url": callback_url,
        }
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        files = _files(source, mask)
        if not files:
            return self._tried(lambda: job_of(self._http.post("/v1/jobs", headers=headers, json={"source_url": source, **options})))
        return self._tried(lambda: self._upload(files, json.dumps(options), headers))

    def get(self, job_id: str) -> RemoteJob:
        """How the job stands."""
        return self._tried(lambda: job_of(self._http.get(_path(job_id))))

    def wait(self, job_id: str, on_progress: Callable[[RemoteJob], None] = ignore) -> RemoteJob:
        """The job when it has ended, well or not; `on_progress` hears of each change, and may raise to stop waiting.

        Events tell at once what happens; where they do not come through, a look at the job now and then does.
        """
        job = self.get(job_id)
        while not job.ended:
            on_progress(job)
            for news in self._news(job):
                on_progress(news)
            job = self.get(job_id)
            if not job.ended:
                time.sleep(self._pauses_seconds[-1])
        on_progress(job)
        return job

    def download(self, job_id: str, target: Path) -> None:
        """Write the job's result to `target`, which appears whole or not at all. Raises the failure of a job that has none."""
        if error := self.get(job_id).error:
            raise error
        with whole_file(target) as unfinished:
            self._tried(lambda: self._download(job_id, unfinished))

    def _upload(self, files: dict[str, Path], options: str, headers: dict[str, str]) -> RemoteJob:
        with ExitStack() as opened:  # anew for each try: the one before may have read half of them
            try:
                parts = {name: (path.name, opened.enter_context(path.open("rb"))) for name, path in files.items()}
            except OSError as error:
                raise RequestError(f"a file cannot be read: {(error.strerror or 'unknown').lower()}") from error
            return job_of(self._http.post("/v1/jobs", headers=headers, data={"options": options}, files=parts))

    def _download(self, job_id: str, unfinished: Path) -> None:
        # The answer is a redirect to where the result lies; on the way to another host httpx drops the key.
        path = f"{_path(job_id)}/result"
        with self._http.stream("GET", path, follow_redirects=True) as response, unfinished.open("wb") as file:
            if not response.is_success:
                response.read()
                raise error_of(response)
            for part in response.iter_bytes():
                file.write(part)

    def _news(self, job: RemoteJob) -> Iterator[RemoteJob]:
        """The job after each event that changes it, as long as it runs and events come."""
        try:
            with self._http.stream("GET", f"{_path(job.id)}/events") as response:
                if response.status_code != httpx.codes.OK:
                    return
                for event in events_of(response.iter_lines()):
                    before, job = job, job.after(event)
                    if job.ended:
                        return
                    if job != before:
                        yield job
        except (httpx.HTTPError, TypeError, ValueError):
            return  # the next look at the job tells what to make of it

    def _tried(self, attempt: Callable[[], T]) -> T:
        """What the attempt returns, at the first time or a later one."""
        for pause_seconds in self._pauses_seconds:
            try:
                return attempt()
            except (httpx.HTTPError, FetchUnavailable, StorageError):
                time.sleep(pause_seconds)
            except RateLimited as error:
                time.sleep(min(max(pause_seconds, error.retry_after_seconds), LONGEST_PAUSE_SECONDS))
        try:
            return attempt()
        except httpx.HTTPError as error:
            raise FetchUnavailable(f"{self._http.base_url.host} cannot be reached, or broke off") from error


def is_address(text: str) -> bool:
    """Whether this is a web address, not a file."""
    return text.lower().startswith(("http://", "https://"))


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


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
