"""What operators do with accounts and credits: the one place for the commands and for the admin API."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.jobs import ledger
from service.jobs.accounts import Account, AccountLimits, Accounts, account_of
from service.jobs.audit import Audit
from service.jobs.credits import Balance, Entry, Fund, Kind, correct, grant
from service.jobs.database import Database
from service.jobs.job import Rights
from service.jobs.tables import ACCOUNTS


@dataclass(frozen=True)
class AccountState:
    """An account with its sums, as last committed."""

    account: Account
    balance: Balance
    spent_credits: int
    upload_bytes: int
    created_ms: int


@dataclass(frozen=True)
class Administration:
    """Reads and changes any account. Keys are made and revoked by `accounts`."""

    database: Database
    accounts: Accounts
    audit: Audit

    def states(self, after_id: int = 0, limit: int | None = None, name_part: str = "") -> list[AccountState]:
        """The accounts that are not deleted, by id: those after `after_id` whose names contain `name_part`, at most `limit`."""
        statement = sa.select(ACCOUNTS).where(ACCOUNTS.c.deleted_ms.is_(None), ACCOUNTS.c.id > after_id).order_by(ACCOUNTS.c.id)
        if name_part:
            statement = statement.where(ACCOUNTS.c.name.icontains(name_part, autoescape=True))
        with self.database.read() as connection:
            return [_state_of(row) for row in connection.execute(statement.limit(limit) if limit else statement)]

    def state(self, account_id: int) -> AccountState:
        """One account. Raises AccountMissing."""
        self.accounts.get(account_id)
        with self.database.read() as connection:
            return _state_of(connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.id == account_id)).one())

    def create(
        self, name: str, rights: Rights | None = None, source_type: str | None = None, limits: AccountLimits | None = None
    ) -> Account:
        """Create an account without credits or keys. Raises ParameterError if the name is taken or invalid."""
        account = self.accounts.create(name)
        if rights or source_type:
            account = self.accounts.declare(account, rights, source_type)
        return self.accounts.limit(account, limits) if limits else account

    def grant(self, account: Account, fund: Fund, amount_credits: int, note: str = "", event: str | None = None) -> Entry:
        """Grant credits; return the ledger entry. Raises ParameterError for a negative amount or one that is too large.

        event: the same event again changes nothing, and returns the entry that the first one made.
        """
        return self._enter(account, Kind.GRANT, event, lambda balance: grant(balance, fund, amount_credits, note))

    def correct(self, account: Account, fund: Fund, amount_credits: int, note: str, event: str | None = None) -> Entry:
        """Take back credits that were granted by mistake; return the ledger entry. Raises ParameterError for more than are free."""
        return self._enter(account, Kind.CORRECT, event, lambda balance: correct(balance, fund, amount_credits, note))

    def ledger(self, account: Account) -> Sequence[sa.Row[Any]]:
        """All lines of the account's ledger, oldest first."""
        with self.database.read() as connection:
            return ledger.lines(connection, account.id)

    def latest_lines(self, account: Account, limit: int, before_id: int | None = None) -> Sequence[sa.Row[Any]]:
        """The last lines of the account's ledger, newest first: at most `limit`, of those before the line `before_id`."""
        with self.database.read() as connection:
            return ledger.latest(connection, account.id, limit, before_id)

    def _enter(self, account: Account, kind: Kind, event: str | None, entry_for: Callable[[Balance], Entry]) -> Entry:
        """Append an entry that depends on the account's balance, unless this event has one."""
        with self.database.write() as connection:
            balance = ledger.locked_balance(connection, account.id)
            if event is not None and (known := ledger.find(connection, account.id, kind, event)) is not None:
                return known
            entry = entry_for(balance)
            ledger.write(connection, account.id, [entry], event)
        return entry


def _state_of(row: sa.Row[Any]) -> AccountState:
    return AccountState(account_of(row), ledger.balance_of(row), row.spent_credits, row.upload_bytes, row.created_ms)
