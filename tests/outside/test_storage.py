"""The storage behaves the same as a folder and as a bucket; both are tested, the bucket on a real S3 server."""

import os
import secrets
import stat
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import LocalStore

from service.errors import SettingsError, StorageError
from service.outside.storage import PART_BYTES, Storage, content_type_of, is_key
from tests.s3_server import s3

KEY = "jobs/0f3c/clean.mp4"
BIG = os.urandom(2**20) * (PART_BYTES // 2**20) * 2 + b"and a bit"  # several parts, both for writing and for reading


@pytest.fixture
def folder(tmp_path: Path) -> Storage:
    return Storage.open(str(tmp_path / "files"))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Storage:
    server = s3()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return Storage.open(f"{server.bucket}/{secrets.token_hex(4)}")


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest) -> Storage:
    opened: Storage = request.getfixturevalue(request.param)
    return opened


def put(storage: Storage, *keys: str) -> None:
    for key in keys:
        storage.put_bytes(key, key.encode(), content_type_of(key))


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_bytes_are_stored(storage: Storage) -> None:
    storage.put_bytes(KEY, b"first", "video/mp4")
    storage.put_bytes(KEY, b"second", "video/mp4")
    assert storage.get_bytes(KEY) == b"second"


def test_a_large_file_is_stored(storage: Storage, tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    source.write_bytes(BIG)
    storage.put_file(KEY, source, "video/mp4")
    storage.get_file(KEY, target)
    assert target.read_bytes() == BIG
    stored = storage.stat(KEY)
    assert stored
    assert (stored.bytes, stored.content_type) == (len(BIG), "video/mp4")


def test_an_empty_file_is_stored(storage: Storage, tmp_path: Path) -> None:
    storage.put_bytes(KEY, b"", "video/mp4")
    storage.get_file(KEY, tmp_path / "target.mp4")
    assert (tmp_path / "target.mp4").read_bytes() == b""


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, None), (0, 0), (5, 5), (1, 4), (PART_BYTES - 1, PART_BYTES + 1), (7, len(BIG)), (len(BIG) - 1, len(BIG) + 9), (len(BIG), None)],
)
def test_any_range_is_read(folder: Storage, start: int, end: int | None) -> None:
    folder.put_bytes(KEY, BIG, "video/mp4")
    assert b"".join(folder.read(KEY, start, end)) == BIG[start:end]


def test_a_range_is_read_in_short_parts(storage: Storage) -> None:
    storage.put_bytes(KEY, BIG, "video/mp4")
    parts = list(storage.read(KEY, 3, len(BIG) - 3))
    assert b"".join(parts) == BIG[3:-3]
    assert max(map(len, parts)) <= PART_BYTES


@pytest.mark.parametrize(
    ("key", "content_type"),
    [("a.mp4", "video/mp4"), ("a.mov", "video/quicktime"), ("a.b/c.jpg", "image/jpeg"), ("a.json", "application/json")],
)
def test_metadata_of_a_file(storage: Storage, key: str, content_type: str) -> None:
    storage.put_bytes(key, b"12345", content_type)
    stored = storage.stat(key)
    assert stored
    assert (stored.key, stored.bytes, stored.content_type) == (key, 5, content_type)
    assert abs(datetime.now(UTC) - stored.modified_at) < timedelta(minutes=1)


def test_a_missing_file_has_no_metadata(storage: Storage) -> None:
    put(storage, "jobs/0f3c/clean.mp4")
    assert storage.stat("jobs/0f3c/source.mp4") is None
    assert storage.stat("jobs/0f3c") is None


