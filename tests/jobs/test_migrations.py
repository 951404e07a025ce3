"""The migrations create the tables that the code uses; several processes may run them at once."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from service.errors import SettingsError
from service.jobs.database import Database
from service.jobs.tables import METADATA
from tests.jobs.bench import Bench, bench

MIGRATE = "import sys; from service.jobs.database import Database; sys.stdin.read(); Database(sys.argv[1]).migrate().close()"


def test_all_migrations_produce_the_tables(either: Bench) -> None:
    names = set(METADATA.tables)
    with either.database.read() as connection:
        options = {"compare_type": True, "include_name": lambda name, kind, _: kind != "table" or name in names}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)
        inspected = sa.inspect(connection)
        assert found == []
        assert {name: checks_found(inspected, name) for name in names} == {name: checks_meant(METADATA.tables[name]) for name in names}


def checks_found(inspected: sa.Inspector, table: str) -> set[str]:
    """The database's check constraints, which alembic does not compare."""
    return {check["sqltext"].strip("()") for check in inspected.get_check_constraints(table)}


def checks_meant(table: sa.Table) -> set[str]:
    found = itertools.chain(table.constraints, *(column.constraints for column in table.columns))
    return {str(check.sqltext) for check in found if isinstance(check, sa.CheckConstraint)}


def test_a_second_migration_changes_nothing(fresh: Bench) -> None:
    account = fresh.customer(paid=3)
    fresh.database.migrate()
    assert fresh.order(account).price_credits == 3


def test_jobs_of_an_older_version_are_kept(tmp_path: Path) -> None:
    with bench(f"sqlite:///{tmp_path / 'old.sqlite'}") as old:
        account = old.customer(paid=6)
        job = old.order(account)
        with old.database.write() as connection:  # back to the first version's schema
            for table in ("jobs", "accounts"):
                for column in ("rights", "digital_source_type"):
                    connection.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN {column}"))
            connection.execute(sa.text("ALTER TABLE accounts DROP COLUMN upload_bytes"))
            connection.execute(sa.text("ALTER TABLE jobs DROP COLUMN fetched_bytes"))
            connection.execute(sa.text("DROP TABLE uploads"))
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
        old.database.migrate()
        assert old.job_service.find(account.id, job.id) == job
        assert old.order(account, rights="owner").rights == "owner"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_processes_can_migrate_concurrently(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.sqlite'}" if kind == "sqlite" else request.getfixturevalue("database")
    command = [sys.executable, "-c", MIGRATE, url]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdin
        process.stdin.close()  # start
        process.stdin = None
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    with bench(url) as found:
        assert found.order(found.customer(paid=3)).price_credits == 3


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "sqlite://", ""])
def test_an_invalid_database_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="database"):
        Database(url)
