"""Uploads that arrive in pieces: each is counted when it begins, expires when nothing more comes, and ends as an upload like any other.

The pieces are in a folder of this process (`half_file.py`), or in the bucket (`half_object.py`), where any process finds them, and where
clients may send them directly.
"""

import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from service.errors import QueueFull, UnknownJob
from service.jobs import half_file
from service.jobs.account_files import SMALLEST_BYTES, AccountFiles
from service.jobs.database import NOW_MS
from service.jobs.half_file import HalfFile
from service.jobs.tables import TRANSFERS, UPLOADS
from service.outside.storage import content_type_of

if TYPE_CHECKING:
    from service.jobs.half_object import HalfObject
    from service.outside.multipart import Multipart

PREFIX: Final = "upl_"
RANDOM_BYTES: Final = 16
BATCH: Final = 500
STALE_SECONDS: Final = 3600.0  # a file without a row is never this old while its transfer begins
SWEEP_SECONDS: Final = 600.0
FULL_SECONDS: Final = 60  # Retry-After


@dataclass(frozen=True)
class Transfer:
    """An upload as it arrives. `bytes`, `sha256`: of the whole file, as announced; `key`: where it is in the storage, once finished.

    path: its name as a part of a key.
    """

    id: str
    account_id: int
    name: str
    path: str
    bytes: int
    counted_bytes: int
    sha256: str | None
    created_ms: int
    expires_ms: int
    part_bytes: int | None = None
    multipart_id: str | None = None
    key: str | None = None

    @property
    def folder(self) -> str:
        """Below it the file is stored: the same each time, so that finishing it twice stores it once."""
        return f"uploads/{self.account_id}/{self.id.removeprefix(PREFIX)}"

    @property
    def part_key(self) -> str:
        """Where the bucket puts its parts together."""
        return f"{self.folder}/{self.path}"

    @property
    def is_finished(self) -> bool:
        return self.key is not None


