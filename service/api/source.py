"""Where a job's input lies: at an address of the web, or among the account's own files here."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from service.api.facade import AppContext
from service.errors import FetchRefused, MediaAddressInvalid, UnknownJob
from service.jobs.job_service import JobService
from service.outside.guard import address_of
from service.outside.share_link import is_share_link

MOST_CHARACTERS: Final = 2048


@dataclass(frozen=True)
class Source:
    """Exactly one of the two: an address to fetch, or a key of our storage."""

    url: str | None = None
    key: str | None = None


def share_source_of(url: str, account_id: int, context: AppContext, most_characters: int = MOST_CHARACTERS) -> Source:
    """Like `source_of`, in the dialects whose vendors take share links alone: a setting makes us as strict."""
    if context.options.sora_links_only and not is_share_link(url):
        raise MediaAddressInvalid("the address is not a Sora share link")
    return source_of(url, account_id, context, most_characters)


def source_of(url: str, account_id: int, context: AppContext, most_characters: int = MOST_CHARACTERS) -> Source:
    """What an address in a request stands for; raises MediaAddressInvalid. It may ask the database: call it in a worker thread."""
    if len(url) > most_characters:
        raise MediaAddressInvalid(f"the address has more than {most_characters} characters")
    key = context.links.key_of(url)
    if key is None:
        return Source(url=web_address(url))
    if not owns(context.job_service, account_id, key):
        raise MediaAddressInvalid("the link leads to a file that is not this account's")
    return Source(key=key)


def web_address(url: str) -> str:
    """The address itself, if it can be asked for; raises MediaAddressInvalid. Whether its host is within reach shows when it is fetched."""
    try:
        address_of(url)
    except FetchRefused as error:
        raise MediaAddressInvalid(str(error)) from None
    return url


def owns(job_service: JobService, account_id: int, key: str) -> bool:
    """Whether a stored file is the account's: one that it uploaded, or one that a job of its left (in a folder named after the job)."""
    if key.startswith(f"uploads/{account_id}/"):
        return True
    try:
        result = job_service.find(account_id, PurePosixPath(key).parent.name).result
    except UnknownJob:
        return False
    return result is not None and key in (result.clean_key, result.source_key, result.thumbnail_key)
