"""Batches: many jobs that are ordered, followed, cancelled and reported as one."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", NUMBER, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("jobs", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("callback_url", sa.Text),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("rights", sa.Text),
        sa.Column("client_reference", sa.Text),
        sa.Column("metadata", sa.JSON),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("cancelled_ms", sa.BigInteger),
        sa.Column("finished_ms", sa.BigInteger),
    )
    op.create_index("batches_of_account", "batches", ["account_id", "id"])
    op.create_index("batches_of_key", "batches", ["account_id", "idempotency_key"])
    op.create_index("batches_finished", "batches", ["finished_ms"])
    op.create_table(
        "batch_items",
        sa.Column("batch_id", sa.Text, sa.ForeignKey("batches.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("wish", sa.JSON, nullable=False),
        sa.Column("price_credits", sa.Integer, nullable=False),
        sa.Column("client_reference", sa.Text),
        sa.Column("metadata", sa.JSON),
        sa.Column("submitted", sa.Boolean, nullable=False),
    )
    op.create_index("batch_items_by_job", "batch_items", ["job_id"], unique=True)
    op.add_column("deliveries", sa.Column("batch_id", sa.Text))
