"""What operators look at, on both databases: who waits, why jobs failed, which callbacks were given up; and what they changed."""

import pytest

from service.errors import FetchUnavailable, ParameterError
from service.jobs import callbacks, oversight
from service.jobs.audit import Actor, Audit
from service.jobs.oversight import CallbackFilter
from service.outside.post import ReceiverGone
from tests.jobs.bench import URL, Bench


def test_the_account_with_most_waiting_jobs_comes_first(either: Bench) -> None:
    few, many = either.customer(paid=9), either.customer(paid=9)
    either.order(few)
    for _ in range(2):
        either.order(many)
    either.succeed(either.order(many))
    with either.database.read() as connection:
        everyone = oversight.backlogs(connection, 1000)
    found = [each for each in everyone if each.account_id in (few.id, many.id)]
    assert [(each.account_id, each.queued_jobs, each.running_jobs) for each in found] == [(many.id, 2, 0), (few.id, 1, 0)]
    assert all(0 <= each.oldest_queued_seconds < 60 for each in found)
    waiting = [each.queued_jobs for each in everyone]
    assert waiting == sorted(waiting, reverse=True)


def test_failures_are_counted_by_kind(either: Bench) -> None:
    account = either.customer(paid=9)
    jobs = [either.fail(either.order(account), "FailsHereOnly") for _ in range(2)]
    with either.database.read() as connection:
        (found,) = (each for each in oversight.failures(connection, 1) if each.kind == "FailsHereOnly")
    assert (found.jobs, found.last_account) == (2, account.name)
    assert found.last_job_id in {job.id for job in jobs}


def test_callbacks_are_found_by_account_and_outcome(either: Bench) -> None:
    jobs = [either.succeed(either.order(either.customer(paid=3), callback_url=URL)) for _ in range(2)]
    ours = {job.id for job in jobs}
    for job, error in zip(jobs, (ReceiverGone("410"), FetchUnavailable("503")), strict=True):

        def send(_: object, error: Exception = error) -> None:
            raise error

        callbacks.deliver(either.take(f"{job.id}.{job.state}.1"), f"{job.id}.{job.state}", send)
    with either.database.read() as connection:
        of_all = {outcome: oversight.deliveries(connection, CallbackFilter(outcome=outcome), 1000) for outcome in ("given_up", "pending")}
        of_account = oversight.deliveries(connection, CallbackFilter(account_id=jobs[0].account_id), 9)
    by_outcome = {outcome: [each for each in found if each.subject_id in ours] for outcome, found in of_all.items()}
    assert [each.subject_id for each in by_outcome["given_up"]] == [each.subject_id for each in of_account] == [jobs[0].id]
    (waiting,) = by_outcome["pending"]
    assert (waiting.subject_id, waiting.last_error) == (jobs[1].id, "503")
    assert waiting.due_ms is not None
    assert waiting.host
    assert waiting.host in URL


def test_a_change_is_recorded_before_it_is_made_and_ends_with_its_outcome(either: Bench) -> None:
    audit, actor = Audit(either.database), Actor(either.customer().id, "key_1")
    with audit.entry("account.change", "a", {"banned": True}, actor):
        assert audit.latest(1)[0].outcome == "begun"
    with pytest.raises(ParameterError), audit.entry("account.create", "b"):
        raise ParameterError("there is one")
    refused, done = audit.latest(2)
    assert (refused.action, refused.actor, refused.outcome) == ("account.create", None, "ParameterError")
    assert (done.given, done.key_id, done.outcome) == ('{"banned": true}', "key_1", "done")
    assert audit.latest(1, before_id=refused.id) == [done]
