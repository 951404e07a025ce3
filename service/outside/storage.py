"""Where files live: a folder, or a bucket of S3, Google or Azure. Every job's files have keys like `jobs/0f3c/clean.mp4`."""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import unquote, urlsplit

import httpx
import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store, from_url

from service.errors import SettingsError, StorageError

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta
    from obstore.store import RetryConfig

Store = LocalStore | S3Store | GCSStore | AzureStore

BUCKET_SCHEMES: Final = ("s3", "gs", "az")
KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
KEY_LENGTH: Final = 512
STAGING: Final = re.compile(r".+#\d+")  # obstore writes `name#1` and renames it; no key has a `#`
CHECKS: Final = "checks"  # where `check` puts its objects
CONTENT_TYPES: Final = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".json": "application/json",
    ".html": "text/html",
}
# A request may take 30 s in all, its body too: parts keep each one short, and so few at once leave each its share of the line.
PART_BYTES: Final = 8 * 2**20
PARTS_AT_ONCE: Final = 4
PRESIGNED_SECONDS: Final = 7 * 86400.0  # S3 refuses links that are to live longer
PROBE: Final = "probe.json"
ASK_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Stored:
    """What the storage knows of one file."""

    key: str
    bytes: int
    content_type: str
    modified_at: datetime


