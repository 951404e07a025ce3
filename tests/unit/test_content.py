"""The content check lets pass or refuses, by the addresses of a wish."""

import pytest

from service.errors import ContentRefused
from service.jobs.content import AllowAll, ContentCheck, DenyList
from service.jobs.job import JobSpec

DENY: ContentCheck = DenyList(frozenset({"Casino", "straße", ""}))


def wish(source_url: str | None = None, mask_url: str | None = None) -> JobSpec:
    return JobSpec("image", source_url=source_url, source_key=None if source_url else "uploads/1/a/image.png", mask_url=mask_url)


@pytest.mark.parametrize(
    "url",
    [
        "https://casino.example.com/a.mp4",
        "https://example.com/CASINO.mp4",
        "https://example.com/%63asino.mp4",
        "https://example.com/a.mp4?from=ca%73ino",
        "https://example.com/ｃａｓｉｎｏ.mp4",
        "https://example.com/STRASSE.mp4",
        "https://example.com/stra%C3%9Fe.mp4",
    ],
)
def test_a_listed_word_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(ContentRefused):
        DENY.check(wish(url))
    with pytest.raises(ContentRefused):
        DENY.check(wish("https://example.com/a.png", mask_url=url))


@pytest.mark.parametrize("given", [wish("https://example.com/a.mp4", "https://example.com/mask.png"), wish()])
def test_other_addresses_and_uploads_pass(given: JobSpec) -> None:
    DENY.check(given)


def test_the_message_does_not_repeat_the_word() -> None:
    with pytest.raises(ContentRefused) as refusal:
        DENY.check(wish("https://example.com/casino"))
    assert "casino" not in str(refusal.value)


def test_the_default_lets_everything_pass() -> None:
    default: ContentCheck = AllowAll()
    default.check(wish("https://example.com/casino"))
