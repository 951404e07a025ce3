"""Links: a folder's have our signature, a bucket's its own; only valid ones are recognised."""

import secrets
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import KeyInvalid, SignatureExpired
from service.outside.links import Links
from service.outside.storage import Storage
from tests.s3_server import s3

KEY = "jobs/0f3c/clean.mp4"
NOW = 1_700_000_000.0
KEYS = st.text("ab1_-", min_size=1, max_size=6).map(lambda name: f"jobs/{name}.mp4")
FILENAMES = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


class Clock:
    """A clock set by the test."""

    def __init__(self) -> None:
        self.now_seconds = NOW

    def __call__(self) -> float:
        return self.now_seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def links(tmp_path: Path, clock: Clock) -> Links:
    return Links("https://clean.example.com/service/", b"secret", Storage.open(str(tmp_path)), clock)


def parts_of(url: str) -> tuple[str, int, str, str | None]:
    """Key, expiry, signature and file name in a link."""
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    return urlsplit(url).path.removeprefix("/service/files/"), int(query["expires"]), query["signature"], query.get("filename")


def test_a_link_is_written_as_documented(links: Links) -> None:
    signature = (
        "dab51cdee791c4e6b559ddc40cd8b963c0f2cc38d81e6c10423a01d3f14ab861"  # of the key, the expiry and an empty file name, one per line
    )
    assert links.url(KEY, 60) == f"https://clean.example.com/service/files/{KEY}?expires=1700000060&signature={signature}"


@given(KEYS, st.integers(1, 10**9), FILENAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_link_is_valid_as_created(links: Links, key: str, seconds: int, filename: str | None) -> None:
    url = links.url(key, seconds, filename)
    links.verify(*parts_of(url))
    assert parts_of(url)[0] == key
    assert links.key_of(url) == key
    assert links.key_of(f"{url}&download=1") == key


@given(KEYS, FILENAMES, st.integers(0, 3), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_link_with_any_part_changed_is_refused(links: Links, key: str, filename: str | None, part: int, data: st.DataObject) -> None:
    good = parts_of(links.url(key, 60, filename))
    other = data.draw([KEYS, st.integers(-(10**12), 10**12), st.text(), FILENAMES][part])
    changed = (*good[:part], other, *good[part + 1 :])
    if changed != good and not (part == 3 and not other and not filename):
        with pytest.raises(KeyInvalid):
            links.verify(*changed)  # type: ignore[arg-type]


def test_parts_of_a_link_cannot_be_shifted_into_one_another(links: Links) -> None:
    _, expires, signature, _ = parts_of(links.url("a", 60, "1\nb"))
    with pytest.raises(KeyInvalid):
        links.verify(f"a\n{expires}", 1, signature, "b")


@given(st.integers(1, 10**8), st.floats(0, 10**8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_lasting_link_is_valid_and_stays_the_same_until_its_last_tenth(
    links: Links, clock: Clock, seconds: int, age_seconds: float
) -> None:
    clock.now_seconds = NOW + age_seconds
    url = links.lasting(KEY, seconds, NOW)
    _, expires, _, _ = parts_of(url)
    left_seconds = expires - clock.now_seconds
    assert 0 < left_seconds <= seconds
    clock.now_seconds += max(0, left_seconds - max(1, min(seconds / 10, 3600)) - 1)
    assert links.lasting(KEY, seconds, NOW) == url
    links.verify(*parts_of(url))
    clock.now_seconds = expires
    assert links.lasting(KEY, seconds, NOW) != url


def test_a_lasting_link_of_the_future_is_valid(links: Links) -> None:
    links.verify(*parts_of(links.lasting(KEY, 60, NOW + 5)))


def test_a_link_expires(links: Links, clock: Clock) -> None:
    url = links.url(KEY, 60)
    clock.now_seconds = NOW + 59.9
    links.verify(*parts_of(url))
    clock.now_seconds = NOW + 60
    with pytest.raises(SignatureExpired):
        links.verify(*parts_of(url))
    assert links.key_of(url) is None


def test_a_forged_link_does_not_learn_whether_it_has_expired(links: Links) -> None:
    with pytest.raises(KeyInvalid):
        links.verify(KEY, 0, "0" * 64)


def test_another_secret_makes_other_links(links: Links, tmp_path: Path, clock: Clock) -> None:
    other = Links("https://clean.example.com/service", b"other", Storage.open(str(tmp_path)), clock)
    assert other.key_of(links.url(KEY, 60)) is None


def test_foreign_links_are_not_ours(links: Links) -> None:
    good = links.url(KEY, 60)
    for url in (
        good.replace("clean.example.com", "clean.example.com.example.net"),
        good.replace("https://", "http://"),
        good.replace("https://", "https://user@"),
        good.replace("/service/files/", "/service/other/"),
        good.replace("/service/", "/"),
        good.replace("jobs/", "../"),
        good.replace("signature=", "signature=0"),
        good.replace("expires=", "expires=x"),
        good.partition("&")[0],
        good.partition("?")[0],
        "not a url",
        "",
    ):
        assert links.key_of(url) is None


def test_an_invalid_key_is_never_signed(links: Links) -> None:
    with pytest.raises(ValueError, match="not a key"):
        links.url("../secret.json", 60)


def test_a_bucket_signs_its_own_links(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3().environment.items():
        monkeypatch.setenv(name, value)
    storage = Storage.open(f"{s3().bucket}/{secrets.token_hex(4)}")
    storage.put_bytes(KEY, b"film", "video/mp4")
    links = Links("https://clean.example.com", b"secret", storage)
    url = links.url(KEY, 60, "film.mp4")
    assert url.startswith(s3().url)
    assert links.key_of(url) == KEY
    assert links.key_of(links.url(KEY, 0)) is None
    assert links.key_of(f"{url}0") is None
    assert links.key_of(f"https://example.com/{KEY}") is None