class Storage:
    """Files by key. Whatever goes wrong outside of this process is a `StorageError`; a key that is none is a `ValueError`."""

    def __init__(self, store: Store, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def open(cls, url: str) -> Self:
        """The storage of a URL: `file:///folder` or a folder's path, which is made, or `s3://`, `gs://`, `az://` with bucket and prefix.

        Credentials, region and endpoint of a bucket come from the usual variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...).
        """
        scheme, separator, path = url.partition("://")
        if scheme in BUCKET_SCHEMES and separator:
            return cls(_open_bucket(url))
        if scheme == "file" and path.startswith("/"):
            return cls._open_folder(Path(unquote(path)))
        if url and not separator:
            return cls._open_folder(Path(url))
        raise SettingsError("the storage is a folder, or a URL that begins with file:///, s3://, gs:// or az://")

    @classmethod
    def _open_folder(cls, folder: Path) -> Self:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(LocalStore(folder.resolve(), automatic_cleanup=True), folder.resolve())
        except (OSError, BaseError) as error:
            raise SettingsError(f"the storage's folder {folder.name} cannot be made") from error

    @property
    def is_local(self) -> bool:
        return self._folder is not None

    def put_file(self, key: str, path: Path, content_type: str) -> None:
        """Keep a file under a key, whole or not at all; what was there is replaced."""
        self._put(key, path, content_type)

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        """Keep bytes under a key, whole or not at all; what was there is replaced."""
        self._put(key, data, content_type)

    def _put(self, key: str, data: Path | bytes, content_type: str) -> None:
        attributes = None if self.is_local else {"Content-Type": content_type}  # a folder keeps names only: see `content_type_of`
        with _faults("keep a file"):
            obstore.put(self._store, checked(key), data, attributes=attributes, max_concurrency=PARTS_AT_ONCE)

    def get_file(self, key: str, target: Path) -> None:
        """Copy what a key holds to a file, whole or not at all."""
        part = target.with_name(f"{target.name}.part")
        try:
            with _faults("copy a file"):
                with part.open("wb") as file:
                    file.writelines(self.read(key))
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def get_bytes(self, key: str) -> bytes:
        """All that a key holds; for small files."""
        with _faults("read a file"):
            return bytes(obstore.get(self._store, checked(key)).bytes())

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes of a key from `start` up to `end` (its size, if beyond or not given), in parts."""
        stored = self.stat(key)
        if stored is None:
            raise StorageError("the file is not in the storage")
        end = stored.bytes if end is None else min(end, stored.bytes)
        for offset in range(start, end, PART_BYTES):
            with _faults("read a file"):
                part = obstore.get_range(self._store, key, start=offset, end=min(offset + PART_BYTES, end))
            yield bytes(part)

    def stat(self, key: str) -> Stored | None:
        """What is known of a key; None if it holds nothing."""
        with _faults("tell about a file"):
            try:
                found = obstore.get(self._store, checked(key), options={"head": True})
            except FileNotFoundError:
                return None
        return _stored(key, found)

    def delete(self, key: str) -> None:
        """Delete what a key holds, if anything."""
        with _faults("delete a file"), suppress(FileNotFoundError):
            obstore.delete(self._store, checked(key))

    def delete_under(self, prefix: str) -> int:
        """Delete all keys below `prefix/`; how many there were."""
        keys = list(self.list_under(prefix))
        for key in keys:
            self.delete(key)
        return len(keys)

    def list_under(self, prefix: str) -> Iterator[str]:
        """The keys below `prefix/`, at any depth, in no order."""
        return (found["path"] for found in self._found_under(prefix))

    def older_under(self, prefix: str, seconds: float) -> Iterator[str]:
        """The keys below `prefix/` that were last written so long ago."""
        oldest = time.time() - seconds
        return (found["path"] for found in self._found_under(prefix) if found["last_modified"].timestamp() < oldest)

    def _found_under(self, prefix: str) -> "Iterator[ObjectMeta]":
        pages = obstore.list(self._store, checked(prefix), chunk_size=1000)
        while True:
            with _faults("list its files"):
                page = next(pages, None)
            if page is None:
                return
            yield from page

    def check(self) -> None:
        """Write, read back and delete a tiny object; a `StorageError` if that fails."""
        key, data = f"{CHECKS}/{secrets.token_hex(8)}.json", b"{}"
        self.put_bytes(key, data, CONTENT_TYPES[".json"])
        try:
            if self.get_bytes(key) != data:
                raise StorageError("the storage gives back other bytes than it was given")
        finally:
            self.delete(key)

    def presign(self, key: str, seconds: float) -> str | None:
        """A link to a key of a bucket, from the bucket itself, for as long as asked but a week at most; None for a folder."""
        if isinstance(self._store, LocalStore):
            return None
        with _faults("sign a link"):
            return obstore.sign(self._store, "GET", checked(key), timedelta(seconds=int(min(seconds, PRESIGNED_SECONDS))))

    def key_presigned(self, url: str) -> str | None:
        """The key that a presigned link leads to, if it is one of this bucket's and still good: the bucket is asked, it alone can tell."""
        probe = self.presign(PROBE, 60)
        if probe is None:
            return None
        base = probe.partition("?")[0].removesuffix(PROBE)
        key = url.partition("?")[0].removeprefix(base)
        if not (url.startswith(base) and is_key(key)):
            return None
        try:
            answer = httpx.get(url, headers={"Range": "bytes=0-0"}, timeout=ASK_SECONDS)
        except httpx.InvalidURL:
            return None
        except httpx.HTTPError as error:
            raise StorageError("the storage does not answer") from error
        return key if answer.is_success else None

    def local_path(self, key: str) -> Path | None:
        """The file that a key of a folder is; None if there is none, or no folder."""
        name = checked(key)
        path = self._folder / name if self._folder else None
        return path if path and path.is_file() else None

    def free_bytes(self) -> int | None:
        """Room left on the folder's disk; None for a bucket."""
        with _faults("tell its free room"):
            return shutil.disk_usage(self._folder).free if self._folder else None

    def sweep_staging(self, older_than_seconds: float) -> int:
        """Delete what writes and checks that died left behind; how many files. A bucket drops its own unfinished uploads (by a rule)."""
        oldest = time.time() - older_than_seconds
        checks = [found["path"] for found in self._found_under(CHECKS) if found["last_modified"].timestamp() < oldest]
        for key in checks:
            self.delete(key)
        return len(checks) + (_sweep_folder(self._folder, oldest) if self._folder else 0)


def is_key(text: str) -> bool:
    """Whether a text can be a key: relative, without hidden or parent folders, of plain characters only."""
    return len(text) <= KEY_LENGTH and KEY.fullmatch(text) is not None


def checked(key: str) -> str:
    """The key itself; a `ValueError` if it is none, which is a fault of ours: keys in requests are checked where they are read."""
    if not is_key(key):
        raise ValueError("not a key of the storage")
    return key


def content_type_of(key: str) -> str:
    """The content type that a key's suffix stands for."""
    return CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")


def _open_bucket(url: str) -> S3Store | GCSStore | AzureStore:
    # No `client_options`: they would take the place of those in the environment, `AWS_ALLOW_HTTP` among them.
    retries: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}  # the steps of a job are retried themselves
    try:
        store = from_url(url, retry_config=retries)
    except (BaseError, ValueError) as error:
        raise SettingsError(f"the storage {urlsplit(url).scheme}:// cannot be opened, look at its variables and bucket") from error
    assert isinstance(store, S3Store | GCSStore | AzureStore)
    return store


def _stored(key: str, found: "GetResult") -> Stored:
    content_type = found.attributes.get("Content-Type") or content_type_of(key)
    return Stored(key, found.meta["size"], content_type, found.meta["last_modified"])


def _sweep_folder(folder: Path, oldest: float) -> int:
    """Delete staging files that were last written before `oldest`; how many."""
    swept = 0
    with _faults("sweep its folder"):
        for path in (Path(top, name) for top, _, names in os.walk(folder) for name in names if STAGING.fullmatch(name)):
            with suppress(FileNotFoundError):  # finished, or swept by another process, in this moment
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    swept += 1
    return swept


@contextmanager
def _faults(work: str) -> Iterator[None]:
    """Turn the errors of obstore and of the system into ours, which tell no path and no address."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise StorageError(f"the storage could not {work}") from error
