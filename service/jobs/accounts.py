"""Accounts, their keys and signing secrets."""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from service.errors import AccountBanned, AccountMissing, KeyExpired, KeyInvalid, KeyMissing, ParameterError, ScopeMissing
from service.jobs import ledger
from service.jobs.credits import Entry
from service.jobs.database import NOW_MS, Database
from service.jobs.job import Rights
from service.jobs.keys import (
    CUSTOMER,
    KeyInfo,
    NewKey,
    Scope,
    SignerInfo,
    hash_of,
    hint_of,
    new_key_id,
    random_key,
    scopes_of,
    scopes_to_text,
)
from service.jobs.tables import ACCOUNTS, API_KEYS, SIGNERS
from service.jobs.vault import Vault

MAX_NAME_CHARACTERS: Final = 100

EXPIRED: Final = sa.func.coalesce(API_KEYS.c.expires_ms <= NOW_MS, sa.false()).label("expired")

# Built once, as they run with every request.
ACCOUNT_BY_KEY: Final = (
    sa.select(ACCOUNTS, API_KEYS.c.revoked_ms, API_KEYS.c.scopes, EXPIRED).join(API_KEYS).where(API_KEYS.c.hash == sa.bindparam("hash"))
)
ACCOUNT_BY_SIGNER: Final = (
    sa.select(ACCOUNTS, SIGNERS.c.revoked_ms, SIGNERS.c.secret).join(SIGNERS).where(SIGNERS.c.name == sa.bindparam("signer"))
)


@dataclass(frozen=True)
class AccountLimits:
    """Limits of an account's own: unfinished jobs, and bytes of its uploads and sources. None: those of the settings."""

    queue_jobs: int | None = None
    storage_bytes: int | None = None


