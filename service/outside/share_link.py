"""Resolves share links: from the page of a Sora post to its video and texts.

Sora has closed, so links no longer resolve by themselves; `base_url` names a server that responds in its place.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final, Literal

from pydantic import BaseModel, ValidationError

from service.errors import FetchRefused
from service.outside.exchange import Deadline, get
from service.outside.guard import EgressPolicy, address_of

SITE: Final = "https://sora.chatgpt.com"
LINK: Final = re.compile(r"https?://(?:sora\.chatgpt\.com|(?:www\.)?sora\.com)/p/(s_[0-9a-f]{32})/?(?:[?#].*)?", re.IGNORECASE)
SHOWN_HOST: Final = "the site of the share links"  # in errors, as the one that takes its place may be internal
SHARE_HOST: Final = re.compile(r"https?://(?:sora\.chatgpt\.com|(?:www\.)?sora\.com)(?=[/?#:]|$)", re.IGNORECASE)
ANSWER_SECONDS: Final = 20.0
ANSWER_BYTES: Final = 5_000_000

# Data in a script of the page: a JSON string, possibly nested in other strings, with backslashes before each quote.
INLINE: Final = re.compile(r'(?<!\\)(\\{0,7})"downloadable_url\1"\s*:\s*\1"([^"<>\s]{1,4000}?)\1"')


@dataclass(frozen=True)
class Post:
    """The post behind a share link."""

    post_id: str
    prompt: str | None
    thumbnail_url: str | None
    video_url: str


def is_share_link(url: str) -> bool:
    """Whether a URL is a post's page."""
    return post_id_of(url) is not None


def is_share_host(url: str) -> bool:
    """Whether a URL leads to the site of the share links, which has no files of its own."""
    return SHARE_HOST.match(url.strip()) is not None


def post_id_of(url: str) -> str | None:
    """The id in a share link: `s_` and 32 hexadecimal digits; None for any other URL."""
    match = LINK.fullmatch(url.strip())
    return match[1].lower() if match else None


@dataclass(frozen=True)
class ShareLinks:
    """Resolves share links: not at all, by the JSON endpoint (falling back to the page if it has no video), or by the page only."""

    mode: Literal["off", "json", "page"]
    base_url: str | None  # scheme and host of a server that replaces the site
    egress: EgressPolicy

    def resolve(self, url: str) -> Post:
        """The post behind a link. Raises FetchRefused if there is no post, or no video in it."""
        post_id = post_id_of(url)
        if post_id is None:
            raise FetchRefused("the address is not a share link")
        if self.mode == "off":
            raise FetchRefused("this service does not resolve share links")
        post = self._from_json(post_id) if self.mode == "json" else None
        post = post or read_page(post_id, self._text(f"/p/{post_id}"))
        if post is None:
            raise FetchRefused("the share link has no video")
        return post

    def _from_json(self, post_id: str) -> Post | None:
        try:
            return read_json(post_id, self._text(f"/backend/project_y/post/{post_id}"))
        except FetchRefused:  # the endpoint refuses us; the page may be public
            return None

    def _text(self, path: str) -> str:
        address = address_of((self.base_url or SITE).rstrip("/") + path)
        with get(address, self.egress, Deadline(ANSWER_SECONDS), SHOWN_HOST) as response:
            return response.read(ANSWER_BYTES).decode(errors="replace")


class _File(BaseModel):
    path: str | None = None


class _Encodings(BaseModel):
    source: _File | None = None
    source_wm: _File | None = None
    md: _File | None = None
    thumbnail: _File | None = None


class _Attachment(BaseModel):
    encodings: _Encodings | None = None
    downloadable_url: str | None = None


class _Body(BaseModel):
    text: str | None = None
    attachments: list[_Attachment] | None = None
    downloadable_url: str | None = None


class _Document(BaseModel):
    post: _Body


def read_json(post_id: str, text: str) -> Post | None:
    """The post in the JSON endpoint's response; None if it is malformed or has no video."""
    try:
        body = _Document.model_validate_json(text).post
    except ValidationError:
        return None
    for attachment in body.attachments or [_Attachment()]:
        files = attachment.encodings or _Encodings()
        video = _first(_path(files.source_wm), attachment.downloadable_url, body.downloadable_url, _path(files.source), _path(files.md))
        if video:
            return Post(post_id, body.text, _first(_path(files.thumbnail)), video)
    return None


def read_page(post_id: str, page: str) -> Post | None:
    """The post in a page, from the data in its scripts or from its Open Graph tags; None if there is no video."""
    tags = _OpenGraph(page).tags
    video = _first(*_inline_urls(page), *(tags.get(name) for name in ("og:video", "og:video:secure_url", "og:video:url")))
    return Post(post_id, tags.get("og:title"), _first(tags.get("og:image")), video) if video else None


def _path(file: _File | None) -> str | None:
    return file.path if file else None


def _first(*urls: str | None) -> str | None:
    return next((url for url in urls if url and url.startswith(("https://", "http://"))), None)


def _inline_urls(page: str) -> Iterator[str]:
    """URLs in the page's scripts, unescaped as often as their quotes are nested: 0, 1, 3 or 7 backslashes."""
    for match in INLINE.finditer(page):
        url: object = match[2]
        try:
            for _ in range((len(match[1]) + 1).bit_length()):
                url = json.loads(f'"{url}"')
        except json.JSONDecodeError:
            continue
        yield str(url)


class _OpenGraph(HTMLParser):
    """The first of each `og:` tag of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: dict[str, str] = {}
        with suppress(AssertionError):  # raised by the parser for an unknown declaration
            self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        name = names.get("property") or names.get("name") or ""
        if tag == "meta" and name.startswith("og:"):
            self.tags.setdefault(name, names.get("content") or "")
