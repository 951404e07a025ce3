"""How many unfinished jobs there may be: of an account, and in total."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from service.errors import QueueFull
from service.jobs import store

FULL_SECONDS: Final = 30  # Retry-After


@dataclass(frozen=True)
class Room:
    """The limits of the settings. An account may have one of its own."""

    account_jobs: int = 200
    total_jobs: int = 10_000

    def left(self, connection: sa.Connection, account_id: int) -> int:
        """How many more jobs the account may submit now."""
        account_open, all_open, own_limit = store.count_open(connection, account_id)
        return max(0, min((self.account_jobs if own_limit is None else own_limit) - account_open, self.total_jobs - all_open))

    def require(self, connection: sa.Connection, account_id: int) -> int:
        """How many more jobs the account may submit now. Raises QueueFull if that is none."""
        account_open, all_open, own_limit = store.count_open(connection, account_id)
        most = self.account_jobs if own_limit is None else own_limit
        if account_open >= most:
            raise QueueFull(f"the account has {most} unfinished jobs, which is the limit", FULL_SECONDS)
        if all_open >= self.total_jobs:
            raise QueueFull("too many jobs are waiting", FULL_SECONDS)
        return min(most - account_open, self.total_jobs - all_open)
