"""The content check: decides whether a job may run. The job service calls it before it accepts a job."""

import unicodedata
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

from service.errors import ContentRefused
from service.jobs.job import JobSpec


class ContentCheck(Protocol):
    """A hook for a moderation service or a local rule. It is called from several threads at once."""

    def check(self, spec: JobSpec) -> None:
        """Return if accepted. Raise ContentRefused (try another input), ContentCheckFailed (try again) or ContentBlocked (permanently)."""


@dataclass(frozen=True)
class AllowAll:
    """The default: accepts every job; the operator is responsible for what clients send."""

    def check(self, spec: JobSpec) -> None:
        """Accept every job."""


@dataclass(frozen=True)
class DenyList:
    """An example: refuses URLs that contain one of these words, ignoring case and percent escapes."""

    words: frozenset[str]

    def check(self, spec: JobSpec) -> None:
        """Raise ContentRefused if the URL of the source or the mask contains one of the words."""
        addresses = [_normalized(url) for url in (spec.source_url, spec.mask_url) if url]
        if any(_normalized(word) in address for word in self.words if word for address in addresses):
            raise ContentRefused("the address contains a word that is not allowed")


def _normalized(text: str) -> str:
    """Text normalised for comparison: percent escapes decoded, compatible letters such as full-width ones unified, case folded."""
    return unicodedata.normalize("NFKC", unquote(text)).casefold()
