"""Metrics of the last hour, from the database: how many jobs ended, with which outcome, and how long they took."""

from bisect import bisect_left

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.jobs import metrics
from service.jobs.database import now_ms
from service.jobs.metrics import BOUNDS_SECONDS, RECENT_SECONDS, Distribution, Recent
from service.jobs.tables import DELIVERIES, JOBS
from tests.jobs.bench import URL, Bench

OLD_MS = int(RECENT_SECONDS * 1000) + 60_000


def recent(bench: Bench) -> Recent:
    with bench.database.read() as connection:
        return metrics.read(connection).recent


def age_all_jobs(bench: Bench) -> None:
    """Move the end of all existing jobs into the past."""
    with bench.database.write() as connection:
        connection.execute(sa.update(JOBS).values(finished_ms=JOBS.c.finished_ms - OLD_MS))
        connection.execute(sa.update(DELIVERIES).values(at_ms=DELIVERIES.c.at_ms - OLD_MS))


def test_what_ended_long_ago_is_not_recent(either: Bench) -> None:
    account = either.customer(paid=30)
    age_all_jobs(either)
    assert (recent(either).jobs, recent(either).failures, recent(either).deliveries) == ({}, {}, {})
    either.succeed(either.order(account, callback_url=URL))
    either.fail(either.order(account, facade="kaze"))
    either.order(account)
    found = recent(either)
    assert found.jobs == {("kie", "succeeded"): 1, ("kaze", "failed"): 1}
    assert found.failures == {"TooLong": 1}
    assert found.deliveries == {"pending": 1}
    assert (found.seconds.counts[-1], found.wait_seconds.counts[-1]) == (1, 0), "no worker began them"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(0, 5_000_000)), max_size=6))
def test_distributions_match_the_jobs(either: Bench, spans: list[tuple[int, int]]) -> None:
    """The database's counts match our own; the spans are milliseconds of waiting and of work."""
    account = either.customer(paid=30)
    age_all_jobs(either)
    jobs = [either.succeed(either.order(account)) for _ in spans]
    at_ms = now_ms()
    for job, (wait_ms, work_ms) in zip(jobs, spans, strict=True):
        times = {"created_ms": at_ms - work_ms - wait_ms, "started_ms": at_ms - work_ms, "finished_ms": at_ms}
        with either.database.write() as connection:
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(times))
    found = recent(either)
    assert found.wait_seconds == distribution_of([wait_ms for wait_ms, _ in spans])
    assert found.seconds == distribution_of([wait_ms + work_ms for wait_ms, work_ms in spans])


def distribution_of(spans_ms: list[int]) -> Distribution:
    places = [bisect_left(BOUNDS_SECONDS, span_ms / 1000) for span_ms in spans_ms]
    return Distribution(tuple(sum(place <= number for place in places) for number in range(len(BOUNDS_SECONDS) + 1)), sum(spans_ms) / 1000)


def test_a_distribution_is_cumulative() -> None:
    with pytest.raises(ValueError, match="must be cumulative"):
        Distribution((2, 1), 3.0)
