"""Receives clients' files: complete, within the size limit, under new keys of their account."""

import base64
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

from service.errors import InputError, QueueFull
from service.media import suffix_of_head
from service.outside.storage import content_type_of, is_key

FORM_BYTES: Final = 64 * 2**10  # allowance for a form's other fields
NAMED_KEY: Final = re.compile(r"uploads/\d+/named/")
NAME_CHARACTERS: Final = 64
MAX_FOLDERS: Final = 4
RANDOM_BYTES: Final = 12  # in a key, so that nobody can guess it and no upload replaces another
RUNNABLE: Final = frozenset({"text/html"})  # types that a browser would run or show as a page of ours
TEMPORARY_PREFIX: Final = "cleanplate-upload-"
ACCOUNT_UPLOADS: Final = 8  # that arrive at once: their files are on the disk before they can count towards the account's quota


def plain_path(text: str) -> str:
    """A client's folder, sanitised for a key: at most four names of letters, digits, dots and dashes; may be empty."""
    names = (plain_name(name) for name in re.split(r"[/\\]+", text))
    return "/".join([name for name in names if name][:MAX_FOLDERS])


def plain_name(text: str) -> str:
    """A client's file name, sanitised for a key; may be empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:NAME_CHARACTERS].strip(".-")


def upload_suffix(head: bytes, name: str) -> str:
    """The suffix that an upload is stored under: that of its type by its first bytes or, for files that are no media, the client's."""
    try:
        return suffix_of_head(head)
    except InputError:
        given = plain_name(PurePosixPath(name).suffix).lower()
        suffix = f".{given}" if given else ""
        return f"{suffix}.bin" if content_type_of(f"file{suffix}") in RUNNABLE else suffix


def named_key(account_id: int, path: str) -> str:
    """The account's key for a file that it names: the same for the same sanitised path, so that a newer file replaces the older one.

    No sanitised name ends in a dash, so a folder never has the key of a file: in a folder storage one would exclude the other.
    """
    *folders, name = path.split("/")
    return "/".join((f"uploads/{account_id}/named", *(f"{folder}-" for folder in folders), name))


def may_be_replaced(key: str) -> bool:
    """Whether a newer file may take the place of the one with this key."""
    return NAMED_KEY.match(key) is not None


def upload_key(account_id: int, path: str) -> str:
    """A new key of the account for a file with this sanitised path."""
    return f"uploads/{account_id}/{secrets.token_hex(RANDOM_BYTES)}/{path}"


def upload_id(key: str) -> str:
    """The id by which clients name an upload."""
    _, _, rest = key.split("/", 2)
    return base64.urlsafe_b64encode(rest.encode()).decode().rstrip("=")


def key_of_upload(account_id: int, identifier: str) -> str | None:
    """The key of the account's upload with this id, whether or not there is one; None for a text that is no id."""
    try:
        rest = base64.urlsafe_b64decode(identifier + "=" * (-len(identifier) % 4)).decode()
    except ValueError:
        return None
    key = f"uploads/{account_id}/{rest}"
    return key if is_key(key) and upload_id(key) == identifier else None


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
