"""The client of the native API for `async` programs, on asyncio or trio: `Client` with each request awaited."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
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


class AsyncClient:
    """One account's view of a service, for `async with`; it retries and raises as `Client` does, and may be cancelled at any await."""

    def __init__(
        self,
        base_url: str,
        key: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
        pauses_seconds: Sequence[float] = PAUSES_SECONDS,
        resume_folder: Path | None = None,
    ) -> None:
        """`resume_folder`: remembers half uploads, so that the same file goes on where an earlier program stopped."""
        self._http = httpx.AsyncClient(**connection(base_url, key, timeout_seconds))
        self._elsewhere = httpx.AsyncClient(timeout=timeout_seconds)  # without the key
        self._pauses_seconds = pauses_seconds
        self._resume_folder = resume_folder

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.aclose()
        await self._elsewhere.aclose()

    async def submit(
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
        if order.large_file is not None and idempotency_key is None and (url := await self._sent(order.large_file)):
            order = order.with_source(url)
        return await self._tried(lambda: self._post(order))

    async def upload(self, path: str | Path, on_progress: Callable[[float], object] = ignore_fraction) -> str:
        """Upload a file of any size in pieces, and return a link to it, which is a source for jobs. `on_progress`: called with 0 to 1."""
        url = await self._sent(Path(path), on_progress)
        if url is None:
            raise FetchRefused("the service takes no uploads in pieces")
        return url

    async def remove(
        self, detection: str, *, marks: Collection[str] = (), keep: Sequence[TimedBox] = (), idempotency_key: str | None = None
    ) -> RemoteJob:
        """Hand in a job that removes what the job `detection` has found: the marks with these ids, or all, without looking again."""
        order = Order.of_detection(detection, marks, keep, idempotency_key)
        return await self._tried(lambda: self._post(order))

    async def get(self, job_id: str) -> RemoteJob:
        """The job as it is now. Raises UnknownJob."""
        return await self._tried(lambda: self._get(job_id))

    async def jobs(self, limit: int = 20) -> list[RemoteJob]:
        """The account's jobs, the newest first, at most `limit`."""
        found, cursor = await self._page(limit, None)
        while cursor and len(found) < limit:
            more, cursor = await self._page(limit - len(found), cursor)
            found += more
        return found

    async def delete(self, job_id: str) -> None:
        """Delete all files of a job that has ended. Raises UnknownJob, ParameterError for one that has not."""
        await self._tried(lambda: self._delete(job_id))

    async def estimate(
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
        return await self._tried(lambda: self._estimate(wanted))

    async def cancel(self, job_id: str) -> RemoteJob:
        """Cancel a job: a queued one ends at once, a running one as soon as its worker notices. An ended job is unchanged."""
        return await self._tried(lambda: self._cancel(job_id))

    async def wait(self, job_id: str, on_progress: Callable[[RemoteJob], object] = ignore) -> RemoteJob:
        """Wait until the job has ended, well or not, and return it. `on_progress` is called at each change, and may raise to stop waiting.

        Changes come as events; where these do not come through, the job is asked for now and then.
        """
        job = await self.get(job_id)
        while not job.ended:
            on_progress(job)
            async with aclosing(self._news(job)) as changes:
                async for news in changes:
                    on_progress(news)
            job = await self.get(job_id)
            if not job.ended:
                await anyio.sleep(self._pauses_seconds[-1])
        on_progress(job)
        return job

    async def download(self, job_id: str, target: str | Path) -> None:
        """Write the job's result to `target`, which appears whole or not at all. Raises the failure of a job that has none."""
        if error := (await self.get(job_id)).error:
            raise error
        with atomic_file(Path(target)) as unfinished:
            await self._tried(lambda: self._download(job_id, unfinished))

    async def _sent(self, path: Path, on_progress: Callable[[float], object] = ignore_fraction) -> str | None:
        """The link of the file, once it is uploaded; None if the service takes no such uploads."""
        steps = upload_steps(path, Memory(self._resume_folder, str(self._http.base_url), path), on_progress)
        answer: httpx.Response | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return None if end.value is None else str(end.value)
            await anyio.sleep(step.pause_seconds)
            answer = await self._taken(step)

    async def _taken(self, step: Step) -> httpx.Response | None:
        """The answer to a step of an upload."""
        if not step.once:
            return await self._tried(lambda: self._asked(step))
        http = self._elsewhere if step.is_elsewhere else self._http
        try:
            return await http.request(**step.arguments)
        except httpx.HTTPError:
            return None

    async def _asked(self, step: Step) -> httpx.Response:
        return refusal_worth_a_try(await self._http.request(**step.arguments))

    async def _post(self, order: Order) -> RemoteJob:
        with order.opened() as arguments:
            return job_of(await self._http.post(JOBS, **arguments))

    async def _get(self, job_id: str) -> RemoteJob:
        return job_of(await self._http.get(path_of(job_id)))

    async def _page(self, jobs_left: int, cursor: str | None) -> tuple[list[RemoteJob], str | None]:
        async def asked() -> tuple[list[RemoteJob], str | None]:
            return page_of(await self._http.get(JOBS, params=page_query(jobs_left, cursor)))

        return await self._tried(asked)

    async def _estimate(self, wanted: dict[str, Any]) -> Estimate:
        return estimate_of(await self._http.post(ESTIMATE, json=wanted))

    async def _cancel(self, job_id: str) -> RemoteJob:
        return job_of(await self._http.post(f"{path_of(job_id)}/cancel"))

    async def _delete(self, job_id: str) -> None:
        done(await self._http.delete(path_of(job_id)))

    async def _download(self, job_id: str, unfinished: Path) -> None:
        async with self._http.stream("GET", f"{path_of(job_id)}/result", follow_redirects=True) as response:
            if not response.is_success:
                await response.aread()
                raise error_of(response)
            async with await anyio.open_file(unfinished, "wb") as file:
                async for part in response.aiter_bytes():
                    await file.write(part)

    async def _news(self, job: RemoteJob) -> AsyncGenerator[RemoteJob]:
        """The job after each event that changes it, as long as it runs and events come."""
        try:
            async with self._http.stream("GET", f"{path_of(job.id)}/events") as response:
                if response.status_code != httpx.codes.OK:
                    return
                reader = EventReader(job)
                async for line in response.aiter_lines():
                    changed = reader.read(line)
                    if reader.job.ended:
                        return
                    if changed:
                        yield reader.job
        except (httpx.HTTPError, TypeError, ValueError):
            return  # `wait` asks for the job next, and raises what is wrong

    async def _tried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What the attempt returns, at the first time or a later one."""
        for pause_seconds in self._pauses_seconds:
            try:
                return await attempt()
            except WORTH_ANOTHER_TRY as error:
                await anyio.sleep(pause_seconds_after(error, pause_seconds))
        try:
            return await attempt()
        except httpx.HTTPError as error:
            raise unreachable(self._http.base_url) from error
