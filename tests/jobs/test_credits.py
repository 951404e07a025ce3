"""Credit arithmetic: held credits are spent or refunded, one-time credits are spent first, and nothing is ever overdrawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InsufficientCredits, ParameterError
from service.jobs.credits import (
    EMPTY,
    MAX_CREDITS,
    Balance,
    Entry,
    Fund,
    Kind,
    balance_of,
    correct,
    grant,
    refund,
    reserve,
    settle,
)

CREDITS = st.integers(0, 1000)


def after(start: Balance, entries: list[Entry]) -> Balance:
    """A balance after these entries."""
    change = balance_of(entries)
    return Balance(
        start.paid_credits + change.paid_credits,
        start.one_time_credits + change.one_time_credits,
        start.held_credits + change.held_credits,
    )


@given(paid=CREDITS, one_time=CREDITS, price=CREDITS)
def test_a_reservation_holds_the_price_or_is_refused(paid: int, one_time: int, price: int) -> None:
    start = Balance(paid, one_time)
    if paid + one_time < price:
        with pytest.raises(InsufficientCredits) as refused:
            reserve(start, "job", price)
        assert (refused.value.current_credits, refused.value.required_credits) == (paid + one_time, price)
        return
    held = after(start, reserve(start, "job", price))
    assert (held.held_credits, held.total_credits) == (price, paid + one_time - price)
    assert min(held.paid_credits, held.one_time_credits) >= 0
    assert held.one_time_credits == 0 or held.paid_credits == paid, "paid credits were taken while there were one-time ones"


@given(paid=CREDITS, one_time=CREDITS, data=st.data())
def test_held_credits_are_spent_or_refunded_to_their_funds(paid: int, one_time: int, data: st.DataObject) -> None:
    start = Balance(paid, one_time)
    price = data.draw(st.integers(0, paid + one_time))
    held = reserve(start, "job", price)
    assert after(start, held + refund(held)) == start
    spent = after(start, held + settle(held))
    assert (spent.held_credits, spent.total_credits) == (0, paid + one_time - price)
    assert all(entry.job_id == "job" for entry in held + settle(held) + refund(held))


def test_a_free_job_is_in_the_ledger_too() -> None:
    assert reserve(EMPTY, "job", 0) == [Entry(Kind.RESERVE, Fund.PAID, 0, 0, "job")]


@given(st.lists(st.tuples(st.sampled_from(Fund), CREDITS)))
def test_grants_add_up_by_fund(grants: list[tuple[Fund, int]]) -> None:
    balance = balance_of(grant(EMPTY, fund, amount) for fund, amount in grants)
    for fund in Fund:
        assert balance.of(fund) == sum(amount for of, amount in grants if of is fund)
    assert balance.total_credits == sum(amount for _, amount in grants)


@given(free=st.integers(0, MAX_CREDITS), share=st.floats(0, 1), fund=st.sampled_from(Fund))
def test_an_account_has_a_ceiling_which_held_credits_count_towards(free: int, share: float, fund: Fund) -> None:
    held = int(free * share)
    balance = Balance(paid_credits=free - held, held_credits=held)
    room = MAX_CREDITS - free
    assert grant(balance, fund, room).free_credits == room
    with pytest.raises(ParameterError, match="at most"):
        grant(balance, fund, room + 1)


@pytest.mark.parametrize("fund", list(Fund))
def test_a_correction_removes_free_credits_of_one_fund_and_no_more(fund: Fund) -> None:
    balance = Balance(paid_credits=5, one_time_credits=5, held_credits=9)
    entry = correct(balance, fund, 5, "a typing error")
    assert (entry.kind, entry.fund, entry.free_credits, entry.held_credits, entry.note) == (Kind.CORRECT, fund, -5, 0, "a typing error")
    for amount in (6, 0, -1):
        with pytest.raises(ParameterError):
            correct(balance, fund, amount)


def test_nobody_grants_less_than_nothing() -> None:
    with pytest.raises(ParameterError):
        grant(EMPTY, Fund.PAID, -1)
