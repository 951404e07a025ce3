"""Share links on a host that replaces the closed site."""

import json
from typing import Literal

import pytest

from service.errors import FetchRefused, FetchUnavailable
from service.outside.guard import EgressPolicy
from service.outside.share_link import Post, ShareLinks, is_share_host, is_share_link, post_id_of, read_json, read_page
from tests.fixture_host import POST_ID, Host

LINK = f"https://sora.chatgpt.com/p/{POST_ID}"
VIDEO = "https://videos.example.com/raw/a.mp4?sig=a%2Fb&exp=1"
THUMBNAIL = "https://videos.example.com/thumb.webp"
PROMPT = 'A "cat" & a dog, 猫 <3'


def links(there: Host, egress: EgressPolicy, mode: Literal["off", "json", "page"]) -> ShareLinks:
    return ShareLinks(mode, there.url, egress)


@pytest.mark.parametrize(
    "url",
    [
        LINK,
        LINK + "/",
        LINK + "?psh=abc",
        LINK + "/?a=b#c",
        LINK.upper(),
        f" {LINK}\n",
        LINK.replace("chatgpt.", ""),
        LINK.replace("https", "http"),
    ],
)
def test_share_links_are_recognised(url: str) -> None:
    assert is_share_link(url)
    assert post_id_of(url) == POST_ID


@pytest.mark.parametrize("mode", ["json", "page"])
def test_errors_do_not_name_the_server_that_resolves(there: Host, egress: EgressPolicy, mode: Literal["json", "page"]) -> None:
    there.serve(f"/p/{POST_ID}", b"", status=503)
    with pytest.raises(FetchUnavailable, match="the site of the share links answered with status 503"):
        links(there, egress, mode).resolve(LINK)


@pytest.mark.parametrize(
    ("url", "is_there"),
    [
        (LINK, True),
        ("https://sora.chatgpt.com/p/short", True),
        ("HTTPS://WWW.SORA.COM", True),
        ("http://sora.com:443?x", True),
        ("https://sora.com.example.com/p/x", False),
        ("https://videos.sora.com/p/x", False),
        ("https://example.com/https://sora.com/p/x", False),
    ],
)
def test_the_hosts_of_share_links_are_recognised(url: str, is_there: bool) -> None:
    assert is_share_host(url) == is_there


@pytest.mark.parametrize(
    "url",
    [
        "",
        VIDEO,
        LINK[:-1],
        LINK + "0",
        LINK + "/more",
        LINK.replace("s_", "g_"),
        LINK.replace("/p/", "/d/"),
        LINK.replace("sora.chatgpt.com", "sora.chatgpt.com.example.com"),
        LINK.replace("sora.", "evil-sora."),
        "x" + LINK,
    ],
)
def test_other_urls_are_not_share_links(there: Host, egress: EgressPolicy, url: str) -> None:
    assert not is_share_link(url)
    with pytest.raises(FetchRefused):
        links(there, egress, "page").resolve(url)


@pytest.mark.parametrize("place", ["source_wm", "downloadable_url", "source"])
def test_the_json_endpoint_is_parsed(there: Host, egress: EgressPolicy, place: Literal["source_wm", "downloadable_url", "source"]) -> None:
    there.share_json(POST_ID, video_url=VIDEO, prompt=PROMPT, thumbnail_url=THUMBNAIL, place=place)
    assert links(there, egress, "json").resolve(LINK + "?x=1") == Post(POST_ID, PROMPT, THUMBNAIL, VIDEO)


@pytest.mark.parametrize("place", ["inline", "nested", "og"])
@pytest.mark.parametrize("mode", ["page", "json"])
def test_the_page_is_used_if_the_endpoint_has_no_video(
    there: Host, egress: EgressPolicy, mode: Literal["page", "json"], place: Literal["inline", "nested", "og"]
) -> None:
    there.share_page(POST_ID, video_url=VIDEO, prompt=PROMPT, thumbnail_url=THUMBNAIL, place=place)
    if place == "og":
        there.share_json(POST_ID, video_url=None)  # otherwise the endpoint returns 404
    assert links(there, egress, mode).resolve(LINK) == Post(POST_ID, PROMPT, THUMBNAIL, VIDEO)


def test_the_marked_original_comes_first() -> None:
    encodings = {"source": {"path": "https://a/clean"}, "source_wm": {"path": "https://a/marked"}}
    text = json.dumps({"post": {"attachments": [{"encodings": None}, {"downloadable_url": "https://a/b", "encodings": encodings}]}})
    assert read_json(POST_ID, text) == Post(POST_ID, None, None, "https://a/marked")
    assert read_json(POST_ID, '{"post":{"downloadable_url":"https://a/b"}}') == Post(POST_ID, None, None, "https://a/b")


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", '{"post":[]}', '{"post":{}}', '{"post":{"attachments":[{"downloadable_url":"file:///etc/passwd"}]}}', "[" * 100_000],
)
def test_json_without_a_video(text: str) -> None:
    assert read_json(POST_ID, text) is None


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html>",
        '<meta property="og:video">',
        '<meta name="og:video" content="javascript:alert(1)">',
        "<![x",
        "<!doctype [<![",
        "\\" * 100_000,
        '"downloadable_url":"\\ud8"',
        '"downloadable_url":"' * 20_000,
        '"downloadable_url":null',
        '\\"downloadable_url\\":\\"http://a"',
    ],
)
def test_a_page_without_a_video(page: str) -> None:
    assert read_page(POST_ID, page) is None


def test_a_missing_post_is_final(there: Host, egress: EgressPolicy) -> None:
    with pytest.raises(FetchRefused, match="404"):
        links(there, egress, "json").resolve(LINK)
    there.serve(f"/p/{POST_ID}", b"<html>deleted</html>")
    with pytest.raises(FetchRefused, match="no video"):
        links(there, egress, "json").resolve(LINK)


def test_a_server_error_is_retryable(there: Host, egress: EgressPolicy) -> None:
    there.serve(f"/backend/project_y/post/{POST_ID}", b"", status=503)
    with pytest.raises(FetchUnavailable):
        links(there, egress, "json").resolve(LINK)


def test_an_oversized_page_is_refused(there: Host, egress: EgressPolicy) -> None:
    there.serve(f"/p/{POST_ID}", b" " * 5_000_001)
    with pytest.raises(FetchRefused, match="more than 5000000 bytes"):
        links(there, egress, "page").resolve(LINK)


def test_switched_off_nothing_is_requested(there: Host, egress: EgressPolicy) -> None:
    with pytest.raises(FetchRefused, match="does not resolve share links"):
        links(there, egress, "off").resolve(LINK)
    assert not there.asked


def test_the_resolver_is_guarded_too(there: Host) -> None:
    there.share_page(POST_ID, video_url=VIDEO)
    with pytest.raises(FetchRefused):
        ShareLinks("page", there.url, EgressPolicy()).resolve(LINK)
    assert not there.asked
