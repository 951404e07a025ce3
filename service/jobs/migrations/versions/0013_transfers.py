"""Uploads that arrive in pieces, and buckets of the accounts' own that results are put into."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "transfers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", NUMBER, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("counted_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("part_bytes", sa.BigInteger),
        sa.Column("multipart_id", sa.Text),
        sa.Column("key", sa.Text),
    )
    op.create_index("transfers_of_account", "transfers", ["account_id"])
    op.create_index("transfers_by_expiry", "transfers", ["expires_ms"])
    op.create_index("transfers_by_key", "transfers", ["key"])
    op.create_table(
        "destinations",
        sa.Column("account_id", NUMBER, sa.ForeignKey("accounts.id"), primary_key=True, autoincrement=False),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("credentials", sa.Text, nullable=False),
        sa.Column("keep_here", sa.Boolean, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.add_column("jobs", sa.Column("export", sa.JSON(none_as_null=True)))
    op.add_column("jobs", sa.Column("export_due_ms", sa.BigInteger))
    given = sa.text("export_due_ms IS NOT NULL")
    op.create_index("jobs_to_export", "jobs", ["export_due_ms"], sqlite_where=given, postgresql_where=given)
