"""The space that an account's files take: its uploads, and the sources of its unfinished jobs. Results are not counted."""

import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import sqlalchemy as sa

from service.disk import DiskGuard
from service.errors import QuotaExceeded, StorageError
from service.jobs.database import NOW_MS, Database
from service.jobs.job import Job
from service.jobs.tables import ACCOUNTS, BATCH_ITEMS, BATCHES, JOBS, TRANSFERS, UPLOADS
from service.outside.storage import Storage, check_key, content_type_of

log = logging.getLogger(__name__)

MIB: Final = 2**20
SMALLEST_BYTES: Final = 4096  # what a file counts at least, as it takes a block of the disk and a row here
RETRY_SECONDS: Final = 3600  # Retry-After: space is freed when jobs end, and when uploads expire
BATCH_UPLOADS: Final = 500
SOURCE_KEYS: Final = ("source_key", "mask_key", "detection_key")  # of a job's spec


@dataclass(frozen=True)
class AccountFiles:
    """Stores uploads, and reserves room for sources, within each account's quota and while the disk has room.

    account_bytes: the quota of an account that has none of its own.
    Both raise QuotaExceeded and StorageFull before anything is written.
    """

    database: Database
    storage: Storage
    disk: DiskGuard
    account_bytes: int

    def require(self, account_id: int) -> None:
        """Raise QuotaExceeded or StorageFull if not even a small file would fit."""
        self.disk.require()
        with self.database.read() as connection:
            quota_bytes = self._quota_bytes(connection, account_id)
            if used_bytes(connection, account_id) + SMALLEST_BYTES > quota_bytes:
                raise _exceeded(quota_bytes)

    def put_file(self, account_id: int, key: str, path: Path) -> None:
        """Store a file as an upload."""
        self._put(account_id, key, path.stat().st_size, lambda kind: self.storage.put_file(key, path, kind))

    def put_stream(self, account_id: int, key: str, file: BinaryIO) -> int:
        """Store an open file from its beginning as an upload; return its size in bytes."""
        size_bytes = file.seek(0, 2)
        file.seek(0)
        self._put(account_id, key, size_bytes, lambda kind: self.storage.put_stream(key, file, kind))
        return size_bytes

    def delete(self, key: str) -> None:
        """Delete an upload, if there is one."""
        self.storage.delete(key)
        with self.database.write() as connection:
            _uncount(connection, key)

    def delete_under(self, prefix: str) -> None:
        """Delete the uploads below `prefix/`."""
        with self.database.read() as connection:
            keys = set(
                connection.execute(sa.select(UPLOADS.c.key).where(UPLOADS.c.key.startswith(f"{prefix}/", autoescape=True))).scalars()
            )
        for key in keys | set(self.storage.list_under(prefix)):
            self.delete(key)

    def has(self, account_id: int, key: str) -> bool:
        """Whether the account has this upload."""
        with self.database.read() as connection:
            upload = sa.select(UPLOADS.c.key).where(UPLOADS.c.key == key, UPLOADS.c.account_id == account_id)
            return connection.execute(upload).first() is not None

    def are_needed(self, account_id: int, keys: Collection[str], prefix: str | None = None) -> bool:
        """Whether an unfinished job of the account, or one that waits in a batch, needs one of these files, or one below `prefix/`."""
        with self.database.read() as connection:
            open_jobs = sa.select(JOBS.c.wish).where(JOBS.c.account_id == account_id, sa.not_(JOBS.c.ended))
            waiting = (
                sa.select(BATCH_ITEMS.c.wish).join(BATCHES).where(BATCHES.c.account_id == account_id, sa.not_(BATCH_ITEMS.c.submitted))
            )
            not_cancelled = waiting.where(BATCHES.c.cancelled_ms.is_(None))
            wishes = [*connection.execute(open_jobs).scalars(), *connection.execute(not_cancelled).scalars()]
        needed = [wish[name] for wish in wishes for name in SOURCE_KEYS if wish.get(name)]
        return any(key in keys or (prefix is not None and key.startswith(f"{prefix}/")) for key in needed)

    def clear_job(self, job: Job) -> bool:
        """Delete the files of an ended job, and the uploads that no other job has; its row and its ledger lines stay.

        False, and nothing is deleted, if an unfinished job needs one of them.
        """
        prefix = f"jobs/{job.id}"
        if self.are_needed(job.account_id, job.keys, prefix):
            return False
        self.storage.delete_under(prefix)
        for key in job.keys - self._keys_of_others(job):
            if key.startswith(f"uploads/{job.account_id}/"):
                self.delete(key)
        with self.database.write() as connection:
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id, JOBS.c.cleared_ms.is_(None)).values(cleared_ms=NOW_MS))
        return True

    def _keys_of_others(self, job: Job) -> set[str]:
        """Those of the job's files that other jobs of the account have too."""
        columns = [JOBS.c.wish[name].as_string() for name in SOURCE_KEYS]
        others = sa.select(*columns).where(JOBS.c.account_id == job.account_id, JOBS.c.id != job.id, JOBS.c.cleared_ms.is_(None))
        shared = others.where(sa.or_(*(column.in_(job.keys) for column in columns)))
        with self.database.read() as connection:
            return {key for row in connection.execute(shared) for key in row if key}

    def delete_expired(self, keep_seconds: float) -> int:
        """Delete a batch of the uploads that are older; return their number. One that cannot be deleted holds up no other."""
        with self.database.read() as connection:
            expired = sa.select(UPLOADS.c.key).where(UPLOADS.c.at_ms < NOW_MS - int(keep_seconds * 1000)).limit(BATCH_UPLOADS)
            keys = list(connection.execute(expired).scalars())
        unknown = [key for key in self.storage.older_under("uploads", keep_seconds) if key not in keys]  # of a version that kept no account
        deleted = 0
        for key in (*keys, *unknown):
            try:
                self.delete(key)
                deleted += 1
            except StorageError as error:
                log.warning("%s could not be deleted: %s", key, error)
        return deleted

    def reserve_source(self, job: Job, most_bytes: int) -> None:
        """Count so many bytes for a job that is being fetched, in place of what was counted for it before."""
        self.disk.require()
        with self.database.write() as connection:
            quota_bytes = self._quota_bytes(connection, job.account_id)
            needed_bytes = min(most_bytes, quota_bytes)  # so that a quota smaller than the largest file still admits one job
            others_bytes = used_bytes(connection, job.account_id, lock=True) - fetched_bytes(connection, job.id)
            if others_bytes + needed_bytes > quota_bytes:
                raise _exceeded(quota_bytes)
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(fetched_bytes=needed_bytes))

    def count(self, connection: sa.Connection, account_id: int, more_bytes: int) -> None:
        """Count so many bytes more towards the account's quota. Raises QuotaExceeded."""
        quota_bytes = self._quota_bytes(connection, account_id)
        if used_bytes(connection, account_id, lock=True) + more_bytes > quota_bytes:
            raise _exceeded(quota_bytes)
        connection.execute(_adding(account_id, more_bytes))

    def uncount(self, connection: sa.Connection, account_id: int, fewer_bytes: int) -> None:
        """The opposite of `count`."""
        connection.execute(_adding(account_id, -fewer_bytes))

    def _put(self, account_id: int, key: str, size_bytes: int, store: Callable[[str], None]) -> None:
        """Count an upload, then store it: a crash between the two leaves it counted until it expires. It replaces one with the same key."""
        self.disk.require(size_bytes)
        counted_bytes = max(size_bytes, SMALLEST_BYTES)
        with self.database.write() as connection:
            used_bytes(connection, account_id, lock=True)
            _uncount(connection, key)
            self.count(connection, account_id, counted_bytes)
            row = {"key": check_key(key), "account_id": account_id, "bytes": counted_bytes, "at_ms": NOW_MS}
            connection.execute(sa.insert(UPLOADS).values(row))
        try:
            store(content_type_of(key))
        except BaseException:
            with self.database.write() as connection:
                _uncount(connection, key)
            with suppress(StorageError):  # where nothing could be written, there may be nothing to delete
                self.storage.delete(key)  # also the one that was to be replaced, which is no longer counted
            raise

    def _quota_bytes(self, connection: sa.Connection, account_id: int) -> int:
        own_bytes = connection.execute(sa.select(ACCOUNTS.c.storage_bytes).where(ACCOUNTS.c.id == account_id)).scalar()
        return self.account_bytes if own_bytes is None else int(own_bytes)


