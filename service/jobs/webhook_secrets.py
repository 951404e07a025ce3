"""Secrets of an account's own that sign its callbacks, so that no customer can sign as the service to another one."""

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from service.jobs.database import NOW_MS, Database
from service.jobs.tables import ACCOUNTS
from service.jobs.vault import Vault
from service.outside.post import SECRET_PREFIX, WebhookKeys

SECRET_BYTES: Final = 32
OVERLAP_SECONDS: Final = 24 * 3600.0  # for so long the old secret signs too
VALID: Final = (ACCOUNTS.c.webhook_previous_until_ms > NOW_MS).label("previous_is_valid")


@dataclass(frozen=True)
class SecretInfo:
    """What may be shown of an account's secret. Times are milliseconds since 1970, UTC."""

    created_ms: int
    previous_until_ms: int | None  # the secret before it signs too until then


@dataclass(frozen=True)
class WebhookSecrets:
    """Makes, rotates and reads the secrets, which are stored encrypted. `shared`: what signs for accounts without one of their own."""

    database: Database
    vault: Vault
    shared: WebhookKeys = field(default_factory=WebhookKeys)

    def rotate(self, account_id: int) -> str:
        """Make a secret and return it; it is not shown again. The one before it signs too for `OVERLAP_SECONDS`."""
        secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")
        has_one = ACCOUNTS.c.webhook_secret.is_not(None)
        values = {
            "webhook_previous": ACCOUNTS.c.webhook_secret,
            "webhook_previous_until_ms": sa.case((has_one, NOW_MS + int(OVERLAP_SECONDS * 1000))),
            "webhook_secret": self.vault.seal(secret),
            "webhook_secret_ms": NOW_MS,
        }
        self._update(account_id, values)
        return secret

    def remove(self, account_id: int) -> None:
        """Sign with the service's shared keys again, at once."""
        columns = ("webhook_secret", "webhook_secret_ms", "webhook_previous", "webhook_previous_until_ms")
        self._update(account_id, dict.fromkeys(columns))

    def info(self, account_id: int) -> SecretInfo | None:
        """What may be shown of the account's secret; None if it has none of its own."""
        row = self._row(account_id)
        if row.webhook_secret is None:
            return None
        return SecretInfo(row.webhook_secret_ms, row.webhook_previous_until_ms if row.previous_is_valid else None)

    def keys_of(self, account_id: int) -> WebhookKeys:
        """What signs the account's callbacks now, the newest first."""
        row = self._row(account_id)
        if row.webhook_secret is None:
            return self.shared
        sealed = [row.webhook_secret, *([row.webhook_previous] if row.previous_is_valid else [])]
        return WebhookKeys(tuple(self.vault.open(each).decode("ascii") for each in sealed))

    def _row(self, account_id: int) -> sa.Row[Any]:
        with self.database.read() as connection:
            return connection.execute(sa.select(ACCOUNTS, VALID).where(ACCOUNTS.c.id == account_id)).one()

    def _update(self, account_id: int, values: dict[str, object]) -> None:
        with self.database.write() as connection:
            connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(values))
