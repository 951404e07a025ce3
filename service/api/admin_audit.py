"""Records what the admin API changes: in the audit log and in the process's log."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.api.auth import bearer
from service.api.facade import AppContext
from service.api.native_caller import caller_of
from service.api.rates import READ
from service.jobs.administration import Administration
from service.jobs.audit import Actor

log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Recorded:
    """Changes things on behalf of one request, and records each."""

    account_id: int
    name: str
    key: str
    administration: Administration

    @classmethod
    def of(cls, request: Request, context: AppContext, administration: Administration) -> "Recorded":
        """For a request that has been authenticated, after counting it. Raises RateLimited."""
        caller = caller_of(request, context, READ)
        return cls(caller.id, caller.name, bearer(request), administration)

    async def do(self, action: str, subject: str, change: Callable[[], Result], given: Mapping[str, object] | None = None) -> Result:
        """What the change returns. `given`: what was asked for, as JSON values without secrets."""

        def recorded() -> Result:
            actor = Actor(self.account_id, self.administration.accounts.key_id(self.key))
            with self.administration.audit.entry(action, subject, given or {}, actor):
                return change()

        log.info("admin: %s: %s %s", self.name, action, subject, extra={"account_id": self.account_id})
        return await run_in_threadpool(recorded)
