"""The database, by URL: a SQLite file or PostgreSQL. Our tables and the workflow engine's share it, so that one transaction spans both."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from dbos import DBOS
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from service.disk import is_full, naming_full_disks
from service.errors import SettingsError
from service.private_folder import private_file

MIGRATIONS: Final = Path(__file__).parent / "migrations"
BUSY_SECONDS: Final = 30  # how long to wait for another process's write
NAP_MS: Final = 2  # between two looks whether that write is over
BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)  # not SQLITE_BUSY_SNAPSHOT, which stays
POOL_CONNECTIONS: Final = 20
IDLE_SECONDS: Final = 60  # within a transaction; then PostgreSQL ends it, so that a process that was stopped frees what it has locked


class _NowMs(FunctionElement[int]):
    """The database's clock when the statement arrives, in milliseconds since 1970, UTC."""

    type = sa.BigInteger()
    inherit_cache = True
    name = "now_ms"


@compiles(_NowMs, "postgresql")
def _(*_: object, **__: object) -> str:
    # Not clock_timestamp(): PostgreSQL uses no index for a comparison with a value that may change within a statement.
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)"


@compiles(_NowMs, "sqlite")
def _(*_: object, **__: object) -> str:
    return "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"  # the Julian day of 1970


# The clock of all times in the tables: one for the whole fleet, so that a process whose own clock is wrong does no harm.
NOW_MS: Final = _NowMs()


class Database:
    """`write()` is one transaction, serialised with other writers on SQLite; `read()` sees committed data."""

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError:
            raise SettingsError("not a database URL: use sqlite:///file or postgresql+psycopg://user:password@host/name") from None
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        elif parsed.get_backend_name() != "sqlite" or not parsed.database:
            raise SettingsError(f"the database must be a SQLite file or PostgreSQL, not {parsed.get_backend_name()}")
        self.url: str = parsed.render_as_string(hide_password=False)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database:
            _make_private(parsed.database)
        self._turn = threading.Lock()  # SQLite's busy wait is unfair and coarse; this process's writers queue here instead
        self._reader = _engine(parsed, "DEFERRED") if self.is_sqlite else _engine(parsed, None)
        self._writer = _engine(parsed, "IMMEDIATE") if self.is_sqlite else self._reader

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end of the block, rolled back on an exception. Raises StorageFull where the disk is full."""
        with naming_full_disks(), self._turn if self.is_sqlite else nullcontext(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with naming_full_disks(), self._reader.connect() as connection:  # SQLite may write to its log's index to read
            yield connection

    def migrate(self) -> Self:
        """Create or upgrade all tables. Several processes may do so at once. Raises SettingsError for a database that cannot be used."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with _opening_errors():
            with self.write() as connection:
                if not self.is_sqlite:
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7061001)"))  # an arbitrary number, the same in all processes
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            DBOS.migrate(self.url)
        return self

    def workflow_engine(self) -> sa.Engine | None:
        """Connections for the workflow engine, unless its own will do: on SQLite it would fail a workflow instead of waiting for space."""
        if not self.is_sqlite:
            return None
        engine = sa.create_engine(self.url, pool_size=POOL_CONNECTIONS, max_overflow=POOL_CONNECTIONS)
        _wait_in_short_naps(engine)

        @sa.event.listens_for(engine, "connect")
        def _(connection: Any, _record: object) -> None:
            connection.isolation_level = "IMMEDIATE"
            connection.execute("PRAGMA synchronous = NORMAL")  # a step lost in a power cut is repeated; what we commit later takes it along
            connection.execute("PRAGMA foreign_keys = ON")

        @sa.event.listens_for(engine, "handle_error", retval=True)
        def _(context: sa.engine.ExceptionContext) -> BaseException | None:
            if not is_full(context.original_exception):
                return None
            # The engine repeats what it did when it reads that the database is locked, until that has passed.
            return sa.exc.OperationalError(context.statement, None, sqlite3.OperationalError("database is locked: the disk is full"))

        return engine

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()


@contextmanager
def _opening_errors() -> Iterator[None]:
    """Turn what may be wrong with a database into one line for whoever set it."""
    try:
        yield
    except CommandError:  # there is no such revision here
        raise SettingsError("the database was written by a newer version of Cleanplate") from None
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise SettingsError(f"the database cannot be used: {reason}") from None


def workflow_table(is_sqlite: bool, *columns: str) -> sa.TableClause:
    """The workflow engine's table of workflows, with these of its columns."""
    return sa.table("workflow_status", *map(sa.column, columns), schema=None if is_sqlite else "dbos")


def now_ms_of(connection: sa.Connection) -> int:
    """The database's clock."""
    return int(connection.execute(sa.select(NOW_MS)).scalar_one())


def _make_private(path: str) -> None:
    """Create the file for this user alone, before SQLite does; the files that SQLite adds get the same rights."""
    try:
        private_file(Path(path))
    except OSError as error:
        raise SettingsError(f"the database cannot be opened: {(error.strerror or 'unknown').lower()}") from None


def now_ms() -> int:
    """This process's clock, which may be wrong: for ids and for what only this process compares."""
    return time.time_ns() // 1_000_000


def _engine(url: sa.URL, begin: str | None) -> sa.Engine:
    """An engine. `begin` is SQLite's transaction mode, such as IMMEDIATE; None for PostgreSQL."""
    if begin is None:
        engine = sa.create_engine(url, pool_size=POOL_CONNECTIONS, max_overflow=POOL_CONNECTIONS, pool_pre_ping=True)

        @sa.event.listens_for(engine, "connect")
        def _(connection: Any, _record: object) -> None:
            connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
            connection.commit()

        return engine
    engine = sa.create_engine(url, pool_size=POOL_CONNECTIONS, max_overflow=POOL_CONNECTIONS, connect_args={"timeout": BUSY_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would come too late and without the mode
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # accepted jobs survive a power cut; costs 0.2 ms per commit
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def _(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {begin}")

    _wait_in_short_naps(engine)
    return engine


def _wait_in_short_naps(engine: sa.Engine) -> None:
    """Make SQLite's connections try again every few milliseconds to begin while another process writes, for as long as they may wait.

    SQLite itself naps longer and longer, up to 0.1 s: of two processes that write all the time, the one that napped most waits longest.
    """

    @sa.event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA busy_timeout = {NAP_MS}")

    @sa.event.listens_for(engine, "do_execute")
    def _(cursor: sqlite3.Cursor, statement: str, parameters: Any, _context: object) -> bool:
        return _once_free(partial(cursor.execute, statement, parameters))

    @sa.event.listens_for(engine, "do_executemany")
    def _(cursor: sqlite3.Cursor, statement: str, parameters: Any, _context: object) -> bool:
        return _once_free(partial(cursor.executemany, statement, parameters))


def _once_free(execute: Callable[[], object]) -> bool:
    """Execute as soon as no other connection writes; true. Raises the driver's error if that takes too long."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            execute()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in BUSY or time.monotonic() > deadline:
                raise
        else:
            return True
