"""Deletes what has expired: results and uploads after two weeks, jobs after two months by default. The ledger is kept."""

import logging
from typing import Final

import sqlalchemy as sa

from service.core import Core
from service.jobs import batch_store
from service.jobs.database import NOW_MS
from service.jobs.queues import fetch_id
from service.jobs.tables import ATTEMPTS, DELIVERIES, EVENTS, IDEMPOTENCY, JOBS

log = logging.getLogger(__name__)

BATCH_JOBS: Final = 500
BATCH_BATCHES: Final = 20  # of up to a thousand sources each
STALE_SECONDS: Final = 3600.0  # a write in progress is never this old


def delete_expired(core: Core) -> None:
    """Delete one batch. Several workers may do so at once."""
    core.storage.sweep_staging(STALE_SECONDS)
    results, rows = _clear_results(core), _delete_jobs(core)
    with core.database.write() as connection:
        batch_store.delete_expired(connection, core.settings.keep_jobs_seconds, BATCH_BATCHES)
    uploads = core.account_files.delete_expired(core.settings.keep_results_seconds)
    halves = core.transfers.delete_expired()
    if results or rows or uploads or halves:
        log.info("deleted expired data", extra={"results": results, "jobs": rows, "uploads": uploads, "half_uploads": halves})


def _clear_results(core: Core) -> int:
    """Delete the stored files of expired jobs; return the number of jobs."""
    old = JOBS.c.finished_ms < NOW_MS - int(core.settings.keep_results_seconds * 1000)
    with core.database.read() as connection:
        expired = sa.select(JOBS.c.id).where(old, JOBS.c.cleared_ms.is_(None)).limit(BATCH_JOBS)
        ids = list(connection.execute(expired).scalars())
    for job_id in ids:
        core.storage.delete_under(f"jobs/{job_id}")
        with core.database.write() as connection:
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(cleared_ms=NOW_MS))
    return len(ids)


def _delete_jobs(core: Core) -> int:
    """Delete the rows of expired jobs whose files are gone; return their number. Their ledger lines stay."""
    old = JOBS.c.finished_ms < NOW_MS - int(core.settings.keep_jobs_seconds * 1000)
    with core.database.write() as connection:
        expired = sa.select(JOBS.c.id).where(old, JOBS.c.cleared_ms.is_not(None)).limit(BATCH_JOBS)
        ids = list(connection.execute(expired).scalars())
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
