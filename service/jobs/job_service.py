"""The job service: what facades call to authenticate, submit, find and cancel jobs. Synchronous; one transaction per call."""

import math
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field

import sqlalchemy as sa

from service.errors import FeatureDisabled, Maintenance, StorageError
from service.jobs import callbacks, credits, exports, forecast, ledger, metrics, store
from service.jobs.accounts import Account, Accounts
from service.jobs.callbacks import Delivery
from service.jobs.content import AllowAll, ContentCheck
from service.jobs.credits import Balance
from service.jobs.database import Database
from service.jobs.finalizer import JobFinalizer
from service.jobs.forecast import Forecast
from service.jobs.group_commit import GroupCommit
from service.jobs.job import Job, JobSpec, Media, NewJob, Price
from service.jobs.keys import Scope
from service.jobs.price import Metering
from service.jobs.queues import Queues
from service.jobs.room import Room
from service.jobs.store import ANY_JOB, Change, Event, Only

MAINTENANCE_SECONDS = 300  # Retry-After
FORECAST_SECONDS = 3.0  # for so long all requests share one


@dataclass(frozen=True)
class Rules:
    """Prices and admission rules. `features_off`: names of facades or media that are disabled."""

    price_credits: Price = field(default_factory=lambda: {"video": 1, "image": 1})
    metering: Metering = field(default_factory=Metering)  # of videos, beside their price
    detection_credits: int = 0  # the price of finding marks without removing them
    preview_seconds: int = 10  # of a preview, that cost one credit
    account_queue_jobs: int = 200  # waiting and running
    total_queue_jobs: int = 10_000
    maintenance: bool = False
    features_off: frozenset[str] = frozenset()
    content: ContentCheck = field(default_factory=AllowAll)
    worker_jobs: int = 2  # that a worker runs at once

    @property
    def room(self) -> Room:
        """How many unfinished jobs there may be."""
        return Room(self.account_queue_jobs, self.total_queue_jobs)

    def price_of(self, spec: JobSpec, seconds: float | None = None, pixels: int = 0) -> int:
        """The price of a job, in credits: of a video of so many seconds and pixels, or the least that it costs if that is not known yet.

        A preview costs what its seconds do, but never more than the whole video.
        """
        if spec.kind == "detect":
            return self.detection_credits
        flat = self.price_credits[spec.media]
        if spec.media == "image":
            return flat
        whole = flat + (0 if seconds is None else self.metering.credits(seconds, pixels))
        if spec.preview_seconds is None:
            return whole
        part_seconds = spec.preview_seconds if seconds is None else min(spec.preview_seconds, seconds)
        metered = self.metering.credits(part_seconds, pixels) if seconds is not None else 0
        return min(whole, math.ceil(spec.preview_seconds / self.preview_seconds) + metered)


