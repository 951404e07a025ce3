"""Running totals of what grows: the ledger, the jobs and the callbacks; what each account has spent; when callbacks are due.

Triggers keep the totals, so that a process of an older version, or a statement typed by hand, counts too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SHARDS = 16  # rows per total, by account, so that few transactions wait for the same row
LARGEST = 9_000_000_000_000_000_000  # sums of an old ledger, whose entries had no ceiling, stop here

ADD = """
INSERT INTO totals (name, kind, detail, shard, number) VALUES ({values}, {number})
ON CONFLICT (name, kind, detail, shard) DO UPDATE SET number = totals.number + excluded.number;
"""
LEDGER = f"'credits', {{row}}.kind, {{row}}.fund, {{row}}.account_id % {SHARDS}"
JOBS = f"'jobs', {{row}}.facade, {{row}}.state, {{row}}.account_id % {SHARDS}"
DELIVERIES = "'deliveries', {row}.outcome, '', 0"
SPENT = "UPDATE accounts SET spent_credits = spent_credits - NEW.held_credits WHERE id = NEW.account_id AND NEW.kind = 'settle';"


def upgrade() -> None:
    op.create_table(
        "totals",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("detail", sa.Text, primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.add_column("accounts", sa.Column("spent_credits", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("due_ms", sa.BigInteger))
    op.create_index("deliveries_tried", "deliveries", ["at_ms"])
    op.create_index("deliveries_due", "deliveries", ["due_ms"])
    _fill()
    _trigger("ledger", "insert", _add("NEW", LEDGER, "NEW.free_credits"), SPENT)
    for table, values in (("jobs", JOBS), ("deliveries", DELIVERIES)):
        _trigger(table, "insert", _add("NEW", values, "1"))
        _trigger(table, "update", _add("OLD", values, "-1"), _add("NEW", values, "1"))
        _trigger(table, "delete", _add("OLD", values, "-1"))


def _fill() -> None:
    """Count what there is."""
    for table, values, number in (
        ("ledger", LEDGER, _sum("free_credits")),
        ("jobs", JOBS, "count(*)"),
        ("deliveries", DELIVERIES, "count(*)"),
    ):
        columns = values.format(row=table)
        op.execute(f"INSERT INTO totals (name, kind, detail, shard, number) SELECT {columns}, {number} FROM {table} GROUP BY 1, 2, 3, 4")
    spent = f"SELECT {_sum('-held_credits')} FROM ledger WHERE ledger.account_id = accounts.id AND kind = 'settle'"
    op.execute(f"UPDATE accounts SET spent_credits = coalesce(({spent}), 0)")


def _sum(column: str) -> str:
    """The sum of a column. On SQLite `sum` fails above 64 bits; `total` is a float, exact up to 2^53."""
    if op.get_context().dialect.name == "sqlite":
        return f"CAST(max(min(total({column}), {LARGEST}), -{LARGEST}) AS INTEGER)"
    return f"CAST(greatest(least(sum({column}), {LARGEST}), -{LARGEST}) AS BIGINT)"


def _add(row: str, values: str, number: str) -> str:
    return ADD.format(values=values.format(row=row), number=number)


def _trigger(table: str, event: str, *statements: str) -> None:
    """Run statements after each change of a row; after an update only where what is counted has changed."""
    name, body = f"total_{table}_{event}", " ".join(statements)
    column = {"jobs": "state", "deliveries": "outcome"}.get(table)
    of, when = (f" OF {column}", f"WHEN (OLD.{column} <> NEW.{column})") if event == "update" else ("", "")
    head = f"CREATE TRIGGER {name} AFTER {event.upper()}{of} ON {table} FOR EACH ROW {when}"
    if op.get_context().dialect.name == "sqlite":
        op.execute(f"{head} BEGIN {body} END")
        return
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
    op.execute(f"{head} EXECUTE FUNCTION {name}()")
