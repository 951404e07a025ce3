"""A job whose price is known only once its file is there: the rest is held then, and all of it is spent or comes back."""

import pytest

from service.errors import CreditsRanOut
from service.jobs import ledger, store
from service.jobs.credits import Balance, Kind
from service.jobs.job import Job, State
from tests.jobs.bench import Bench


def hold(bench: Bench, job: Job, price_credits: int) -> Job:
    """What a worker does when it knows the price."""
    with bench.database.write() as connection:
        ledger.reserve_more(connection, store.locked(connection, job.id), price_credits)
        store.update(connection, job.id, price_credits=price_credits)
        return store.find(connection, job.id)


def test_the_rest_is_held_and_spent_from_both_funds(either: Bench) -> None:
    account = either.customer(one_time=5, paid=20)
    job = hold(either, either.order(account), 11)
    assert either.balance(account) == Balance(paid_credits=14, one_time_credits=0, held_credits=11)
    assert either.succeed(job).credits_used == 11
    assert either.balance(account) == Balance(paid_credits=14)
    assert either.job_service.spent_credits(account.id) == 11
    kinds = [entry.kind for entry in either.entries(account)][2:]
    assert kinds == [Kind.RESERVE, Kind.RESERVE, Kind.RESERVE, Kind.SETTLE, Kind.SETTLE], "one entry of each fund at its end"


def test_all_of_it_comes_back_to_the_funds_it_came_from(either: Bench) -> None:
    account = either.customer(one_time=5, paid=20)
    either.fail(hold(either, either.order(account), 11))
    assert either.balance(account) == Balance(paid_credits=20, one_time_credits=5)


def test_what_cannot_be_paid_holds_nothing_more(either: Bench) -> None:
    account = either.customer(paid=4)
    job = either.order(account)
    with pytest.raises(CreditsRanOut, match="costs 5 credits, of which 3 were held; 1 are left"):
        hold(either, job, 5)
    assert either.balance(account) == Balance(paid_credits=1, held_credits=3)
    assert either.job_service.find(account.id, job.id).state is State.QUEUED
    assert hold(either, job, 4).price_credits == 4
