"""The job service on a real database, without a worker: tests do the worker's part.

with bench(url) as it:
    account = it.customer(one_time=1, paid=2)
    job = it.order(account)
    it.run(job, State.FETCHING, State.CLEANING)
    it.succeed(job)                                     # or fail(job); either passes through the states before it
"""

import itertools
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from service.jobs import credits, ledger, store
from service.jobs.accounts import Account, Accounts
from service.jobs.credits import EMPTY, Balance, Entry, Fund, grant
from service.jobs.database import Database, now_ms
from service.jobs.fence import Fence
from service.jobs.finalizer import JobFinalizer
from service.jobs.job import Failure, Job, JobSpec, NewJob, Price, Result, State, new_id
from service.jobs.job_service import JobService, Rules
from service.jobs.queues import Queues, fetch_id
from service.jobs.vault import Vault

URL = "http://example.com/video.mp4"
RUNNING_STATES = (State.FETCHING, State.CLEANING, State.PUBLISHING)
PRICES: Price = {"video": 3, "image": 1}


def first_workflow(job: Job) -> str:
    """The workflow with which a job begins: it fetches the source, or cleans an upload."""
    return job.id if job.spec.is_fetched else fetch_id(job.id)


def take(database: Database, workflow_id: str, executor_id: str = "a worker") -> Fence:
    """Take a workflow for an execution, as the engine does; return the execution's fence."""
    token = str(uuid.uuid4())
    schema = "" if database.is_sqlite else "dbos."
    begin = sa.text(
        f"UPDATE {schema}workflow_status SET status = 'PENDING', executor_id = :who, owner_xid = :token WHERE workflow_uuid = :id"
    )
    with database.write() as connection:
        assert connection.execute(begin, {"who": executor_id, "token": token, "id": workflow_id}).rowcount == 1
    return Fence(database, workflow_id, token)


@dataclass(frozen=True)
class Bench:
    """A job service with its parts; see the module's docstring."""

    database: Database
    accounts: Accounts
    queues: Queues
    finalizer: JobFinalizer
    job_service: JobService
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def with_rules(self, **rules: Any) -> "Bench":
        """The same with other rules."""
        return replace(self, job_service=JobService(self.database, self.accounts, self.queues, self.finalizer, Rules(**rules)))

    def customer(self, one_time: int = 0, paid: int = 0) -> Account:
        account = self.accounts.create(f"customer {next(self.numbers)}")
        self.grant(account, Fund.ONE_TIME, one_time)
        self.grant(account, Fund.PAID, paid)
        return account

    def grant(self, account: Account, fund: Fund, amount_credits: int) -> None:
        if amount_credits:
            with self.database.write() as connection:
                ledger.write(connection, account.id, [grant(EMPTY, fund, amount_credits)])

    def new(self, account: Account, **more: Any) -> NewJob:
        spec = JobSpec("video", source_url=URL)
        values: dict[str, Any] = {"id": new_id("job_", now_ms()), "account_id": account.id, "facade": "kie", "spec": spec}
        return NewJob(**values | more)

    def order(self, account: Account, **more: Any) -> Job:
        return self.job_service.submit(self.new(account, **more))

    def take(self, workflow: Job | str, executor_id: str = "a worker") -> Fence:
        """Take a workflow, by default the job's first, for an execution; return the execution's fence."""
        return take(self.database, workflow if isinstance(workflow, str) else first_workflow(workflow), executor_id)

    def run(self, job: Job, *states: State) -> Job:
        with self.database.write() as connection:
            for state in states:
                job = store.advance(connection, store.locked(connection, job.id), state)
        return job

    def succeed(self, job: Job) -> Job:
        now = self.job_service.find(job.account_id, job.id)
        self.run(job, *[state for state in RUNNING_STATES if not now.ended and list(State).index(state) > list(State).index(now.state)])
        with self.database.write() as connection:
            return self.finalizer.succeed(connection, store.locked(connection, job.id))

    def find_nothing(self, job: Job, *, mark_found: bool = False) -> None:
        """Record the result of a job that found no mark."""
        result = Result("clean.mp4", "source.mp4", "thumbnail.jpg", "video/mp4", 1, 1, mark_found, 1.0)
        with self.database.write() as connection:
            store.update(connection, job.id, result=result.to_json())

    def fail(self, job: Job, kind: str = "TooLong") -> Job:
        with self.database.write() as connection:
            return self.finalizer.fail_and_refund(connection, store.locked(connection, job.id), Failure(kind, "too long"))

    def entries(self, account: Account) -> list[Entry]:
        with self.database.read() as connection:
            return [ledger.entry_of(row) for row in ledger.lines(connection, account.id)]

    def balance(self, account: Account) -> Balance:
        """The account's balance, checked against its ledger."""
        balance = self.job_service.balance(account.id)
        assert balance == credits.balance_of(self.entries(account))
        assert min(balance.paid_credits, balance.one_time_credits, balance.held_credits) >= 0
        return balance


@contextmanager
def bench(url: str, with_callbacks: Sequence[str] = ("kie",)) -> Iterator[Bench]:
    """A job service on this database, which is migrated."""
    database = Database(url).migrate()
    accounts, queues = Accounts(database, Vault("a secret of this test")), Queues(database)
    finalizer = JobFinalizer(queues, with_callbacks)
    try:
        yield Bench(database, accounts, queues, finalizer, JobService(database, accounts, queues, finalizer, Rules(price_credits=PRICES)))
    finally:
        queues.close()
        database.close()
