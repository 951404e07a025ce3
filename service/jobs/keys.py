"""Keys as data: what a key may do, what may be shown of it, how it is made and stored. Pure."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

KEY_PREFIX: Final = "cp_"
ID_PREFIX: Final = "key_"
HINT_CHARACTERS: Final = 7
ID_BYTES: Final = 6


class Scope(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"  # order, upload, cancel and delete
    READ = "read"  # see the account's jobs, results and credits
    ADMIN = "admin"  # administer the service: all accounts, keys and credits


CUSTOMER: Final = frozenset({Scope.SUBMIT, Scope.READ})  # of a key unless it is given others


@dataclass(frozen=True)
class KeyInfo:
    """What may be shown of a key: enough to identify and judge it, not enough to use it. Times are milliseconds since 1970, UTC."""

    id: str
    hint: str
    account_id: int
    account: str
    scopes: frozenset[Scope]
    created_ms: int
    expires_ms: int | None
    state: Literal["active", "expired", "revoked"]


@dataclass(frozen=True)
class SignerInfo:
    """A name for signed requests, without its secret."""

    name: str
    account: str
    created_ms: int
    state: Literal["active", "revoked"]


@dataclass(frozen=True)
class NewKey:
    """A key when it is made: the only moment at which it is known."""

    key: str
    id: str


def random_key() -> str:
    """A key that nobody can guess."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def new_key_id() -> str:
    """A key's name in lists, which says nothing about it."""
    return f"{ID_PREFIX}{secrets.token_hex(ID_BYTES)}"


def hint_of(key: str) -> str:
    """The key's first characters; at most a third of it, as a short key was chosen by a person."""
    return key[: min(HINT_CHARACTERS, len(key) // 3)]


def hash_of(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def scopes_to_text(scopes: Iterable[Scope]) -> str:
    """Scopes in the order of their declaration, separated by spaces."""
    return " ".join(scope for scope in Scope if scope in set(scopes))


def scopes_of(text: str) -> frozenset[Scope]:
    """The inverse of `scopes_to_text`."""
    return frozenset(map(Scope, text.split()))
