"""Who sends a request of the native API, and which of their jobs it names."""

import re
from typing import Final

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.api.body import KEYLESS_BYTES, read_body
from service.api.facade import AppContext
from service.api.json_body import parse_object
from service.api.parameters import type_of
from service.api.problems import Model, read_as
from service.api.rates import READ
from service.errors import UnknownJob, UnsupportedFormat
from service.jobs.accounts import Account
from service.jobs.job import Job

JOB_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")  # any facade's; the database is queried for nothing else


def caller_of(request: Request, context: AppContext, kind: str) -> Account:
    """The request's account, after counting the request. Raises RateLimited."""
    account: Account = request.state.account
    context.rates.count(account.id, kind)
    return account


async def read_json(request: Request, model: type[Model], context: AppContext) -> Model:
    """The request's JSON body, which is small. Raises UnsupportedFormat, TooLarge, ParameterError, InvalidFields."""
    if type_of(request) != "application/json":
        raise UnsupportedFormat("the body must be application/json")
    return read_as(model, parse_object(await read_body(request, context.capacity, KEYLESS_BYTES), context.options.json_depth))


async def find_job(request: Request, job_id: str, context: AppContext) -> Job:
    """The account's job, after counting the request. Raises RateLimited, UnknownJob."""
    account = caller_of(request, context, READ)
    if not JOB_ID.fullmatch(job_id):
        raise UnknownJob("there is no such job")
    return await run_in_threadpool(context.job_service.find, account.id, job_id)
