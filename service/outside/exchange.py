"""One request to a remote host: sent to the address that the guard has checked, within a deadline.

Uses httpcore, the layer below httpx. It follows no redirects, reads no proxy from the environment, keeps no cookies and decodes no body,
so that nothing of this needs to be switched off.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final

import httpcore
import httpx

from service import tracing
from service.errors import FetchError, FetchRefused, FetchTooSlow, FetchUnavailable
from service.outside.guard import EgressPolicy, address_of, host_of
from service.version import VERSION

REDIRECTS: Final = 5
REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
RETRYABLE: Final = frozenset({408, 425, 429})  # the 4xx codes that mean "not now"
CONNECT_SECONDS: Final = 10.0  # for each of a host's addresses
LOOK_SECONDS: Final = 0.5
HEADERS: Final = {"User-Agent": f"cleanplate/{VERSION}", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}


class TooSlow(httpcore.ReadTimeout):
    """The host sends, but more slowly than is allowed."""


# The error for each kind of transport fault, subclasses first.
FAULTS: Final[tuple[tuple[type[Exception], type[FetchError], str], ...]] = (
    (TooSlow, FetchTooSlow, "{host} sends too slowly"),
    (httpcore.TimeoutException, FetchUnavailable, "{host} did not respond in time"),
    (httpcore.ConnectError, FetchUnavailable, "cannot connect to {host}"),
    (httpcore.NetworkError, FetchUnavailable, "the connection to {host} was lost"),
    (httpcore.LocalProtocolError, FetchRefused, "the request to {host} is invalid"),
    (httpcore.ProtocolError, FetchUnavailable, "{host} closed the connection or does not speak HTTP"),
    (httpcore.UnsupportedProtocol, FetchRefused, "the request to {host} is invalid"),
    (httpcore.ProxyError, FetchUnavailable, "the connection to {host} was lost"),
    (httpcore.ConnectionNotAvailable, FetchUnavailable, "the connection to {host} was lost"),
)


@dataclass(frozen=True)
class Pace:
    """How slowly a host may send. It may fall behind by `grace_seconds`.

    It cannot get ahead by more than that, and so cannot save up for a drip.
    """

    bytes_per_second: float
    grace_seconds: float


class Deadline:
    """The time by which an exchange must end, how long the host may be silent until then, and how slowly it may send.

    `look` is called every half second of waiting, and may raise to give up.
    """

    def __init__(
        self, seconds: float, stall_seconds: float | None = None, pace: Pace | None = None, look: Callable[[], None] = lambda: None
    ) -> None:
        self.look = look
        self._stall_seconds = seconds if stall_seconds is None else stall_seconds
        self._pace = pace
        self._heard_at = time.monotonic()
        self._end = self._heard_at + seconds
        self._ahead_seconds: float | None = None  # of the pace; None before the first byte

    def wait_seconds(self) -> float:
        """How long to wait for the host. Raises TooSlow or ReadTimeout after the deadline."""
        now = time.monotonic()
        if now >= self._end:
            raise httpcore.ReadTimeout("deadline") if self._pace is None or self._ahead_seconds is None else TooSlow("deadline")
        left_seconds = min(self._end, self._heard_at + self._stall_seconds) - now
        if left_seconds <= 0:
            raise httpcore.ReadTimeout("silence")
        return left_seconds

    def hear(self, received_bytes: int) -> None:
        """Record that the host has done something, and how much it has sent. Raises TooSlow."""
        now = time.monotonic()
        silent_seconds, self._heard_at = now - self._heard_at, now
        if self._pace is None or not received_bytes:
            return
        if self._ahead_seconds is None:
            self._ahead_seconds, silent_seconds = self._pace.grace_seconds, 0.0
        ahead_seconds = self._ahead_seconds + received_bytes / self._pace.bytes_per_second - silent_seconds
        self._ahead_seconds = min(self._pace.grace_seconds, ahead_seconds)
        if ahead_seconds < 0:
            raise TooSlow("pace")


@dataclass(frozen=True)
class HostResponse:
    """A remote host's response: status and headers at once, the body as it arrives. `host`: as errors name it."""

    address: httpx.URL
    status: int
    headers: httpx.Headers
    body: Iterable[bytes]
    host: str

    def read(self, limit_bytes: int) -> bytes:
        """The whole body. Raises FetchRefused if it is longer than `limit_bytes`."""
        body = bytearray()
        for part in self.body:
            body += part
            if len(body) > limit_bytes:
                raise FetchRefused(f"the response of {self.host} has more than {limit_bytes} bytes, which is the limit")
        return bytes(body)


