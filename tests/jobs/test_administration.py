"""Keys with scopes and an end, limits of an account's own, usage by day, and the jobs that operators look for."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from service.disk import DiskGuard
from service.errors import KeyExpired, ParameterError, QueueFull, QuotaExceeded, ScopeMissing
from service.jobs import oversight
from service.jobs.account_files import AccountFiles
from service.jobs.accounts import AccountLimits
from service.jobs.administration import Administration
from service.jobs.audit import Audit
from service.jobs.credits import Fund
from service.jobs.job import State
from service.jobs.keys import CUSTOMER, Scope
from service.jobs.oversight import JobFilter
from service.jobs.tables import JOBS
from service.outside.storage import Storage
from tests.jobs.bench import Bench


def test_a_key_expires(either: Bench) -> None:
    account = either.customer()
    lasting, short = (either.accounts.create_key(account, CUSTOMER, seconds) for seconds in (3600.0, 0.0))
    assert either.accounts.account_of_key(lasting.key, Scope.READ) == account
    with pytest.raises(KeyExpired):
        either.accounts.account_of_key(short.key)
    with pytest.raises(ScopeMissing, match="admin"):
        either.accounts.account_of_key(lasting.key, Scope.ADMIN)
    states = {info.id: info.state for info in either.accounts.keys(account)}  # in one millisecond, their order is that of their names
    assert states == {lasting.id: "active", short.id: "expired"}
    with either.database.read() as connection:
        assert either.accounts.accepted(connection, [lasting.key, short.key]) == {lasting.key}


def test_usage_counts_each_accounts_day(either: Bench) -> None:
    account = either.customer(paid=20, one_time=1)
    done, failed, _open = (either.order(account) for _ in range(3))
    either.succeed(done)
    either.fail(failed)
    with either.database.read() as connection:
        (today,) = oversight.usage(connection, 1, account.id)
        everybody = oversight.usage(connection, 400)
    assert today in everybody
    assert today.date == datetime.now(UTC).date().isoformat()
    assert (today.account, today.accepted_jobs, today.spent_credits) == (account.name, 3, done.price_credits)
    assert (today.succeeded_jobs, today.failed_jobs, today.cancelled_jobs) == (1, 1, 0)


def test_usage_goes_back_as_many_days_as_asked_for(either: Bench) -> None:
    account = either.customer(paid=9)
    old = either.succeed(either.order(account))
    with either.database.write() as connection:
        connection.execute(sa.update(JOBS).where(JOBS.c.id == old.id).values(finished_ms=JOBS.c.finished_ms - 2 * oversight.DAY_MS))
    with either.database.read() as connection:
        found = {days: oversight.usage(connection, days, account.id) for days in (2, 3)}
    assert [day.succeeded_jobs for day in found[2]] == [0]
    assert [day.succeeded_jobs for day in found[3]] == [0, 1]


def test_jobs_are_found_by_account_state_api_and_failure(either: Bench) -> None:
    account = either.customer(paid=20)
    first, second, third = (either.order(account, facade=facade) for facade in ("kie", "kie", "kaze"))
    either.fail(second)
    with either.database.read() as connection:

        def found(**wanted: Any) -> set[str]:
            return {job.id for _, job in oversight.jobs(connection, JobFilter(account.id, **wanted), 10)}

        assert found() == {first.id, second.id, third.id}
        assert found(state=State.FAILED) == found(failure_kind="TooLong") == {second.id}
        assert found(facade="kaze") == {third.id}
        assert found(failure_kind="FetchRefused") == set()


def test_only_a_hint_of_one_active_key_revokes(either: Bench) -> None:
    account = either.customer()
    keys = [f"same hint of both {account.id} {number}" for number in range(2)]
    for key in keys:
        either.accounts.create_key(account, key=key)
    (hint,) = {info.hint for info in either.accounts.keys(account)}
    with pytest.raises(ParameterError, match="2 active keys begin with same hi: name one by its id"):
        either.accounts.revoke_key(hint)
    assert either.accounts.revoke_key(either.accounts.keys(account)[0].id) == 1
    assert either.accounts.revoke_key(hint) == 1


def test_an_accounts_own_limits_replace_those_of_the_settings(either: Bench, tmp_path: Any) -> None:
    account = either.customer(paid=20)
    either.accounts.limit(account, AccountLimits(queue_jobs=1, storage_bytes=5000))
    either.order(account)
    with pytest.raises(QueueFull, match="the account has 1 unfinished jobs"):
        either.order(account)
    files = AccountFiles(either.database, Storage.open(str(tmp_path)), DiskGuard(), 2**30)
    files.put_stream(account.id, f"uploads/{account.id}/first/a.bin", io.BytesIO(b"a"))
    with pytest.raises(QuotaExceeded):
        files.put_stream(account.id, f"uploads/{account.id}/second/a.bin", io.BytesIO(b"a"))
    either.accounts.limit(account, AccountLimits())
    either.order(account)
    files.put_stream(account.id, f"uploads/{account.id}/second/a.bin", io.BytesIO(b"a"))


def test_an_event_grants_once(either: Bench) -> None:
    account, administration = either.customer(), Administration(either.database, either.accounts, Audit(either.database))
    first, again = (administration.grant(account, Fund.PAID, 5, "paid", "order 1") for _ in range(2))
    assert first == again
    administration.grant(either.customer(), Fund.PAID, 5, "another account's", "order 1")
    assert either.balance(account).paid_credits == 5
