"""Times as the APIs write them."""

from datetime import UTC, datetime


def rfc3339(at_ms: int) -> str:
    """A time in milliseconds since 1970 as RFC 3339 text: UTC, with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
