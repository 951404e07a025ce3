"""Jobs in the database: finding, listing, events and idempotency keys."""

import pytest
import sqlalchemy as sa

from service.errors import UnknownJob
from service.jobs import store
from service.jobs.database import now_ms
from service.jobs.job import Result, State
from service.jobs.tables import IDEMPOTENCY, JOBS
from tests.jobs.bench import RUNNING_STATES, Bench


def test_a_job_is_found_only_by_its_owner(either: Bench) -> None:
    owner, other = either.customer(paid=3), either.customer()
    job = either.order(owner, request={"param": ["as", "it", "came"]}, callback_url="http://example.com/done")
    assert either.job_service.find(owner.id, job.id) == job
    assert (job.request, job.callback_url) == ({"param": ["as", "it", "came"]}, "http://example.com/done")
    for account_id, job_id in ((other.id, job.id), (owner.id, job.id[:-1]), (owner.id, ""), (owner.id, "a\0b"), (owner.id, "é" * 300)):
        with pytest.raises(UnknownJob, match="there is no such job"):
            either.job_service.find(account_id, job_id)


def test_lists_contain_one_accounts_jobs_newest_first(either: Bench) -> None:
    account = either.customer(paid=9)
    either.order(either.customer(paid=3))
    ids = [either.order(account).id for _ in range(3)]
    with either.database.write() as connection:
        for number, job_id in enumerate(ids):
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(created_ms=1000 + number))
    assert [job.id for job in either.job_service.jobs(account.id, 10)] == ids[::-1]
    assert [job.id for job in either.job_service.jobs(account.id, 1)] == ids[2:]
    assert [job.id for job in either.job_service.jobs(account.id, 10, before_ms=1002)] == ids[1::-1]


def test_events_are_numbered_and_append_only(either: Bench) -> None:
    account = either.customer(paid=3)
    job = either.order(account)
    either.run(job, State.FETCHING, State.FETCHING)  # a step repeated after a crash
    either.succeed(job)
    events = either.job_service.events(account.id, job.id)
    assert [(event.number, event.state) for event in events] == list(enumerate((State.QUEUED, *RUNNING_STATES, State.SUCCEEDED), 1))
    assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)
    assert either.job_service.events(account.id, job.id, after=3) == events[3:]
    with pytest.raises(UnknownJob):
        either.job_service.events(either.customer().id, job.id)


def test_a_jobs_result_and_post_are_stored(either: Bench) -> None:
    job = either.order(either.customer(paid=3))
    result = Result("a/clean.mp4", "a/source.mp4", "a/thumbnail.jpg", "video/mp4", 5, 2, True, 0.5)
    post = {"post_id": "s_1", "prompt": "a cat", "thumbnail_url": None}
    with either.database.write() as connection:
        store.update(connection, job.id, result=result.to_json(), post=post, progress_percent=40)
        found = store.find(connection, job.id)
    assert (found.result, found.progress_percent, found.failure) == (result, 40, None)
    assert found.post is not None
    assert vars(found.post) == post


def test_an_idempotency_key_finds_its_job_unless_it_failed(either: Bench) -> None:
    account = either.customer(paid=30)
    first = either.order(account, idempotency_key="key")
    assert either.order(account, idempotency_key="key") == first
    assert either.order(either.customer(paid=3), idempotency_key="key").id != first.id
    done = either.succeed(first)
    assert either.order(account, idempotency_key="key") == done
    second = either.order(account, idempotency_key="other")
    either.fail(second)
    third = either.order(account, idempotency_key="other")
    assert third.id != second.id
    assert either.order(account, idempotency_key="other") == third


def test_an_idempotency_key_expires(either: Bench) -> None:
    account = either.customer(paid=30)
    first = either.order(account, idempotency_key="key", idempotent_seconds=60)
    with either.database.write() as connection:
        connection.execute(sa.update(IDEMPOTENCY).where(IDEMPOTENCY.c.job_id == first.id).values(at_ms=now_ms() - 61_000))
    assert either.order(account, idempotency_key="key", idempotent_seconds=600) == first
    assert either.order(account, idempotency_key="key", idempotent_seconds=60) != first


def test_unfinished_jobs_are_counted(either: Bench) -> None:
    account = either.customer(paid=9)
    jobs = [either.order(account) for _ in range(3)]
    either.succeed(jobs[0])
    either.fail(jobs[1])
    with either.database.read() as connection:
        mine, all_open, _ = store.count_open(connection, account.id)
        counted = sa.select(sa.func.count()).select_from(JOBS).where(sa.not_(JOBS.c.ended))
        assert mine == 1
        assert all_open == connection.execute(counted).scalar_one() >= 1, "the totals agree with the jobs"
