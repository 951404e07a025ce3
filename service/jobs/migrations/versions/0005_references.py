"""What customers say of their jobs: a reference of their own, and other pairs of texts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("client_reference", sa.Text))
    op.add_column("jobs", sa.Column("metadata", sa.JSON))
    there_is_one = sa.text("client_reference IS NOT NULL")
    columns = ["account_id", "client_reference", "created_ms"]
    op.create_index("jobs_of_reference", "jobs", columns, sqlite_where=there_is_one, postgresql_where=there_is_one)
