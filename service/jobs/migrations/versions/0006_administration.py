"""What a key may do and until when, limits of an account's own, the version of each worker; and what an operator's questions need."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("id", sa.Text))
    op.add_column("api_keys", sa.Column("scopes", sa.Text, nullable=False, server_default="submit read"))
    op.add_column("api_keys", sa.Column("expires_ms", sa.BigInteger))
    _name_keys()
    op.create_index("api_keys_by_id", "api_keys", ["id"], unique=True)
    op.add_column("accounts", sa.Column("queue_jobs", sa.BigInteger))
    op.add_column("accounts", sa.Column("storage_bytes", sa.BigInteger))
    op.add_column("workers", sa.Column("version", sa.Text))
    op.create_index("ledger_by_time", "ledger", ["at_ms"])
    op.create_index("jobs_by_time", "jobs", ["created_ms"])


def _name_keys() -> None:
    """Give each key an id; a random one, as one made from its hash would help to guess a key that a person chose."""
    keys = sa.table("api_keys", sa.column("hash", sa.Text), sa.column("id", sa.Text))
    connection = op.get_bind()
    for key_hash in connection.execute(sa.select(keys.c.hash)).scalars().all():
        connection.execute(sa.update(keys).where(keys.c.hash == key_hash).values(id=f"key_{secrets.token_hex(6)}"))
