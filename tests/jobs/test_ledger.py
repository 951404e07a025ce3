"""The ledger over random histories and under concurrency, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import InsufficientCredits
from service.jobs import credits, ledger
from service.jobs.accounts import Account
from service.jobs.credits import Entry, Fund, Kind
from service.jobs.job import Job, JobSpec, State
from tests.jobs.bench import PRICES, URL, Bench

THREADS = 8
SUBMITS = st.tuples(st.just("submit"), st.sampled_from(["video", "image"]))
GRANTS = st.tuples(st.sampled_from(Fund), st.integers(1, 5))
ENDS = st.tuples(st.sampled_from(["succeed", "fail", "cancel"]), st.integers(0, 9))
HISTORIES = st.lists(SUBMITS | GRANTS | ENDS, max_size=25)
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]  # the bench is shared on purpose: each example has its own account


@settings(max_examples=30, deadline=None, suppress_health_check=SHARED, derandomize=True)
@given(HISTORIES)
def test_no_history_loses_a_credit_on_sqlite(lite: Bench, history: list[tuple[str, int | str]]) -> None:
    replay_history(lite, history)


@settings(max_examples=6, deadline=None, suppress_health_check=SHARED, derandomize=True)
@given(HISTORIES)
def test_no_history_loses_a_credit_on_postgres(postgres_bench: Bench, history: list[tuple[str, int | str]]) -> None:
    replay_history(postgres_bench, history)


def replay_history(bench: Bench, history: list[tuple[str, int | str]]) -> None:
    """Replay one account's history; after each event its balance is checked against our own count."""
    account, jobs, granted = bench.customer(), [], 0
    for what, value in history:
        if what == "submit":
            jobs += submit_if_affordable(bench, account, str(value))
        elif isinstance(what, Fund):
            bench.grant(account, what, int(value))
            granted += int(value)
        elif jobs:
            end(bench, str(what), jobs[int(value) % len(jobs)])
        now = [bench.job_service.find(account.id, job.id) for job in jobs]
        balance = bench.balance(account)
        assert balance.held_credits == sum(job.price_credits for job in now if not job.ended)
        assert bench.job_service.spent_credits(account.id) == sum(job.credits_used for job in now)
        assert granted == balance.total_credits + balance.held_credits + bench.job_service.spent_credits(account.id)
    assert all(is_closed(bench, account, job) for job in jobs)


def submit_if_affordable(bench: Bench, account: Account, media: str) -> list[Job]:
    """Submit a job if the account has the credits; one-time credits are spent first."""
    before = bench.balance(account)
    spec = JobSpec("image" if media == "image" else "video", source_url=URL)
    if before.total_credits < PRICES[media]:
        with pytest.raises(InsufficientCredits):
            bench.order(account, spec=spec)
        return []
    job = bench.order(account, spec=spec)
    after = bench.balance(account)
    assert after.one_time_credits == max(0, before.one_time_credits - job.price_credits)
    return [job]


def end(bench: Bench, how: str, job: Job) -> None:
    """End a job; ending it again must change nothing."""
    before = bench.job_service.find(job.account_id, job.id)
    ends: dict[str, Callable[[Job], Job]] = {
        "succeed": bench.succeed,
        "fail": bench.fail,
        "cancel": lambda job: bench.job_service.cancel(job.account_id, job.id),
    }
    after = ends[how](job)
    assert after.ended
    assert not before.ended or after == before


def is_closed(bench: Bench, account: Account, job: Job) -> bool:
    """Whether the job was reserved once and, if it has ended, settled or refunded once with the same amounts and funds."""
    lines = [entry for entry in bench.entries(account) if entry.job_id == job.id]
    held = [entry for entry in lines if entry.kind is Kind.RESERVE]
    now = bench.job_service.find(account.id, job.id)
    close = credits.settle if now.state is State.SUCCEEDED else credits.refund
    return sum(entry.held_credits for entry in held) == job.price_credits and lines == held + (close(held) if now.ended else [])


def run_concurrently(work: Callable[[int], object], times: int) -> list[object]:
    """The results of running `work` in many threads; None for one refused for lack of credits."""

    def one(number: int) -> object:
        try:
            return work(number)
        except InsufficientCredits:
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(times)))


def test_concurrent_jobs_never_overdraw(either: Bench) -> None:
    account = either.customer(one_time=4, paid=9)
    made = [job for job in run_concurrently(lambda _: either.order(account), 24) if job]
    assert len(made) == 4  # at 3 credits each
    balance = either.balance(account)
    assert (balance.total_credits, balance.held_credits) == (1, 12)


def test_concurrent_requests_with_one_key_make_one_job(either: Bench) -> None:
    account = either.customer(paid=30)
    made = run_concurrently(lambda _: either.order(account, idempotency_key="the same").id, 16)
    assert len(set(made)) == 1
    assert either.balance(account).held_credits == 3


def test_concurrent_endings_end_a_job_once(either: Bench) -> None:
    account = either.customer(paid=3)
    job = either.run(either.order(account), State.FETCHING, State.CLEANING, State.PUBLISHING)
    ended = run_concurrently(lambda number: either.succeed(job) if number % 2 else either.fail(job), 8)
    assert len({found.state for found in ended if isinstance(found, Job)}) == 1
    assert is_closed(either, account, job)


def test_concurrent_grants_all_count(either: Bench) -> None:
    account = either.customer()
    run_concurrently(lambda number: either.grant(account, list(Fund)[number % 2], number), 20)
    assert either.balance(account).total_credits == sum(range(20))


def test_a_ledger_entry_is_written_once(either: Bench) -> None:
    account = either.customer(paid=9)
    job = either.order(account)
    held = [entry for entry in either.entries(account) if entry.job_id == job.id]
    for again in (held, credits.settle(held)):
        with pytest.raises(sa.exc.IntegrityError), either.database.write() as connection:
            ledger.write(connection, account.id, [*credits.refund(held), *again])
    assert either.balance(account).held_credits == 3


def test_the_database_itself_refuses_to_go_below_zero(either: Bench) -> None:
    account = either.customer(paid=1)
    with pytest.raises(sa.exc.IntegrityError), either.database.write() as connection:
        ledger.write(connection, account.id, [Entry(Kind.GRANT, Fund.PAID, -2, 0)])
    assert either.balance(account).paid_credits == 1
