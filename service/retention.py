"""Deletes what has expired: results and uploads after two weeks, jobs after two months by default. The ledger is kept."""

import logging
import threading
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from service.core import Core
from service.errors import CleanplateError
from service.jobs import batch_store
from service.jobs.account_files import BATCH_UPLOADS
from service.jobs.database import NOW_MS
from service.jobs.queues import fetch_id
from service.jobs.tables import ATTEMPTS, DELIVERIES, EVENTS, IDEMPOTENCY, JOBS
from service.jobs.transfers import BATCH as BATCH_TRANSFERS

log = logging.getLogger(__name__)

BATCH_JOBS: Final = 500
BATCH_BATCHES: Final = 20  # of up to a thousand sources each
STALE_SECONDS: Final = 3600.0  # a write in progress is never this old


def delete_expired(core: Core, until: threading.Event) -> None:
    """Delete all that has expired, until the event is set. Several workers may do so at once. What fails is tried the next time."""
    settings = core.settings
    kinds: dict[str, Callable[[], int]] = {
        "staged": lambda: core.storage.sweep_staging(STALE_SECONDS),
        "results": lambda: _clear_results(core, until),
        "jobs": lambda: _repeat(lambda: _delete_jobs(core), BATCH_JOBS, until),
        "batches": lambda: _repeat(lambda: _delete_batches(core), BATCH_BATCHES, until),
        "uploads": lambda: _repeat(lambda: core.account_files.delete_expired(settings.keep_results_seconds), BATCH_UPLOADS, until),
        "half_uploads": lambda: _repeat(core.transfers.delete_expired, BATCH_TRANSFERS, until),
    }
    deleted: dict[str, int] = {}
    for kind, delete in kinds.items():
        try:
            deleted[kind] = 0 if until.is_set() else delete()
        except Exception:
            log.exception("expired data could not be deleted", extra={"kind": kind})
    if any(deleted.values()):
        log.info("deleted expired data", extra=deleted)


def _repeat(delete_batch: Callable[[], int], batch: int, until: threading.Event) -> int:
    """Delete batch after batch, as long as they are full; return how much was deleted."""
    total = 0
    while not until.is_set():
        number = delete_batch()
        total += number
        if number < batch:
            break
    return total


def _clear_results(core: Core, until: threading.Event) -> int:
    """Delete the stored files of expired jobs; return the number of jobs. One whose files cannot be deleted holds up no other."""
    total, last_id = 0, ""
    while ids := _expired_results(core, last_id):
        number = 0
        for job_id in ids:
            if until.is_set():
                return total + number
            number += _clear_result(core, job_id)
        total, last_id = total + number, ids[-1]
        if not number:  # the storage fails, not a job
            break
    return total


def _expired_results(core: Core, after_id: str) -> list[str]:
    """The ids of the next jobs whose files have expired."""
    old = JOBS.c.finished_ms < NOW_MS - int(core.settings.keep_results_seconds * 1000)
    expired = sa.select(JOBS.c.id).where(old, JOBS.c.cleared_ms.is_(None), JOBS.c.id > after_id)
    with core.database.read() as connection:
        return list(connection.execute(expired.order_by(JOBS.c.id).limit(BATCH_JOBS)).scalars())


def _clear_result(core: Core, job_id: str) -> bool:
    """Delete the stored files of a job; whether that was possible."""
    try:
        core.storage.delete_under(f"jobs/{job_id}")
        with core.database.write() as connection:
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(cleared_ms=NOW_MS))
    except CleanplateError as error:
        log.warning("the files of %s could not be deleted: %s", job_id, error)
        return False
    return True


def _delete_batches(core: Core) -> int:
    with core.database.write() as connection:
        return batch_store.delete_expired(connection, core.settings.keep_jobs_seconds, BATCH_BATCHES)


def _delete_jobs(core: Core) -> int:
    """Delete the rows of expired jobs whose files are gone; return their number. Their ledger lines stay."""
    old = JOBS.c.finished_ms < NOW_MS - int(core.settings.keep_jobs_seconds * 1000)
    with core.database.write() as connection:
        expired = sa.select(JOBS.c.id).where(old, JOBS.c.cleared_ms.is_not(None)).order_by(JOBS.c.id).limit(BATCH_JOBS)
        ids = list(connection.execute(expired.with_for_update(skip_locked=True)).scalars())
        deliveries = list(connection.execute(sa.select(DELIVERIES.c.id, DELIVERIES.c.attempts).where(DELIVERIES.c.job_id.in_(ids))))
        connection.execute(sa.delete(ATTEMPTS).where(ATTEMPTS.c.delivery_id.in_([row.id for row in deliveries])))
        for table in (EVENTS, IDEMPOTENCY, DELIVERIES):
            connection.execute(sa.delete(table).where(table.c.job_id.in_(ids)))
        connection.execute(sa.delete(JOBS).where(JOBS.c.id.in_(ids)))
    attempts = [
        f"{row.id}.{attempt}" for row in deliveries for attempt in range(1, row.attempts + 2)
    ]  # including a next attempt that is still queued
    core.queues.delete([*ids, *map(fetch_id, ids), *attempts])
    return len(ids)