@dataclass(frozen=True)
class Account:
    """The owner of credits and jobs. `rights` and `digital_source_type` are the defaults recorded with its jobs."""

    id: int
    name: str
    banned: bool = False
    rights: Rights | None = None
    digital_source_type: str | None = None
    limits: AccountLimits = AccountLimits()


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
        key = key or random_key()
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
        return account_of(row)

    def get(self, account_id: int) -> Account:
        """The account with this id. Raises AccountMissing."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.deleted_ms.is_(None))).first()
        if row is None:
            raise AccountMissing("there is no such account")
        return account_of(row)

    def all(self) -> list[Account]:
        with self._database.read() as connection:
            rows = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.deleted_ms.is_(None)).order_by(ACCOUNTS.c.id)).all()
        return [account_of(row) for row in rows]

    def set_banned(self, account: Account, banned: bool) -> None:
        self._update(account, banned_ms=NOW_MS if banned else None)

    def declare(self, account: Account, rights: Rights | None, digital_source_type: str | None) -> Account:
        """Set what is recorded with the account's future jobs; accepted jobs keep what they have. Return the changed account."""
        self._update(account, rights=rights, digital_source_type=digital_source_type)
        return replace(account, rights=rights, digital_source_type=digital_source_type)

    def limit(self, account: Account, limits: AccountLimits) -> Account:
        """Set the account's own limits, in force from its next request on. Return the changed account."""
        self._update(account, queue_jobs=limits.queue_jobs, storage_bytes=limits.storage_bytes)
        return replace(account, limits=limits)

    def delete(self, account: Account) -> None:
        """Close an account: its keys are refused, its jobs and ledger lines stay, its name can be used again."""
        self._update(account, deleted_ms=NOW_MS, name=f"{account.name} (deleted {account.id})")

    def add_key(self, account: Account, key: str | None = None) -> str:
        """Add a random key of a customer, or the given one; return it. It is not stored in clear. Raises ParameterError if it is in use."""
        return self.create_key(account, key=key).key

    def create_key(
        self, account: Account, scopes: Collection[Scope] = CUSTOMER, valid_seconds: float | None = None, key: str | None = None
    ) -> NewKey:
        """Add a key with these scopes, valid for so long (None: for ever). Raises ParameterError if it is in use, or could do nothing."""
        if not scopes:
            raise ParameterError("a key needs a scope")
        new = NewKey(key or random_key(), new_key_id())
        expires_ms = None if valid_seconds is None else NOW_MS + int(valid_seconds * 1000)
        row = _key_row(account, new.key) | {"id": new.id, "scopes": scopes_to_text(scopes), "expires_ms": expires_ms}
        with self._insertion("this key is in use") as connection:
            connection.execute(sa.insert(API_KEYS).values(row))
        return new

    def keys(
        self, account: Account | None = None, key_id: str | None = None, after_id: str | None = None, limit: int | None = None
    ) -> list[KeyInfo]:
        """The keys, oldest first: of this account, or with this id; those after the key `after_id`, at most `limit`."""
        statement = sa.select(API_KEYS, ACCOUNTS.c.name, EXPIRED).join(ACCOUNTS).order_by(API_KEYS.c.created_ms, API_KEYS.c.id)
        if after_id is not None:
            since_ms = sa.select(API_KEYS.c.created_ms).where(API_KEYS.c.id == after_id).scalar_subquery()
            later = sa.and_(API_KEYS.c.created_ms == since_ms, API_KEYS.c.id > after_id)
            statement = statement.where(sa.or_(API_KEYS.c.created_ms > since_ms, later))
        if account is not None:
            statement = statement.where(API_KEYS.c.account_id == account.id)
        if key_id is not None:
            statement = statement.where(API_KEYS.c.id == key_id)
        with self._database.read() as connection:
            return [_key_info(row) for row in connection.execute(statement.limit(limit) if limit else statement)]

    def key_id(self, key: str) -> str:
        """A key's id; empty for one that does not exist."""
        with self._database.read() as connection:
            return connection.execute(sa.select(API_KEYS.c.id).where(API_KEYS.c.hash == hash_of(key))).scalar() or ""

    def revoke_key(self, name: str) -> int:
        """Revoke a key by its id, by itself, or by its hint if no other active key has it; return whether one was revoked, as a number.

        Raises ParameterError for the hint of several.
        """
        active = API_KEYS.c.revoked_ms.is_(None)
        exact = sa.or_(API_KEYS.c.hash == hash_of(name), API_KEYS.c.id == name)
        with self._database.write() as connection:
            hashes = list(connection.execute(sa.select(API_KEYS.c.hash).where(exact, active)).scalars())
            hashes = hashes or list(connection.execute(sa.select(API_KEYS.c.hash).where(API_KEYS.c.hint == name, active)).scalars())
            if len(hashes) > 1:
                raise ParameterError(f"{len(hashes)} active keys begin with {name}: name one by its id")
            return connection.execute(sa.update(API_KEYS).where(API_KEYS.c.hash.in_(hashes)).values(revoked_ms=NOW_MS)).rowcount

    def account_of_key(self, key: str, scope: Scope | None = None) -> Account:
        """The account of a key that has this scope; None: whichever it has.

        Raises KeyMissing, KeyInvalid, KeyExpired, AccountMissing, AccountBanned, ScopeMissing.
        """
        if not key:
            raise KeyMissing("a key is required")
        account, row = self._find_active(ACCOUNT_BY_KEY, hash=hash_of(key))
        if scope is not None and scope not in scopes_of(row.scopes):
            raise ScopeMissing(f"the key lacks the scope {scope}")
        return account

    def accepted(self, connection: sa.Connection, keys: Collection[str]) -> set[str]:
        """Those of the keys that `account_of_key` accepts."""
        by_hash = {hash_of(key): key for key in keys}
        active = (API_KEYS.c.revoked_ms.is_(None), sa.not_(EXPIRED), ACCOUNTS.c.deleted_ms.is_(None), ACCOUNTS.c.banned_ms.is_(None))
        found = sa.select(API_KEYS.c.hash).join(ACCOUNTS).where(API_KEYS.c.hash.in_(by_hash), *active)
        return {by_hash[found_hash] for found_hash in connection.execute(found).scalars()}

    def add_signer(self, account: Account, name: str, secret: str | None = None) -> str:
        """Add a name and a secret for signed requests; return the secret. Raises ParameterError if the name is in use."""
        secret = secret or secrets.token_urlsafe(32)
        with self._insertion(f"the signer {name} already exists") as connection:
            connection.execute(sa.insert(SIGNERS).values(self._signer_row(account, name, secret)))
        return secret

    def signers(self) -> list[SignerInfo]:
        """All names for signed requests, oldest first."""
        statement = sa.select(SIGNERS, ACCOUNTS.c.name.label("account")).join(ACCOUNTS).order_by(SIGNERS.c.created_ms, SIGNERS.c.name)
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return [SignerInfo(row.name, row.account, row.created_ms, "revoked" if row.revoked_ms else "active") for row in rows]

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
        if row._mapping.get("expired"):
            raise KeyExpired("the key has expired")
        if row.deleted_ms is not None:
            raise AccountMissing("the account was deleted")
        if row.banned_ms is not None:
            raise AccountBanned("the account is banned")
        return account_of(row), row

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


def account_of(row: sa.Row[Any]) -> Account:
    """The account in a row of `accounts`."""
    limits = AccountLimits(row.queue_jobs, row.storage_bytes)
    return Account(row.id, row.name, row.banned_ms is not None, row.rights, row.digital_source_type, limits)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise ParameterError(f"an account's name has 1 to {MAX_NAME_CHARACTERS} printable characters")


def _insert_account(connection: sa.Connection, name: str) -> Account:
    row = {"name": name, "created_ms": NOW_MS, "paid_credits": 0, "one_time_credits": 0, "held_credits": 0}
    return Account(connection.execute(sa.insert(ACCOUNTS).values(row).returning(ACCOUNTS.c.id)).scalar_one(), name)


def _key_row(account: Account, key: str) -> dict[str, object]:
    return {"hash": hash_of(key), "account_id": account.id, "hint": hint_of(key), "id": new_key_id(), "created_ms": NOW_MS}


def _key_info(row: sa.Row[Any]) -> KeyInfo:
    state: Literal["active", "expired", "revoked"] = "revoked" if row.revoked_ms is not None else "expired" if row.expired else "active"
    return KeyInfo(row.id or row.hint, row.hint, row.account_id, row.name, scopes_of(row.scopes), row.created_ms, row.expires_ms, state)