class JobService:
    """Accepts jobs against credits, finds and cancels them."""

    def __init__(self, database: Database, accounts: Accounts, queues: Queues, finalizer: JobFinalizer, rules: Rules) -> None:
        self._database = database
        self._orders = GroupCommit(database)
        self._accounts = accounts
        self._queues = queues
        self._finalizer = finalizer
        self._rules = rules
        self._forecast: tuple[float, Forecast] | None = None  # when it was read, in monotonic seconds
        self._forecast_turn = threading.Lock()

    def account_of_key(self, key: str, scope: Scope | None = None) -> Account:
        """The account of a key that has this scope; None: whichever it has.

        Raises KeyMissing, KeyInvalid, AccountMissing, AccountBanned, ScopeMissing.
        """
        return self._accounts.account_of_key(key, scope)

    def account_of_signer(self, name: str) -> tuple[Account, bytes]:
        """The account that signs with this name, and its secret. Raises like `account_of_key`."""
        return self._accounts.account_of_signer(name)

    def submit(self, new: NewJob) -> Job:
        """Accept a job, hold its price and enqueue it, in one transaction, which orders that arrive at the same time share.

        The same idempotency key finds the same job. Raises InsufficientCredits, QueueFull, Maintenance, FeatureDisabled, ContentRefused,
        ContentCheckFailed, ContentBlocked.
        """
        self.admit(new.facade, new.spec)
        return self._orders.run(lambda connection: self._submitted(connection, new))

    def check(self, new: NewJob) -> Job | None:
        """The job of the same idempotency key; None if this is a new one. Raises what `submit` would, which checks again."""
        self.admit(new.facade, new.spec)
        with self._database.read() as connection:
            if (known := self._known(connection, new)) is None:
                self._rules.room.require(connection, new.account_id)
                credits.reserve(ledger.balance(connection, new.account_id), new.id, self._rules.price_of(new.spec))
            return known

    def _known(self, connection: sa.Connection, new: NewJob) -> Job | None:
        return None if new.idempotency_key is None else store.find_by_idempotency_key(connection, new)

    def _submitted(self, connection: sa.Connection, new: NewJob) -> Job:
        balance = ledger.locked_balance(connection, new.account_id)
        if (known := self._known(connection, new)) is not None:
            return known
        self._rules.room.require(connection, new.account_id)
        price = self._rules.price_of(new.spec)
        entries = credits.reserve(balance, new.id, price, new.client_reference or "")
        ledger.write(connection, new.account_id, entries)  # before the job, as at a job's end
        job = store.insert(connection, new, price)
        if new.idempotency_key is not None:
            store.store_idempotency_key(connection, new)
        self._queues.enqueue_job(connection, new)
        return job

    def check_credits(self, account_id: int, media: Media) -> None:
        """Raise InsufficientCredits if the account cannot pay for a job now. `submit` checks again."""
        credits.reserve(self.balance(account_id), "", self._rules.price_credits[media])

    def find(self, account_id: int, job_id: str) -> Job:
        """The account's job. Raises UnknownJob."""
        with self._database.read() as connection:
            return store.find(connection, job_id, account_id)

    def jobs(self, account_id: int, limit: int, before_ms: int | None = None, only: Only = ANY_JOB) -> list[Job]:
        """The account's jobs, newest first, at most `limit`, created before `before_ms`."""
        with self._database.read() as connection:
            return store.of_account(connection, account_id, limit, before_ms, only)

    def rename(self, account_id: int, job_id: str, name: str) -> Job:
        """Call the job's file by another name. Raises UnknownJob."""
        with self._database.write() as connection:
            store.find(connection, job_id, account_id)
            store.update(connection, job_id, name=name)
            return store.find(connection, job_id)

    def cancel(self, account_id: int, job_id: str) -> Job:
        """Cancel and refund a queued job; ask a running one to stop. A job that has ended is unchanged. Raises UnknownJob."""
        with self._database.write() as connection:
            store.find(connection, job_id, account_id)
            return self._finalizer.ask_to_cancel(connection, store.locked(connection, job_id))

    def delivery(self, account_id: int, job_id: str) -> Delivery | None:
        """The delivery of the job's callback; None if there is none (yet). Raises UnknownJob."""
        with self._database.read() as connection:
            store.find(connection, job_id, account_id)
            return callbacks.find(connection, job_id)

    def redeliver(self, account_id: int, job_id: str) -> Delivery | None:
        """Have the callback of an ended job sent again. None if it has none. Raises UnknownJob."""
        with self._database.write() as connection:
            store.find(connection, job_id, account_id)
            callbacks.redeliver(connection, job_id)
            return callbacks.find(connection, job_id)

    def export(self, account_id: int, job_id: str) -> Job:
        """Have the result put into the account's own bucket, at once. Raises UnknownJob."""
        with self._database.write() as connection:
            store.find(connection, job_id, account_id)
            store.update(connection, job_id, **exports.is_due())
            return store.find(connection, job_id)

    def events(self, account_id: int, job_id: str, after: int = 0) -> list[Event]:
        """The job's events with a number greater than `after`, oldest first. Raises UnknownJob."""
        with self._database.read() as connection:
            store.find(connection, job_id, account_id)
            return store.events(connection, job_id, after)

    def look(self, job_ids: Collection[str], keys: Collection[str]) -> tuple[dict[str, Change], set[str]]:
        """The last change of each of these jobs, and those of the keys that are still accepted."""
        with self._database.read() as connection:
            return store.changes(connection, job_ids), self._accounts.accepted(connection, keys)

    def price_of(self, spec: JobSpec, seconds: float | None = None, pixels: int = 0) -> int:
        """The price of a job, in credits; the least that it costs if the length is not known yet."""
        return self._rules.price_of(spec, seconds, pixels)

    def forecast(self) -> Forecast:
        """How long jobs take and wait, as of a few seconds ago at most."""
        with self._forecast_turn:
            if self._forecast is None or time.monotonic() > self._forecast[0] + FORECAST_SECONDS:
                with self._database.read() as connection:
                    self._forecast = time.monotonic(), forecast.read(connection, self._rules.worker_jobs)
            return self._forecast[1]

    def balance(self, account_id: int) -> Balance:
        with self._database.read() as connection:
            return ledger.balance(connection, account_id)

    def spent_credits(self, account_id: int) -> int:
        """The total cost of the account's successful jobs."""
        with self._database.read() as connection:
            return ledger.spent_credits(connection, account_id)

    def ready(self) -> None:
        """Raise StorageError if the database does not respond."""
        try:
            with self._database.read() as connection:
                connection.execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError as error:
            raise StorageError("the database does not respond") from error

    def read_metrics(self) -> metrics.JobMetrics:
        """Totals over all accounts, for operators."""
        with self._database.read() as connection:
            return metrics.read(connection)

    def admit(self, facade: str, spec: JobSpec) -> None:
        """Raise Maintenance, FeatureDisabled, or what the content check says, if such a job is not accepted now."""
        if self._rules.maintenance:
            raise Maintenance("the service is down for maintenance", MAINTENANCE_SECONDS)
        if off := self._rules.features_off & {facade, spec.media}:
            raise FeatureDisabled(f"{', '.join(sorted(off))} is switched off", MAINTENANCE_SECONDS)
        self._rules.content.check(spec)
