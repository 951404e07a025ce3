"""Accounts, their keys and signing secrets."""

import hashlib
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from service.errors import AccountBanned, AccountMissing, KeyInvalid, KeyMissing, ParameterError
from service.jobs import ledger
from service.jobs.credits import Entry
from service.jobs.database import NOW_MS, Database
from service.jobs.job import Rights
from service.jobs.tables import ACCOUNTS, API_KEYS, SIGNERS
from service.jobs.vault import Vault

KEY_PREFIX: Final = "cp_"
HINT_CHARACTERS: Final = 7
MAX_NAME_CHARACTERS: Final = 100

# Built once, as they run with every request.
ACCOUNT_BY_KEY: Final = sa.select(ACCOUNTS, API_KEYS.c.revoked_ms).join(API_KEYS).where(API_KEYS.c.hash == sa.bindparam("hash"))
ACCOUNT_BY_SIGNER: Final = (
    sa.select(ACCOUNTS, SIGNERS.c.revoked_ms, SIGNERS.c.secret).join(SIGNERS).where(SIGNERS.c.name == sa.bindparam("signer"))
)


@dataclass(frozen=True)
class Account:
    """The owner of credits and jobs. `rights` and `digital_source_type` are the defaults recorded with its jobs."""

    id: int
    name: str
    banned: bool = False
    rights: Rights | None = None
    digital_source_type: str | None = None


@dataclass(frozen=True)
class KeyInfo:
    """What may be shown of a key: enough to identify it, not enough to use it."""

    hint: str
    account: str
    created_ms: int
    revoked: bool