def _exceeded(quota_bytes: int) -> QuotaExceeded:
    limit = f"{quota_bytes / MIB:g} MiB, which is the limit"
    return QuotaExceeded(f"the account's uploads and the sources of its unfinished jobs take {limit}", RETRY_SECONDS)


def used_bytes(connection: sa.Connection, account_id: int, lock: bool = False) -> int:
    """What counts towards the account's quota; `lock`: it stays so until the transaction ends."""
    uploads = sa.select(ACCOUNTS.c.upload_bytes).where(ACCOUNTS.c.id == account_id)
    uploads = uploads.with_for_update() if lock else uploads
    fetched = sa.select(sa.func.coalesce(sa.func.sum(JOBS.c.fetched_bytes), 0)).where(
        JOBS.c.account_id == account_id, sa.not_(JOBS.c.ended)
    )
    return int(connection.execute(uploads).scalar_one()) + int(connection.execute(fetched).scalar_one())


def _uncount(connection: sa.Connection, key: str) -> None:
    connection.execute(sa.delete(TRANSFERS).where(TRANSFERS.c.key == key))
    row = connection.execute(sa.delete(UPLOADS).where(UPLOADS.c.key == key).returning(UPLOADS.c.account_id, UPLOADS.c.bytes)).first()
    if row is not None:
        connection.execute(_adding(row.account_id, -row.bytes))


def _adding(account_id: int, more_bytes: int) -> sa.Update:
    return sa.update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(upload_bytes=ACCOUNTS.c.upload_bytes + more_bytes)


def fetched_bytes(connection: sa.Connection, job_id: str) -> int:
    """What is counted for a job's source."""
    return int(connection.execute(sa.select(JOBS.c.fetched_bytes).where(JOBS.c.id == job_id)).scalar_one())


def record_source(connection: sa.Connection, job_id: str, size_bytes: int) -> None:
    """Count what the job's files really take, once they are fetched."""
    connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(fetched_bytes=size_bytes))
