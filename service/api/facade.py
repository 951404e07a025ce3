"""A facade as a value: one vendor's dialect over the one core. Facades parse, ask the desk, and render; they own no state."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.api.rates import Rates
from service.errors import CleanplateError, InternalError, RateLimited, UnknownJob
from service.jobs.job import Job
from service.jobs.job_service import JobService
from service.outside.guard import EgressPolicy
from service.outside.links import Links
from service.outside.storage import Storage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Code:
    """How a facade says an error. `message` None: the error's own words."""

    code: int
    message: str | None = None

    def words(self, error: CleanplateError) -> str:
        return self.message or str(error)


Codes = Mapping[type[CleanplateError], Code]
Render = Callable[[CleanplateError], Response]
Words = Mapping[type[Exception], Callable[[Any], Response]]


@dataclass(frozen=True)
class ApiOptions:
    """Settings of the facades."""

    result_link_seconds: float = 14 * 86400.0  # how long links in answers hold
    direct_link_seconds: float = 20 * 60.0  # kie's download-url
    hold_seconds: float = 300.0  # how long savesora holds a request
    signature_window_seconds: float = 15 * 60.0  # aidge
    sora_links_only: bool = False
    upload_bytes: int = 200 * 2**20
    body_bytes: int = 32 * 2**20  # of a JSON or form body
    json_depth: int = 16


@dataclass(frozen=True)
class AppContext:
    """What a facade works with; built once, in the composition root."""

    job_service: JobService
    links: Links
    storage: Storage
    egress: EgressPolicy
    rates: Rates
    options: ApiOptions

    def task(self, account_id: int, job_id: str, facade: str) -> Job:
        """The account's job, if it was made in this dialect; raises UnknownJob."""
        job = self.job_service.find(account_id, job_id)
        if job.facade != facade:
            raise UnknownJob("the task is of another dialect")
        return job


@dataclass(frozen=True)
class Callback:
    """What is POSTed when a job ends. `task_id`: what its signature is over."""

    task_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Facade:
    """One dialect. `codes` holds a code for every kind of error; `callback` renders an ended job, with links that hold so many seconds."""

    name: str
    codes: Codes
    router: Callable[[AppContext], APIRouter]
    callback: Callable[[Job, Links, float], Callback] | None = None


def code_of(codes: Codes, kind: type[CleanplateError]) -> Code:
    """The code of an error's kind, or of the nearest kind above it."""
    return next(codes[base] for base in kind.__mro__ if base in codes)


def guarded(render: Render, others: Words | None = None) -> type[APIRoute]:
    """A route whose handler may raise any error: `render` words ours; what is unforeseen is logged, and told as an InternalError.

    `others`: kinds that are answered otherwise; without it that one of which all dialects speak alike.
    """
    special: Words = {RateLimited: too_many_requests} if others is None else others

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handle(request)
                except HTTPException:
                    raise
                except ClientDisconnect:  # in the middle of its body: nobody hears the answer
                    return Response(status_code=400)
                except Exception as error:
                    return _worded(error, render, special)

            return answer

    return GuardedRoute


def _worded(error: Exception, render: Render, special: Words) -> Response:
    for kind, word in special.items():
        if isinstance(error, kind):
            return word(error)
    if isinstance(error, CleanplateError):
        return render(error)
    log.error("a request failed", exc_info=error)
    return render(InternalError("internal error"))


def too_many_requests(error: RateLimited) -> Response:
    """The one answer that all dialects share."""
    body = {"code": 429, "msg": "Rate limit exceeded", "message": "Rate limit exceeded", "data": None}
    return JSONResponse(body, 429, {"Retry-After": str(error.retry_after_seconds)})
