"""The egress policy: this service connects to public hosts, and to those that its operator allows.

Clients supply URLs, which may point to this machine, its network, or a cloud's metadata service on a local address. So the check is made
on the resolved address, and the connection goes to exactly the address that was checked (`exchange.py`): a name that resolves
differently a moment later changes nothing.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

import httpx

from service.errors import FetchRefused, FetchUnavailable, SettingsError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str], Sequence[str]]  # host name -> its addresses; raises OSError if it has none

PORTS: Final = range(1, 2**16)
NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")  # as the last label: a numeric address that resolvers interpret differently
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")  # all IPv6 addresses that are assigned
NAT64: Final = IPv6Network("64:ff9b::/96")  # an IPv4 address in the last 32 bits, used in networks without IPv4

# In addition to what all supported Python versions count as private.
SPECIAL: Final = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # protocol assignments, including a cloud's metadata service
            "192.88.99.0/24",  # 6to4 relays
            "168.63.129.16/32",  # host agent of Azure virtual machines
            "2001::/23",  # protocol assignments, including Teredo
            "2002::/16",  # 6to4
            "3fff::/20",  # documentation
        ),
    )
)


def system_resolver(host: str) -> Sequence[str]:
    """The system's addresses for a name, in its order of preference. The system's own timeouts apply."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


@dataclass(frozen=True)
class EgressPolicy:
    """Which hosts may be reached: public ones, those in `networks`, and those whose name matches `names`."""

    networks: tuple[Network, ...] = ()
    names: tuple[str, ...] = ()
    resolver: Resolver = system_resolver

    @classmethod
    def parse(cls, text: str, resolver: Resolver = system_resolver) -> Self:
        """Parse `127.0.0.0/8, ::1, media.example.com, *.example.org`: networks, addresses, names, wildcards. Raises SettingsError."""
        networks: list[Network] = []
        names: list[str] = []
        for part in filter(None, map(str.strip, text.split(","))):
            if _looks_numeric(part):
                networks.append(_parse_network(part))
            else:
                names.append(_parse_name(part))
        return cls(tuple(networks), tuple(names), resolver)

    def addresses_of(self, host: str, shown_host: str | None = None) -> tuple[str, ...]:
        """The addresses to connect to, in order of preference.

        Raises FetchRefused if any of them is not allowed, FetchUnavailable if the host cannot be resolved; both name `shown_host`.
        """
        shown = shown_host or f"the host {host}"
        addresses = [_unmap(address) for address in self._resolve(host, shown)]
        if not self._allows_name(host) and not all(is_public(address) or self._allows_address(address) for address in addresses):
            raise FetchRefused(f"{shown} is not public, and this service connects only to public hosts")
        return tuple(dict.fromkeys(map(str, addresses)))

    def _resolve(self, host: str, shown: str) -> list[Address]:
        literal = _literal(host)
        if literal is not None:
            return [literal]
        try:
            addresses = [ip_address(text) for text in self.resolver(host)]
        except OSError as error:
            raise FetchUnavailable(f"{shown} cannot be found") from error
        if not addresses:
            raise FetchUnavailable(f"{shown} has no address")
        return addresses

    def _allows_name(self, host: str) -> bool:
        return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in self.names)

    def _allows_address(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def address_of(url: str) -> httpx.URL:
    """Parse an http or https URL with a valid host, whether or not the host is allowed. Raises FetchRefused."""
    try:
        address = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused("the address is invalid") from error
    if address.scheme not in ("http", "https"):
        raise FetchRefused("the address is neither http nor https")
    if address.userinfo:
        raise FetchRefused("the address contains a user name or a password")
    if address.port is not None and address.port not in PORTS:
        raise FetchRefused("the address has an invalid port")
    sent = host_of(address)
    host = sent.removesuffix(".")
    if _literal(host) is None and not _is_name(host):
        raise FetchRefused("the address has no valid host")
    return address if host == sent else address.copy_with(host=host)  # to copy is to parse once more


def host_of(address: httpx.URL) -> str:
    """The host as sent to the server: lower case, ASCII."""
    return address.raw_host.decode("ascii")


def is_public(address: Address) -> bool:
    """Whether the address is globally routable. An IPv4 address mapped into IPv6 counts as the IPv4 address."""
    address = _unmap(address)
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return is_public(IPv4Address(int(address) % 2**32))
        if address not in GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in SPECIAL)


def _unmap(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _literal(host: str) -> Address | None:
    """The host as an IP address, in standard notation only; None for a name. Zones (`%eth0`) are not accepted."""
    try:
        return None if "%" in host else ip_address(host)
    except ValueError:
        return None


def _is_name(host: str) -> bool:
    return bool(NAME.fullmatch(host)) and not NUMBER.fullmatch(host.rpartition(".")[2])


def _looks_numeric(part: str) -> bool:
    return ":" in part or "/" in part or bool(NUMBER.fullmatch(part.rpartition(".")[2]))


def _parse_network(part: str) -> Network:
    try:
        return ip_network(part)
    except ValueError as error:
        raise SettingsError(f"{part} is neither a network, an address nor the name of a host") from error


def _parse_name(part: str) -> str:
    wildcard, name = ("*.", part[2:]) if part.startswith("*.") else ("", part)
    try:
        host = host_of(httpx.URL(scheme="https", host=name)).removesuffix(".")
    except (httpx.InvalidURL, ValueError):
        host = ""
    if not _is_name(host):
        raise SettingsError(f"{part} is neither a network, an address nor the name of a host")
    return wildcard + host