class Transfers:
    """The transfers of all accounts."""

    def __init__(
        self, account_files: AccountFiles, folder: Path, open_uploads: int, keep_seconds: float, multipart: "Multipart | None" = None
    ) -> None:
        """`folder`: of files that arrive here. `open_uploads`: unfinished ones of an account. `multipart`: of a bucket that takes parts."""
        self.multipart = multipart
        self._files = account_files
        self._folder = folder
        self._open_uploads = open_uploads
        self._keep_seconds = keep_seconds
        self._swept_at = time.monotonic()

    def begin(
        self, account_id: int, name: str, path: str, size_bytes: int, sha256: str | None = None, part_bytes: int | None = None
    ) -> Transfer:
        """Count a new one towards the account's quota. Raises QueueFull, QuotaExceeded, StorageFull.

        path: the name as a part of a key. part_bytes: of each part, if they go to the bucket directly.
        """
        if self.multipart is None:
            if time.monotonic() > self._swept_at + SWEEP_SECONDS:
                self.sweep()
            self._files.disk.require(size_bytes)
        row: dict[str, Any] = {
            "id": PREFIX + secrets.token_hex(RANDOM_BYTES),
            "account_id": account_id,
            "name": name,
            "path": path,
            "bytes": size_bytes,
            "counted_bytes": max(size_bytes, SMALLEST_BYTES),
            "sha256": sha256,
            "part_bytes": part_bytes,
            "created_ms": NOW_MS,
            "expires_ms": self._expiry(),
        }
        unfinished = sa.select(sa.func.count()).where(TRANSFERS.c.account_id == account_id, TRANSFERS.c.key.is_(None))
        with self._files.database.write() as connection:
            self._files.count(connection, account_id, row["counted_bytes"])
            if connection.execute(unfinished).scalar_one() >= self._open_uploads:
                raise QueueFull(f"the account has {self._open_uploads} unfinished uploads, which is the limit", FULL_SECONDS)
            return _transfer_of(connection.execute(sa.insert(TRANSFERS).values(row).returning(TRANSFERS)).one())

    def find(self, account_id: int, transfer_id: str) -> Transfer:
        """The account's transfer. Raises UnknownJob for one that there is not, or not any more."""
        mine = sa.select(TRANSFERS).where(TRANSFERS.c.id == transfer_id, TRANSFERS.c.account_id == account_id)
        with self._files.database.read() as connection:
            row = connection.execute(mine).first()
        if row is None:
            raise UnknownJob("there is no such upload, or it has expired")
        return _transfer_of(row)

    def extend(self, transfer: Transfer) -> Transfer:
        """More of it has arrived: it expires later. Returns what is known of it now. Raises UnknownJob."""
        with self._files.database.write() as connection:
            changed = sa.update(TRANSFERS).where(TRANSFERS.c.id == transfer.id).values(expires_ms=self._expiry())
            row = connection.execute(changed.returning(TRANSFERS)).first()
        if row is None:
            raise UnknownJob("the upload has been deleted")
        return _transfer_of(row)

    @contextmanager
    def opened(self, transfer: Transfer) -> "Iterator[HalfFile | HalfObject]":
        """What has arrived, to add to it. Raises UploadInUse, StorageFull, StorageError."""
        if self.multipart is None:
            with HalfFile.opened(self.path(transfer)) as half:
                yield half
            return
        from service.jobs.half_object import HalfObject  # here, as only a bucket needs it and its library

        upload_id = transfer.multipart_id or self.begin_multipart(transfer)
        with HalfObject.opened(self.multipart, self._files.storage, transfer.part_key, upload_id, transfer.bytes) as half_object:
            yield half_object

    def begin_multipart(self, transfer: Transfer) -> str:
        """The bucket's id of the upload, which begins there."""
        assert self.multipart is not None
        upload_id = self.multipart.begin(transfer.part_key, content_type_of(transfer.part_key))
        with self._files.database.write() as connection:
            mine = sa.update(TRANSFERS).where(TRANSFERS.c.id == transfer.id, TRANSFERS.c.multipart_id.is_(None))
            is_first = connection.execute(mine.values(multipart_id=upload_id)).rowcount
        if is_first:
            return upload_id
        self.multipart.abort(transfer.part_key, upload_id)
        return self.find(transfer.account_id, transfer.id).multipart_id or upload_id

    def received_bytes(self, transfer: Transfer) -> int:
        """How much of it has arrived at least, without a look at what is being written."""
        if transfer.is_finished:
            return transfer.bytes
        if self.multipart is None:
            path = self.path(transfer)
            return path.stat().st_size if path.exists() else 0
        return sum(size_bytes for size_bytes, _ in self.parts(transfer).values())

    def parts(self, transfer: Transfer) -> dict[int, tuple[int, str]]:
        """The parts that the bucket has: the size and the tag of each, by its number."""
        if self.multipart is None or transfer.multipart_id is None:
            return {}
        return self.multipart.parts(transfer.part_key, transfer.multipart_id) or {}

    def path(self, transfer: Transfer) -> Path:
        """Where its pieces are, if they come to this process."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return self._folder / transfer.id

    def finish(self, transfer: Transfer, key: str) -> Transfer:
        """The whole file is in the storage: from now on it is an upload. Does nothing the second time.

        Raises UnknownJob, after deleting the file, if the transfer has been deleted.
        """
        with self._files.database.write() as connection:
            mine = sa.update(TRANSFERS).where(TRANSFERS.c.id == transfer.id)
            row = connection.execute(mine.where(TRANSFERS.c.key.is_(None)).values(key=key).returning(TRANSFERS)).first()
            if row is not None:
                upload = {"key": key, "account_id": row.account_id, "bytes": row.counted_bytes, "at_ms": NOW_MS}
                connection.execute(sa.insert(UPLOADS).values(upload))
        if self.multipart is None:
            half_file.delete(self.path(transfer))
        try:
            return self.find(transfer.account_id, transfer.id)
        except UnknownJob:
            self._files.storage.delete(key)
            raise

    def delete(self, transfer: Transfer) -> None:
        """Delete an unfinished one and what has arrived of it. A finished one is deleted as an upload."""
        with self._files.database.write() as connection:
            unfinished = sa.delete(TRANSFERS).where(TRANSFERS.c.id == transfer.id, TRANSFERS.c.key.is_(None))
            if connection.execute(unfinished.returning(TRANSFERS.c.id)).first() is None:
                return
            self._files.uncount(connection, transfer.account_id, transfer.counted_bytes)
        self._delete_pieces(transfer)

    def _delete_pieces(self, transfer: Transfer) -> None:
        if self.multipart is None:
            half_file.delete(self.path(transfer))
        elif transfer.multipart_id:
            self.multipart.abort(transfer.part_key, transfer.multipart_id)
        self._files.storage.delete_under(transfer.folder)

    def delete_expired(self) -> int:
        """Delete a batch of those that nothing was added to for too long; return their number."""
        expired = sa.select(TRANSFERS).where(TRANSFERS.c.key.is_(None), TRANSFERS.c.expires_ms < NOW_MS).limit(BATCH)
        with self._files.database.read() as connection:
            transfers = [_transfer_of(row) for row in connection.execute(expired)]
        for transfer in transfers:
            self.delete(transfer)
        self.sweep()
        return len(transfers)

    def sweep(self) -> None:
        """Delete the pieces in this process's folder whose transfer is gone: another machine may have deleted it."""
        self._swept_at, oldest = time.monotonic(), time.time() - STALE_SECONDS
        old = [path for path in self._folder.glob(f"{PREFIX}*") if _changed_at(path) < oldest]
        known = self._known({path.stem for path in old})
        for path in old:
            if path.stem not in known:
                path.unlink(missing_ok=True)

    def _known(self, ids: Collection[str]) -> set[str]:
        """Those of the ids that are of unfinished transfers."""
        with self._files.database.read() as connection:
            return (
                set(connection.execute(sa.select(TRANSFERS.c.id).where(TRANSFERS.c.key.is_(None))).scalars()) & set(ids) if ids else set()
            )

    def _expiry(self) -> sa.ColumnElement[int]:
        return NOW_MS + int(self._keep_seconds * 1000)


def _transfer_of(row: sa.Row[Any]) -> Transfer:
    return Transfer(**{field.name: getattr(row, field.name) for field in fields(Transfer)})


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