@contextmanager
def exchange(
    method: str,
    address: httpx.URL,
    egress: EgressPolicy,
    deadline: Deadline,
    headers: Mapping[str, str],
    body: bytes | Iterator[bytes] | None = None,
    shown_host: str | None = None,
) -> Iterator[HostResponse]:
    """Send a request. Any fault, also while the body is read, is raised as a FetchError that names only the host.

    `shown_host`: what errors say instead, of a host that the customer did not name.
    """
    shown_host = shown_host or host_of(address)
    wire = httpcore.URL(scheme=address.raw_scheme, host=address.raw_host, port=address.port, target=address.raw_path)
    lines = httpx.Headers(HEADERS | {"Host": address.netloc.decode("ascii")})
    lines.update(headers)
    with (
        tracing.span(method, kind="client", attributes={"http.request.method": method, "server.address": shown_host}) as measured,
        fetch_errors(shown_host),
        httpcore.ConnectionPool(network_backend=_GuardedBackend(egress, deadline, shown_host)) as pool,
        pool.stream(method, wire, headers=[*lines.raw, *httpx.Headers(tracing.headers()).raw], content=body) as raw,
    ):
        measured.say({"http.response.status_code": raw.status})
        yield HostResponse(address, raw.status, httpx.Headers(raw.headers), raw.iter_stream(), shown_host)


@contextmanager
def get(address: httpx.URL, egress: EgressPolicy, deadline: Deadline, shown_host: str | None = None) -> Iterator[HostResponse]:
    """Get a document through at most five redirects, each checked like the first. Any final status but 2xx is a FetchError.

    A redirect from https to http is refused, as the bytes could then be replaced on the way. Errors name the first host, or say
    `shown_host`: the customer did not name those that it redirects to.
    """
    first_host = host_of(address)
    for hop in range(1 + REDIRECTS):
        shown = shown_host or (f"a host that {first_host} redirects to" if hop else first_host)
        with exchange("GET", address, egress, deadline, {}, shown_host=shown) as response:
            if response.status not in REDIRECTED or "Location" not in response.headers:
                _require_success(response)
                yield response
                return
            address = _next_address(response)
    raise FetchRefused(f"the address redirects more than {REDIRECTS} times")


@contextmanager
def fetch_errors(host: str) -> Iterator[None]:
    """Turn transport faults into FetchErrors with a plain message."""
    try:
        yield
    except tuple(fault for fault, _, _ in FAULTS) as error:
        kind, message = next((kind, message) for fault, kind, message in FAULTS if isinstance(error, fault))
        raise kind(message.format(host=host)) from error


def _require_success(response: HostResponse) -> None:
    if 200 <= response.status < 300:
        return
    retryable = response.status in RETRYABLE or response.status >= 500
    raise (FetchUnavailable if retryable else FetchRefused)(f"{response.host} answered with status {response.status}")


def _next_address(response: HostResponse) -> httpx.URL:
    try:
        joined = str(response.address.join(response.headers["Location"]))
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused(f"{response.host} redirects to an invalid address") from error
    address = address_of(joined)
    if response.address.scheme == "https" and address.scheme == "http":
        raise FetchRefused(f"{response.host} redirects from https to http")
    return address


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects only to addresses that the egress policy allows."""

    def __init__(self, egress: EgressPolicy, deadline: Deadline, shown_host: str) -> None:
        self._egress = egress
        self._shown_host = shown_host
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
        for address in self._egress.addresses_of(host, self._shown_host):
            self._deadline.hear(0)
            self._deadline.look()
            wait_seconds = min(CONNECT_SECONDS, self._deadline.wait_seconds())
            try:
                return _DeadlineStream(self._wire.connect_tcp(address, port, wait_seconds, local_address, socket_options), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None, "a resolved host has an address"
        raise failure


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose every operation ends by the deadline, so that a host cannot hold it by sending a byte now and then."""

    def __init__(self, wire: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._wire = wire
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            self._deadline.look()
            wait_seconds = self._deadline.wait_seconds()
            try:
                data = self._wire.read(max_bytes, min(wait_seconds, LOOK_SECONDS))
            except httpcore.ReadTimeout:
                continue
            self._deadline.hear(len(data))
            return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._wire.write(buffer, self._deadline.wait_seconds())
        self._deadline.hear(0)

    def close(self) -> None:
        self._wire.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self._wire.start_tls(ssl_context, server_hostname, self._deadline.wait_seconds()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._wire.get_extra_info(info)
