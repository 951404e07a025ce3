"""Buckets of the accounts' own, into which their results are put. Their keys are stored encrypted, and never shown again."""

import json
from dataclasses import dataclass

import sqlalchemy as sa

from service.jobs.database import NOW_MS, Database
from service.jobs.tables import DESTINATIONS
from service.jobs.vault import Vault
from service.outside.bucket import Bucket


@dataclass(frozen=True)
class Destination:
    """Where an account's results are put. `keep_here`: they stay in our storage too, as long as any other."""

    bucket: Bucket
    keep_here: bool
    created_ms: int = 0


@dataclass(frozen=True)
class Destinations:
    """Sets, reads and removes them."""

    database: Database
    vault: Vault

    def set(self, account_id: int, destination: Destination) -> None:
        """Put the account's results there from now on."""
        bucket = destination.bucket
        values = {
            "bucket": bucket.name,
            "prefix": bucket.prefix,
            "endpoint": bucket.endpoint,
            "region": bucket.region,
            "credentials": self.vault.seal(json.dumps([bucket.access_key_id, bucket.secret_access_key])),
            "keep_here": destination.keep_here,
            "created_ms": NOW_MS,
        }
        with self.database.write() as connection:
            connection.execute(sa.delete(DESTINATIONS).where(DESTINATIONS.c.account_id == account_id))
            connection.execute(sa.insert(DESTINATIONS).values(account_id=account_id, **values))

    def find(self, account_id: int) -> Destination | None:
        """The account's; None if its results are only here."""
        with self.database.read() as connection:
            row = connection.execute(sa.select(DESTINATIONS).where(DESTINATIONS.c.account_id == account_id)).first()
        if row is None:
            return None
        key_id, secret = json.loads(self.vault.open(row.credentials))
        return Destination(Bucket(row.bucket, row.prefix, row.endpoint, row.region, key_id, secret), row.keep_here, row.created_ms)

    def remove(self, account_id: int) -> None:
        """Put nothing there any more. What waits to be delivered is given up."""
        with self.database.write() as connection:
            connection.execute(sa.delete(DESTINATIONS).where(DESTINATIONS.c.account_id == account_id))


def has_one(connection: sa.Connection, account_id: int) -> bool:
    """Whether the account's results are put into a bucket of its own."""
    return connection.execute(sa.select(DESTINATIONS.c.account_id).where(DESTINATIONS.c.account_id == account_id)).first() is not None
