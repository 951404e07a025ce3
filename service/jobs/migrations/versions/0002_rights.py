"""Declared rights and digital source types, of an account and of each job."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("accounts", "jobs"):
        op.add_column(table, sa.Column("rights", sa.Text))
        op.add_column(table, sa.Column("digital_source_type", sa.Text))
