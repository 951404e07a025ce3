"""Forgets in time: results after two weeks, jobs after two months. The ledger stays."""

import logging
from typing import Final

import sqlalchemy as sa

from service.core import Core
from service.jobs.database import now_ms
from service.jobs.tables import DELIVERIES, EVENTS, IDEMPOTENCY, JOBS

log = logging.getLogger(__name__)

AT_ONCE: Final = 500
STALE_SECONDS: Final = 3600.0  # a write in progress is younger


def forget(core: Core) -> None:
    """One round; several workers may do it at once."""
    core.storage.sweep_staging(STALE_SECONDS)
    results, rows = _clear_results(core), _delete_jobs(core)
    uploads = 0
    for key in core.storage.older_under("uploads", core.settings.keep_results_seconds):
        core.storage.delete(key)
        uploads += 1
    if results or rows or uploads:
        log.info("forgot", extra={"results": results, "jobs": rows, "uploads": uploads})


def _clear_results(core: Core) -> int:
    """Delete what old jobs left in the storage."""
    before_ms = now_ms() - core.settings.keep_results_seconds * 1000
    with core.database.read() as connection:
        old = sa.select(JOBS.c.id).where(JOBS.c.finished_ms < before_ms, JOBS.c.cleared_ms.is_(None)).limit(AT_ONCE)
        ids = list(connection.execute(old).scalars())
    for job_id in ids:
        core.storage.delete_under(f"jobs/{job_id}")
        with core.database.write() as connection:
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(cleared_ms=now_ms()))
    return len(ids)


def _delete_jobs(core: Core) -> int:
    """Delete the rows of jobs whose files are gone; their ledger lines tell what they cost for ever."""
    before_ms = now_ms() - core.settings.keep_jobs_seconds * 1000
    with core.database.write() as connection:
        old = sa.select(JOBS.c.id).where(JOBS.c.finished_ms < before_ms, JOBS.c.cleared_ms.is_not(None)).limit(AT_ONCE)
        ids = list(connection.execute(old).scalars())
        deliveries = list(connection.execute(sa.select(DELIVERIES.c.id, DELIVERIES.c.attempts).where(DELIVERIES.c.job_id.in_(ids))))
        for table in (EVENTS, IDEMPOTENCY, DELIVERIES):
            connection.execute(sa.delete(table).where(table.c.job_id.in_(ids)))
        connection.execute(sa.delete(JOBS).where(JOBS.c.id.in_(ids)))
    attempts = [f"{row.id}.{attempt}" for row in deliveries for attempt in range(1, row.attempts + 2)]  # the next one too, if it waits
    core.queues.forget(ids + attempts)
    return len(ids)
