"""The tables as the code uses them. `migrations/` creates them; a test compares the two. Times are milliseconds since 1970, UTC."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
NUMBER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite auto-increments this type only

ACCOUNTS: Final = sa.Table(
    "accounts",
    METADATA,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("banned_ms", sa.BigInteger),
    sa.Column("deleted_ms", sa.BigInteger),
    # Sums of the ledger, updated in the same transaction, so that reading a balance is one row and one lock.
    sa.Column("paid_credits", sa.BigInteger, sa.CheckConstraint("paid_credits >= 0"), nullable=False),
    sa.Column("one_time_credits", sa.BigInteger, sa.CheckConstraint("one_time_credits >= 0"), nullable=False),
    sa.Column("held_credits", sa.BigInteger, sa.CheckConstraint("held_credits >= 0"), nullable=False),
    sa.Column("upload_bytes", sa.BigInteger, nullable=False, server_default="0"),  # the sum of its uploads, updated with them
    sa.Column("rights", sa.Text),  # for jobs that do not declare their own
    sa.Column("digital_source_type", sa.Text),  # declared for its sources; a URL of IPTC's or C2PA's list
    sa.Column("spent_credits", sa.BigInteger, nullable=False, server_default="0"),  # kept by a trigger, as `totals` are
    sa.Column("queue_jobs", sa.BigInteger),  # limits of its own; empty: those of the settings
    sa.Column("storage_bytes", sa.BigInteger),
    sa.Column("webhook_secret", sa.Text),  # encrypted; signs its callbacks; empty: the service's key does
    sa.Column("webhook_secret_ms", sa.BigInteger),
    sa.Column("webhook_previous", sa.Text),  # signs too, for a while
    sa.Column("webhook_previous_until_ms", sa.BigInteger),
)

API_KEYS: Final = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("hash", sa.Text, primary_key=True),  # SHA-256 of a random key, which needs no salt and no slow hash
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("hint", sa.Text, nullable=False),  # its first characters, to recognise it in lists
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("revoked_ms", sa.BigInteger),
    sa.Column("id", sa.Text),  # its name in lists; empty if a process of an older version made it
    sa.Column("scopes", sa.Text, nullable=False, server_default="submit read"),  # separated by spaces
    sa.Column("expires_ms", sa.BigInteger),  # empty: never
    sa.Index("api_keys_by_id", "id", unique=True),
)

SIGNERS: Final = sa.Table(
    "signers",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),  # the vendor's app_key
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("secret", sa.Text, nullable=False),  # encrypted and not hashed, as checking a signature needs the secret
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("revoked_ms", sa.BigInteger),
)

LEDGER: Final = sa.Table(
    "ledger",
    METADATA,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),  # identifies the event, so that it is recorded once
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("job_id", sa.Text, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("fund", sa.Text, nullable=False),
    sa.Column("free_credits", sa.BigInteger, nullable=False),
    sa.Column("held_credits", sa.BigInteger, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Index("ledger_by_time", "at_ms"),
)

JOBS: Final = sa.Table(
    "jobs",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),  # also the workflow's id
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
    sa.Column("attempts", sa.Integer, nullable=False),  # at cleaning; more than one if a worker died
    sa.Column("cancel_asked", sa.Boolean, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("started_ms", sa.BigInteger),
    sa.Column("finished_ms", sa.BigInteger),
    sa.Column("failure_kind", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("post", sa.JSON(none_as_null=True)),
    sa.Column("cleared_ms", sa.BigInteger),  # when its stored files were deleted
    sa.Column("fetched_bytes", sa.BigInteger, nullable=False, server_default="0"),  # of its source; counts until the job ends
    sa.Column("rights", sa.Text),  # owner | licensed, as the customer declared
    sa.Column("digital_source_type", sa.Text),
    sa.Column("client_reference", sa.Text),  # the customer's own name of it; need not be unique
    sa.Column("metadata", sa.JSON(none_as_null=True)),
    sa.Column("name", sa.Text),  # of its file, as the customer knows it
    sa.Column("step", sa.Text),  # of the pipeline, that it was last seen at
    sa.Column("traceparent", sa.Text),  # the trace of the request that ordered it
    sa.Column("export", sa.JSON(none_as_null=True)),  # how far its way to the account's own bucket is
    sa.Column("export_due_ms", sa.BigInteger),  # when a worker is to try that; empty: never again
    sa.Index("jobs_of_account", "account_id", "created_ms"),
    sa.Index("jobs_by_time", "created_ms"),
    sa.Index(
        "jobs_of_reference",
        "account_id",
        "client_reference",
        "created_ms",
        sqlite_where=sa.text("client_reference IS NOT NULL"),
        postgresql_where=sa.text("client_reference IS NOT NULL"),
    ),
    # Written as SQLAlchemy renders it in queries: SQLite uses a partial index only if the condition is textually the same.
    sa.Index("jobs_open", "account_id", sqlite_where=sa.text("ended = 0"), postgresql_where=sa.text("NOT ended")),
    sa.Index("jobs_finished", "finished_ms"),
    sa.Index(
        "jobs_to_export",
        "export_due_ms",
        sqlite_where=sa.text("export_due_ms IS NOT NULL"),
        postgresql_where=sa.text("export_due_ms IS NOT NULL"),
    ),
)

BATCHES: Final = sa.Table(
    "batches",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("jobs", sa.Integer, nullable=False),  # how many it has
    sa.Column("digest", sa.Text, nullable=False),  # of the request, to recognise a repeated one
    sa.Column("idempotency_key", sa.Text),
    sa.Column("callback_url", sa.Text),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("rights", sa.Text),
    sa.Column("client_reference", sa.Text),
    sa.Column("metadata", sa.JSON(none_as_null=True)),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("cancelled_ms", sa.BigInteger),  # when that was asked for
    sa.Column("finished_ms", sa.BigInteger),  # when the last of its jobs had ended
    sa.Column("traceparent", sa.Text),  # the trace of the request that ordered it
    sa.Index("batches_of_account", "account_id", "id"),
    sa.Index("batches_of_key", "account_id", "idempotency_key"),
    sa.Index("batches_finished", "finished_ms"),
)

BATCH_ITEMS: Final = sa.Table(
    "batch_items",
    METADATA,
    sa.Column("batch_id", sa.ForeignKey("batches.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("job_id", sa.Text, nullable=False),  # of its job; before it is submitted, of the credits that are held for it
    sa.Column("wish", sa.JSON, nullable=False),
    sa.Column("price_credits", sa.Integer, nullable=False),
    sa.Column("client_reference", sa.Text),
    sa.Column("metadata", sa.JSON(none_as_null=True)),
    sa.Column("submitted", sa.Boolean, nullable=False),
    sa.Index("batch_items_by_job", "job_id", unique=True),
)

UPLOADS: Final = sa.Table(
    "uploads",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),  # in the storage
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Index("uploads_by_age", "at_ms"),
)

# Uploads that arrive in pieces. A finished one is a row of `uploads` too, and goes with it.
TRANSFERS: Final = sa.Table(
    "transfers",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # of the file, as the customer knows it
    sa.Column("path", sa.Text, nullable=False),  # the same as a part of a key
    sa.Column("bytes", sa.BigInteger, nullable=False),  # of the whole file, as announced
    sa.Column("counted_bytes", sa.BigInteger, nullable=False),  # towards the account's quota, from the first byte on
    sa.Column("sha256", sa.Text),  # of the whole file, as announced: hexadecimal
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),  # unless more of it arrives before
    sa.Column("part_bytes", sa.BigInteger),  # of each part that is sent to the bucket; empty: it is sent to us
    sa.Column("multipart_id", sa.Text),  # the bucket's name of it
    sa.Column("key", sa.Text),  # in the storage, once it is finished
    sa.Index("transfers_of_account", "account_id"),
    sa.Index("transfers_by_expiry", "expires_ms"),
    sa.Index("transfers_by_key", "key"),
)

# Buckets of the accounts' own, into which results are put.
DESTINATIONS: Final = sa.Table(
    "destinations",
    METADATA,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True, autoincrement=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("prefix", sa.Text, nullable=False),  # of the names of its objects; may be empty
    sa.Column("endpoint", sa.Text),  # empty: Amazon's
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("credentials", sa.Text, nullable=False),  # encrypted
    sa.Column("keep_here", sa.Boolean, nullable=False),  # the files stay in our storage too
    sa.Column("created_ms", sa.BigInteger, nullable=False),
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
    sa.Column("id", sa.Text, primary_key=True),  # also the workflow's id
    sa.Column("job_id", sa.ForeignKey("jobs.id"), nullable=False, index=True),
    sa.Column("outcome", sa.Text, nullable=False),  # pending -> delivered | given_up
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("batch_id", sa.Text),  # empty: the job itself is reported
    sa.Column("due_ms", sa.BigInteger),  # when the next attempt is to be enqueued; empty while one is, and at the end
    sa.Index("deliveries_tried", "at_ms"),
    sa.Index("deliveries_due", "due_ms"),
)

ATTEMPTS: Final = sa.Table(
    "attempts",
    METADATA,
    sa.Column("delivery_id", sa.ForeignKey("deliveries.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),  # when it had ended
    sa.Column("took_ms", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text),  # empty: delivered
)

# What operators changed, for ever; no row is changed but for its outcome.
AUDIT: Final = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("actor_id", sa.ForeignKey("accounts.id")),  # empty: a command, on the machine itself
    sa.Column("key_id", sa.Text),
    sa.Column("action", sa.Text, nullable=False),  # such as account.create
    sa.Column("subject", sa.Text, nullable=False),  # what was changed: an account's name, a key's id
    sa.Column("given", sa.Text, nullable=False),  # what was asked for, as JSON; no secret
    sa.Column("outcome", sa.Text, nullable=False),  # begun -> done | the kind of error
)

# Running totals of what grows, so that reading one takes the same time however old the service is. Triggers keep them: see migration 0003.
TOTALS: Final = sa.Table(
    "totals",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),  # credits (kind, fund) | jobs (facade, state) | deliveries (outcome)
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("detail", sa.Text, primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),  # a total is the sum of its shards
    sa.Column("number", sa.BigInteger, nullable=False),
)

WORKERS: Final = sa.Table(
    "workers",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),  # the executor's id
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process_id", sa.Integer, nullable=False),
    sa.Column("process_started", sa.BigInteger, nullable=False),  # distinguishes it from a later process with the same id
    sa.Column("beat_ms", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Text),  # of Cleanplate
)
