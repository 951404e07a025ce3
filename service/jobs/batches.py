"""Batches in the database. A batch is accepted whole, with its credits; its jobs are submitted as room comes free, by whoever advances it.

A crash at any moment loses nothing: which sources are submitted is recorded with the jobs, and workers advance every unfinished batch.
"""

import logging
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from service.jobs import batch_store, callbacks, credits, ledger, store
from service.jobs.batch import Batch, Item, NewBatch, Progress
from service.jobs.batch_store import OF_BATCH, UNSUBMITTED
from service.jobs.callbacks import Delivery
from service.jobs.database import NOW_MS, Database
from service.jobs.finalizer import JobFinalizer, host_of
from service.jobs.queues import Queues
from service.jobs.room import Room
from service.jobs.tables import BATCH_ITEMS, BATCHES, DELIVERIES, JOBS

log = logging.getLogger(__name__)

FEED_JOBS: Final = 20  # submitted in one transaction, so that other writers wait for a moment only
PAGE_BATCHES: Final = 200  # read at once


@dataclass(frozen=True)
class Batches:
    """Accepts, finds, advances and cancels batches."""

    database: Database
    queues: Queues
    finalizer: JobFinalizer
    room: Room

    def submit(self, new: NewBatch) -> Batch:
        """Accept a batch, hold the price of all of its jobs, and submit the first of them. The same idempotency key finds the same batch.

        Raises InsufficientCredits unless all can be paid, and QueueFull.
        """
        with self.database.write() as connection:
            balance = ledger.locked_balance(connection, new.account_id)
            if (known := batch_store.repeated(connection, new)) is not None:
                return known
            room_jobs = self.room.require(connection, new.account_id)
            held = credits.reserve_all(balance, new.prices_credits, new.client_reference or new.id)
            ledger.write(connection, new.account_id, held)
            batch = batch_store.insert(connection, new)
            self._submit_next(connection, batch, room_jobs)
        return batch

    def check(self, new: NewBatch) -> Batch | None:
        """The batch of the same idempotency key; None if this is a new one. Raises what `submit` would, which checks again."""
        with self.database.read() as connection:
            if (known := batch_store.repeated(connection, new)) is None:
                self.room.require(connection, new.account_id)
                credits.reserve_all(ledger.balance(connection, new.account_id), new.prices_credits)
            return known

    def find(self, account_id: int, batch_id: str) -> Batch:
        """The account's batch. Raises UnknownJob."""
        with self.database.read() as connection:
            return batch_store.find(connection, batch_id, account_id)

    def of_account(self, account_id: int, limit: int, before_id: str | None = None) -> list[Batch]:
        """The account's batches, newest first: at most `limit`, older than the batch `before_id`."""
        older = sa.true() if before_id is None else BATCHES.c.id < before_id
        newest = sa.select(BATCHES).where(BATCHES.c.account_id == account_id, older).order_by(BATCHES.c.id.desc()).limit(limit)
        with self.database.read() as connection:
            return [batch_store.batch_of(row) for row in connection.execute(newest)]

    def items(self, batch: Batch, first: int = 0, limit: int | None = None) -> list[Item]:
        """The sources of a batch in the order of the request, from number `first` on, with their jobs."""
        with self.database.read() as connection:
            return batch_store.items(connection, batch.id, first, limit)

    def progress(self, batch: Batch) -> Progress:
        with self.database.read() as connection:
            return batch_store.progress(connection, batch)

    def cancel(self, account_id: int, batch_id: str) -> Batch:
        """Cancel what has not ended: waiting and queued jobs at once, running ones as soon as their workers notice. Raises UnknownJob."""
        with self.database.write() as connection:
            ledger.locked_balance(connection, account_id)  # first: what is read below stays so until the end
            batch = batch_store.find(connection, batch_id, account_id)
            if not batch.ended and batch.cancelled_ms is None:
                batch_store.update(connection, batch_id, cancelled_ms=NOW_MS)
                waiting = connection.execute(UNSUBMITTED, {"batch_id": batch_id}).scalars().all()
                if refunds := credits.refund(ledger.reserved_of(connection, waiting)):
                    ledger.write(connection, account_id, refunds)
        self.advance(batch_id)
        return self.find(account_id, batch_id)

    def delivery(self, batch: Batch) -> Delivery | None:
        """The delivery of the batch's callback; None if it has none, or has not ended."""
        with self.database.read() as connection:
            return callbacks.find(connection, batch.id)

    def redeliver(self, batch: Batch) -> Delivery | None:
        """Have the callback of an ended batch sent again. None if it has none."""
        with self.database.write() as connection:
            callbacks.redeliver(connection, batch.id)
            return callbacks.find(connection, batch.id)

    def advance_all(self) -> None:
        """Advance every unfinished batch, the oldest first; one that fails holds up no other. Several workers may do so at once."""
        last_id = ""
        while ids := self._unfinished(last_id):
            for batch_id in ids:
                try:
                    self.advance(batch_id)
                except Exception:
                    log.exception("batch %s could not be advanced", batch_id)
            last_id = ids[-1]

    def _unfinished(self, after_id: str) -> list[str]:
        """The ids of the next unfinished batches."""
        following = sa.select(BATCHES.c.id).where(BATCHES.c.finished_ms.is_(None), BATCHES.c.id > after_id).order_by(BATCHES.c.id)
        with self.database.read() as connection:
            return list(connection.execute(following.limit(PAGE_BATCHES)).scalars())

    def advance(self, batch_id: str) -> None:
        """Submit what there is room for; cancel what is left of a cancelled batch; end the batch once all of its jobs have ended."""
        while self._feed(batch_id):
            pass
        for job_id in self._to_cancel(batch_id):
            with self.database.write() as connection:
                self.finalizer.ask_to_cancel(connection, store.locked(connection, job_id))
        self._finish(batch_id)

    def _feed(self, batch_id: str) -> bool:
        """Submit the next jobs; return whether there may be more to submit now."""
        with self.database.read() as connection:
            batch = batch_store.find(connection, batch_id)
            if not connection.execute(UNSUBMITTED.limit(1), {"batch_id": batch_id}).first():
                return False
            if not self.room.left(connection, batch.account_id):  # a look that keeps no writer waiting
                return False
        with self.database.write() as connection:
            ledger.locked_balance(connection, batch.account_id)  # as for any job: what room there is stays so until the end
            batch = batch_store.find(connection, batch_id)
            room_jobs = self.room.left(connection, batch.account_id)
            return batch.cancelled_ms is None and self._submit_next(connection, batch, room_jobs) == FEED_JOBS

    def _submit_next(self, connection: sa.Connection, batch: Batch, room_jobs: int) -> int:
        """Submit as many as there is room for, but few enough for one transaction; return their number. The account is locked."""
        count = min(FEED_JOBS, room_jobs)
        waiting = sa.select(BATCH_ITEMS).where(BATCH_ITEMS.c.batch_id == batch.id, sa.not_(BATCH_ITEMS.c.submitted))
        rows = connection.execute(waiting.order_by(BATCH_ITEMS.c.number).limit(count)).all() if count else []
        for row in rows:
            new = batch_store.new_job(batch, row)
            store.insert(connection, new, row.price_credits)
            self.queues.enqueue_job(connection, new)
        numbers = [row.number for row in rows]
        these = (BATCH_ITEMS.c.batch_id == batch.id, BATCH_ITEMS.c.number.in_(numbers))
        connection.execute(sa.update(BATCH_ITEMS).where(*these).values(submitted=True))
        return len(rows)

    def _to_cancel(self, batch_id: str) -> list[str]:
        """The unfinished jobs of a cancelled batch that were not asked to stop yet."""
        is_cancelled = sa.select(BATCHES.c.id).where(BATCHES.c.id == batch_id, BATCHES.c.cancelled_ms.is_not(None)).exists()
        jobs = sa.select(JOBS.c.id).where(JOBS.c.id.in_(OF_BATCH), sa.not_(JOBS.c.ended), sa.not_(JOBS.c.cancel_asked), is_cancelled)
        with self.database.read() as connection:
            return list(connection.execute(jobs, {"batch_id": batch_id}).scalars())

    def _finish(self, batch_id: str) -> None:
        """Record the end of a batch and enqueue its callback, in one transaction, if all of its jobs have ended."""
        with self.database.read() as connection:
            if not batch_store.all_ended(connection, batch_store.find(connection, batch_id)):
                return
        with self.database.write() as connection:
            ended = sa.update(BATCHES).where(BATCHES.c.id == batch_id, BATCHES.c.finished_ms.is_(None)).values(finished_ms=NOW_MS)
            if not connection.execute(ended).rowcount:
                return
            batch = batch_store.find(connection, batch_id)
            if batch.callback_url:
                self._enqueue_callback(connection, batch, batch.callback_url)

    def _enqueue_callback(self, connection: sa.Connection, batch: Batch, url: str) -> None:
        first = connection.execute(OF_BATCH.where(BATCH_ITEMS.c.number == 0), {"batch_id": batch.id}).scalar_one()
        row = {
            "id": callbacks.ended_id(batch.id),
            "job_id": first,
            "batch_id": batch.id,
            "outcome": "pending",
            "attempts": 0,
            "at_ms": NOW_MS,
        }
        connection.execute(sa.insert(DELIVERIES).values(row))
        self.queues.enqueue_callback(connection, row["id"], 1, (batch.account_id, host_of(url)))
