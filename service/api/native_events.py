"""A job's events as they happen, as server-sent events: its states, each with a number to resume after, and its progress between them."""

import json
import time
from collections.abc import AsyncIterator
from typing import Final

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from service.api.native_models import moment
from service.errors import CleanplateError
from service.jobs.job import Job
from service.jobs.job_service import JobService
from service.jobs.store import Event

LOOK_SECONDS: Final = 0.5
HEARTBEAT: Final = ": still here\n\n"  # a comment, which clients skip
HEARTBEAT_SECONDS: Final = 15.0  # proxies cut a line that is silent for longer, often 30 or 60 s
# Past caches and buffers of proxies: each event is to arrive when it happens.
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


async def stream(job_service: JobService, job: Job, after: int) -> AsyncIterator[str]:
    """What happens to the job, from after this event's number, until it has ended."""
    told_percent = -1
    told_at = time.monotonic()
    while True:
        try:
            job, events = await run_in_threadpool(news, job_service, job, after)
        except CleanplateError:  # the client asks again by itself, from where it was
            return
        lines = [_state(event) for event in events]
        if job.progress_percent != told_percent and not job.ended:
            lines.append(_progress(job))
        if not lines and time.monotonic() > told_at + HEARTBEAT_SECONDS:
            lines.append(HEARTBEAT)
        if lines:
            yield "".join(lines)
            told_percent, told_at = job.progress_percent, time.monotonic()
        if job.ended:
            return
        after = events[-1].number if events else after
        await anyio.sleep(LOOK_SECONDS)


def news(job_service: JobService, job: Job, after: int) -> tuple[Job, list[Event]]:
    """The job first, then its events: those of a job that has ended are all there."""
    return job_service.find(job.account_id, job.id), job_service.events(job.account_id, job.id, after)


def _state(event: Event) -> str:
    return f"id: {event.number}\nevent: state\ndata: {json.dumps({'state': event.state, 'at': moment(event.at_ms)})}\n\n"


def _progress(job: Job) -> str:
    return f"event: progress\ndata: {json.dumps({'progress_percent': job.progress_percent})}\n\n"
