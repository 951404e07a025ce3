"""The facades over a real job service, database, storage and server, but without a worker: tests do the worker's part.

    with workerless_server(tmp_path) as server:
        customer = server.customer(credits=3)
        server.client.post("/api/v1/jobs/createTask", headers=customer.bearer, json=...)
        server.start(job_id); server.succeed(job_id)        # or server.fail(job_id, FetchRefused("..."))

The same facades are served under three more prefixes: `/impatient` waits only a moment for results, `/sora` accepts only share links,
`/closed` is down for maintenance.
"""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import archive, files
from service.api.connection import server_of
from service.api.facade import ApiOptions, AppContext, Facade
from service.api.job_watcher import JobWatcher
from service.api.rates import READ, SUBMIT, Rates, WrongKeys
from service.api.sign_in import SignIn
from service.api.unrouted import refusal_of, unrouted
from service.disk import DiskGuard
from service.jobs import credits, ledger, store
from service.jobs.account_files import AccountFiles
from service.jobs.accounts import Account, Accounts
from service.jobs.batches import Batches
from service.jobs.credits import Fund
from service.jobs.database import Database
from service.jobs.destinations import Destinations
from service.jobs.finalizer import JobFinalizer
from service.jobs.job import Failure, Job, Post, Result, State
from service.jobs.job_service import JobService, Rules
from service.jobs.queues import Queues
from service.jobs.transfers import Transfers
from service.jobs.vault import Vault
from service.jobs.webhook_secrets import WebhookSecrets
from service.outside.guard import EgressPolicy
from service.outside.links import Links
from service.outside.storage import Storage

PATIENCE_SECONDS = 20.0  # only a failing test waits this long
MOMENT_SECONDS = 0.2
ACCOUNT_WAITS, TOTAL_WAITS = 3, 5
CLEAN, SOURCE = b"\x00\x00\x00\x18ftypmp42 clean", b"\x00\x00\x00\x18ftypmp42 source"


@dataclass(frozen=True)
class Customer:
    """An account and its key."""

    account: Account
    key: str

    @property
    def id(self) -> int:
        return self.account.id

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


class WorkerlessServer:
    """The server and its parts; see the module's docstring."""

    def __init__(self, folder: Path, facades: Sequence[Facade], url: str) -> None:
        vault = Vault("a secret of this test")
        self.database = Database(f"sqlite:///{folder / 'test.db'}").migrate()
        self.accounts = Accounts(self.database, vault)
        self.queues = Queues(self.database)
        self.finalizer = JobFinalizer(self.queues, ["kie"])
        self.storage = Storage.open(str(folder / "files"))
        self.links = Links(url, vault.derive("links"), self.storage)
        self.client = httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False)
        self._names = itertools.count(1)
        rates = Rates({SUBMIT: "20/10 second", READ: "600/10 second"})
        options = ApiOptions(upload_bytes=2**20, body_bytes=2**20)
        job_service, egress = self._job_service(Rules()), EgressPolicy.parse("127.0.0.0/8")
        watcher = JobWatcher(job_service, account_waits=ACCOUNT_WAITS, total_waits=TOTAL_WAITS)
        secrets = WebhookSecrets(self.database, vault)
        batches = Batches(self.database, self.queues, self.finalizer, Rules().room)
        account_files = AccountFiles(self.database, self.storage, DiskGuard(), 2**30)
        sign_in, links, storage = SignIn(job_service, WrongKeys("1000/second")), self.links, self.storage
        transfers = Transfers(account_files, folder / "half-uploads", open_uploads=5, keep_seconds=3600)
        destinations = Destinations(self.database, vault)
        self.context = AppContext(
            job_service, sign_in, links, storage, egress, rates, watcher, options, account_files, batches, secrets, transfers, destinations
        )
        self.app = _RequestCounter(self._app(facades))

    def customer(self, credits: int = 10) -> Customer:
        """A new account with paid credits."""
        account = self.accounts.create(f"customer {next(self._names)}")
        if credits:
            self.grant(account.id, Fund.PAID, credits)
        return Customer(account, self.accounts.add_key(account))

    def grant(self, account_id: int, fund: Fund, amount_credits: int) -> None:
        with self.database.write() as connection:
            ledger.write(connection, account_id, [credits.grant(credits.EMPTY, fund, amount_credits)])

    def job_of(self, customer: Customer) -> Job:
        """Wait for the customer's newest job and return it."""
        until(lambda: self.context.job_service.jobs(customer.id, 1))
        return self.context.job_service.jobs(customer.id, 1)[0]

    def start(self, job_id: str) -> None:
        """Do the worker's part until the job is being cleaned."""
        with self.database.write() as connection:
            for state in (State.FETCHING, State.CLEANING):
                store.advance(connection, store.locked(connection, job_id), state)

    def succeed(self, job_id: str, post: Post | None = None) -> Job:
        """Do the worker's part to the end, with files as a worker stores them."""
        keys = {name: f"jobs/{job_id}/{name}" for name in ("clean.mp4", "source.mp4", "thumbnail.jpg")}
        for name, key in keys.items():
            self.storage.put_bytes(key, CLEAN if name == "clean.mp4" else SOURCE, "video/mp4")
        clean, source, thumbnail = keys.values()
        result = Result(clean, source, thumbnail, "video/mp4", len(CLEAN), 1, True, 0.1)
        with self.database.write() as connection:
            if store.locked(connection, job_id).state is State.QUEUED:
                store.advance(connection, store.locked(connection, job_id), State.FETCHING)
                store.advance(connection, store.locked(connection, job_id), State.CLEANING)
            job = store.advance(connection, store.locked(connection, job_id), State.PUBLISHING)
            store.update(connection, job_id, result=result.to_json(), post=vars(post) if post else None)
            return self.finalizer.succeed(connection, job)

    def fail(self, job_id: str, error: Exception) -> Job:
        with self.database.write() as connection:
            return self.finalizer.fail_and_refund(connection, store.locked(connection, job_id), Failure.of(error))

    def wait_for_silence(self) -> None:
        """Wait until no request is being served."""
        until(lambda: self.app.requests == 0)

    def close(self) -> None:
        self.client.close()
        self.queues.close()
        self.database.close()

    def _job_service(self, rules: Rules) -> JobService:
        return JobService(self.database, self.accounts, self.queues, self.finalizer, rules)

    def _app(self, facades: Sequence[Facade]) -> FastAPI:
        options = self.context.options
        contexts = {
            "": self.context,
            "/impatient": replace(self.context, options=replace(options, hold_seconds=MOMENT_SECONDS)),
            "/sora": replace(self.context, options=replace(options, sora_links_only=True)),
            "/closed": replace(self.context, job_service=self._job_service(Rules(maintenance=True))),
        }
        app = FastAPI(exception_handlers={HTTPException: unrouted(facades)})
        app.include_router(files.router(self.links, self.storage))
        app.include_router(archive.router(self.context))
        for prefix, context in contexts.items():
            for facade in facades:
                app.include_router(facade.router(context), prefix=prefix)
        return app


class _RequestCounter:
    """Counts the requests that are being served."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.requests -= 1


@contextmanager
def workerless_server(folder: Path, *facades: Facade) -> Iterator[WorkerlessServer]:
    """Run a server during the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = WorkerlessServer(folder, facades, f"http://127.0.0.1:{listener.getsockname()[1]}")
    uvicorn_server = server_of(server.app, refusal=refusal_of(facades))
    thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield server
    finally:
        uvicorn_server.should_exit = True
        thread.join()
        server.close()
        listener.close()


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds. Raises AssertionError on timeout."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        pause.wait(0.01)
