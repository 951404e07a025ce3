"""Puts files into a customer's own S3-compatible bucket: signed here, sent through the guard to the address that it has checked.

Not by obstore, which would take what a customer leaves out from this process's environment: an endpoint, or the operator's session token.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from service.errors import FetchRefused, FetchUnavailable
from service.outside.exchange import RETRYABLE, Deadline, exchange
from service.outside.guard import EgressPolicy, address_of

LINK_SECONDS: Final = 6 * 3600  # longer than any file takes
STALL_SECONDS: Final = 60.0
PIECE_BYTES: Final = 2**18  # sent between two looks


@dataclass(frozen=True)
class Bucket:
    """A bucket, and what signs requests to it. `endpoint`: None for Amazon's; `prefix`: of the names of objects, may be empty."""

    name: str
    prefix: str
    endpoint: str | None
    region: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)

    def key_of(self, name: str) -> str:
        """The name of an object below the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def address_of(self, name: str) -> str:
        """How customers name an object: `s3://bucket/prefix/name`."""
        return f"s3://{self.name}/{self.key_of(name)}"

    def put(
        self,
        name: str,
        parts: Iterable[bytes],
        size_bytes: int,
        content_type: str,
        egress: EgressPolicy,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """Store an object of this size, whole or not at all; one with this name is replaced. `look`: see `Deadline`.

        Raises FetchRefused if the bucket or the guard refuses, FetchUnavailable if a retry may help.
        """
        headers = {"Content-Type": content_type, "Content-Length": str(size_bytes)}
        deadline = Deadline(LINK_SECONDS, STALL_SECONDS, look=look)
        with exchange("PUT", address_of(self._link(name)), egress, deadline, headers, _pieces(parts, look)) as response:
            if 200 <= response.status < 300:
                return
            retryable = response.status in RETRYABLE or response.status >= 500
            raise (FetchUnavailable if retryable else FetchRefused)(f"{response.host} answered with status {response.status}")

    def _link(self, name: str) -> str:
        from botocore.auth import S3SigV4QueryAuth  # here, as few processes ever need the library
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        base = (self.endpoint or f"https://s3.{self.region}.amazonaws.com").rstrip("/")
        request = AWSRequest("PUT", f"{base}/{self.name}/{quote(self.key_of(name), safe='/-_.~')}")
        credentials = Credentials(self.access_key_id, self.secret_access_key)
        S3SigV4QueryAuth(credentials, "s3", self.region, LINK_SECONDS).add_auth(request)
        return str(request.url)


def _pieces(parts: Iterable[bytes], look: Callable[[], None]) -> Iterator[bytes]:
    """The parts in small pieces, with a look before each."""
    for part in parts:
        for first in range(0, len(part), PIECE_BYTES):
            look()
            yield part[first : first + PIECE_BYTES]
