"""Takes clients' files: whole, within the limit, under new keys of their account."""

import re
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from service.errors import ParameterError, TooLarge
from service.outside.storage import Storage, content_type_of

MOST_FIELDS: Final = 20
FORM_BYTES: Final = 64 * 2**10  # what a form has besides its file
NAME_CHARACTERS: Final = 64
MOST_FOLDERS: Final = 4
RANDOM_BYTES: Final = 12  # of a key: nobody guesses another's, and no upload replaces another
TEMPORARY_PREFIX: Final = "cleanplate-upload-"


def plain_path(text: str) -> str:
    """A client's folder as part of a key: at most four names of letters, digits, dots and dashes; may be empty."""
    names = (plain_name(name) for name in re.split(r"[/\\]+", text))
    return "/".join([name for name in names if name][:MOST_FOLDERS])


def plain_name(text: str) -> str:
    """A client's name as part of a key; may be empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:NAME_CHARACTERS].strip(".-")


def upload_key(account_id: int, path: str) -> str:
    """A new key of an account for a file of this path, which is plain."""
    return f"uploads/{account_id}/{secrets.token_hex(RANDOM_BYTES)}/{path}"


def keep_stream(storage: Storage, key: str, file: BinaryIO) -> int:
    """Store an open file under a key; how many bytes it has."""
    with TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        path = Path(folder) / "upload"
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        storage.put_file(key, path, content_type_of(key))
        return path.stat().st_size


@asynccontextmanager
async def read_form(request: Request, most_bytes: int, most_files: int = 1) -> AsyncIterator[FormData]:
    """The fields of a multipart form, files among them, of so many bytes in all. Raises ParameterError, TooLarge."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ParameterError("the body is not multipart/form-data")
    stream = _bounded(request.stream(), most_bytes + FORM_BYTES)
    try:
        form = await MultiPartParser(request.headers, stream, max_files=most_files, max_fields=MOST_FIELDS).parse()
    except MultiPartException:
        raise ParameterError("the body is not multipart/form-data as it should be") from None
    try:
        yield form
    finally:
        await form.close()


async def _bounded(stream: AsyncGenerator[bytes, None], most_bytes: int) -> AsyncGenerator[bytes, None]:
    read_bytes = 0
    async for part in stream:
        read_bytes += len(part)
        if read_bytes > most_bytes:
            raise TooLarge(f"the file has more than {most_bytes // 2**20} MiB, which is the limit")
        yield part
