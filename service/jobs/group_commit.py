"""Commits the changes of several threads at once: a commit waits for the disk, and while one does, other changes line up."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from service.errors import CleanplateError
from service.jobs.database import Database

T = TypeVar("T")
Change = Callable[[sa.Connection], T]  # may be repeated after it was rolled back: it has no effects but those on the database


class GroupCommit:
    """On SQLite, which has one writer at a time, all changes that wait share the next transaction; on PostgreSQL each has its own.

    There the server lets commits share a write to the disk, and two transactions that lock several accounts each could block each other.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: list[_Entry[Any]] = []
        self._has_leader = False  # a thread that commits what waits, or is about to

    def run(self, change: Change[T]) -> T:
        """The change's result, once it is committed. If it raises an error, what it did is undone, and nobody else's change."""
        if not self._database.is_sqlite:
            with self._database.write() as connection:
                return change(connection)
        entry = _Entry(change)
        with self._lock:
            self._waiting.append(entry)
            leads, self._has_leader = not self._has_leader, True
        if not leads:
            entry.woken.wait()
        if not entry.has_ended:
            self._lead()
        return entry.result()

    def _lead(self) -> None:
        """Commit what waits, with this thread's own change."""
        group: list[_Entry[Any]] = []
        try:
            with self._database.write() as connection:
                group = self._taken()  # now that this thread may write: more have come meanwhile
                for entry in group:
                    entry.run_with_others(connection)
        except Exception as error:
            for entry in group:
                entry.run_alone(self._database)
            if not group:  # the database is locked, or gone
                group = self._taken()
                for entry in group:
                    entry.fail(error)
        finally:
            self._hand_over(group)

    def _taken(self) -> "list[_Entry[Any]]":
        with self._lock:
            group, self._waiting = self._waiting, []
        return group

    def _hand_over(self, group: "list[_Entry[Any]]") -> None:
        """Wake those whose changes have ended, and one of those who came since, to lead."""
        with self._lock:
            next_leader = self._waiting[0] if self._waiting else None
            self._has_leader = next_leader is not None
        if next_leader is not None:
            next_leader.woken.set()
        for entry in group:
            entry.has_ended = True
            entry.woken.set()


class _Entry(Generic[T]):
    """A change, and what came of it."""

    def __init__(self, change: Change[T]) -> None:
        self._change = change
        self._outcome: Callable[[], T] | None = None
        self.woken = threading.Event()
        self.has_ended = False

    def run_with_others(self, connection: sa.Connection) -> None:
        """Make the change. An error of ours that comes before it has changed anything is its own; any other undoes the transaction."""
        before = _changed_rows(connection)
        try:
            self._succeed(self._change(connection))
        except CleanplateError as error:
            if _changed_rows(connection) != before:
                raise
            self.fail(error)

    def run_alone(self, database: Database) -> None:
        """Make the change in a transaction of its own."""
        try:
            with database.write() as connection:
                result = self._change(connection)
            self._succeed(result)
        except Exception as error:
            self.fail(error)

    def result(self) -> T:
        """What the change returned or raised."""
        assert self._outcome is not None
        return self._outcome()

    def _succeed(self, result: T) -> None:
        self._outcome = lambda: result

    def fail(self, error: Exception) -> None:
        def raise_again() -> T:
            raise error

        self._outcome = raise_again


def _changed_rows(connection: sa.Connection) -> int:
    """How many rows this connection has changed since it was opened."""
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver.total_changes
