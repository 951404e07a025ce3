"""Secrets of an account's own: shown once, stored encrypted, rotated with an overlap, never used for another account."""

import sqlalchemy as sa

from service.jobs.tables import ACCOUNTS
from service.jobs.vault import Vault
from service.jobs.webhook_secrets import OVERLAP_SECONDS, WebhookSecrets
from service.outside.post import WebhookKeys
from tests.jobs.bench import Bench

SHARED = WebhookKeys(("whsec_shared",))


def test_an_accounts_secret_takes_the_place_of_the_shared_one(either: Bench) -> None:
    secrets = WebhookSecrets(either.database, Vault("a secret of this test"), SHARED)
    account, other = either.customer(), either.customer()
    assert (secrets.keys_of(account.id), secrets.info(account.id)) == (SHARED, None)
    first = secrets.rotate(account.id)
    assert secrets.keys_of(account.id) == WebhookKeys((first,))
    assert secrets.keys_of(other.id) == SHARED
    info = secrets.info(account.id)
    assert info is not None
    assert info.previous_until_ms is None
    second = secrets.rotate(account.id)
    assert secrets.keys_of(account.id) == WebhookKeys((second, first)), "receivers may know either"
    info = secrets.info(account.id)
    assert info is not None
    assert info.previous_until_ms == info.created_ms + OVERLAP_SECONDS * 1000
    secrets.remove(account.id)
    assert (secrets.keys_of(account.id), secrets.info(account.id)) == (SHARED, None)


def test_an_old_secret_ends_and_none_is_stored_in_clear(either: Bench) -> None:
    secrets, account = WebhookSecrets(either.database, Vault("a secret of this test"), SHARED), either.customer()
    made = [secrets.rotate(account.id) for _ in range(2)]
    of_account = ACCOUNTS.c.id == account.id
    with either.database.write() as connection:
        row = connection.execute(sa.select(ACCOUNTS).where(of_account)).one()
        assert not [secret for secret in made if secret in str(row)]
        connection.execute(sa.update(ACCOUNTS).where(of_account).values(webhook_previous_until_ms=row.webhook_secret_ms))
    assert secrets.keys_of(account.id) == WebhookKeys((made[1],))
