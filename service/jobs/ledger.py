"""The credit ledger in the database. Each call is part of the caller's transaction."""

import secrets
from collections.abc import Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa

from service.errors import AccountMissing, CreditsRanOut
from service.jobs import credits
from service.jobs.credits import Balance, Entry, Fund, Kind
from service.jobs.database import NOW_MS
from service.jobs.job import Job
from service.jobs.tables import ACCOUNTS, LEDGER

# Built once, as they run with every job.
ACCOUNT: Final = sa.select(ACCOUNTS).where(ACCOUNTS.c.id == sa.bindparam("account_id"))
ACCOUNT_LOCKED: Final = ACCOUNT.with_for_update()
INSERT: Final = sa.insert(LEDGER).values(at_ms=NOW_MS)
ADD: Final = (
    sa.update(ACCOUNTS)
    .where(ACCOUNTS.c.id == sa.bindparam("account_id"))
    .values(
        paid_credits=ACCOUNTS.c.paid_credits + sa.bindparam("paid"),
        one_time_credits=ACCOUNTS.c.one_time_credits + sa.bindparam("one_time"),
        held_credits=ACCOUNTS.c.held_credits + sa.bindparam("held"),
    )
)


def locked_balance(connection: sa.Connection, account_id: int) -> Balance:
    """The account's balance, locked until this transaction ends. Raises AccountMissing."""
    row = connection.execute(ACCOUNT_LOCKED, {"account_id": account_id}).first()
    if row is None:
        raise AccountMissing("the account was deleted")
    return balance_of(row)


def balance(connection: sa.Connection, account_id: int) -> Balance:
    """The account's balance, as last committed."""
    return balance_of(connection.execute(ACCOUNT, {"account_id": account_id}).one())


def write(connection: sa.Connection, account_id: int, entries: Sequence[Entry], event: str | None = None) -> None:
    """Append entries and update the account's sums. Raises IntegrityError for an entry that already exists.

    event: identifies a grant, a correction or a second reservation of a job, so that it is made once.
    """
    change = credits.balance_of(entries)
    sums = {"paid": change.paid_credits, "one_time": change.one_time_credits, "held": change.held_credits}
    connection.execute(ADD, {"account_id": account_id, **sums})  # first: transactions lock an account before the totals
    connection.execute(INSERT, [_row(account_id, entry, event) for entry in entries])


def reserve_more(connection: sa.Connection, job: Job, price_credits: int) -> None:
    """Hold what a job costs more than was held for it, now that its length is known. The job is locked. Raises CreditsRanOut."""
    more_credits = price_credits - job.price_credits
    balance = locked_balance(connection, job.account_id)
    if balance.total_credits < more_credits:
        told = f"by its length and size the job costs {price_credits} credits, of which {job.price_credits} were held"
        raise CreditsRanOut(f"{told}; {balance.total_credits} are left", balance.total_credits, more_credits)
    write(connection, job.account_id, credits.reserve(balance, job.id, more_credits, "by length and size"), f"to {price_credits}")


def reserved(connection: sa.Connection, job_id: str) -> list[Entry]:
    """The entries of a job's reservation."""
    return reserved_of(connection, [job_id])


def reserved_of(connection: sa.Connection, job_ids: Collection[str]) -> list[Entry]:
    """The entries of several jobs' reservations."""
    rows = connection.execute(sa.select(LEDGER).where(LEDGER.c.job_id.in_(job_ids), LEDGER.c.kind == Kind.RESERVE).order_by(LEDGER.c.id))
    return [entry_of(row) for row in rows]


def find(connection: sa.Connection, account_id: int, kind: Kind, event: str) -> Entry | None:
    """The account's grant or correction of this event."""
    row = connection.execute(sa.select(LEDGER).where(LEDGER.c.key == _event_key(account_id, kind, event))).first()
    return None if row is None else entry_of(row)


def latest(connection: sa.Connection, account_id: int, limit: int, before_id: int | None = None) -> list[sa.Row[Any]]:
    """The account's last lines, newest first: at most `limit`, of those before the line `before_id`."""
    statement = sa.select(LEDGER).where(LEDGER.c.account_id == account_id).order_by(LEDGER.c.id.desc()).limit(limit)
    return list(connection.execute(statement if before_id is None else statement.where(LEDGER.c.id < before_id)))


def lines(connection: sa.Connection, account_id: int | None = None) -> list[sa.Row[Any]]:
    """The ledger, oldest line first."""
    statement = sa.select(LEDGER).order_by(LEDGER.c.id)
    return list(connection.execute(statement if account_id is None else statement.where(LEDGER.c.account_id == account_id)))


def spent_credits(connection: sa.Connection, account_id: int) -> int:
    """The total cost of the account's successful jobs."""
    return int(connection.execute(sa.select(ACCOUNTS.c.spent_credits).where(ACCOUNTS.c.id == account_id)).scalar_one())


def entry_of(row: sa.Row[Any]) -> Entry:
    return Entry(Kind(row.kind), Fund(row.fund), row.free_credits, row.held_credits, row.job_id, row.note)


def _row(account_id: int, entry: Entry, event: str | None) -> dict[str, object]:
    return {
        "key": _key(account_id, entry, event),
        "account_id": account_id,
        "job_id": entry.job_id,
        "kind": entry.kind,
        "fund": entry.fund,
        "free_credits": entry.free_credits,
        "held_credits": entry.held_credits,
        "note": entry.note,
    }


def _key(account_id: int, entry: Entry, event: str | None) -> str:
    """A unique key per event: a job is reserved once per event, and settled or refunded once; unnamed grants and corrections all differ."""
    if entry.kind in (Kind.GRANT, Kind.CORRECT):
        return _event_key(account_id, entry.kind, event) if event else f"{entry.kind}:{secrets.token_hex(16)}"
    step = "reserve" if entry.kind is Kind.RESERVE else "end"
    return ":".join([step, str(entry.job_id), entry.fund, *([event] if event else [])])


def _event_key(account_id: int, kind: Kind, event: str) -> str:
    return f"{kind}:{account_id}:{event}"


def balance_of(row: sa.Row[Any]) -> Balance:
    """The balance in a row of `accounts`."""
    # SQLite turns a sum above 64 bits into a float, which could come about before grants had a ceiling.
    return Balance(int(row.paid_credits), int(row.one_time_credits), int(row.held_credits))
