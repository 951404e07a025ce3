"""The location of a job's input: a URL on the web, or a file in our storage."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from service.api.facade import AppContext
from service.errors import FetchRefused, MediaAddressInvalid, UnknownJob
from service.jobs.job_service import JobService
from service.outside.guard import address_of
from service.outside.share_link import is_share_host, is_share_link

MAX_CHARACTERS: Final = 2048


@dataclass(frozen=True)
class Source:
    """Exactly one of a URL to fetch and a key in our storage."""

    url: str | None = None
    key: str | None = None


def share_source_of(url: str, account_id: int, context: AppContext, max_characters: int = MAX_CHARACTERS) -> Source:
    """Like `source_of`, for the facades whose vendors accept only share links: an option makes us as strict."""
    if context.options.sora_links_only and not is_share_link(url):
        raise MediaAddressInvalid("the address is not a Sora share link")
    return source_of(url, account_id, context, max_characters)


def source_of(url: str, account_id: int, context: AppContext, max_characters: int = MAX_CHARACTERS) -> Source:
    """The source that a URL in a request refers to. Raises MediaAddressInvalid. May query the database, so call it in a worker thread."""
    key = context.links.key_of(url)
    if key is None:
        if len(url) > max_characters:  # a bucket's own links are longer
            raise MediaAddressInvalid(f"the address has more than {max_characters} characters")
        if is_share_host(url) and not is_share_link(url):
            raise MediaAddressInvalid("the address is not a Sora share link")
        return Source(url=web_address(url))
    if not owns(context.job_service, account_id, key):
        raise MediaAddressInvalid("the link points to a file of another account")
    return Source(key=key)


def web_address(url: str) -> str:
    """The URL itself, if it is well-formed. Raises MediaAddressInvalid. Whether its host is allowed is checked when it is fetched."""
    try:
        address_of(url)
    except FetchRefused as error:
        raise MediaAddressInvalid(str(error)) from None
    return url


def owns(job_service: JobService, account_id: int, key: str) -> bool:
    """Whether a stored file is the account's: uploaded by it, or made by one of its jobs (below `jobs/` and the job's id)."""
    if key.startswith(f"uploads/{account_id}/"):
        return True
    _, job_id, *_ = [*PurePosixPath(key).parts, "", ""]
    try:
        result = job_service.find(account_id, job_id).result
    except UnknownJob:
        return False
    return result is not None and key in (result.clean_key, result.source_key, result.thumbnail_key)
