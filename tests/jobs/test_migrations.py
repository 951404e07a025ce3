"""The migrations create the tables that the code uses; several processes may run them at once."""

import itertools
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from service.errors import SettingsError
from service.jobs.database import Database
from service.jobs.keys import CUSTOMER, Scope
from service.jobs.tables import DELIVERIES, JOBS, LEDGER, METADATA
from tests.jobs.bench import URL, Bench, bench

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
        go_back(old)
        with old.database.write() as connection:  # to the first version's schema
            for table in ("jobs", "accounts"):
                for column in ("rights", "digital_source_type"):
                    connection.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN {column}"))
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
        old.database.migrate()
        assert old.job_service.find(account.id, job.id) == job
        assert old.order(account, rights="owner").rights == "owner"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_old_keys_get_an_id_and_keep_what_they_may_do(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}" if kind == "sqlite" else request.getfixturevalue("database")
    with bench(url) as old:
        account = old.customer()
        kept = [old.accounts.add_key(account) for _ in range(2)]
        go_back(old)
        old.database.migrate()
        found = old.accounts.keys(account)
        assert len({info.id for info in found}) == 2
        assert all(info.id.startswith("key_") and info.scopes == CUSTOMER for info in found)
        assert [old.accounts.account_of_key(key, Scope.SUBMIT) for key in kept] == [account, account]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_totals_count_what_was_there_before_them(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}" if kind == "sqlite" else request.getfixturevalue("database")
    with bench(url) as old:
        account = old.customer(paid=9, one_time=1)
        old.succeed(old.order(account, callback_url=URL))
        old.fail(old.order(account))
        old.order(account, facade="kaze")
        go_back(old)
        old.database.migrate()
        assert counted(old) == count(old)
        assert old.job_service.spent_credits(account.id) == 3
        old.succeed(old.order(account, facade="kaze", callback_url=URL))
        assert counted(old) == count(old)


def test_an_old_ledger_beyond_all_bounds_can_be_migrated_and_read(tmp_path: Path) -> None:
    """SQLite turned a balance above 64 bits into a float, and could not add up such a ledger at all."""
    with bench(f"sqlite:///{tmp_path / 'old.sqlite'}") as old:
        account = old.customer()
        go_back(old)
        insert = "INSERT INTO ledger (key, account_id, kind, fund, free_credits, held_credits, note, at_ms)"
        with old.database.write() as connection:
            for number in range(2):
                values = f"VALUES ('grant:{number}', {account.id}, 'grant', 'paid', {2**63 - 1}, 0, '', 1)"
                connection.execute(sa.text(f"{insert} {values}"))
            connection.execute(sa.text(f"UPDATE accounts SET paid_credits = {2**63 - 1} + {2**63 - 1}"))
        old.database.migrate()
        assert old.job_service.balance(account.id).paid_credits > 2**63
        assert old.job_service.read_metrics().free_credits["grant", "paid"] > 2**60


ADDED = (("accounts", "spent_credits"), ("accounts", "upload_bytes"), ("deliveries", "due_ms"), ("jobs", "fetched_bytes"))  # since then
ADDED += (("jobs", "client_reference"), ("jobs", "metadata"), ("jobs", "name"), ("jobs", "step"))
ADDED += (("jobs", "export"), ("jobs", "export_due_ms"), ("jobs", "traceparent"))
ADDED += (("api_keys", "id"), ("api_keys", "scopes"), ("api_keys", "expires_ms"))
ADDED += (("accounts", "queue_jobs"), ("accounts", "storage_bytes"), ("workers", "version"), ("deliveries", "batch_id"))
ADDED += tuple(("accounts", f"webhook_{name}") for name in ("secret", "secret_ms", "previous", "previous_until_ms"))


def go_back(bench: Bench) -> None:
    """Make the schema that of the version before the totals."""
    events = [("ledger", "insert"), *((table, event) for table in ("jobs", "deliveries") for event in ("insert", "update", "delete"))]
    with bench.database.write() as connection:
        for name in (f"total_{table}_{event}" for table, event in events):
            connection.execute(sa.text(f"DROP TRIGGER {name}" if bench.database.is_sqlite else f"DROP FUNCTION {name} CASCADE"))
        for statement in (
            "DROP TABLE audit",
            "DROP TABLE attempts",
            "DROP TABLE batch_items",
            "DROP TABLE batches",
            "DROP TABLE transfers",
            "DROP TABLE destinations",
            "DROP INDEX jobs_to_export",
            "DROP TABLE uploads",
            "DROP TABLE totals",
            "DROP INDEX deliveries_tried",
            "DROP INDEX deliveries_due",
            "DROP INDEX jobs_of_reference",
            "DROP INDEX jobs_by_time",
            "DROP INDEX ledger_by_time",
            "DROP INDEX api_keys_by_id",
        ):
            connection.execute(sa.text(statement))
        for table, column in ADDED:
            connection.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))


def counted(bench: Bench) -> tuple[object, ...]:
    """The totals that the metrics show."""
    found = bench.job_service.read_metrics()
    return found.jobs, found.free_credits, found.held_credits, found.deliveries


def count(bench: Bench) -> tuple[object, ...]:
    """The same, counted from the tables themselves."""
    with bench.database.read() as connection:
        jobs = connection.execute(sa.select(JOBS.c.facade, JOBS.c.state)).all()
        deliveries = connection.execute(sa.select(DELIVERIES.c.outcome)).scalars()
        lines = connection.execute(sa.select(LEDGER)).all()
        credits: Counter[tuple[str, str]] = Counter()
        for line in lines:
            credits[line.kind, line.fund] += line.free_credits
        return (
            Counter(map(tuple, jobs)),
            {pair: total for pair, total in credits.items() if total},
            sum(line.held_credits for line in lines),
            Counter(deliveries),
        )


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
