"""https to a checked address: the certificate must match the host's name."""

import datetime
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.errors import FetchRefused, FetchTooSlow, FetchUnavailable
from service.outside.fetch import FetchLimits, fetch
from service.outside.guard import EgressPolicy
from tests.fixture_host import Host, host

NAME = "video.example.com"
HERE = EgressPolicy.parse("127.0.0.0/8", lambda _: ["127.0.0.1"])


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host whose certificate is valid for one name; this process trusts it like a company's own authority."""
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(make_certificate())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with host(tls=context) as there:
        yield there


def make_certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def test_the_host_must_match_the_certificate(secure: Host, tmp_path: Path) -> None:
    target = tmp_path / "video"
    secure.serve("/v.mp4", b"data")
    assert fetch(f"https://{NAME}:{secure.port}/v.mp4", target, HERE, FetchLimits()).bytes == 4
    for other in ("other.example.com", "127.0.0.1"):
        with pytest.raises(FetchUnavailable):
            fetch(f"https://{other}:{secure.port}/v.mp4", tmp_path / "other", HERE, FetchLimits())


def test_an_untrusted_certificate_is_refused(secure: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secure.serve("/v.mp4", b"data")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(FetchUnavailable):
        fetch(f"https://{NAME}:{secure.port}/v.mp4", tmp_path / "video", HERE, FetchLimits())


def test_a_redirect_from_https_to_http_is_refused(secure: Host, there: Host, tmp_path: Path) -> None:
    secure.redirect("/v.mp4", there.serve("/v.mp4", b"data"))
    with pytest.raises(FetchRefused):
        fetch(f"https://{NAME}:{secure.port}/v.mp4", tmp_path / "video", HERE, FetchLimits())
    assert not there.asked


def test_a_slow_trickle_over_tls_ends_at_the_deadline(secure: Host, tmp_path: Path) -> None:
    secure.trickle("/v.mp4")
    with pytest.raises(FetchTooSlow):
        fetch(f"https://{NAME}:{secure.port}/v.mp4", tmp_path / "video", HERE, FetchLimits(seconds=0.5))
