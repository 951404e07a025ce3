"""Times as the APIs write them."""

from datetime import UTC, datetime
from email.utils import format_datetime


def rfc3339(at_ms: int) -> str:
    """A time in milliseconds since 1970 as RFC 3339 text: UTC, with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date(at_ms: int) -> str:
    """A time in milliseconds since 1970 as headers have it."""
    return format_datetime(datetime.fromtimestamp(at_ms // 1000, UTC), usegmt=True)
