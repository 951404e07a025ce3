"""The trace that a job or a batch is part of."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for table in ("jobs", "batches"):
        op.add_column(table, sa.Column("traceparent", sa.Text))
