"""Authenticates a request by the key in its Authorization header."""

from typing import Final

from fastapi import Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from service.api.facade import AppContext
from service.api.sign_in import address_of
from service.errors import KeyMissing
from service.jobs.accounts import Account
from service.jobs.keys import Scope

# For the OpenAPI document only: `account_of` checks the key, so that each facade renders its own errors.
BEARER_KEY: Final = HTTPBearer(auto_error=False, scheme_name="BearerKey", description="The account's key.")


async def account_of(request: Request, context: AppContext, scope: Scope) -> Account:
    """The account of the request's key, which must have this scope.

    Raises KeyMissing, KeyInvalid, AccountMissing, AccountBanned, ScopeMissing, RateLimited.
    """
    key = bearer(request)
    if not key:
        raise KeyMissing("a key is required")
    return await run_in_threadpool(context.sign_in.account_of_key, key, scope, address_of(request))


async def caller(request: Request, context: AppContext, kind: str, scope: Scope | None = None) -> Account:
    """The account of the request's key, after counting the request of this kind, SUBMIT or READ, which by default is also its scope.

    Nothing else of a request is read before. Raises RateLimited, and as `account_of`.
    """
    account = await account_of(request, context, scope or Scope(kind))
    context.rates.count(account.id, kind)
    return account


def bearer(request: Request) -> str:
    """The key, with or without the word Bearer before it; empty if absent."""
    scheme, _, rest = request.headers.get("authorization", "").strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else scheme if not rest else ""
