"""Receives clients' files: complete, within the size limit, under new keys of their account."""

import re
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from service.errors import QueueFull

FORM_BYTES: Final = 64 * 2**10  # allowance for a form's other fields
NAME_CHARACTERS: Final = 64
MAX_FOLDERS: Final = 4
RANDOM_BYTES: Final = 12  # in a key, so that nobody can guess it and no upload replaces another
TEMPORARY_PREFIX: Final = "cleanplate-upload-"
ACCOUNT_UPLOADS: Final = 8  # that arrive at once: their files are on the disk before they can count towards the account's quota


def plain_path(text: str) -> str:
    """A client's folder, sanitised for a key: at most four names of letters, digits, dots and dashes; may be empty."""
    names = (plain_name(name) for name in re.split(r"[/\\]+", text))
    return "/".join([name for name in names if name][:MAX_FOLDERS])


def plain_name(text: str) -> str:
    """A client's file name, sanitised for a key; may be empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:NAME_CHARACTERS].strip(".-")


def upload_key(account_id: int, path: str) -> str:
    """A new key of the account for a file with this sanitised path."""
    return f"uploads/{account_id}/{secrets.token_hex(RANDOM_BYTES)}/{path}"


class AccountSlots:
    """Limits what runs at once for one account. For one event loop."""

    def __init__(self, of_account: int, what: str) -> None:
        self._of_account = of_account
        self._what = what
        self._running: Counter[int] = Counter()

    @property
    def running(self) -> int:
        """How much runs now, for all accounts."""
        return self._running.total()

    @contextmanager
    def one(self, account_id: int) -> Iterator[None]:
        """A block that takes one of the account's slots. Raises QueueFull if none is left."""
        if self._running[account_id] >= self._of_account:
            raise QueueFull(f"the account has {self._of_account} {self._what} in progress, which is the limit")
        self._running[account_id] += 1
        try:
            yield
        finally:
            self._running[account_id] -= 1
            self._running += Counter()  # drops accounts without any