class Accounts:
    """Creates, bans and authenticates accounts. Keys are stored as hashes, signing secrets encrypted."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(self, name: str) -> Account:
        """Create an account without credits. Raises ParameterError if the name is taken or invalid."""
        _check_name(name)
        with self._insertion(f"the account {name} already exists") as connection:
            return _insert_account(connection, name)

    def create_with_key(self, name: str, credits: Entry, signer: tuple[str, str] | None, key: str | None) -> str:
        """Create an account with credits, a signer (name, secret) and a key in one transaction; return the key. Raises ParameterError."""
        _check_name(name)
        key = key or _new_key()
        with self._insertion(f"the account {name}, its key or its signer already exists") as connection:
            account = _insert_account(connection, name)
            ledger.write(connection, account.id, [credits])
            connection.execute(sa.insert(API_KEYS).values(_key_row(account, key)))
            if signer is not None:
                connection.execute(sa.insert(SIGNERS).values(self._signer_row(account, *signer)))
        return key

    def find(self, name: str) -> Account:
        """The account with this name. Raises AccountMissing."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.name == name, ACCOUNTS.c.deleted_ms.is_(None))).first()
        if row is None:
            raise AccountMissing(f"there is no account {name}")
        return _account_of(row)

    def all(self) -> list[Account]:
        with self._database.read() as connection:
            rows = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.deleted_ms.is_(None)).order_by(ACCOUNTS.c.id)).all()
        return [_account_of(row) for row in rows]

    def set_banned(self, account: Account, banned: bool) -> None:
        self._update(account, banned_ms=NOW_MS if banned else None)

    def declare(self, account: Account, rights: Rights | None, digital_source_type: str | None) -> Account:
        """Set what is recorded with the account's future jobs; accepted jobs keep what they have. Return the changed account."""
        self._update(account, rights=rights, digital_source_type=digital_source_type)
        return replace(account, rights=rights, digital_source_type=digital_source_type)

    def delete(self, account: Account) -> None:
        """Close an account: its keys are refused, its jobs and ledger lines stay, its name can be used again."""
        self._update(account, deleted_ms=NOW_MS, name=f"{account.name} (deleted {account.id})")

    def add_key(self, account: Account, key: str | None = None) -> str:
        """Add a random key, or the given one, and return it; it is not stored in clear. Raises ParameterError if it is in use."""
        key = key or _new_key()
        with self._insertion("this key is in use") as connection:
            connection.execute(sa.insert(API_KEYS).values(_key_row(account, key)))
        return key

    def keys(self, account: Account | None = None) -> list[KeyInfo]:
        statement = sa.select(API_KEYS, ACCOUNTS.c.name).join(ACCOUNTS).order_by(API_KEYS.c.created_ms)
        if account is not None:
            statement = statement.where(API_KEYS.c.account_id == account.id)
        with self._database.read() as connection:
            return [KeyInfo(row.hint, row.name, row.created_ms, row.revoked_ms is not None) for row in connection.execute(statement)]

    def revoke_key(self, key_or_hint: str) -> int:
        """Revoke the key, or all keys with this hint; return their number."""
        matches = sa.or_(API_KEYS.c.hash == _hash(key_or_hint), API_KEYS.c.hint == key_or_hint)
        with self._database.write() as connection:
            revoked = connection.execute(sa.update(API_KEYS).where(matches, API_KEYS.c.revoked_ms.is_(None)).values(revoked_ms=NOW_MS))
        return revoked.rowcount

    def account_of_key(self, key: str) -> Account:
        """The account that the key belongs to. Raises KeyMissing, KeyInvalid, AccountMissing, AccountBanned."""
        if not key:
            raise KeyMissing("a key is required")
        return self._find_active(ACCOUNT_BY_KEY, hash=_hash(key))[0]

    def accepted(self, connection: sa.Connection, keys: Collection[str]) -> set[str]:
        """Those of the keys that `account_of_key` accepts."""
        by_hash = {_hash(key): key for key in keys}
        active = (API_KEYS.c.revoked_ms.is_(None), ACCOUNTS.c.deleted_ms.is_(None), ACCOUNTS.c.banned_ms.is_(None))
        found = sa.select(API_KEYS.c.hash).join(ACCOUNTS).where(API_KEYS.c.hash.in_(by_hash), *active)
        return {by_hash[found_hash] for found_hash in connection.execute(found).scalars()}

    def add_signer(self, account: Account, name: str, secret: str | None = None) -> str:
        """Add a name and a secret for signed requests; return the secret. Raises ParameterError if the name is in use."""
        secret = secret or secrets.token_urlsafe(32)
        with self._insertion(f"the signer {name} already exists") as connection:
            connection.execute(sa.insert(SIGNERS).values(self._signer_row(account, name, secret)))
        return secret

    def revoke_signer(self, name: str) -> int:
        with self._database.write() as connection:
            revoked = connection.execute(
                sa.update(SIGNERS).where(SIGNERS.c.name == name, SIGNERS.c.revoked_ms.is_(None)).values(revoked_ms=NOW_MS)
            )
        return revoked.rowcount

    def account_of_signer(self, name: str) -> tuple[Account, bytes]:
        """The account that signs with this name, and its secret. Raises like `account_of_key`."""
        if not name:
            raise KeyMissing("a name is required")
        if not name.isprintable():
            raise KeyInvalid("the key is unknown or revoked")
        account, row = self._find_active(ACCOUNT_BY_SIGNER, signer=name)
        return account, self._vault.open(row.secret)

    def _find_active(self, statement: sa.Select[Any], **values: str) -> tuple[Account, sa.Row[Any]]:
        with self._database.read() as connection:
            row = connection.execute(statement, values).first()
        if row is None or row.revoked_ms is not None:
            raise KeyInvalid("the key is unknown or revoked")
        if row.deleted_ms is not None:
            raise AccountMissing("the account was deleted")
        if row.banned_ms is not None:
            raise AccountBanned("the account is banned")
        return _account_of(row), row

    def _update(self, account: Account, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.id == account.id).values(**values))

    def _signer_row(self, account: Account, name: str, secret: str) -> dict[str, object]:
        return {"name": name, "account_id": account.id, "secret": self._vault.seal(secret), "created_ms": NOW_MS}

    @contextmanager
    def _insertion(self, message: str) -> Iterator[sa.Connection]:
        """A transaction for inserts; raises ParameterError with this message if a row already exists."""
        try:
            with self._database.write() as connection:
                yield connection
        except IntegrityError:
            raise ParameterError(message) from None


def _account_of(row: sa.Row[Any]) -> Account:
    return Account(row.id, row.name, row.banned_ms is not None, row.rights, row.digital_source_type)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise ParameterError(f"an account's name has 1 to {MAX_NAME_CHARACTERS} printable characters")


def _insert_account(connection: sa.Connection, name: str) -> Account:
    row = {"name": name, "created_ms": NOW_MS, "paid_credits": 0, "one_time_credits": 0, "held_credits": 0}
    return Account(connection.execute(sa.insert(ACCOUNTS).values(row).returning(ACCOUNTS.c.id)).scalar_one(), name)


def _new_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def _key_row(account: Account, key: str) -> dict[str, object]:
    return {"hash": _hash(key), "account_id": account.id, "hint": _hint(key), "created_ms": NOW_MS}


def _hint(key: str) -> str:
    """The key's first characters; at most a third of it, as a short key was chosen by a person."""
    return key[: min(HINT_CHARACTERS, len(key) // 3)]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