def test_reading_a_missing_file_fails_and_leaves_nothing(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "out" / "target.mp4"
    target.parent.mkdir()
    with pytest.raises(StorageError):
        storage.get_file(KEY, target)
    with pytest.raises(StorageError):
        storage.get_bytes(KEY)
    with pytest.raises(StorageError):
        list(storage.read(KEY))
    assert not list(target.parent.iterdir())


def test_a_target_is_unchanged_if_the_copy_fails(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "target.mp4"
    target.write_bytes(b"before")
    with pytest.raises(StorageError):
        storage.get_file(KEY, target)
    assert target.read_bytes() == b"before"


def test_storing_an_unreadable_file_fails(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        storage.put_file(KEY, tmp_path / "nothing.mp4", "video/mp4")
    assert str(tmp_path) not in str(caught.value)
    assert storage.stat(KEY) is None


def test_files_are_listed_and_deleted_by_folder(storage: Storage) -> None:
    inside, outside = {"jobs/1/a.mp4", "jobs/1/b/c.png"}, {"jobs/10/a.mp4", "other/a.mp4"}
    put(storage, *inside, *outside)
    assert set(storage.list_under("jobs/1")) == inside
    assert storage.delete_under("jobs/1") == 2
    assert set(storage.list_under("jobs")) | set(storage.list_under("other")) == outside
    assert storage.delete_under("jobs/1") == 0


def test_deleting_twice_is_allowed(storage: Storage) -> None:
    put(storage, KEY)
    storage.delete(KEY)
    storage.delete(KEY)
    assert storage.stat(KEY) is None


def test_a_healthy_storage_passes_its_check_which_leaves_nothing(storage: Storage) -> None:
    storage.check()
    assert not list(storage.list_under("checks"))


def test_concurrent_checks_do_not_interfere(folder: Storage) -> None:
    with ThreadPoolExecutor(8) as threads:  # each deletes the folder that the others are about to use
        for done in [threads.submit(folder.check) for _ in range(400)]:
            done.result()


def test_a_missing_folder_fails_its_check(folder: Storage, tmp_path: Path) -> None:
    (tmp_path / "files").rmdir()
    (tmp_path / "files").write_bytes(b"in its place")
    with pytest.raises(StorageError) as caught:
        folder.check()
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("work", ["check", "stat", "get", "list", "delete"])
def test_an_unreachable_bucket_is_an_error(monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # the port of `discard`, where nothing listens
    gone = Storage.open("s3://cleanplate/gone")
    works: dict[str, Callable[[], object]] = {
        "check": gone.check,
        "stat": lambda: gone.stat(KEY),
        "get": lambda: gone.get_bytes(KEY),
        "list": lambda: list(gone.list_under("jobs")),
        "delete": lambda: gone.delete(KEY),
    }
    with pytest.raises(StorageError) as caught:
        works[work]()
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.usefixtures("bucket")
def test_a_missing_bucket_fails_its_check() -> None:
    with pytest.raises(StorageError):
        Storage.open("s3://never-made").check()


NO_KEYS = ["", "/a.mp4", "a//b.mp4", "../a.mp4", "a/../b.mp4", "a/.b.mp4", "a b.mp4", "a.mp4#1", "é.mp4", "a.mp4\n", "a" * 513]


@pytest.mark.parametrize("key", NO_KEYS)
def test_invalid_keys_are_refused_everywhere(storage: Storage, key: str, tmp_path: Path) -> None:
    assert not is_key(key)
    for work in (
        lambda: put(storage, key),
        lambda: storage.get_bytes(key),
        lambda: storage.get_file(key, tmp_path / "target.mp4"),
        lambda: storage.stat(key),
        lambda: storage.delete(key),
        lambda: storage.delete_under(key),
        lambda: storage.local_path(key),
    ):
        with pytest.raises(ValueError, match="not a key"):
            work()


@given(st.lists(st.text("aZ0._-/", max_size=8), min_size=1, max_size=4).map("/".join))
def test_no_key_leads_out_of_its_folder(text: str) -> None:
    if is_key(text):
        path = Path("/top") / text
        assert path.is_relative_to("/top")
        assert ".." not in path.parts
        assert str(path) == f"/top/{text}"


def test_a_folder_is_private_to_its_owner(tmp_path: Path) -> None:
    storage = Storage.open(f"file://{tmp_path}/some%20files")
    assert storage.is_local
    assert stat.S_IMODE((tmp_path / "some files").stat().st_mode) == 0o700


def test_a_folder_has_paths_and_free_space(folder: Storage) -> None:
    put(folder, KEY)
    path = folder.local_path(KEY)
    assert path
    assert path.read_bytes() == KEY.encode()
    assert folder.local_path("jobs/0f3c") is None
    assert folder.local_path("jobs/0f3c/other.mp4") is None
    room = folder.free_bytes()
    assert room
    assert room > 0
    assert folder.presign(KEY, 60) is None


def test_empty_subfolders_are_removed(folder: Storage, tmp_path: Path) -> None:
    put(folder, "jobs/1/a.mp4", "jobs/1/b.mp4", "jobs/2/a.mp4")
    folder.delete_under("jobs/1")
    assert [path.name for path in (tmp_path / "files" / "jobs").iterdir()] == ["2"]
    folder.delete_under("jobs/2")
    assert not list((tmp_path / "files").iterdir())


def test_a_bucket_has_no_paths_and_no_free_space(bucket: Storage) -> None:
    put(bucket, KEY)
    assert not bucket.is_local
    assert bucket.local_path(KEY) is None
    assert bucket.free_bytes() is None


def test_staging_files_of_dead_writers_are_swept(folder: Storage, tmp_path: Path) -> None:
    put(folder, KEY)
    home = tmp_path / "files" / "jobs" / "0f3c"
    for name in ("clean.mp4#1", "clean.mp4#2"):
        (home / name).write_bytes(b"half")
    an_hour_ago = time.time() - 3600
    os.utime(home / "clean.mp4#1", (an_hour_ago, an_hour_ago))
    os.utime(home / "clean.mp4", (an_hour_ago, an_hour_ago))
    assert folder.sweep_staging(older_than_seconds=600) == 1
    assert files_in(home) == {"clean.mp4", "clean.mp4#2"}
    assert set(folder.list_under("jobs")) == {KEY}  # neither kind of staging file is ever listed


def test_staging_files_are_named_as_obstore_does(tmp_path: Path) -> None:
    seen: set[str] = set()

    def parts() -> Iterator[bytes]:
        for _ in range(3):
            yield bytes(PART_BYTES)
            seen.update(files_in(tmp_path))

    obstore.put(LocalStore(tmp_path), "a.mp4", parts())
    assert seen == {"a.mp4#1"}
    assert files_in(tmp_path) == {"a.mp4"}


def test_objects_of_dead_checks_are_swept(storage: Storage) -> None:
    put(storage, "checks/0123.json", KEY)
    assert storage.sweep_staging(older_than_seconds=600) == 0
    assert storage.sweep_staging(older_than_seconds=-60) == 1
    assert not list(storage.list_under("checks"))
    assert storage.get_bytes(KEY)


def test_a_presigned_link_serves_the_file_with_its_type(bucket: Storage) -> None:
    bucket.put_bytes(KEY, b"film", "video/mp4")
    url = bucket.presign(KEY, 60)
    assert url
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"film"
        assert answer.headers["Content-Type"] == "video/mp4"
    assert bucket.key_of_presigned_url(url) == KEY


def test_a_presigned_link_is_valid_for_a_week_at_most(bucket: Storage) -> None:
    url = bucket.presign(KEY, 14 * 86400)
    assert url
    assert "X-Amz-Expires=604800&" in url


def test_only_valid_links_of_this_bucket_are_recognised(bucket: Storage) -> None:
    put(bucket, KEY, "jobs/0f3c/other.mp4")
    good, over = bucket.presign(KEY, 60), bucket.presign(KEY, 0)
    assert good
    assert over
    bare = good.partition("?")[0]
    for url in (
        over,
        bare,
        good.replace("clean.mp4", "other.mp4"),
        good.replace("Signature=", "Signature=0"),
        good.replace("/cleanplate/", "/other/"),
        good.replace("127.0.0.1", "example.com"),
        good.replace("http://", "http://user@"),
        good.replace("/jobs/", "/../"),
        "https://example.com/film.mp4",
        "",
    ):
        assert bucket.key_of_presigned_url(url) is None


@pytest.mark.usefixtures("bucket")
def test_a_link_cannot_be_checked_if_the_bucket_does_not_respond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    gone = Storage.open("s3://cleanplate/gone")
    url = gone.presign(KEY, 60)
    assert url
    with pytest.raises(StorageError):
        gone.key_of_presigned_url(url)


@pytest.mark.parametrize("url", ["", "ftp://example.com/files", "file://files", "s3://", "http://example.com", "az://no-account-named"])
def test_an_invalid_storage_url_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError):
        Storage.open(url)


def test_a_folder_that_cannot_be_created_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError) as caught:
        Storage.open(str(tmp_path / "file" / "folder"))
    assert str(tmp_path) not in str(caught.value)
