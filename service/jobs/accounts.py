"""Accounts, their keys and signing secrets."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from service.errors import AccountBanned, AccountMissing, KeyInvalid, KeyMissing, ParameterError
from service.jobs import ledger
from service.jobs.credits import Entry
from service.jobs.database import Database, now_ms
from service.jobs.job import Rights
from service.jobs.tables import ACCOUNTS, API_KEYS, SIGNERS
from service.jobs.vault import Vault

KEY_PREFIX: Final = "cp_"
HINT_CHARACTERS: Final = 7
LONGEST_NAME: Final = 100

# Built once: they run with every request.
OF_KEY: Final = sa.select(ACCOUNTS, API_KEYS.c.revoked_ms).join(API_KEYS).where(API_KEYS.c.hash == sa.bindparam("hash"))
OF_SIGNER: Final = sa.select(ACCOUNTS, SIGNERS.c.revoked_ms, SIGNERS.c.secret).join(SIGNERS).where(SIGNERS.c.name == sa.bindparam("signer"))


@dataclass(frozen=True)
class Account:
    """Who has credits and owns jobs. `rights` and `digital_source_type` are what its jobs are recorded with."""

    id: int
    name: str
    banned: bool = False
    rights: Rights | None = None
    digital_source_type: str | None = None


@dataclass(frozen=True)
class KeyInfo:
    """What may be shown of a key: enough to tell it from others, not to use it."""

    hint: str
    account: str
    created_ms: int
    revoked: bool


class Accounts:
    """Creates, bans and recognises accounts. Keys are kept as hashes, signing secrets encrypted."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(self, name: str) -> Account:
        """A new account without credits; raises ParameterError when the name is taken or none."""
        _check_name(name)
        with self._new(f"an account {name} exists already") as connection:
            return _insert_account(connection, name)

    def create_whole(self, name: str, credits: Entry, signer: tuple[str, str] | None, key: str | None) -> str:
        """A new account with credits, a signer (name, secret) and a key, or nothing of it; the key. Raises ParameterError."""
        _check_name(name)
        key = key or _new_key()
        with self._new(f"an account {name}, its key or its signer exists already") as connection:
            account = _insert_account(connection, name)
            ledger.write(connection, account.id, [credits])
            connection.execute(sa.insert(API_KEYS).values(_key_row(account, key)))
            if signer is not None:
                connection.execute(sa.insert(SIGNERS).values(self._signer_row(account, *signer)))
        return key

    def named(self, name: str) -> Account:
        """The account of this name; raises AccountMissing."""
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
        self._mark(account, banned_ms=now_ms() if banned else None)

    def declare(self, account: Account, rights: Rights | None, digital_source_type: str | None) -> Account:
        """What its jobs are recorded with from now on; those that are accepted already stay as they are."""
        self._mark(account, rights=rights, digital_source_type=digital_source_type)
        return replace(account, rights=rights, digital_source_type=digital_source_type)

    def delete(self, account: Account) -> None:
        """Close an account: its keys say so from now on; its jobs and ledger lines stay, its name becomes free."""
        self._mark(account, deleted_ms=now_ms(), name=f"{account.name} (deleted {account.id})")

    def add_key(self, account: Account, key: str | None = None) -> str:
        """A new random key (or the one given), returned this once; raises ParameterError when it is in use."""
        key = key or _new_key()
        with self._new("this key is in use") as connection:
            connection.execute(sa.insert(API_KEYS).values(_key_row(account, key)))
        return key

    def keys(self, account: Account | None = None) -> list[KeyInfo]:
        statement = sa.select(API_KEYS, ACCOUNTS.c.name).join(ACCOUNTS).order_by(API_KEYS.c.created_ms)
        if account is not None:
            statement = statement.where(API_KEYS.c.account_id == account.id)
        with self._database.read() as connection:
            return [KeyInfo(row.hint, row.name, row.created_ms, row.revoked_ms is not None) for row in connection.execute(statement)]

    def revoke_key(self, key_or_hint: str) -> int:
        """Revoke the key, or every key that begins with this hint; how many there were."""
        is_it = sa.or_(API_KEYS.c.hash == _hash(key_or_hint), API_KEYS.c.hint == key_or_hint)
        with self._database.write() as connection:
            done = connection.execute(sa.update(API_KEYS).where(is_it, API_KEYS.c.revoked_ms.is_(None)).values(revoked_ms=now_ms()))
        return done.rowcount

    def of_key(self, key: str) -> Account:
        """Whose key it is; raises KeyMissing, KeyInvalid, AccountMissing, AccountBanned."""
        if not key:
            raise KeyMissing("a key is required")
        return self._admitted(OF_KEY, hash=_hash(key))[0]

    def add_signer(self, account: Account, name: str, secret: str | None = None) -> str:
        """A name and a secret for signed requests; the secret is returned this once."""
        secret = secret or secrets.token_urlsafe(32)
        with self._new(f"a signer {name} exists already") as connection:
            connection.execute(sa.insert(SIGNERS).values(self._signer_row(account, name, secret)))
        return secret

    def revoke_signer(self, name: str) -> int:
        with self._database.write() as connection:
            done = connection.execute(
                sa.update(SIGNERS).where(SIGNERS.c.name == name, SIGNERS.c.revoked_ms.is_(None)).values(revoked_ms=now_ms())
            )
        return done.rowcount

    def of_signer(self, name: str) -> tuple[Account, bytes]:
        """Who signs under this name, and the secret; raises like `of_key`."""
        if not name:
            raise KeyMissing("a name is required")
        if not name.isprintable():
            raise KeyInvalid("the key is unknown or revoked")
        account, row = self._admitted(OF_SIGNER, signer=name)
        return account, self._vault.open(row.secret)

    def _admitted(self, statement: sa.Select[Any], **values: str) -> tuple[Account, sa.Row[Any]]:
        with self._database.read() as connection:
            row = connection.execute(statement, values).first()
        if row is None or row.revoked_ms is not None:
            raise KeyInvalid("the key is unknown or revoked")
        if row.deleted_ms is not None:
            raise AccountMissing("the account is gone")
        if row.banned_ms is not None:
            raise AccountBanned("the account is banned")
        return _account_of(row), row

    def _mark(self, account: Account, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.id == account.id).values(**values))

    def _signer_row(self, account: Account, name: str, secret: str) -> dict[str, object]:
        return {"name": name, "account_id": account.id, "secret": self._vault.seal(secret), "created_ms": now_ms()}

    @contextmanager
    def _new(self, message: str) -> Iterator[sa.Connection]:
        """A transaction that inserts; what exists already is a ParameterError."""
        try:
            with self._database.write() as connection:
                yield connection
        except IntegrityError:
            raise ParameterError(message) from None


def _account_of(row: sa.Row[Any]) -> Account:
    return Account(row.id, row.name, row.banned_ms is not None, row.rights, row.digital_source_type)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise ParameterError(f"an account's name has 1 to {LONGEST_NAME} printable characters")


def _insert_account(connection: sa.Connection, name: str) -> Account:
    row = {"name": name, "created_ms": now_ms(), "paid_credits": 0, "one_time_credits": 0, "held_credits": 0}
    return Account(connection.execute(sa.insert(ACCOUNTS).values(row).returning(ACCOUNTS.c.id)).scalar_one(), name)


def _new_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def _key_row(account: Account, key: str) -> dict[str, object]:
    return {"hash": _hash(key), "account_id": account.id, "hint": _hint(key), "created_ms": now_ms()}


def _hint(key: str) -> str:
    """Its first characters; of a short key, which somebody chose, so few that the rest stays a secret."""
    return key[: min(HINT_CHARACTERS, len(key) // 3)]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
