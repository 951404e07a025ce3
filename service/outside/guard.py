"""Which hosts this service goes to: public ones, and those that its operator allows.

A stranger names the address, so it may lead to this machine, its network, or the credentials that a cloud serves on a local address.
What counts is therefore the address that a name resolves to, and the connection goes to exactly the address that was checked
(`exchange.py`): a name that resolves differently a moment later leads nowhere else.
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
Resolver = Callable[[str], Sequence[str]]  # the name of a host -> its addresses; OSError where it has none

PORTS: Final = range(1, 2**16)
NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")  # as the last label: an address in a form that every resolver reads its own way
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")  # all of IPv6 that is given to anybody
NAT64: Final = IPv6Network("64:ff9b::/96")  # an IPv4 address in its last 32 bits: all that a network without IPv4 resolves to

# Beyond what every Python that we run on counts as private.
SPECIAL: Final = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # protocol assignments, among them a cloud's metadata
            "192.88.99.0/24",  # relays of 6to4
            "168.63.129.16/32",  # the host agent of Azure's virtual machines
            "2001::/23",  # protocol assignments, among them Teredo
            "2002::/16",  # 6to4
            "3fff::/20",  # documentation
        ),
    )
)


def system_resolver(host: str) -> Sequence[str]:
    """The addresses of a name, as the system knows them, in its order of preference; its own timeouts bound it."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


@dataclass(frozen=True)
class EgressPolicy:
    """The hosts that may be reached: public ones, those in `networks`, and those whose name is in `names`."""

    networks: tuple[Network, ...] = ()
    names: tuple[str, ...] = ()
    resolver: Resolver = system_resolver

    @classmethod
    def parse(cls, text: str, resolver: Resolver = system_resolver) -> Self:
        """Read `127.0.0.0/8, ::1, media.example.com, *.example.org`: networks, addresses, names, and names under a domain."""
        networks: list[Network] = []
        names: list[str] = []
        for part in filter(None, map(str.strip, text.split(","))):
            if _looks_numeric(part):
                networks.append(_parse_network(part))
            else:
                names.append(_parse_name(part))
        return cls(tuple(networks), tuple(names), resolver)

    def addresses_of(self, host: str) -> tuple[str, ...]:
        """The addresses to connect to, in order of preference; FetchRefused if a single one is out of reach."""
        addresses = [_unmapped(address) for address in self._resolve(host)]
        if not self._knows(host) and not all(is_public(address) or self._contains(address) for address in addresses):
            raise FetchRefused(f"the host {host} is not public, and this service goes to no other")
        return tuple(dict.fromkeys(map(str, addresses)))

    def _resolve(self, host: str) -> list[Address]:
        literal = _literal(host)
        if literal is not None:
            return [literal]
        try:
            addresses = [ip_address(text) for text in self.resolver(host)]
        except OSError as error:
            raise FetchUnavailable(f"the host {host} cannot be found") from error
        if not addresses:
            raise FetchUnavailable(f"the host {host} has no address")
        return addresses

    def _knows(self, host: str) -> bool:
        return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in self.names)

    def _contains(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def address_of(url: str) -> httpx.URL:
    """An http or https address that this service would ask, whoever its host is; else FetchRefused."""
    try:
        address = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused("the address cannot be read") from error
    if address.scheme not in ("http", "https"):
        raise FetchRefused("the address is neither http nor https")
    if address.userinfo:
        raise FetchRefused("the address holds a user name or a password")
    if address.port is not None and address.port not in PORTS:
        raise FetchRefused("the address has a port that does not exist")
    host = host_of(address).removesuffix(".")
    if _literal(host) is None and not _is_name(host):
        raise FetchRefused("the address names no host, or in a form that is not taken")
    return address.copy_with(host=host)


def host_of(address: httpx.URL) -> str:
    """The host as it goes over the wire: lower case, ASCII."""
    return address.raw_host.decode("ascii")


def is_public(address: Address) -> bool:
    """Whether the whole internet means the same host by this address; an IPv4 address in IPv6 clothes counts as itself."""
    address = _unmapped(address)
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return is_public(IPv4Address(int(address) % 2**32))
        if address not in GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in SPECIAL)


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _literal(host: str) -> Address | None:
    """The address that is written out, in the one form that has one meaning; zones (`%eth0`) are for neighbours only."""
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
