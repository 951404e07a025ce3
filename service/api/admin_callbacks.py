"""The part of the admin API about callbacks: those of all accounts, and sending them again."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api import admin_docs as docs
from service.api.admin_audit import Recorded
from service.api.admin_oversight import Limit, OfAccount, respond
from service.api.cursor import After, Cursor
from service.api.facade import AppContext
from service.api.native_caller import JOB_ID, caller_of
from service.api.oversight_models import AdminCallbackPage, AdminCallbackView, RedeliveredView
from service.api.rates import READ
from service.errors import UnknownJob
from service.jobs import callbacks, oversight
from service.jobs.administration import Administration
from service.jobs.oversight import CallbackFilter

OfOutcome = Annotated[Literal["pending", "delivered", "given_up"] | None, Query(description="Only callbacks with this outcome.")]
SubjectId = Annotated[str, Path(pattern=f"^{JOB_ID.pattern}$", description="Of a job or a batch.")]


class CallbackUnknown(UnknownJob):
    """There is no such callback: no such job or batch, or it has none, or has not ended."""


def add_callbacks(routes: APIRouter, context: AppContext, administration: Administration) -> None:
    """Add the routes."""

    @routes.get("/callbacks", **docs.CALLBACKS)
    async def listed(
        request: Request, limit: Limit = 50, cursor: After = None, account_id: OfAccount = None, outcome: OfOutcome = None
    ) -> Response:
        caller_of(request, context, READ)
        position = Cursor.parse(cursor) if cursor else Cursor()
        return respond(await run_in_threadpool(_page, CallbackFilter(account_id, outcome), position, limit, administration))

    @routes.post("/callbacks/redeliver", **docs.REDELIVER_GIVEN_UP)
    async def redeliver_given_up(request: Request) -> Response:
        recorded = Recorded.of(request, context, administration)
        number = await recorded.do("callback.redeliver", "all that were given up", lambda: _redeliver_given_up(administration))
        return respond(RedeliveredView(callbacks=number), 202)

    @routes.post("/callbacks/{subject_id}/redeliver", **docs.REDELIVER_ONE)
    async def redeliver(request: Request, subject_id: SubjectId) -> Response:
        recorded = Recorded.of(request, context, administration)
        await recorded.do("callback.redeliver", subject_id, lambda: _redeliver(subject_id, administration))
        return respond(RedeliveredView(callbacks=1), 202)


def _page(wanted: CallbackFilter, position: Cursor, limit: int, administration: Administration) -> AdminCallbackPage:
    with administration.database.read() as connection:
        found = oversight.deliveries(connection, wanted, limit + position.seen + 1, position.before_ms)
    page = found[position.seen :][:limit]
    following = position.after([each.at_ms for each in page]) if len(found) > position.seen + limit else None
    return AdminCallbackPage(data=[AdminCallbackView.of(each) for each in page], next_cursor=str(following) if following else None)


def _redeliver(subject_id: str, administration: Administration) -> None:
    with administration.database.write() as connection:
        if callbacks.find(connection, subject_id) is None:
            raise CallbackUnknown("there is no callback of this job or batch")
        callbacks.redeliver(connection, subject_id)


def _redeliver_given_up(administration: Administration) -> int:
    with administration.database.write() as connection:
        return callbacks.redeliver_given_up(connection)
