"""The rows of batches and of their sources. Each call is part of the caller's transaction."""

from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa

from service.errors import UnknownJob
from service.jobs import store
from service.jobs.batch import WAITING, Batch, Item, NewBatch, Progress
from service.jobs.credits import Kind
from service.jobs.database import NOW_MS
from service.jobs.job import Job, JobSpec, NewJob, State
from service.jobs.tables import BATCH_ITEMS, BATCHES, DELIVERIES, JOBS, LEDGER

FACADE: Final = "native"
OF_BATCH: Final = sa.select(BATCH_ITEMS.c.job_id).where(BATCH_ITEMS.c.batch_id == sa.bindparam("batch_id"))
UNSUBMITTED: Final = OF_BATCH.where(sa.not_(BATCH_ITEMS.c.submitted)).order_by(BATCH_ITEMS.c.number)


def of_delivery(connection: sa.Connection, delivery_id: str) -> Batch | None:
    """The batch that a delivery reports; None if it reports a job."""
    batch_id = connection.execute(sa.select(DELIVERIES.c.batch_id).where(DELIVERIES.c.id == delivery_id)).scalar()
    return None if batch_id is None else find(connection, batch_id)


def items(connection: sa.Connection, batch_id: str, first: int = 0, limit: int | None = None) -> list[Item]:
    """The sources of a batch in the order of the request, from number `first` on, with their jobs."""
    chosen = sa.select(BATCH_ITEMS).where(BATCH_ITEMS.c.batch_id == batch_id, BATCH_ITEMS.c.number >= first)
    rows = connection.execute(chosen.order_by(BATCH_ITEMS.c.number).limit(limit)).all()
    found = connection.execute(sa.select(JOBS).where(JOBS.c.id.in_([row.job_id for row in rows])))
    jobs = {row.id: store.job_of(row) for row in found}
    return [item_of(row, jobs.get(row.job_id)) for row in rows]


def progress(connection: sa.Connection, batch: Batch) -> Progress:
    """How far a batch is."""
    state = sa.func.coalesce(JOBS.c.state, State.CANCELLED.value if batch.cancelled_ms is not None else WAITING).label("shown_state")
    of_batch = sa.select(state, sa.func.count()).select_from(BATCH_ITEMS).outerjoin(JOBS, JOBS.c.id == BATCH_ITEMS.c.job_id)
    states = connection.execute(of_batch.where(BATCH_ITEMS.c.batch_id == batch.id).group_by(state))
    spent = sa.select(sa.func.coalesce(sa.func.sum(-LEDGER.c.held_credits), 0))
    settled = spent.where(LEDGER.c.job_id.in_(OF_BATCH), LEDGER.c.kind == Kind.SETTLE)
    used_credits = int(connection.execute(settled, {"batch_id": batch.id}).scalar_one())
    return Progress({str(name): int(number) for name, number in states}, used_credits)


def delete_expired(connection: sa.Connection, keep_seconds: float, limit: int) -> int:
    """Delete ended batches whose jobs and callbacks are gone, as they are older; return their number."""
    old = BATCHES.c.finished_ms < NOW_MS - int(keep_seconds * 1000)
    reported = sa.select(DELIVERIES.c.id).where(DELIVERIES.c.id == BATCHES.c.id + ".ended").exists()
    ids: Collection[str] = connection.execute(sa.select(BATCHES.c.id).where(old, sa.not_(reported)).limit(limit)).scalars().all()
    connection.execute(sa.delete(BATCH_ITEMS).where(BATCH_ITEMS.c.batch_id.in_(ids)))
    connection.execute(sa.delete(BATCHES).where(BATCHES.c.id.in_(ids)))
    return len(ids)


def repeated(connection: sa.Connection, new: NewBatch) -> Batch | None:
    """The batch of this idempotency key, unless the key has expired."""
    if new.idempotency_key is None:
        return None
    same_key = (BATCHES.c.account_id == new.account_id, BATCHES.c.idempotency_key == new.idempotency_key)
    valid = BATCHES.c.created_ms > NOW_MS - int(new.idempotent_seconds * 1000)
    row = connection.execute(sa.select(BATCHES).where(*same_key, valid).order_by(BATCHES.c.id.desc())).first()
    return None if row is None else batch_of(row)


def insert(connection: sa.Connection, new: NewBatch) -> Batch:
    """Insert a batch and its sources, none of them submitted."""
    same = ("id", "account_id", "digest", "idempotency_key", "callback_url", "priority", "rights", "client_reference", "traceparent")
    row = {name: getattr(new, name) for name in same} | {
        "metadata": dict(new.metadata) or None,
        "jobs": len(new.items),
        "created_ms": NOW_MS,
    }
    connection.execute(sa.insert(BATCHES).values(row))
    of_items = [
        {
            "batch_id": new.id,
            "number": number,
            "job_id": item.job_id,
            "wish": item.spec.to_json(),
            "price_credits": item.price_credits,
            "client_reference": item.client_reference,
            "metadata": dict(item.metadata) or None,
            "submitted": False,
        }
        for number, item in enumerate(new.items)
    ]
    connection.execute(sa.insert(BATCH_ITEMS), of_items)
    return find(connection, new.id)


def new_job(batch: Batch, row: sa.Row[Any]) -> NewJob:
    """The job of a source: a row of `batch_items`."""
    return NewJob(
        id=row.job_id,
        account_id=batch.account_id,
        facade=FACADE,
        spec=JobSpec.from_json(row.wish),
        request={"batch": batch.id},
        priority=batch.priority,
        rights=batch.rights,
        client_reference=row.client_reference,
        metadata=row.metadata or {},
        traceparent=batch.traceparent,
    )


def all_ended(connection: sa.Connection, batch: Batch) -> bool:
    """Whether nothing of the batch is left to do, and that is not recorded yet."""
    if batch.ended:
        return False
    if batch.cancelled_ms is None and connection.execute(UNSUBMITTED.limit(1), {"batch_id": batch.id}).first():
        return False
    open_jobs = sa.select(JOBS.c.id).where(JOBS.c.id.in_(OF_BATCH), sa.not_(JOBS.c.ended)).limit(1)
    return connection.execute(open_jobs, {"batch_id": batch.id}).first() is None


def update(connection: sa.Connection, batch_id: str, **values: object) -> None:
    """Change columns of a batch."""
    connection.execute(sa.update(BATCHES).where(BATCHES.c.id == batch_id).values(**values))


def find(connection: sa.Connection, batch_id: str, account_id: int | None = None) -> Batch:
    """The batch, if it belongs to the account (None: any account). Raises UnknownJob."""
    row = connection.execute(sa.select(BATCHES).where(BATCHES.c.id == batch_id)).first()
    if row is None or account_id not in (None, row.account_id):
        raise UnknownJob("there is no such batch")
    return batch_of(row)


def batch_of(row: sa.Row[Any]) -> Batch:
    """The batch in a row of `batches`."""
    same = ("id", "account_id", "jobs", "digest", "callback_url", "priority", "rights", "client_reference", "traceparent")
    times = ("created_ms", "cancelled_ms", "finished_ms")
    return Batch(**{name: getattr(row, name) for name in (*same, *times)}, metadata=row.metadata or {})


def item_of(row: sa.Row[Any], job: Job | None) -> Item:
    """The source in a row of `batch_items`."""
    spec = JobSpec.from_json(row.wish) if job is None else job.spec
    return Item(row.number, row.job_id, spec, row.client_reference, row.metadata or {}, row.submitted, job)
