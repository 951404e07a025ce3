"""One request to a stranger's host: to the address that the guard has checked, in the time that is given.

httpcore is what httpx stands on. Alone it follows no redirect, asks the environment for no proxy, keeps no cookie and unpacks no body:
nothing of this need be switched off.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final

import httpcore
import httpx

from service.errors import FetchError, FetchRefused, FetchUnavailable
from service.outside.guard import EgressPolicy, address_of, host_of
from service.version import VERSION

REDIRECTS: Final = 5
REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
LATER: Final = frozenset({408, 425, 429})  # the 4xx that mean "not now"
CONNECT_SECONDS: Final = 10.0  # for one of a host's addresses
HEADERS: Final = {"User-Agent": f"cleanplate/{VERSION}", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}

# What each fault of the wire means, the most special first.
FAULTS: Final[tuple[tuple[type[Exception], type[FetchError], str], ...]] = (
    (httpcore.TimeoutException, FetchUnavailable, "{host} did not answer in time"),
    (httpcore.ConnectError, FetchUnavailable, "{host} cannot be connected to"),
    (httpcore.NetworkError, FetchUnavailable, "the connection to {host} broke"),
    (httpcore.LocalProtocolError, FetchRefused, "{host} cannot be asked this way"),
    (httpcore.ProtocolError, FetchUnavailable, "{host} broke off, or does not speak HTTP"),
    (httpcore.UnsupportedProtocol, FetchRefused, "{host} cannot be asked this way"),
    (httpcore.ProxyError, FetchUnavailable, "the connection to {host} broke"),
    (httpcore.ConnectionNotAvailable, FetchUnavailable, "the connection to {host} broke"),
)


class Deadline:
    """When all must be done, and how long a host may be silent until then."""

    def __init__(self, seconds: float, stall_seconds: float | None = None) -> None:
        self._end_seconds = time.monotonic() + seconds
        self._stall_seconds = seconds if stall_seconds is None else stall_seconds

    def wait_seconds(self) -> float:
        """How long to wait for the next sign of the host."""
        left_seconds = self._end_seconds - time.monotonic()
        if left_seconds <= 0:
            raise httpcore.ReadTimeout("deadline")
        return min(left_seconds, self._stall_seconds)


@dataclass(frozen=True)
class Answer:
    """What a host says: status and headers at once, the body as it comes."""

    address: httpx.URL
    status: int
    headers: httpx.Headers
    body: Iterable[bytes]

    @property
    def host(self) -> str:
        return host_of(self.address)

    def read(self, limit_bytes: int) -> bytes:
        """The whole body; FetchRefused if it is longer than this service reads."""
        body = bytearray()
        for part in self.body:
            body += part
            if len(body) > limit_bytes:
                raise FetchRefused(f"{self.host} says more than is read of it")
        return bytes(body)


@contextmanager
def exchange(
    method: str, address: httpx.URL, egress: EgressPolicy, deadline: Deadline, headers: Mapping[str, str], body: bytes | None = None
) -> Iterator[Answer]:
    """Ask a host; whatever goes wrong, also while the answer is read, is a FetchError that names no more than the host."""
    wire = httpcore.URL(scheme=address.raw_scheme, host=address.raw_host, port=address.port, target=address.raw_path)
    lines = httpx.Headers(HEADERS | {"Host": address.netloc.decode("ascii")})
    lines.update(headers)
    with (
        plain_errors(host_of(address)),
        httpcore.ConnectionPool(network_backend=_Guarded(egress, deadline)) as pool,
        pool.stream(method, wire, headers=lines.raw, content=body) as response,
    ):
        yield Answer(address, response.status, httpx.Headers(response.headers), response.iter_stream())


@contextmanager
def get(address: httpx.URL, egress: EgressPolicy, deadline: Deadline) -> Iterator[Answer]:
    """Ask for a document, through at most five redirects, each checked like the first; any status but 2xx is a FetchError.

    A redirect from https to http is refused: an address that began in private could not promise any more whose bytes arrive.
    """
    for _ in range(1 + REDIRECTS):
        with exchange("GET", address, egress, deadline, {}) as answer:
            if answer.status not in REDIRECTED or "Location" not in answer.headers:
                _require_success(answer)
                yield answer
                return
            address = _next_address(answer)
    raise FetchRefused(f"the address leads through more than {REDIRECTS} redirects")


@contextmanager
def plain_errors(host: str) -> Iterator[None]:
    """Faults of the wire become FetchErrors in plain words."""
    try:
        yield
    except tuple(fault for fault, _, _ in FAULTS) as error:
        kind, words = next((kind, words) for fault, kind, words in FAULTS if isinstance(error, fault))
        raise kind(words.format(host=host)) from error


def _require_success(answer: Answer) -> None:
    if 200 <= answer.status < 300:
        return
    later = answer.status in LATER or answer.status >= 500
    raise (FetchUnavailable if later else FetchRefused)(f"{answer.host} answered with status {answer.status}")


def _next_address(answer: Answer) -> httpx.URL:
    try:
        joined = str(answer.address.join(answer.headers["Location"]))
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused(f"{answer.host} redirects to an address that cannot be read") from error
    address = address_of(joined)
    if answer.address.scheme == "https" and address.scheme == "http":
        raise FetchRefused(f"{answer.host} redirects from https to http")
    return address


class _Guarded(httpcore.NetworkBackend):
    """Connects to the addresses that the guard has let pass, and to nothing else."""

    def __init__(self, egress: EgressPolicy, deadline: Deadline) -> None:
        self._egress = egress
        self._deadline = deadline
        self._wire = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in self._egress.addresses_of(host):
            wait_seconds = min(CONNECT_SECONDS, self._deadline.wait_seconds())
            try:
                return _Timed(self._wire.connect_tcp(address, port, wait_seconds, local_address, socket_options), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None, "a host has an address"
        raise failure


class _Timed(httpcore.NetworkStream):
    """A connection whose every step ends by the deadline, so that a host which sends a byte now and then gains nothing."""

    def __init__(self, wire: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._wire = wire
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._wire.read(max_bytes, self._deadline.wait_seconds())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._wire.write(buffer, self._deadline.wait_seconds())

    def close(self) -> None:
        self._wire.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self._wire.start_tls(ssl_context, server_hostname, self._deadline.wait_seconds()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._wire.get_extra_info(info)
