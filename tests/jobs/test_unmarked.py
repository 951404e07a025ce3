"""A job that found no mark costs nothing, unless its API is told to charge for it."""

from dataclasses import replace

import pytest

from service.jobs.credits import Fund
from service.jobs.finalizer import JobFinalizer
from service.jobs.job import Job, JobSpec, State
from tests.jobs.bench import URL, Bench


def ended(bench: Bench, job: Job) -> Job:
    """The job as it is found later."""
    bench.succeed(job)
    return bench.job_service.find(job.account_id, job.id)


def charging(bench: Bench, *facades: str) -> Bench:
    return replace(bench, finalizer=JobFinalizer(bench.queues, ["kie"], facades))


def test_the_credits_come_back_to_where_they_were(either: Bench) -> None:
    account = either.customer(one_time=1, paid=9)
    job = either.order(account)  # three credits, one of them given
    either.find_nothing(job)
    done = ended(either, job)
    assert (done.state, done.progress_percent, done.credits_used, done.charged) == (State.SUCCEEDED, 100, 0, False)
    balance = either.balance(account)
    assert (balance.of(Fund.ONE_TIME), balance.of(Fund.PAID), balance.held_credits) == (1, 9, 0)
    assert either.job_service.spent_credits(account.id) == 0
    before = either.entries(account)
    either.succeed(job)  # the step is repeated after a crash
    assert either.entries(account) == before


def test_a_mark_that_was_found_costs_its_price(lite: Bench) -> None:
    account = lite.customer(paid=9)
    job = lite.order(account)
    lite.find_nothing(job, mark_found=True)
    assert ended(lite, job).credits_used == 3
    assert lite.balance(account).paid_credits == 6


@pytest.mark.parametrize(("charged", "cost"), [(("kie",), 3), (("native", "kaze"), 0)])
def test_an_api_can_charge_for_it(lite: Bench, charged: tuple[str, ...], cost: int) -> None:
    account = lite.customer(paid=9)
    job = lite.order(account)
    lite.find_nothing(job)
    assert ended(charging(lite, *charged), job).credits_used == cost
    assert lite.balance(account).paid_credits == 9 - cost


def test_removed_sound_costs_its_price(lite: Bench) -> None:
    account = lite.customer(paid=9)
    job = lite.order(account, spec=JobSpec("video", source_url=URL, remove_audio=True))
    lite.find_nothing(job)
    assert ended(lite, job).credits_used == 3
