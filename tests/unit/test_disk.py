"""Free space, and telling a full disk from other faults, on a disk that is full."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos._utils import retriable_sqlite_exception

from service.disk import DiskGuard, free_bytes, is_full, naming_full_disks
from service.errors import EncodeFailed, StorageError, StorageFull
from service.jobs.database import Database
from service.outside.storage import Storage
from service.pipeline.io.atomic_file import atomic_file
from tests.small_disk import filled, small_disk

MIB = 2**20


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("small") / "disk", "8m") as folder:
        yield folder


def test_a_guard_keeps_its_floor_on_every_disk(disk: Path, tmp_path: Path) -> None:
    free = free_bytes(disk)
    guard = DiskGuard((tmp_path, disk), floor_bytes=MIB)
    guard.require(free - MIB)
    with pytest.raises(StorageFull):
        guard.require(free - MIB + 1)
    DiskGuard().require(2**60)  # no folder, no limit: files in a bucket


def test_the_storage_names_a_full_disk(disk: Path) -> None:
    storage = Storage.open(str(disk / "files"))
    with filled(disk):
        for put in (lambda: storage.put_bytes("a", bytes(MIB), ""), lambda: storage.put_file("b", Path(__file__), "")):
            with pytest.raises(StorageFull):
                put()
    storage.put_bytes("a", bytes(MIB), "")
    storage.delete("a")


def test_a_file_that_the_pipeline_could_not_write(disk: Path) -> None:
    with filled(disk), pytest.raises(StorageFull), naming_full_disks(), atomic_file(disk / "x") as path:
        path.write_bytes(bytes(MIB))


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (EncodeFailed("the output cannot be written: No space left on device"), True),  # from a child process
        (EncodeFailed("there is no frame to encode"), False),
        (EncodeFailed("the output cannot be signed: No space left on device"), False),  # a file may hold any text
        (StorageError("a file called No space left on device"), False),  # what a client names a file tells nothing
        (KeyError("No space left on device"), False),
        (OSError(5, "Input/output error"), False),
        (OSError(122, "Disk quota exceeded"), True),
        (sqlite3.OperationalError("database or disk is full"), False),  # without the code, which only a real one has
    ],
)
def test_errors_of_a_full_disk(error: Exception, full: bool) -> None:
    assert is_full(error) == full


def test_the_database_names_a_full_disk_and_works_again(disk: Path) -> None:
    database = Database(f"sqlite:///{disk / 'test.sqlite'}")
    engine = database.workflow_engine()
    assert engine is not None
    insert = sa.text("INSERT INTO notes VALUES (:text)")
    with database.write() as connection:
        connection.execute(sa.text("CREATE TABLE notes (text TEXT)"))
    with filled(disk):
        with pytest.raises(StorageFull), database.write() as connection:
            connection.execute(insert, {"text": "x" * MIB})
        with pytest.raises(sa.exc.OperationalError, match="the disk is full") as error, engine.begin() as connection:
            connection.execute(insert, {"text": "y" * MIB})
        assert retriable_sqlite_exception(error.value), "the workflow engine waits, and fails no workflow"
        with database.read() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM notes")).scalar_one() == 0
    written = threading.Thread(target=lambda: _insert(engine, insert))  # from another thread, as no lock may have been left
    written.start()
    written.join()
    with database.write() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM notes")).scalar_one() == 1
    engine.dispose()
    database.close()


def _insert(engine: sa.Engine, insert: sa.TextClause) -> None:
    with engine.begin() as connection:
        connection.execute(insert, {"text": "z" * MIB})
