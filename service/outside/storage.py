"""The object storage: a folder, or a bucket of S3, Google or Azure. Keys look like `jobs/0f3c/clean.mp4`."""

import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, Self
from urllib.parse import unquote

import httpx
import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from service.disk import free_bytes
from service.errors import SettingsError, StorageError
from service.outside.stores import Store, open_bucket, storage_errors

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta

log = logging.getLogger(__name__)

BUCKET_SCHEMES: Final = ("s3", "gs", "az")
KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
KEY_LENGTH: Final = 512
STAGING: Final = re.compile(r".+#\d+")  # obstore writes `name#1` and renames it; no key contains a `#`
CHECKS: Final = "checks"  # prefix of the objects that `check` writes
CONTENT_TYPES: Final = {
    ".mp4": "video/mp4",
    ".3gp": "video/3gpp",
    ".3g2": "video/3gpp2",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".json": "application/json",
    ".html": "text/html",
}
# A request may take 30 s including its body: small parts keep each one short, and few at once leave each enough bandwidth.
PART_BYTES: Final = 8 * 2**20
PARTS_AT_ONCE: Final = 4
PRESIGNED_SECONDS: Final = 7 * 86400.0  # S3 refuses links with a longer life
PROBE: Final = "probe.json"
PROBE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Stored:
    """Metadata of a stored file."""

    key: str
    bytes: int
    content_type: str
    modified_at: datetime


