"""A facade as a value: one vendor's dialect over the job service. Facades parse, call the job service and render; they are stateless."""

import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.api.capacity import Capacity
from service.api.job_watcher import JobWatcher
from service.api.rates import Rates, counted_windows, rate_headers
from service.api.sign_in import SignIn
from service.api.upload import ACCOUNT_UPLOADS, AccountSlots
from service.disk import is_full
from service.errors import Busy, CleanplateError, InternalError, StorageFull, UnknownJob
from service.jobs.account_files import AccountFiles
from service.jobs.batches import Batches
from service.jobs.destinations import Destinations
from service.jobs.job import Job
from service.jobs.job_service import JobService
from service.jobs.transfers import Transfers
from service.jobs.webhook_secrets import WebhookSecrets
from service.outside.guard import EgressPolicy
from service.outside.links import Links
from service.outside.storage import Storage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Code:
    """A facade's code for an error. `message` None: the error's own message."""

    code: int
    message: str | None = None

    def message_for(self, error: CleanplateError) -> str:
        return self.message or str(error)


Codes = Mapping[type[CleanplateError], Code]
Render = Callable[[CleanplateError], Response]
ErrorRenderers = Mapping[type[Exception], Callable[[Any], Response]]


@dataclass(frozen=True)
class InputLimits:
    """The largest input that is accepted, as clients are told."""

    file_bytes: int = 200 * 2**20
    duration_seconds: float = 360.0
    long_side_pixels: int = 2048
    short_side_pixels: int = 1088
    still_pixels: int = 50 * 10**6


@dataclass(frozen=True)
class ApiOptions:
    """The facades' options."""

    result_link_seconds: float = 14 * 86400.0  # validity of links to results
    direct_link_seconds: float = 20 * 60.0  # kie's download-url
    hold_seconds: float = 300.0  # how long savesora holds a request
    signature_window_seconds: float = 15 * 60.0  # aidge
    sora_links_only: bool = False
    upload_bytes: int = 200 * 2**20
    body_bytes: int = 32 * 2**20  # limit of a body with a file as text
    json_depth: int = 16
    upload_fetches: int = 64  # uploads by URL that are fetched at once
    account_fetches: int = 4  # of one account
    limits: InputLimits = field(default_factory=InputLimits)


@dataclass(frozen=True)
class AppContext:
    """What a facade works with. Built once, in the composition root."""

    job_service: JobService
    sign_in: SignIn
    links: Links
    storage: Storage
    egress: EgressPolicy
    rates: Rates
    watcher: JobWatcher
    options: ApiOptions
    account_files: AccountFiles
    batches: Batches
    webhook_secrets: WebhookSecrets
    transfers: Transfers
    destinations: Destinations
    capacity: Capacity = field(default_factory=Capacity)
    uploads: AccountSlots = field(default_factory=lambda: AccountSlots(ACCOUNT_UPLOADS, "uploads"))

    def task(self, account_id: int, job_id: str, facade: str) -> Job:
        """The account's job, if it was made through this facade. Raises UnknownJob."""
        job = self.job_service.find(account_id, job_id)
        if job.facade != facade:
            raise UnknownJob("the task belongs to another API")
        return job


@dataclass(frozen=True)
class Callback:
    """What is POSTed when a job ends. `event_id`: the same in every delivery; `task_id`: what the vendor's signature covers."""

    event_id: str
    task_id: str
    body: Mapping[str, Any]

    @property
    def payload(self) -> bytes:
        """The body as sent, and as signed."""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Facade:
    """One dialect. `codes`: a code for every kind of error. `callback`: renders an ended job, with links valid for so many seconds.

    prefixes: of its paths. What no endpoint takes below them is answered by `render_error`, in the words of the dialect.
    """

    name: str
    codes: Codes
    router: Callable[[AppContext], APIRouter]
    render_error: Render
    callback: Callable[[Job, Links, float], Callback] | None = None
    prefixes: tuple[str, ...] = ()


def link_of(job: Job, key: str, links: Links, seconds: float, filename: str | None = None) -> str:
    """A link to one of the job's files: always the same text while it is valid, as clients take another text for another file.

    filename: under which browsers save it.
    """
    return links.lasting(key, int(seconds), (job.finished_ms or job.created_ms) / 1000, filename)


def code_of(codes: Codes, kind: type[CleanplateError]) -> Code:
    """The code of an error's class, or of its nearest base class."""
    return next(codes[base] for base in kind.__mro__ if base in codes)


def guarded_route(render: Render, special_renderers: ErrorRenderers | None = None) -> type[APIRoute]:
    """A route class whose handlers may raise any error. `render` renders ours; unexpected ones are logged and rendered as InternalError.

    `special_renderers`: classes with renderers of their own. A response to Busy says in `Retry-After` when to try again, in any dialect.
    """
    by_kind: ErrorRenderers = special_renderers or {}

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def respond(request: Request) -> Response:
                with counted_windows() as windows:
                    response = await respond_in_dialect(request)
                response.headers.update(rate_headers(windows))
                return response

            async def respond_in_dialect(request: Request) -> Response:
                try:
                    return await handle(request)
                except HTTPException:
                    raise
                except ClientDisconnect:  # while sending its body: nobody receives the response
                    return Response(status_code=400)
                except Exception as error:
                    return rendered(error, render, by_kind)

            return respond

    return GuardedRoute


def rendered(error: Exception, render: Render, by_kind: ErrorRenderers) -> Response:
    """The response to a request whose handler raised this error."""
    for kind, render_special in by_kind.items():
        if isinstance(error, kind):
            return render_special(error)
    if not isinstance(error, CleanplateError) and is_full(error):
        error = StorageFull("the disk is full")
    if isinstance(error, StorageFull):
        log.error("a request was refused: %s", error)
    if not isinstance(error, CleanplateError):
        log.error("a request failed", exc_info=error)
        error = InternalError("internal error")
    response = render(error)
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
