"""Attacks on the admin API and its page: guessed keys, keys without the scope, floods of lists."""

import secrets
from collections.abc import Callable, Iterator

from benchmarks.attacks import MIB, Attack, Target, bearer, get, nested, page, post

LISTS = {"jobs": "jobs?limit=1000", "keys": "keys?limit=1000", "usage": "usage?days=400", "callbacks": "callbacks?limit=1000"}


def without_scope(target: Target) -> Iterator[bytes]:
    """An operator's question with a customer's key."""
    return get("/v1/admin/status", bearer(target))


def guess(_: Target) -> Iterator[bytes]:
    """An operator's question with a key that was guessed: another one each time."""
    return get("/v1/admin/status", f"Authorization: Bearer cp_{secrets.token_urlsafe(32)}")


def operator(target: Target) -> str:
    return f"Authorization: Bearer {target.admin_key}"


def listed(path: str) -> Callable[[Target], Iterator[bytes]]:
    """A list that is as long as it may be, with an operator's key."""
    return lambda target: get(f"/v1/admin/{path}", operator(target))


def admin_elements(target: Target) -> Iterator[bytes]:
    """A body of a mebibyte with an operator's key."""
    return post("/v1/admin/accounts", b'{"name":[' + b"{}," * (MIB // 3), operator(target))


ADMIN_ATTACKS = (
    Attack("admin without its scope", without_scope),
    Attack("admin with guessed keys", guess),
    Attack("admin, nested JSON without a key", nested("/v1/admin/accounts")),
    Attack("admin, 1 MiB of elements", admin_elements),
    *(Attack(f"admin, list of {name}", listed(path)) for name, path in LISTS.items()),
    Attack("admin, page", page("/admin")),
)
