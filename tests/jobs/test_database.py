"""Writers of several processes take turns on SQLite."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from benchmarks.fleet import within
from service.jobs import database as database_module
from service.jobs.database import Database

INSERT = sa.text("INSERT INTO notes VALUES ('kept')")
Writer = Callable[[], AbstractContextManager[sa.Connection]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    with database.write() as connection:
        connection.execute(sa.text("CREATE TABLE notes (text TEXT)"))
    yield database
    database.close()


@pytest.fixture(params=["own", "workflow engine's"])
def writer(database: Database, request: pytest.FixtureRequest) -> Iterator[Writer]:
    engine = database.workflow_engine()
    assert engine is not None
    yield database.write if request.param == "own" else engine.begin
    engine.dispose()


@contextmanager
def another_process_writes(database: Database) -> Iterator[None]:
    path = sa.make_url(database.url).database
    assert path is not None
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        connection.close()


def insert(writer: Writer) -> None:
    with writer() as connection:
        connection.execute(INSERT)


def notes(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM notes")).scalar_one())


def test_a_writer_tries_until_the_other_one_has_ended(database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look() -> float:
        looks.append(1)
        return 0.0

    monkeypatch.setattr(database_module, "time", SimpleNamespace(monotonic=look))
    with ThreadPoolExecutor(1) as thread:
        with another_process_writes(database):
            written = thread.submit(insert, writer)
            assert within(10, lambda: len(looks) > 5), "it looks again and again"
            assert not written.done()
            assert notes(database) == 0, "readers do not wait"
        written.result()
    assert notes(database) == 1


def test_a_writer_gives_up_in_the_end(database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0)
    with another_process_writes(database), pytest.raises(sa.exc.OperationalError, match="database is locked"):
        insert(writer)
    insert(writer)
    assert notes(database) == 1


def test_what_another_process_has_changed_meanwhile_is_not_overwritten(database: Database) -> None:
    """A transaction that began to read before the other's commit could never write; it is told so at once."""
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM notes")).scalar_one() == 0
        insert(database.write)
        with pytest.raises(sa.exc.OperationalError, match="database is locked"):
            connection.execute(INSERT)
