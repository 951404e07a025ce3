"""Fetches a job's source and mask into our storage."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from service.core import Core
from service.errors import UnsupportedFormat
from service.jobs.job import Job, JobSpec, Media, Post
from service.media import container_of_head, head_of, suffix_of_head
from service.outside.fetch import PACE, FetchLimits, fetch
from service.outside.share_link import ShareLinks, is_share_link
from service.outside.storage import content_type_of
from service.watch import Watch


def fetch_source(job: Job, core: Core, folder: Path, prefix: str, watch: Watch) -> tuple[JobSpec, Post | None, int]:
    """The spec with storage keys below `prefix/`, the post behind a share link, if any, and how many bytes were fetched."""
    spec, post = job.spec, job.post
    fetch_to_storage = _SourceFetcher(core, folder, prefix, watch.on_fetched)
    if spec.source_key is None:
        assert spec.source_url is not None
        url, shown_host = spec.source_url, None
        if is_share_link(url):
            url, post = _resolve_share_link(url, core)
            shown_host = "the host of the post's video"  # the customer did not name it
        spec = replace(spec, source_key=fetch_to_storage(url, "source", spec.media, shown_host))
    if spec.mask_url is not None and spec.mask_key is None:
        spec = replace(spec, mask_key=fetch_to_storage(spec.mask_url, "mask", None))
    return spec, post, fetch_to_storage.fetched_bytes


def _resolve_share_link(url: str, core: Core) -> tuple[str, Post]:
    """The video's URL behind a share link, and the post's texts."""
    links = ShareLinks(core.settings.share_links, core.settings.share_links_url, core.egress)
    post = links.resolve(url)
    return post.video_url, Post(post.post_id, post.prompt or "", post.thumbnail_url)


class _SourceFetcher:
    """Fetches a file into a folder and stores it. The file's bytes, not its name, decide its type."""

    def __init__(self, core: Core, folder: Path, prefix: str, watch: Callable[[int], None]) -> None:
        self._core = core
        self._folder = folder
        self._prefix = prefix
        self._watch = watch
        self.fetched_bytes = 0

    def __call__(self, url: str, name: str, media: Media | None, shown_host: str | None = None) -> str:
        settings = self._core.settings
        path = self._folder / name
        limits = FetchLimits(
            bytes=settings.limits.file_bytes,
            seconds=settings.fetch_seconds,
            pace=replace(PACE, bytes_per_second=settings.fetch_bytes_per_second),
        )
        fetched = fetch(url, path, self._core.egress, limits, self._watch, self._core.disk, shown_host)
        head = head_of(path)
        check_media(head, media)
        key = f"{self._prefix}/{name}{suffix_of_head(head)}"
        self._core.disk.require(fetched.bytes)
        self._core.storage.put_file(key, path, content_type_of(key))
        self.fetched_bytes += fetched.bytes
        return key


def check_media(head: bytes, media: Media | None) -> None:
    """Raise UnsupportedFormat if a file with these first bytes is an image where a video is expected, or the reverse."""
    is_image = container_of_head(head) == "image"
    if media is not None and is_image != (media == "image"):
        raise UnsupportedFormat("the file is an image, not a video" if is_image else "the file is a video, not an image")
