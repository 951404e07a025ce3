"""Credit arithmetic: reserve, settle and refund, as entries of an append-only ledger. Pure. One-time credits are spent before paid ones.

Each entry moves credits between three places of an account: free, held (reserved for an open job) and outside (granted or spent).

    grant    outside -> free
    correct  free    -> outside   when credits were granted by mistake
    reserve  free    -> held      when a job is accepted
    settle   held    -> outside   when it succeeded: the credits are spent
    refund   held    -> free      when it failed or was cancelled
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.errors import InsufficientCredits, ParameterError

# Of an account, free and held. More than anybody buys, and few enough that a million such accounts add up within 64 bits, and that JSON and
# floats show each balance exactly.
MAX_CREDITS: Final = 10**12
MAX_PRICE_CREDITS: Final = 10**6  # of a job


class Fund(StrEnum):
    """The origin of credits, in the order in which they are spent."""

    ONE_TIME = "one_time"
    PAID = "paid"


class Kind(StrEnum):
    """What a ledger entry does."""

    GRANT = "grant"
    CORRECT = "correct"
    RESERVE = "reserve"
    SETTLE = "settle"
    REFUND = "refund"


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: the change of a fund's free credits and of the held credits."""

    kind: Kind
    fund: Fund
    free_credits: int
    held_credits: int
    job_id: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Balance:
    """An account's free credits by fund, and the credits held by its open jobs."""

    paid_credits: int = 0
    one_time_credits: int = 0
    held_credits: int = 0

    @property
    def total_credits(self) -> int:
        return self.paid_credits + self.one_time_credits

    def of(self, fund: Fund) -> int:
        return self.paid_credits if fund is Fund.PAID else self.one_time_credits


EMPTY: Final = Balance()


def grant(balance: Balance, fund: Fund, amount_credits: int, note: str = "") -> Entry:
    """An entry that adds credits to a fund. Raises ParameterError for a negative amount, and above `MAX_CREDITS`."""
    if amount_credits < 0:
        raise ParameterError("the amount of credits must not be negative")
    room = max(0, MAX_CREDITS - balance.total_credits - balance.held_credits)
    if amount_credits > room:
        raise ParameterError(f"an account has at most {MAX_CREDITS} credits: {room} more can be granted, not {amount_credits}")
    return Entry(Kind.GRANT, fund, amount_credits, 0, note=note)


def correct(balance: Balance, fund: Fund, amount_credits: int, note: str = "") -> Entry:
    """An entry that removes free credits which were granted by mistake. Raises ParameterError for more than there are."""
    if amount_credits < 1:
        raise ParameterError("the amount of credits must be positive")
    if amount_credits > balance.of(fund):
        raise ParameterError(f"the account has {balance.of(fund)} free {fund} credits; {amount_credits} cannot be removed")
    return Entry(Kind.CORRECT, fund, -amount_credits, 0, note=note)


def reserve(balance: Balance, job_id: str, price_credits: int, note: str = "") -> list[Entry]:
    """Entries that hold a job's price. Raises InsufficientCredits. A free job has one entry too, so that every job is in the ledger."""
    if balance.total_credits < price_credits:
        raise InsufficientCredits(balance.total_credits, price_credits)
    one_time = min(max(balance.one_time_credits, 0), price_credits)
    split = {Fund.ONE_TIME: one_time, Fund.PAID: price_credits - one_time}
    amounts = {fund: credits for fund, credits in split.items() if credits} or {Fund.PAID: 0}
    return [Entry(Kind.RESERVE, fund, -credits, credits, job_id, note) for fund, credits in amounts.items()]


def reserve_all(balance: Balance, prices_credits: Mapping[str, int], note: str = "") -> list[Entry]:
    """Entries that hold the prices of several jobs, by their ids. Raises InsufficientCredits unless all can be paid."""
    if balance.total_credits < sum(prices_credits.values()):
        raise InsufficientCredits(balance.total_credits, sum(prices_credits.values()))
    entries: list[Entry] = []
    one_time, paid = balance.one_time_credits, balance.paid_credits
    for job_id, price_credits in prices_credits.items():
        held = reserve(Balance(paid, one_time), job_id, price_credits, note)
        change = balance_of(held)
        one_time, paid = one_time + change.one_time_credits, paid + change.paid_credits
        entries += held
    return entries


def settle(reserved: Sequence[Entry]) -> list[Entry]:
    """Entries that spend the held credits of jobs."""
    return [Entry(Kind.SETTLE, fund, 0, -held, job_id) for (job_id, fund), held in _held(reserved).items()]


def refund(reserved: Sequence[Entry]) -> list[Entry]:
    """Entries that return the held credits of jobs to the funds they came from."""
    return [Entry(Kind.REFUND, fund, held, -held, job_id) for (job_id, fund), held in _held(reserved).items()]


def _held(reserved: Sequence[Entry]) -> dict[tuple[str | None, Fund], int]:
    """What is held for each job of each fund: in one entry, or in two if its price was not known at first."""
    held: dict[tuple[str | None, Fund], int] = {}
    for entry in reserved:
        held[entry.job_id, entry.fund] = held.get((entry.job_id, entry.fund), 0) + entry.held_credits
    return held


def balance_of(entries: Iterable[Entry]) -> Balance:
    """The balance that these entries add up to."""
    free = dict.fromkeys(Fund, 0)
    held = 0
    for entry in entries:
        free[entry.fund] += entry.free_credits
        held += entry.held_credits
    return Balance(free[Fund.PAID], free[Fund.ONE_TIME], held)
