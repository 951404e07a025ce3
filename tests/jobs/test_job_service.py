"""The job service: refusals, cancellation, enqueued callbacks, metrics."""

from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from service.errors import (
    CleanplateError,
    ContentBlocked,
    ContentRefused,
    FeatureDisabled,
    InsufficientCredits,
    Maintenance,
    QueueFull,
    StorageError,
)
from service.jobs.content import DenyList
from service.jobs.job import JobSpec, State
from service.jobs.job_service import Rules
from service.jobs.tables import DELIVERIES
from tests.jobs.bench import URL, Bench, bench


@dataclass(frozen=True)
class Strict:
    """A content check that blocks everything."""

    def check(self, _spec: JobSpec) -> None:
        raise ContentBlocked("for good")


@pytest.mark.parametrize(("seconds", "price"), [(None, 4), (0.1, 1), (10, 1), (10.5, 2), (39, 4), (360, 4)])
def test_a_preview_costs_its_seconds_but_no_more_than_the_whole(seconds: float | None, price: int) -> None:
    rules = Rules(price_credits={"video": 4, "image": 1}, preview_seconds=10)
    assert rules.price_of(JobSpec("video", preview_seconds=seconds)) == price
    assert Rules(price_credits={"video": 0, "image": 0}).price_of(JobSpec("video", preview_seconds=seconds)) == 0


@pytest.mark.parametrize(
    ("rules", "kind"),
    [
        ({"maintenance": True}, Maintenance),
        ({"features_off": frozenset({"kie"})}, FeatureDisabled),
        ({"features_off": frozenset({"video"})}, FeatureDisabled),
        ({"content": DenyList(frozenset({"VIDEO"}))}, ContentRefused),
        ({"content": Strict()}, ContentBlocked),
        ({"account_queue_jobs": 0}, QueueFull),
        ({"total_queue_jobs": 0}, QueueFull),
        ({"price_credits": {"video": 4, "image": 0}}, InsufficientCredits),
    ],
)
def test_a_refused_job_changes_nothing(lite: Bench, rules: dict[str, object], kind: type[CleanplateError]) -> None:
    account = lite.customer(paid=3)
    with pytest.raises(kind):
        lite.with_rules(**rules).order(account)
    assert lite.job_service.jobs(account.id, 10) == []
    assert lite.balance(account).total_credits == 3
    assert [entry.kind for entry in lite.entries(account)] == ["grant"]


def test_disabled_features_do_not_affect_others(lite: Bench) -> None:
    account = lite.customer(paid=6)
    off = lite.with_rules(features_off=frozenset({"kaze", "image"}))
    assert off.order(account).state is State.QUEUED
    with pytest.raises(FeatureDisabled, match="image is switched off"):
        off.order(account, spec=JobSpec("image", source_url=URL))


def test_a_full_queue_has_room_again_when_a_job_ends(either: Bench) -> None:
    account = either.customer(paid=9)
    full = either.with_rules(account_queue_jobs=1)
    first = full.order(account, idempotency_key="key")
    with pytest.raises(QueueFull) as refused:
        full.order(account)
    assert refused.value.retry_after_seconds > 0
    assert full.order(account, idempotency_key="key") == first, "a request that is repeated needs no room"
    either.fail(first)
    assert full.order(account).state is State.QUEUED


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_asked_to_stop(either: Bench) -> None:
    account = either.customer(paid=9)
    waiting, running, done = (either.order(account) for _ in range(3))
    either.run(running, State.FETCHING)
    done = either.succeed(done)
    cancelled = either.job_service.cancel(account.id, waiting.id)
    assert (cancelled.state, cancelled.failure and cancelled.failure.kind) == (State.CANCELLED, "JobCancelled")
    asked = either.job_service.cancel(account.id, running.id)
    assert (asked.state, asked.cancel_asked) == (State.FETCHING, True)
    assert either.job_service.cancel(account.id, done.id) == done
    balance = either.balance(account)
    assert (balance.total_credits, balance.held_credits, either.job_service.spent_credits(account.id)) == (3, 3, 3)


def test_an_ended_job_enqueues_one_callback_if_its_facade_has_them(either: Bench) -> None:
    account = either.customer(paid=12)
    with_callback = either.order(account, callback_url="http://example.com/done")
    either.order(account)
    silent = either.order(account, callback_url="http://example.com/done", facade="kaze")
    odd = either.order(account, callback_url="http://[/")
    for job in (with_callback, silent, odd):
        either.fail(job)
        either.succeed(job)
    with either.database.read() as connection:
        mine = sa.select(DELIVERIES.c.id).where(DELIVERIES.c.job_id.in_([with_callback.id, silent.id, odd.id]))
        assert set(connection.execute(mine).scalars()) == {f"{with_callback.id}.failed", f"{odd.id}.failed"}
    assert either.queues.finished([f"{with_callback.id}.failed.1", with_callback.id, silent.id]) == [], "they are queued"


def test_metrics_are_totals_over_all_accounts(fresh: Bench) -> None:
    account = fresh.customer(one_time=3, paid=9)
    waiting, done, failed = (fresh.order(account, callback_url=URL) for _ in range(3))
    fresh.succeed(done)
    fresh.fail(failed)
    metrics = fresh.job_service.read_metrics()
    assert metrics.jobs == {("kie", "queued"): 1, ("kie", "succeeded"): 1, ("kie", "failed"): 1}
    assert metrics.oldest_queued_seconds >= 0
    assert metrics.held_credits == waiting.price_credits
    assert metrics.free_credits[("grant", "paid")] == 9
    assert sum(metrics.free_credits.values()) == fresh.balance(account).total_credits
    assert (metrics.deliveries, metrics.workers) == ({"pending": 2}, 0)


def test_an_unavailable_database_is_reported(database: str) -> None:
    with bench(database) as found:
        found.job_service.ready()
        server = sa.create_engine(database.rpartition("/")[0] + "/postgres", isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with server.connect() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {database.rpartition('/')[2]} WITH ALLOW_CONNECTIONS false"))
            connection.execute(
                sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                {"name": database.rpartition("/")[2]},
            )
        with pytest.raises(StorageError, match="does not respond"):
            found.job_service.ready()
        with server.connect() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {database.rpartition('/')[2]} WITH ALLOW_CONNECTIONS true"))
        found.job_service.ready()
