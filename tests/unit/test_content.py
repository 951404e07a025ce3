"""The content check accepts or refuses a job by its URLs."""

import pytest

from service.errors import ContentRefused
from service.jobs.content import AllowAll, ContentCheck, DenyList
from service.jobs.job import JobSpec

DENY: ContentCheck = DenyList(frozenset({"Casino", "straße", ""}))


def spec(source_url: str | None = None, mask_url: str | None = None) -> JobSpec:
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
def test_a_listed_word_is_refused_in_any_spelling(url: str) -> None:
    with pytest.raises(ContentRefused):
        DENY.check(spec(url))
    with pytest.raises(ContentRefused):
        DENY.check(spec("https://example.com/a.png", mask_url=url))


@pytest.mark.parametrize("accepted", [spec("https://example.com/a.mp4", "https://example.com/mask.png"), spec()])
def test_other_addresses_and_uploads_pass(accepted: JobSpec) -> None:
    DENY.check(accepted)


def test_the_message_does_not_repeat_the_word() -> None:
    with pytest.raises(ContentRefused) as refusal:
        DENY.check(spec("https://example.com/casino"))
    assert "casino" not in str(refusal.value)


def test_the_default_accepts_everything() -> None:
    default: ContentCheck = AllowAll()
    default.check(spec("https://example.com/casino"))
