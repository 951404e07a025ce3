"""Accounts, keys and signers: authentication, revocation, bans, deletion; secrets are shown once and never stored in clear."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from service.errors import AccountBanned, AccountMissing, KeyInvalid, KeyMissing, ParameterError
from service.jobs.tables import API_KEYS, SIGNERS
from tests.jobs.bench import Bench

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def test_a_key_works_until_it_is_revoked(either: Bench) -> None:
    account = either.customer()
    key, other = either.accounts.add_key(account), either.accounts.add_key(account)
    assert either.job_service.account_of_key(key) == account
    assert either.accounts.revoke_key(key) == 1
    assert either.accounts.revoke_key(key) == 0
    with pytest.raises(KeyInvalid):
        either.job_service.account_of_key(key)
    assert either.job_service.account_of_key(other) == account
    assert either.accounts.revoke_key(other[:7]) == 1
    assert [info.state for info in either.accounts.keys(account)] == ["revoked", "revoked"]


@pytest.mark.parametrize("key", ["cp_unknown", "cp_\0", "é"])
def test_an_invalid_key(either: Bench, key: str) -> None:
    with pytest.raises(KeyInvalid):
        either.job_service.account_of_key(key)
    with pytest.raises(KeyInvalid):
        either.job_service.account_of_signer(key)


def test_a_missing_key(lite: Bench) -> None:
    for ask in (lite.job_service.account_of_key, lite.job_service.account_of_signer):
        with pytest.raises(KeyMissing):
            ask("")


def test_a_ban_can_be_lifted_and_a_deletion_cannot(either: Bench) -> None:
    account = either.customer()
    key = either.accounts.add_key(account)
    secret = either.accounts.add_signer(account, f"app {account.id}")
    either.accounts.set_banned(account, True)
    with pytest.raises(AccountBanned):
        either.job_service.account_of_key(key)
    with pytest.raises(AccountBanned):
        either.job_service.account_of_signer(f"app {account.id}")
    assert either.accounts.find(account.name).banned
    either.accounts.set_banned(account, False)
    assert either.job_service.account_of_signer(f"app {account.id}") == (account, secret.encode())
    either.accounts.delete(account)
    with pytest.raises(AccountMissing):
        either.job_service.account_of_key(key)
    with pytest.raises(AccountMissing):
        either.accounts.find(account.name)
    assert account.name not in [known.name for known in either.accounts.all()]
    assert either.accounts.create(account.name).id != account.id, "the name is free again"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "\ud800"])
def test_an_invalid_name(either: Bench, name: str) -> None:
    with pytest.raises(ParameterError):
        either.accounts.create(name)


def test_names_and_keys_are_unique(either: Bench) -> None:
    account = either.customer()
    key = either.accounts.add_key(account, f"a key of one's own choice {account.id}")
    either.accounts.add_signer(account, f"app {account.id}")
    for again in (
        lambda: either.accounts.create(account.name),
        lambda: either.accounts.add_key(account, key),
        lambda: either.accounts.add_signer(account, f"app {account.id}"),
    ):
        with pytest.raises(ParameterError):
            again()


def test_a_revoked_signer_is_refused(either: Bench) -> None:
    account = either.customer()
    either.accounts.add_signer(account, f"app {account.id}")
    assert [either.accounts.revoke_signer(f"app {account.id}") for _ in range(2)] == [1, 0]
    with pytest.raises(KeyInvalid):
        either.job_service.account_of_signer(f"app {account.id}")


def test_an_accounts_defaults_are_recorded_with_its_jobs(either: Bench) -> None:
    account = either.customer(paid=9)
    before = either.order(account)
    declared = either.accounts.declare(account, "licensed", SOURCE_TYPE)
    assert declared == either.accounts.find(account.name) == either.job_service.account_of_key(either.accounts.add_key(account))
    silent, declaring = either.order(account), either.order(account, rights="owner")
    either.accounts.declare(account, None, None)
    assert [(job.rights, job.digital_source_type) for job in (before, silent, declaring)] == [
        (None, None),
        ("licensed", SOURCE_TYPE),
        ("owner", SOURCE_TYPE),
    ]
    assert [either.job_service.find(account.id, job.id) for job in (before, silent, declaring)] == [before, silent, declaring], (
        "whatever was declared later"
    )
    assert either.accounts.find(account.name) == account


def test_secrets_are_not_stored_in_clear(fresh: Bench, tmp_path: Path) -> None:
    account = fresh.customer()
    secrets = [fresh.accounts.add_key(account), fresh.accounts.add_key(account, "short"), fresh.accounts.add_signer(account, "app")]
    with fresh.database.read() as connection:
        rows = [*connection.execute(sa.select(API_KEYS)), *connection.execute(sa.select(SIGNERS))]
    stored = repr(rows).encode() + b"".join(path.read_bytes() for path in tmp_path.glob("fresh.sqlite*"))
    assert not [secret for secret in secrets if secret.encode() in stored]
