"""`/files` over real HTTP, for browsers, players and unauthorised clients."""

import secrets
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import fastapi
import httpx
import pytest
import uvicorn

from service.api import files
from service.outside.links import Links
from service.outside.storage import Storage
from tests.s3_server import s3

KEY = "jobs/0f3c/clean.mp4"
FILM = bytes(range(256)) * 1000
LAST = len(FILM) - 1


class Site:
    """A service with only `/files`."""

    def __init__(self, folder: Path | str) -> None:
        self.storage = Storage.open(str(folder))
        self.app = fastapi.FastAPI()
        self._server = uvicorn.Server(uvicorn.Config(self.app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> "Site":
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (listener,) = self._server.servers[0].sockets
        self.links = Links(f"http://127.0.0.1:{listener.getsockname()[1]}", b"secret", self.storage)
        self.app.include_router(files.router(self.links, self.storage))
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("files")) as site:
        site.storage.put_bytes(KEY, FILM, "video/mp4")
        yield site


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def url(site: Site) -> str:
    return site.links.url(KEY, 60)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_in_a_bucket_is_at_the_link_that_the_answer_names(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    for name, value in s3().environment.items():
        monkeypatch.setenv(name, value)
    with Site(f"{s3().bucket}/{secrets.token_hex(4)}") as site:
        site.storage.put_bytes(KEY, FILM, "video/mp4")
        redirect = client.request(method, site.links.lasting(KEY, 60, time.time()))
    assert redirect.status_code == 307
    there = client.request(method, redirect.headers["location"])
    assert (there.status_code, there.headers["content-length"]) == (200, str(len(FILM)))


def assert_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert set(answer.json()) == {"type", "title", "status", "detail"}


def test_a_file_is_downloaded(client: httpx.Client, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code == 200
    assert answer.content == FILM
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(FILM))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == 'inline; filename="clean.mp4"'
    assert answer.headers["cache-control"] == "private"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert parsedate_to_datetime(answer.headers["last-modified"])


def test_head_returns_a_files_headers(client: httpx.Client, url: str) -> None:
    looked, downloaded = client.head(url), client.get(url)
    assert looked.status_code == 200
    assert looked.content == b""
    assert {**looked.headers, "date": ""} == {**downloaded.headers, "date": ""}


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("0-0", 0, 0),
        ("0-", 0, LAST),
        ("1000-1999", 1000, 1999),
        ("200000-", 200000, LAST),
        ("-500", LAST - 499, LAST),
        ("-99999999", 0, LAST),
        (f"{LAST}-{LAST + 100}", LAST, LAST),
    ],
)
def test_ranges_are_served(client: httpx.Client, url: str, asked: str, first: int, last: int) -> None:
    answer = client.get(url, headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(FILM)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content == FILM[first : last + 1]


def test_a_range_beyond_the_end_is_refused(client: httpx.Client, url: str) -> None:
    answer = client.get(url, headers={"Range": f"bytes={len(FILM)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(FILM)}"


@pytest.mark.parametrize("validator", ["etag", "last-modified"])
def test_a_download_resumes_only_if_the_file_is_unchanged(client: httpx.Client, url: str, validator: str) -> None:
    same = client.head(url).headers[validator]
    assert client.get(url, headers={"Range": "bytes=10-19", "If-Range": same}).content == FILM[10:20]
    assert client.get(url, headers={"Range": "bytes=10-19", "If-Range": '"another"'}).content == FILM


def test_an_unchanged_file_is_not_sent_again(client: httpx.Client, url: str) -> None:
    sent = client.get(url)
    tag, time_of = sent.headers["etag"], sent.headers["last-modified"]
    for known in ({"If-None-Match": tag}, {"If-None-Match": f'"other", W/{tag}'}, {"If-None-Match": "*"}, {"If-Modified-Since": time_of}):
        for method in ("GET", "HEAD"):
            answer = client.request(method, url, headers=known)
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
            assert answer.headers["cache-control"] == "private"
    changed = {"If-None-Match": '"other"', "If-Modified-Since": time_of}  # the tag counts where both are sent
    assert client.get(url, headers=changed).content == FILM
    assert client.get(url, headers={"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}).content == FILM


def test_a_refused_link_is_never_unchanged(client: httpx.Client, url: str) -> None:
    assert_problem(client.get(url.replace("signature=", "signature=0"), headers={"If-None-Match": "*"}), 403)


def test_a_file_is_saved_under_its_name(client: httpx.Client, site: Site) -> None:
    plain, chinese = (client.head(f"{site.links.url(KEY, 60, name)}&download=1") for name in ("my film.mp4", '去"水印\r\n.mp4'))
    assert plain.headers["content-disposition"] == "attachment; filename*=utf-8''my%20film.mp4"
    assert chinese.headers["content-disposition"] == "attachment; filename*=utf-8''%E5%8E%BB%22%E6%B0%B4%E5%8D%B0%0D%0A.mp4"


def test_a_link_with_a_wrong_signature_is_refused(client: httpx.Client, url: str) -> None:
    for forged in (
        url.replace("clean.mp4", "source.mp4"),
        url.replace("signature=", "signature=0"),
        url.replace("expires=", "expires=9"),
        f"{url}&filename=other.mp4",
        url.partition("&")[0],
        url.partition("?")[0],
        url.replace("jobs/", "..%2f..%2f"),
    ):
        assert_problem(client.get(forged), 403)


def test_a_link_whose_expiry_is_not_a_number_is_refused(client: httpx.Client, url: str) -> None:
    answer = client.get(url.replace("expires=", "expires=x"))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_expired_link_is_refused(client: httpx.Client, site: Site) -> None:
    answer = client.get(site.links.url(KEY, 0))
    assert_problem(answer, 403)
    assert answer.json()["detail"] == "the link has expired"


def test_a_missing_file_is_a_404(client: httpx.Client, site: Site) -> None:
    for key in ("jobs/0f3c/gone.mp4", "jobs/0f3c"):
        answer = client.get(site.links.url(key, 60))
        assert_problem(answer, 404)
        assert answer.headers["cache-control"] == "no-store"


def test_the_content_type_follows_the_suffix(client: httpx.Client, site: Site) -> None:
    site.storage.put_bytes("jobs/1/page.png", b"<html><script>alert(1)</script>", "image/png")
    assert client.get(site.links.url("jobs/1/page.png", 60)).headers["content-type"] == "image/png"


def test_the_routes_are_documented(site: Site) -> None:
    operations = site.app.openapi()["paths"]["/files/{key}"]
    assert set(operations) == {"get", "head"}
    for operation in operations.values():
        assert {"200", "206", "304", "307", "400", "403", "404", "416", "422"} == set(operation["responses"])
        assert all(parameter["description"] for parameter in operation["parameters"])
