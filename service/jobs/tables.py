"""The tables, as the code uses them. `migrations/` builds them; a test holds the two together. Times are milliseconds since 1970, UTC."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
NUMBER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up by itself for this type only

ACCOUNTS: Final = sa.Table(
    "accounts",
    METADATA,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("banned_ms", sa.BigInteger),
    sa.Column("deleted_ms", sa.BigInteger),
    # The ledger's sums, kept in the transaction that writes its lines, so that a balance is one row and a lock.
    sa.Column("paid_credits", sa.BigInteger, sa.CheckConstraint("paid_credits >= 0"), nullable=False),
    sa.Column("one_time_credits", sa.BigInteger, sa.CheckConstraint("one_time_credits >= 0"), nullable=False),
    sa.Column("held_credits", sa.BigInteger, sa.CheckConstraint("held_credits >= 0"), nullable=False),
    sa.Column("rights", sa.Text),  # of its jobs that do not say
    sa.Column("digital_source_type", sa.Text),  # what it declares its sources to be; an address of IPTC's or C2PA's list
)

API_KEYS: Final = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("hash", sa.Text, primary_key=True),  # SHA-256 of a random key: it needs no salt and no slow hash
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("hint", sa.Text, nullable=False),  # its first characters, to tell keys apart in lists
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("revoked_ms", sa.BigInteger),
)

SIGNERS: Final = sa.Table(
    "signers",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),  # the vendor's app_key
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("secret", sa.Text, nullable=False),  # encrypted: a signature is checked with the secret itself
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("revoked_ms", sa.BigInteger),
)

LEDGER: Final = sa.Table(
    "ledger",
    METADATA,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),  # says what the line is for: the same thing is never written twice
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("job_id", sa.Text, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("fund", sa.Text, nullable=False),
    sa.Column("free_credits", sa.BigInteger, nullable=False),
    sa.Column("held_credits", sa.BigInteger, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)

JOBS: Final = sa.Table(
    "jobs",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),  # the id of its workflow too
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("facade", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),
    sa.Column("wish", sa.JSON, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("callback_url", sa.Text),
    sa.Column("price_credits", sa.Integer, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("progress_percent", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),  # of cleaning; more than one where a worker died of it
    sa.Column("cancel_asked", sa.Boolean, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("started_ms", sa.BigInteger),
    sa.Column("finished_ms", sa.BigInteger),
    sa.Column("failure_kind", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("post", sa.JSON(none_as_null=True)),
    sa.Column("cleared_ms", sa.BigInteger),  # its objects are gone from storage
    sa.Column("rights", sa.Text),  # owner | licensed: what the customer said, kept with the job
    sa.Column("digital_source_type", sa.Text),
    sa.Index("jobs_of_account", "account_id", "created_ms"),
    # Each condition as SQLAlchemy writes it in a query: SQLite uses a partial index for the very same words alone.
    sa.Index("jobs_open", "account_id", sqlite_where=sa.text("ended = 0"), postgresql_where=sa.text("NOT ended")),
    sa.Index("jobs_finished", "finished_ms"),
)

EVENTS: Final = sa.Table(
    "events",
    METADATA,
    sa.Column("job_id", sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)

IDEMPOTENCY: Final = sa.Table(
    "idempotency",
    METADATA,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id"), nullable=False, index=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)

DELIVERIES: Final = sa.Table(
    "deliveries",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),  # the id of its workflow too
    sa.Column("job_id", sa.ForeignKey("jobs.id"), nullable=False, index=True),
    sa.Column("outcome", sa.Text, nullable=False),  # pending -> delivered | given_up
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)

WORKERS: Final = sa.Table(
    "workers",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),  # the executor's id
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process_id", sa.Integer, nullable=False),
    sa.Column("process_started", sa.BigInteger, nullable=False),  # tells it from a later process of the same number
    sa.Column("beat_ms", sa.BigInteger, nullable=False),
)
