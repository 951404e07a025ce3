"""Accounts, keys, ledger, jobs, callbacks, workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("banned_ms", sa.BigInteger),
        sa.Column("deleted_ms", sa.BigInteger),
        sa.Column("paid_credits", sa.BigInteger, sa.CheckConstraint("paid_credits >= 0"), nullable=False),
        sa.Column("one_time_credits", sa.BigInteger, sa.CheckConstraint("one_time_credits >= 0"), nullable=False),
        sa.Column("held_credits", sa.BigInteger, sa.CheckConstraint("held_credits >= 0"), nullable=False),
    )
    _keys()
    _ledger()
    _jobs()
    _job_details()
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("process_id", sa.Integer, nullable=False),
        sa.Column("process_started", sa.BigInteger, nullable=False),
        sa.Column("beat_ms", sa.BigInteger, nullable=False),
    )


def _keys() -> None:
    for table, first, second in (("api_keys", "hash", "hint"), ("signers", "name", "secret")):
        op.create_table(
            table,
            sa.Column(first, sa.Text, primary_key=True),
            sa.Column("account_id", NUMBER, sa.ForeignKey("accounts.id"), nullable=False, index=True),
            sa.Column(second, sa.Text, nullable=False),
            sa.Column("created_ms", sa.BigInteger, nullable=False),
            sa.Column("revoked_ms", sa.BigInteger),
        )


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("account_id", NUMBER, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("job_id", sa.Text, index=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("fund", sa.Text, nullable=False),
        sa.Column("free_credits", sa.BigInteger, nullable=False),
        sa.Column("held_credits", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", NUMBER, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("facade", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("wish", sa.JSON, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("callback_url", sa.Text),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("price_credits", "priority", "progress_percent", "attempts")),
        sa.Column("cancel_asked", sa.Boolean, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("started_ms", sa.BigInteger),
        sa.Column("finished_ms", sa.BigInteger),
        sa.Column("failure_kind", sa.Text),
        sa.Column("failure_message", sa.Text),
        sa.Column("result", sa.JSON),
        sa.Column("post", sa.JSON),
        sa.Column("cleared_ms", sa.BigInteger),
    )
    op.create_index("jobs_of_account", "jobs", ["account_id", "created_ms"])
    op.create_index("jobs_open", "jobs", ["account_id"], sqlite_where=sa.text("ended = 0"), postgresql_where=sa.text("NOT ended"))
    op.create_index("jobs_finished", "jobs", ["finished_ms"])


def _job_details() -> None:
    op.create_table(
        "events",
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "idempotency",
        sa.Column("account_id", NUMBER, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False, index=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False, index=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
