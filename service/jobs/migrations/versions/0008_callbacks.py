"""The log of attempts to deliver callbacks, and secrets of an account's own that sign them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.Text, sa.ForeignKey("deliveries.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("took_ms", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text),
    )
    op.add_column("accounts", sa.Column("webhook_secret", sa.Text))
    op.add_column("accounts", sa.Column("webhook_secret_ms", sa.BigInteger))
    op.add_column("accounts", sa.Column("webhook_previous", sa.Text))
    op.add_column("accounts", sa.Column("webhook_previous_until_ms", sa.BigInteger))
