"""The admin API, for keys of the scope `admin`: what the commands `accounts`, `keys`, `credits` and `redeliver` do, over HTTP."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.api import admin_docs as docs
from service.api.admin_audit import Recorded
from service.api.admin_callbacks import add_callbacks
from service.api.admin_destination import add_destinations
from service.api.admin_models import (
    AccountBody,
    AdminAccountPage,
    AdminAccountView,
    CreditsBody,
    KeyList,
    KeyView,
    LinePage,
    LineView,
    NewAccountBody,
    NewKeyBody,
    NewKeyView,
)
from service.api.admin_oversight import LARGEST_ID, Limit, OfAccount, add_oversight, respond
from service.api.auth import BEARER_KEY, account_of
from service.api.facade import AppContext
from service.api.native_caller import caller_of, read_json
from service.api.problems import IdempotencyKeyReused, ProblemRoute
from service.api.rates import READ
from service.api.times import rfc3339
from service.errors import AccountMissing, UnknownJob
from service.jobs.accounts import Account, AccountLimits
from service.jobs.administration import Administration
from service.jobs.credits import Fund
from service.jobs.keys import Scope
from service.jobs.queues import Queues

LIMITS: Final = ("queue_jobs", "storage_bytes")
DEFAULTS: Final = ("rights", "digital_source_type")

AccountId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
KeyId = Annotated[str, Path(pattern=r"^key_[0-9a-f]{12}$")]
AfterKey = Annotated[str | None, Query(pattern=r"^key_[0-9a-f]{12}$", description="`next_after` of the previous page.")]
NamePart = Annotated[str, Query(max_length=100, description="Only accounts whose names contain this.")]
Position = Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="Where the page begins, as the previous one says.")]


class AccountUnknown(UnknownJob):
    """There is no account with this id."""


class KeyUnknown(UnknownJob):
    """There is no key with this id."""


def router(context: AppContext, administration: Administration, queues: Queues) -> APIRouter:
    """All endpoints below `/v1/admin`."""

    async def sign_in(request: Request) -> None:
        request.state.account = await account_of(request, context, Scope.ADMIN)

    routes = APIRouter(prefix="/v1/admin", route_class=ProblemRoute, tags=["admin"], dependencies=[Security(BEARER_KEY), Depends(sign_in)])
    _add_accounts(routes, context, administration)
    _add_credits(routes, context, administration)
    _add_keys(routes, context, administration)
    add_destinations(routes, context, lambda account_id: _find(account_id, administration), administration)
    add_oversight(routes, context, administration, queues)
    add_callbacks(routes, context, administration)
    return routes


def _add_accounts(routes: APIRouter, context: AppContext, administration: Administration) -> None:
    """Add the routes of accounts."""

    @routes.get("/accounts", **docs.ACCOUNTS)
    async def accounts(request: Request, limit: Limit = 100, after: Position = None, name: NamePart = "") -> Response:
        caller_of(request, context, READ)
        found = await run_in_threadpool(administration.states, after or 0, limit + 1, name)
        next_after = found[limit - 1].account.id if len(found) > limit else None
        return respond(AdminAccountPage(data=[AdminAccountView.of(state) for state in found[:limit]], next_after=next_after))

    @routes.post("/accounts", **docs.CREATE_ACCOUNT)
    async def create(request: Request) -> Response:
        recorded = Recorded.of(request, context, administration)
        body = await read_json(request, NewAccountBody, context)
        return respond(await recorded.do("account.create", body.name, lambda: _create(body, administration), _given(body)), 201)

    @routes.get("/accounts/{account_id}", **docs.ACCOUNT)
    async def account(request: Request, account_id: AccountId) -> Response:
        caller_of(request, context, READ)
        return respond(await run_in_threadpool(lambda: _view(_find(account_id, administration), administration)))

    @routes.patch("/accounts/{account_id}", **docs.CHANGE_ACCOUNT)
    async def change(request: Request, account_id: AccountId) -> Response:
        recorded = Recorded.of(request, context, administration)
        body = await read_json(request, AccountBody, context)
        found = await run_in_threadpool(_find, account_id, administration)
        return respond(await recorded.do("account.change", found.name, lambda: _change(found, body, administration), _given(body)))

    @routes.delete("/accounts/{account_id}", **docs.DELETE_ACCOUNT)
    async def delete(request: Request, account_id: AccountId) -> Response:
        recorded = Recorded.of(request, context, administration)
        found = await run_in_threadpool(_find, account_id, administration)
        await recorded.do("account.delete", found.name, lambda: administration.accounts.delete(found))
        return Response(status_code=204)


def _add_credits(routes: APIRouter, context: AppContext, administration: Administration) -> None:
    """Add the routes of credits: changes, and the ledger."""

    @routes.post("/accounts/{account_id}/credits", **docs.CREDITS)
    async def credits(request: Request, account_id: AccountId, idempotency_key: docs.IdempotencyKey = None) -> Response:
        recorded = Recorded.of(request, context, administration)
        body = await read_json(request, CreditsBody, context)
        found = await run_in_threadpool(_find, account_id, administration)
        enter = partial(_enter, found, body, idempotency_key, administration)
        return respond(await recorded.do(f"credits.{body.kind}", found.name, enter, _given(body)))

    @routes.get("/accounts/{account_id}/ledger", **docs.LEDGER)
    async def ledger(request: Request, account_id: AccountId, limit: Limit = 100, before: Position = None) -> Response:
        caller_of(request, context, READ)
        lines = await run_in_threadpool(lambda: administration.latest_lines(_find(account_id, administration), limit + 1, before))
        fields = ("id", "kind", "fund", "free_credits", "held_credits", "job_id", "note")
        data = [LineView(at=rfc3339(line.at_ms), **{name: getattr(line, name) for name in fields}) for line in lines[:limit]]
        return respond(LinePage(data=data, next_before=data[-1].id if len(lines) > limit else None))


def _add_keys(routes: APIRouter, context: AppContext, administration: Administration) -> None:
    """Add the routes of keys."""
    accounts = administration.accounts

    @routes.get("/keys", **docs.KEYS)
    async def keys(request: Request, account_id: OfAccount = None, limit: Limit = 1000, after: AfterKey = None) -> Response:
        caller_of(request, context, READ)
        owner = await run_in_threadpool(_find, account_id, administration) if account_id else None
        found = await run_in_threadpool(lambda: accounts.keys(owner, after_id=after, limit=limit + 1))
        data = [KeyView.of(key) for key in found[:limit]]
        return respond(KeyList(data=data, next_after=data[-1].id if len(found) > limit else None))

    @routes.post("/accounts/{account_id}/keys", **docs.CREATE_KEY)
    async def create_key(request: Request, account_id: AccountId) -> Response:
        recorded = Recorded.of(request, context, administration)
        body = await read_json(request, NewKeyBody, context)
        found = await run_in_threadpool(_find, account_id, administration)
        make = partial(accounts.create_key, found, frozenset(map(Scope, body.scopes)), body.valid_seconds)
        return respond(NewKeyView.of(await recorded.do("key.create", found.name, make, _given(body))), 201)

    @routes.delete("/keys/{key_id}", **docs.REVOKE_KEY)
    async def revoke(request: Request, key_id: KeyId) -> Response:
        recorded = Recorded.of(request, context, administration)
        if not await run_in_threadpool(lambda: accounts.keys(key_id=key_id)):
            raise KeyUnknown("there is no such key")
        await recorded.do("key.revoke", key_id, lambda: accounts.revoke_key(key_id))
        return Response(status_code=204)


def _given(body: BaseModel) -> dict[str, object]:
    """What a body names."""
    return body.model_dump(mode="json", exclude_unset=True)


def _find(account_id: int, administration: Administration) -> Account:
    try:
        return administration.accounts.get(account_id)
    except AccountMissing as error:
        raise AccountUnknown(str(error)) from None


def _view(account: Account, administration: Administration) -> AdminAccountView:
    return AdminAccountView.of(administration.state(account.id))


def _create(body: NewAccountBody, administration: Administration) -> AdminAccountView:
    limits = AccountLimits(body.queue_jobs, body.storage_bytes)
    account = administration.create(body.name, body.rights, body.digital_source_type, limits)
    if body.banned:
        administration.accounts.set_banned(account, True)
    return _view(account, administration)


def _change(account: Account, body: AccountBody, administration: Administration) -> AdminAccountView:
    """Change what the body names; null is a value."""
    accounts = administration.accounts
    given = {name: getattr(body, name) for name in body.model_fields_set}
    if given.keys() & set(DEFAULTS):
        changed = replace(account, **{name: given[name] for name in DEFAULTS if name in given})
        accounts.declare(account, changed.rights, changed.digital_source_type)
    if given.keys() & set(LIMITS):
        accounts.limit(account, replace(account.limits, **{name: given[name] for name in LIMITS if name in given}))
    if "banned" in given:
        accounts.set_banned(account, body.banned)
    return _view(account, administration)


def _enter(account: Account, body: CreditsBody, event: str | None, administration: Administration) -> AdminAccountView:
    fund = Fund(body.fund)
    enter = administration.grant if body.kind == "grant" else administration.correct
    entry = enter(account, fund, body.credits, body.note, event)
    if (entry.fund, abs(entry.free_credits), entry.note) != (fund, body.credits, body.note):
        raise IdempotencyKeyReused("the Idempotency-Key was already used with another request")
    return _view(account, administration)
