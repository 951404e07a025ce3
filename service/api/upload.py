"""Receives clients' files: complete, within the size limit, under new keys of their account."""

import re
import secrets
from typing import Final

FORM_BYTES: Final = 64 * 2**10  # allowance for a form's other fields
NAME_CHARACTERS: Final = 64
MAX_FOLDERS: Final = 4
RANDOM_BYTES: Final = 12  # in a key, so that nobody can guess it and no upload replaces another
TEMPORARY_PREFIX: Final = "cleanplate-upload-"


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