class Storage:
    """Files by key. Faults of the storage are raised as StorageError; an invalid key is a ValueError."""

    def __init__(self, store: Store, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the storage at `file:///folder` or a path, created if missing, or at `s3://`, `gs://` or `az://` with bucket and prefix.

        A bucket's credentials, region and endpoint come from the usual variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...).
        Raises SettingsError.
        """
        scheme, separator, path = url.partition("://")
        if scheme in BUCKET_SCHEMES and separator:
            return cls(open_bucket(url))
        if scheme == "file" and path.startswith("/"):
            return cls._open_folder(Path(unquote(path)))
        if url and not separator:
            return cls._open_folder(Path(url))
        raise SettingsError("the storage must be a folder, or a URL that begins with file:///, s3://, gs:// or az://")

    @classmethod
    def _open_folder(cls, folder: Path) -> Self:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(LocalStore(folder.resolve(), automatic_cleanup=True), folder.resolve())
        except (OSError, BaseError) as error:
            raise SettingsError(f"cannot create the storage folder {folder.name}") from error

    @property
    def folder(self) -> Path | None:
        """The storage's folder; None for a bucket."""
        return self._folder

    @property
    def is_local(self) -> bool:
        return self._folder is not None

    def put_file(self, key: str, path: Path, content_type: str) -> None:
        """Store a file under a key, completely or not at all; an existing object is replaced."""
        self._put(key, path, content_type)

    def put_stream(self, key: str, file: BinaryIO, content_type: str) -> None:
        """Store an open file under a key, completely or not at all; an existing object is replaced."""
        self._put(key, file, content_type)

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        """Store bytes under a key, completely or not at all; an existing object is replaced."""
        self._put(key, data, content_type)

    def adopt_file(self, key: str, path: Path, content_type: str) -> None:
        """Like `put_file`, for a file that nothing changes any more: in a folder on its disk it is the same file under another name."""
        if self._folder is not None:
            target = self._folder / check_key(key)
            try:
                with storage_errors("store a file"):
                    target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(path)
                return
            except FileExistsError:  # before a crash
                return
            except OSError:  # another disk, or one without links
                log.debug("%s is copied to the storage", key)
        self._put(key, path, content_type)

    def rename(self, key: str, new_key: str) -> None:
        """Give an object another key. A bucket copies it by itself."""
        with storage_errors("rename a file"):
            obstore.rename(self._store, check_key(key), check_key(new_key))

    def _put(self, key: str, data: Path | bytes | BinaryIO, content_type: str) -> None:
        attributes = None if self.is_local else {"Content-Type": content_type}  # a folder stores no attributes: see `content_type_of`
        with storage_errors("store a file"):
            obstore.put(self._store, check_key(key), data, attributes=attributes, max_concurrency=PARTS_AT_ONCE)

    def get_file(self, key: str, target: Path) -> None:
        """Copy an object to a file, completely or not at all."""
        part = target.with_name(f"{target.name}.part")
        try:
            with storage_errors("copy a file"):
                with part.open("wb") as file:
                    file.writelines(self.read(key))
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def get_bytes(self, key: str) -> bytes:
        """The whole object; for small ones."""
        with storage_errors("read a file"):
            return bytes(obstore.get(self._store, check_key(key)).bytes())

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The object's bytes from `start` to `end` (exclusive; by default its size), in parts. Raises StorageError if it is missing."""
        stored = self.stat(key)
        if stored is None:
            raise StorageError("the file is missing from the storage")
        end = stored.bytes if end is None else min(end, stored.bytes)
        for offset in range(start, end, PART_BYTES):
            with storage_errors("read a file"):
                part = obstore.get_range(self._store, key, start=offset, end=min(offset + PART_BYTES, end))
            yield bytes(part)

    def stat(self, key: str) -> Stored | None:
        """The object's metadata; None if there is no object."""
        with storage_errors("look up a file"):
            try:
                item = obstore.get(self._store, check_key(key), options={"head": True})
            except FileNotFoundError:
                return None
        return _stored(key, item)

    def delete(self, key: str) -> None:
        """Delete the object, if there is one."""
        with storage_errors("delete a file"), suppress(FileNotFoundError):
            obstore.delete(self._store, check_key(key))

    def delete_under(self, prefix: str) -> int:
        """Delete all keys below `prefix/`; return their number."""
        keys = list(self.list_under(prefix))
        for key in keys:
            self.delete(key)
        return len(keys)

    def list_under(self, prefix: str) -> Iterator[str]:
        """The keys below `prefix/`, at any depth, in no particular order."""
        return (item["path"] for item in self._list_objects(prefix))

    def older_under(self, prefix: str, seconds: float) -> Iterator[str]:
        """The keys below `prefix/` that were last written more than `seconds` ago."""
        oldest = time.time() - seconds
        return (item["path"] for item in self._list_objects(prefix) if item["last_modified"].timestamp() < oldest)

    def _list_objects(self, prefix: str) -> "Iterator[ObjectMeta]":
        pages = obstore.list(self._store, check_key(prefix), chunk_size=1000)
        while True:
            with storage_errors("list its files"):
                page = next(pages, None)
            if page is None:
                return
            yield from page

    def check(self) -> None:
        """Write, read back and delete a tiny object. Raises StorageError if that fails."""
        key, data = f"{CHECKS}/{secrets.token_hex(8)}.json", b"{}"
        self.put_bytes(key, data, CONTENT_TYPES[".json"])
        try:
            if self.get_bytes(key) != data:
                raise StorageError("the storage returns other bytes than were written")
        finally:
            self.delete(key)

    def presign(self, key: str, seconds: float, method: Literal["GET", "HEAD"] = "GET") -> str | None:
        """A link to a bucket's object, signed for this method, valid for `seconds` but a week at most; None for a folder."""
        if isinstance(self._store, LocalStore):
            return None
        with storage_errors("sign a link"):
            return obstore.sign(self._store, method, check_key(key), timedelta(seconds=int(min(seconds, PRESIGNED_SECONDS))))

    def key_of_presigned_url(self, url: str) -> str | None:
        """The key of a presigned link to this bucket that is still valid, else None. Only the bucket can verify it, so it is requested.

        Raises StorageError if the bucket does not respond.
        """
        probe = self.presign(PROBE, 60)
        if probe is None:
            return None
        base = probe.partition("?")[0].removesuffix(PROBE)
        key = url.partition("?")[0].removeprefix(base)
        if not (url.startswith(base) and is_key(key)):
            return None
        try:
            response = httpx.get(url, headers={"Range": "bytes=0-0"}, timeout=PROBE_SECONDS)
        except httpx.InvalidURL:
            return None
        except httpx.HTTPError as error:
            raise StorageError("the storage does not respond") from error
        return key if response.is_success else None

    def local_path(self, key: str) -> Path | None:
        """The file of a key in a folder; None for a bucket, or if there is no file."""
        name = check_key(key)
        path = self._folder / name if self._folder else None
        return path if path and path.is_file() else None

    def free_bytes(self) -> int | None:
        """Free space on the folder's disk, in bytes; None for a bucket."""
        with storage_errors("read its free space"):
            return free_bytes(self._folder) if self._folder else None

    def sweep_staging(self, older_than_seconds: float) -> int:
        """Delete the remains of interrupted writes and checks; return their number. A bucket drops unfinished uploads by its own rule."""
        oldest = time.time() - older_than_seconds
        checks = [item["path"] for item in self._list_objects(CHECKS) if item["last_modified"].timestamp() < oldest]
        for key in checks:
            self.delete(key)
        return len(checks) + (_sweep_folder(self._folder, oldest) if self._folder else 0)


def is_key(text: str) -> bool:
    """Whether a text is a valid key: relative, no hidden or parent folders, plain characters only."""
    return len(text) <= KEY_LENGTH and KEY.fullmatch(text) is not None


def check_key(key: str) -> str:
    """The key itself. Raises ValueError if it is invalid, which is a bug: keys in requests are checked where they are parsed."""
    if not is_key(key):
        raise ValueError("not a key of the storage")
    return key


def content_type_of(key: str) -> str:
    """The content type that a key's suffix stands for."""
    return CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")


def _stored(key: str, item: "GetResult") -> Stored:
    content_type = item.attributes.get("Content-Type") or content_type_of(key)
    return Stored(key, item.meta["size"], content_type, item.meta["last_modified"])


def _sweep_folder(folder: Path, oldest: float) -> int:
    """Delete staging files that were last written before `oldest`; return their number."""
    swept = 0
    with storage_errors("sweep its folder"):
        for path in (Path(top, name) for top, _, names in os.walk(folder) for name in names if STAGING.fullmatch(name)):
            with suppress(FileNotFoundError):  # just finished, or swept by another process
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    swept += 1
    return swept
