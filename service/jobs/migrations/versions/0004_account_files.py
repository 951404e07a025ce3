"""What an account's files take."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("account_id", NUMBER, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("uploads_by_age", "uploads", ["at_ms"])
    op.add_column("accounts", sa.Column("upload_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("fetched_bytes", sa.BigInteger, nullable=False, server_default="0"))
