"""A job's events as server-sent events: its states, each with a number to resume after, and its progress in between."""

import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.job_watcher import Waiter
from service.api.times import rfc3339
from service.errors import CleanplateError
from service.jobs.database import now_ms
from service.jobs.forecast import Begun
from service.jobs.job import Job, State
from service.jobs.job_service import JobService
from service.jobs.store import Event

HEARTBEAT: Final = ": still here\n\n"  # a comment, which clients ignore
HEARTBEAT_SECONDS: Final = 15.0  # proxies close connections that are silent for longer, often after 30 or 60 s
# Keeps proxies from caching or buffering: events should arrive as they happen.
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class ServerSentEvents(StreamingResponse):
    """As the API's document describes them."""

    media_type = "text/event-stream"


class EventStream(ServerSentEvents):
    """The events of a job, for a request that waits in its place."""

    def __init__(self, waiter: Waiter, job_service: JobService, job: Job, after: int) -> None:
        super().__init__(_stream(waiter, job_service, job, after), headers=HEADERS)
        self._waiter = waiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; the place is free again however that ends."""
        with self._waiter:
            await super().__call__(scope, receive, send)


async def _stream(waiter: Waiter, job_service: JobService, job: Job, after: int) -> AsyncIterator[str]:
    """Stream the job's events with a number greater than `after`, until it has ended or the key is refused."""
    sent_percent = -1
    begun: Begun | None = None
    while not waiter.is_refused:
        try:
            job, events = await run_in_threadpool(job_and_events, job_service, job, after)
        except CleanplateError:  # the client reconnects and resumes where it was
            return
        lines = [_state(event) for event in events]
        if job.progress_percent != sent_percent and not job.ended:
            begun = Begun.of(job, now_ms(), begun)
            eta_seconds = (await run_in_threadpool(job_service.forecast)).remaining_seconds(job, now_ms(), begun)
            lines.append(_progress(job, eta_seconds))
            sent_percent = job.progress_percent
        if lines:
            yield "".join(lines)
        if job.ended:
            return
        after = events[-1].number if events else after
        while not await waiter.changed(HEARTBEAT_SECONDS):
            yield HEARTBEAT


def job_and_events(job_service: JobService, job: Job, after: int) -> tuple[Job, list[Event]]:
    """The job, then its events, read in this order so that an ended job's events are complete."""
    return job_service.find(job.account_id, job.id), job_service.events(job.account_id, job.id, after)


def _state(event: Event) -> str:
    return f"id: {event.number}\nevent: state\ndata: {json.dumps({'state': event.state, 'at': rfc3339(event.at_ms)})}\n\n"


def _progress(job: Job, eta_seconds: float | None) -> str:
    rounded = None if eta_seconds is None else round(eta_seconds, 1)
    data = {"progress_percent": job.progress_percent, "step": job.step if job.state is State.CLEANING else None, "eta_seconds": rounded}
    return f"event: progress\ndata: {json.dumps(data)}\n\n"
