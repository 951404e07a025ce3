"""Which addresses the service connects to: written as literals, and as names resolve to them."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import FetchRefused, FetchUnavailable, SettingsError
from service.outside.guard import EgressPolicy, address_of, host_of, is_public

PUBLIC = "8.8.8.8 93.184.216.34 2606:2800:220:1:248:1893:25c8:1946 2a00:1450:4001::200e ::ffff:8.8.8.8 64:ff9b::8.8.8.8"
PRIVATE = """
    127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1
    100.127.255.255 100.100.100.200 168.63.129.16 192.0.0.192 192.88.99.1 192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1
    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 fe80::1 fec0::1 fc00::1 fd00:ec2::254 ff02::1 ff0e::1 100::1
    2001:db8::1 3fff::1 5f00::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::127.0.0.1
    64:ff9b::a9fe:a9fe 64:ff9b:1::8.8.8.8 2002:7f00:1:: 2002:808:808:: 2001:0:7f00:1:: 2001:0:4136:e378:8000:63bf:3fff:fdd2
"""


def resolving(**names: Sequence[str]) -> EgressPolicy:
    return EgressPolicy(resolver=lambda host: names[host.partition(".")[0]])


@pytest.mark.parametrize("text", PUBLIC.split())
def test_public_addresses_are_allowed(text: str) -> None:
    assert is_public(ip_address(text))
    assert len(EgressPolicy().addresses_of(text)) == 1


@pytest.mark.parametrize("text", PRIVATE.split())
def test_other_addresses_are_refused_as_literals_and_as_resolved(text: str) -> None:
    literal = f"[{text}]" if ":" in text else text
    with pytest.raises(FetchRefused):
        EgressPolicy().addresses_of(host_of(address_of(f"http://{literal}/")))
    with pytest.raises(FetchRefused) as refusal:
        resolving(evil=["8.8.8.8", text]).addresses_of("evil.example.com")
    assert text not in str(refusal.value)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_ipv4_address_mapped_into_ipv6_counts_as_itself(address: IPv4Address) -> None:
    for prefix in (0xFFFF << 32, int(IPv6Address("64:ff9b::"))):
        assert is_public(IPv6Address(prefix + int(address))) == is_public(address)


@settings(deadline=None)
@given(st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "224.0.0.0/3"]), st.integers(0))
def test_no_address_of_a_private_network_is_public(text: str, offset: int) -> None:
    network = IPv4Network(text)
    assert not is_public(network[offset % network.num_addresses])


@settings(deadline=None)
@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_ipv6_beyond_global_unicast_is_not_public(address: IPv6Address) -> None:
    if int(address) >> 125 != 1 and not str(address).startswith(("64:ff9b::", "::ffff:")):
        assert not is_public(address)


ODD_HOSTS = """
    2130706433 017700000001 0x7f000001 0x7f.1 127.1 127.0.1 0177.0.0.1 127.0.0.01 0x7f.0x0.0x0.0x1 127.0.0.1.. 0 0x 1.2.3.4.5
    256.1.1.1 127.0.0.1%00 %31%32%37.0.0.1 ①②⑦.⓪.⓪.① [::1%25lo] [fe80::1%eth0] [::1 [1.2.3.4] . a..b
"""


@pytest.mark.parametrize("host", [*ODD_HOSTS.split(), "", "exa mple.com", "x" * 64 + ".com", "a." * 127 + "toolong"])
def test_unusual_forms_of_a_host_are_refused_before_resolving(host: str) -> None:
    with pytest.raises(FetchRefused):
        address_of(f"http://{host}/video.mp4")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "video.mp4",
        "//example.com/v.mp4",
        "file:///etc/passwd",
        "ftp://example.com/v.mp4",
        "gopher://example.com/",
        "data:video/mp4;base64,AA",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://a@b@example.com/",
        "http://example.com:0/",
        "http://example.com:-1/",
        "http://example.com:65536/",
        "http://example.com:port/",
        "http:///v.mp4",
        "http://example.com/\r\nHost: other",
        "http://example.com/\x00",
        "http://example.com/\ud800",
        "http://example.com/" + "x" * 70_000,
    ],
)
def test_invalid_urls_are_refused(url: str) -> None:
    with pytest.raises(FetchRefused) as refusal:
        address_of(url)
    assert "secret" not in str(refusal.value)


def test_valid_urls_are_unchanged() -> None:
    signed = "https://media.example.com:8443/a%2Fb/%E4%BD%A0.mp4?sig=%2F%2B%3D&x=a+b"
    assert str(address_of(f"  {signed}\n")) == signed
    assert host_of(address_of("HTTPS://Bücher.Example.COM./v")) == "xn--bcher-kva.example.com"
    assert host_of(address_of("http://[2606:2800:220:1::1]:80/")) == "2606:2800:220:1::1"


def test_dots_of_other_scripts_count_as_dots() -> None:
    assert host_of(address_of("http://127。0。0。1/")) == "127.0.0.1"


def test_the_operator_allows_networks_addresses_names_and_domains() -> None:
    egress = EgressPolicy.parse(" 127.0.0.0/8, ::1,10.1.2.3 , Intern.Example.com,*.bücher.example,", lambda _: ["192.168.0.9"])
    assert egress.addresses_of("127.5.5.5") == ("127.5.5.5",)
    assert egress.addresses_of("::ffff:127.0.0.1") == ("127.0.0.1",)
    assert egress.addresses_of("::1") == ("::1",)
    assert egress.addresses_of("10.1.2.3") == ("10.1.2.3",)
    assert egress.addresses_of("intern.example.com") == ("192.168.0.9",)
    assert egress.addresses_of("a.b.xn--bcher-kva.example") == ("192.168.0.9",)
    for host in ("10.1.2.4", "example.com", "x.intern.example.com", "xn--bcher-kva.example", "evilxn--bcher-kva.example"):
        with pytest.raises(FetchRefused):
            egress.addresses_of(host)


def test_nothing_is_allowed_by_an_empty_setting() -> None:
    assert EgressPolicy.parse("").networks == EgressPolicy.parse(" , ").networks == ()


@pytest.mark.parametrize(
    "part", ["127.0.0.1/8", "10.0.0.0/33", "127.1", "2130706433", "*", "*.", "a b", "http://example.com", "host:80", "[::1]", "-.*"]
)
def test_an_invalid_entry_is_named(part: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        EgressPolicy.parse(f"127.0.0.0/8,{part}")
    assert str(wrong.value).startswith(f"{part} is neither")


def test_an_unresolvable_name_is_retryable() -> None:
    def nowhere(_: str) -> list[str]:
        raise OSError("no such name")

    for egress in (EgressPolicy(resolver=nowhere), EgressPolicy(resolver=lambda _: [])):
        with pytest.raises(FetchUnavailable):
            egress.addresses_of("example.com")


def test_the_system_resolver_knows_localhost() -> None:
    with pytest.raises(FetchRefused):
        EgressPolicy().addresses_of("localhost")
    assert "127.0.0.1" in EgressPolicy.parse("127.0.0.0/8, ::1").addresses_of("localhost")
