"""Who asks, by the key in the Authorization header."""

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.api.facade import AppContext
from service.jobs.accounts import Account


async def account_of(request: Request, context: AppContext) -> Account:
    """The account of the request's key; raises KeyMissing, KeyInvalid, AccountMissing, AccountBanned."""
    return await run_in_threadpool(context.job_service.account_of_key, bearer(request))


def bearer(request: Request) -> str:
    """The key, sent after the word Bearer or alone; empty when there is none."""
    word, _, rest = request.headers.get("authorization", "").strip().partition(" ")
    return rest.strip() if word.lower() == "bearer" else word if not rest else ""
