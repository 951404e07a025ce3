"""The content check: whether a wish may be worked on. The desk asks it before it accepts a job."""

import unicodedata
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

from service.errors import ContentRefused
from service.jobs.job import JobSpec


class ContentCheck(Protocol):
    """A hook for a moderation service or a house rule; it is called from several threads at once."""

    def check(self, spec: JobSpec) -> None:
        """Return, or raise ContentRefused (another input may do), ContentCheckFailed (try again) or ContentBlocked (for good)."""


@dataclass(frozen=True)
class AllowAll:
    """The default: whoever runs the service answers for what is sent to it."""

    def check(self, spec: JobSpec) -> None:
        """Let every wish pass."""


@dataclass(frozen=True)
class DenyList:
    """An example: refuses addresses that contain one of some words, in any case, escaped or not."""

    words: frozenset[str]

    def check(self, spec: JobSpec) -> None:
        """Raise ContentRefused for a word in the address of the source or of the mask."""
        addresses = [_plain(url) for url in (spec.source_url, spec.mask_url) if url]
        if any(_plain(word) in address for word in self.words if word for address in addresses):
            raise ContentRefused("the address contains a word that is not allowed")


def _plain(text: str) -> str:
    """Text as words are compared: percent escapes resolved, wide and other compatible letters as the usual ones, case folded."""
    return unicodedata.normalize("NFKC", unquote(text)).casefold()
