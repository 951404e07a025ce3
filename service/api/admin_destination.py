"""Buckets of the accounts' own, for operators."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api import destination_docs as docs
from service.api.admin_audit import Recorded
from service.api.admin_oversight import LARGEST_ID, respond
from service.api.destination_models import DestinationBody, DestinationView
from service.api.facade import AppContext
from service.api.native_caller import caller_of, read_json
from service.api.native_destination import destination_of
from service.api.rates import READ
from service.jobs.accounts import Account
from service.jobs.administration import Administration

AccountId = Annotated[int, Path(ge=1, le=LARGEST_ID)]


def add_destinations(
    routes: APIRouter, context: AppContext, find_account: Callable[[int], Account], administration: Administration
) -> None:
    """Add the routes. `find_account` raises for an account that there is not."""

    @routes.put("/accounts/{account_id}/destination", **docs.SET_FOR_ACCOUNT)
    async def put(request: Request, account_id: AccountId) -> Response:
        recorded = Recorded.of(request, context, administration)
        body = await read_json(request, DestinationBody, context)
        found = await run_in_threadpool(find_account, account_id)
        await recorded.do("destination.set", found.name, lambda: context.destinations.set(found.id, body.destination))
        return respond(DestinationView.of(await run_in_threadpool(destination_of, account_id, context)))

    @routes.get("/accounts/{account_id}/destination", **docs.FIND)
    async def find(request: Request, account_id: AccountId) -> Response:
        caller_of(request, context, READ)
        return respond(DestinationView.of(await run_in_threadpool(destination_of, account_id, context)))

    @routes.delete("/accounts/{account_id}/destination", **docs.REMOVE)
    async def remove(request: Request, account_id: AccountId) -> Response:
        recorded = Recorded.of(request, context, administration)
        await recorded.do("destination.remove", f"account {account_id}", lambda: context.destinations.remove(account_id))
        return Response(status_code=204)
