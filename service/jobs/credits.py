"""The arithmetic of credits: an append-only ledger of two funds, one-time credits before paid ones. Pure.

Each entry moves credits between three places of an account: free, held (reserved for a job that runs), and outside (granted or spent).

    grant    outside -> free
    reserve  free    -> held      when a job is accepted
    settle   held    -> outside   when it succeeded: spent
    refund   held    -> free      when it failed or was cancelled
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.errors import InsufficientCredits


class Fund(StrEnum):
    """Where credits come from; declared in the order in which they are spent."""

    ONE_TIME = "one_time"
    PAID = "paid"


class Kind(StrEnum):
    """What an entry does."""

    GRANT = "grant"
    RESERVE = "reserve"
    SETTLE = "settle"
    REFUND = "refund"


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: how many credits a fund's free and held sums change by."""

    kind: Kind
    fund: Fund
    free_credits: int
    held_credits: int
    job_id: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Balance:
    """Credits an account can spend, by fund, and those held by its running jobs."""

    paid_credits: int = 0
    one_time_credits: int = 0
    held_credits: int = 0

    @property
    def total_credits(self) -> int:
        return self.paid_credits + self.one_time_credits

    def of(self, fund: Fund) -> int:
        return self.paid_credits if fund is Fund.PAID else self.one_time_credits


EMPTY: Final = Balance()


def grant(fund: Fund, amount_credits: int, note: str = "") -> Entry:
    """Credits from outside; a negative amount takes back."""
    return Entry(Kind.GRANT, fund, amount_credits, 0, note=note)


def reserve(balance: Balance, job_id: str, price_credits: int) -> list[Entry]:
    """Entries that hold a job's price; raises InsufficientCredits. A free job still leaves one entry, so that each job has its lines."""
    if balance.total_credits < price_credits:
        raise InsufficientCredits(balance.total_credits, price_credits)
    one_time = min(max(balance.one_time_credits, 0), price_credits)
    parts = {Fund.ONE_TIME: one_time, Fund.PAID: price_credits - one_time}
    taken = {fund: credits for fund, credits in parts.items() if credits} or {Fund.PAID: 0}
    return [Entry(Kind.RESERVE, fund, -credits, credits, job_id) for fund, credits in taken.items()]


def settle(reserved: Sequence[Entry]) -> list[Entry]:
    """Entries that spend what a job's reservation holds."""
    return [Entry(Kind.SETTLE, entry.fund, 0, -entry.held_credits, entry.job_id) for entry in reserved]


def refund(reserved: Sequence[Entry]) -> list[Entry]:
    """Entries that give back what a job's reservation holds, to the funds that it came from."""
    return [Entry(Kind.REFUND, entry.fund, entry.held_credits, -entry.held_credits, entry.job_id) for entry in reserved]


def balance_of(entries: Iterable[Entry]) -> Balance:
    """What the ledger's lines add up to."""
    free = dict.fromkeys(Fund, 0)
    held = 0
    for entry in entries:
        free[entry.fund] += entry.free_credits
        held += entry.held_credits
    return Balance(free[Fund.PAID], free[Fund.ONE_TIME], held)
