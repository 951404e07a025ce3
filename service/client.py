"""The client of the native API: hands in a job, follows it, brings its result home. `cleanplate submit` is built on it."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from service.errors import FetchRefused
from service.jobs.job import Kind, Media
from service.pipeline.io.atomic_file import atomic_file
from service.remote_job import Estimate, EventReader, RemoteJob, done, error_of, estimate_of, ignore, job_of, page_of
from service.remote_order import (
    ESTIMATE,
    JOBS,
    PAUSES_SECONDS,
    TIMEOUT_SECONDS,
    WORTH_ANOTHER_TRY,
    Order,
    connection,
    estimate_query,
    page_query,
    path_of,
    pause_seconds_after,
    unreachable,
)
from service.remote_upload import Memory, Step, ignore_fraction, refusal_worth_a_try, upload_steps
from service.timed_box import TimedBox

T = TypeVar("T")


class Client:
    """One account's view of a service, as a context manager; `AsyncClient` is the same for `async with`.

    A request that gets no answer is sent again; what it creates it creates once, by its Idempotency-Key. A refusal is raised as
    the error that the service names, a service that cannot be reached as FetchUnavailable.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
        pauses_seconds: Sequence[float] = PAUSES_SECONDS,
        resume_folder: Path | None = None,
    ) -> None:
        """`resume_folder`: remembers half uploads, so that the same file goes on where an earlier program stopped."""
        self._http = httpx.Client(**connection(base_url, key, timeout_seconds))
        self._elsewhere = httpx.Client(timeout=timeout_seconds)  # without the key
        self._pauses_seconds = pauses_seconds
        self._resume_folder = resume_folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()
        self._elsewhere.close()

    def submit(
        self,
        source: str,
        *,
        mask: str | None = None,
        boxes: Sequence[TimedBox] = (),
        keep: Sequence[TimedBox] = (),
        reject: Collection[str] = (),
        classes: Collection[str] = ("overlay",),
        detect: bool | None = None,
        remove_audio: bool = False,
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        kind: Kind = "clean",
        preview: tuple[float, float] | None = None,
        deinterlace: bool = False,
    ) -> RemoteJob:
        """Hand in a job. Source and mask are addresses or files. `detect` None: look for marks unless there are boxes or a mask.

        Nothing changes in the boxes of `keep`; marks stay whose ids, as an earlier report has them, are in `reject`.
        `kind` "detect" finds the marks and removes none; the result is a JSON document. `preview`: the first second and the length in
        seconds of the part of a video that is cleaned, for less; boxes keep the times of the whole video.
        `deinterlace`: an interlaced video, so that each picture shows one moment.
        The same `idempotency_key` with the same arguments returns the job that the first call made. Without a key, a file of more than
        16 MiB is sent in pieces, and after a fault goes on where it stopped.
        """
        order = Order.of(
            source, mask, boxes, keep, reject, classes, detect, remove_audio, callback_url, idempotency_key, kind, preview, deinterlace
        )
        if order.large_file is not None and idempotency_key is None and (url := self._sent(order.large_file)):
            order = order.with_source(url)
        return self._tried(lambda: self._post(order))

    def upload(self, path: str | Path, on_progress: Callable[[float], object] = ignore_fraction) -> str:
        """Upload a file of any size in pieces, and return a link to it, which is a source for jobs. `on_progress`: called with 0 to 1."""
        url = self._sent(Path(path), on_progress)
        if url is None:
            raise FetchRefused("the service takes no uploads in pieces")
        return url

    def remove(
        self, detection: str, *, marks: Collection[str] = (), keep: Sequence[TimedBox] = (), idempotency_key: str | None = None
    ) -> RemoteJob:
        """Hand in a job that removes what the job `detection` has found: the marks with these ids, or all, without looking again."""
        order = Order.of_detection(detection, marks, keep, idempotency_key)
        return self._tried(lambda: self._post(order))

    def get(self, job_id: str) -> RemoteJob:
        """The job as it is now. Raises UnknownJob."""
        return self._tried(lambda: job_of(self._http.get(path_of(job_id))))

    def jobs(self, limit: int = 20) -> list[RemoteJob]:
        """The account's jobs, the newest first, at most `limit`."""
        found, cursor = self._page(limit, None)
        while cursor and len(found) < limit:
            more, cursor = self._page(limit - len(found), cursor)
            found += more
        return found

    def delete(self, job_id: str) -> None:
        """Delete all files of a job that has ended. Raises UnknownJob, ParameterError for one that has not."""
        self._tried(lambda: done(self._http.delete(path_of(job_id))))

    def estimate(
        self,
        *,
        kind: Kind = "clean",
        media: Media = "video",
        seconds: float | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> Estimate:
        """What a job would cost and take; nothing is ordered. `seconds`, `width`, `height`: of the video, if its price depends on them."""
        wanted = estimate_query(kind, media, seconds, width, height)
        return self._tried(lambda: self._estimate(wanted))

    def cancel(self, job_id: str) -> RemoteJob:
        """Cancel a job: a queued one ends at once, a running one as soon as its worker notices. An ended job is unchanged."""
        return self._tried(lambda: self._cancel(job_id))

    def wait(self, job_id: str, on_progress: Callable[[RemoteJob], object] = ignore) -> RemoteJob:
        """Wait until the job has ended, well or not, and return it. `on_progress` is called at each change, and may raise to stop waiting.

        Changes come as events; where these do not come through, the job is asked for now and then.
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

    def download(self, job_id: str, target: str | Path) -> None:
        """Write the job's result to `target`, which appears whole or not at all. Raises the failure of a job that has none."""
        if error := self.get(job_id).error:
            raise error
        with atomic_file(Path(target)) as unfinished:
            self._tried(lambda: self._download(job_id, unfinished))

    def _sent(self, path: Path, on_progress: Callable[[float], object] = ignore_fraction) -> str | None:
        """The link of the file, once it is uploaded; None if the service takes no such uploads."""
        steps = upload_steps(path, Memory(self._resume_folder, str(self._http.base_url), path), on_progress)
        answer: httpx.Response | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return None if end.value is None else str(end.value)
            time.sleep(step.pause_seconds)
            answer = self._taken(step)

    def _taken(self, step: Step) -> httpx.Response | None:
        """The answer to a step of an upload."""
        if not step.once:
            return self._tried(lambda: self._asked(step))
        http = self._elsewhere if step.is_elsewhere else self._http
        try:
            return http.request(**step.arguments)
        except httpx.HTTPError:
            return None

    def _asked(self, step: Step) -> httpx.Response:
        return refusal_worth_a_try(self._http.request(**step.arguments))

    def _post(self, order: Order) -> RemoteJob:
        with order.opened() as arguments:
            return job_of(self._http.post(JOBS, **arguments))

    def _page(self, jobs_left: int, cursor: str | None) -> tuple[list[RemoteJob], str | None]:
        return self._tried(lambda: page_of(self._http.get(JOBS, params=page_query(jobs_left, cursor))))

    def _estimate(self, wanted: dict[str, Any]) -> Estimate:
        return estimate_of(self._http.post(ESTIMATE, json=wanted))

    def _cancel(self, job_id: str) -> RemoteJob:
        return job_of(self._http.post(f"{path_of(job_id)}/cancel"))

    def _download(self, job_id: str, unfinished: Path) -> None:
        # The answer is a redirect to where the result lies; on the way to another host httpx drops the key.
        with self._http.stream("GET", f"{path_of(job_id)}/result", follow_redirects=True) as response, unfinished.open("wb") as file:
            if not response.is_success:
                response.read()
                raise error_of(response)
            for part in response.iter_bytes():
                file.write(part)

    def _news(self, job: RemoteJob) -> Iterator[RemoteJob]:
        """The job after each event that changes it, as long as it runs and events come."""
        try:
            with self._http.stream("GET", f"{path_of(job.id)}/events") as response:
                if response.status_code != httpx.codes.OK:
                    return
                reader = EventReader(job)
                for line in response.iter_lines():
                    changed = reader.read(line)
                    if reader.job.ended:
                        return
                    if changed:
                        yield reader.job
        except (httpx.HTTPError, TypeError, ValueError):
            return  # `wait` asks for the job next, and raises what is wrong

    def _tried(self, attempt: Callable[[], T]) -> T:
        """What the attempt returns, at the first time or a later one."""
        for pause_seconds in self._pauses_seconds:
            try:
                return attempt()
            except WORTH_ANOTHER_TRY as error:
                time.sleep(pause_seconds_after(error, pause_seconds))
        try:
            return attempt()
        except httpx.HTTPError as error:
            raise unreachable(self._http.base_url) from error
