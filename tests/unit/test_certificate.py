"""The signer: a private development chain created once, or the operator's certificate, which must match its key."""

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service import settings
from service.certificate import CHAIN_FILE, command_signer, development_chain, new_chain, service_signer
from service.errors import SettingsError
from service.pipeline.provenance.signer import PrivateKey, Signer


@dataclass(frozen=True)
class Home:
    """A user's folders, none of which exists yet."""

    data: Path
    user: Path

    def set(self, monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"CLEANPLATE_C2PA__{name.upper()}", value)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("CLEANPLATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    return Home(tmp_path / "data", tmp_path / "user")


def chosen(signer: Signer | None) -> Signer:
    assert signer is not None
    return signer


def write_own(folder: Path, key: PrivateKey, *, expired: bool = False, can_sign: bool = True) -> dict[str, str]:
    """Write a certificate and its key to files; return the settings that name them."""
    authority = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.now(UTC) - timedelta(days=100 if expired else 1)
    chain = b""
    for model in x509.load_pem_x509_certificates(new_chain().encode()):  # with the extensions that C2PA requires
        whose = authority if model.subject == model.issuer else key
        builder = x509.CertificateBuilder(model.issuer, model.subject, whose.public_key(), 7).not_valid_before(begin)
        for extension in model.extensions:
            if can_sign or not isinstance(extension.value, x509.ExtendedKeyUsage):
                builder = builder.add_extension(_of(extension.value, whose, authority), extension.critical)
        chain += builder.not_valid_after(begin + timedelta(days=50)).sign(authority, SHA256()).public_bytes(Encoding.PEM)
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {"certificate": str(folder / "chain.pem"), "private_key": str(folder / "key.pem")}


def _of(value: x509.ExtensionType, whose: PrivateKey, authority: PrivateKey) -> x509.ExtensionType:
    """A model certificate's extension, rewritten for other keys."""
    if isinstance(value, x509.SubjectKeyIdentifier):
        return x509.SubjectKeyIdentifier.from_public_key(whose.public_key())
    if isinstance(value, x509.AuthorityKeyIdentifier):
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    return value


def test_a_development_chain_is_created_once_and_is_private(home: Home) -> None:
    with ThreadPoolExecutor(8) as pool:
        chains = set(pool.map(development_chain, [home.data] * 8))
    assert chains == {development_chain(home.data)}
    assert [path.name for path in home.data.iterdir()] == [CHAIN_FILE]
    assert stat.S_IMODE((home.data / CHAIN_FILE).stat().st_mode) == 0o600


def test_its_root_signs_its_certificate(home: Home) -> None:
    leaf, root = x509.load_pem_x509_certificates(development_chain(home.data).encode())
    leaf.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert development_chain(home.user) != development_chain(home.data)


def test_service_and_command_share_a_signer_if_there_is_a_data_folder(home: Home) -> None:
    alone = chosen(command_signer(settings.read()))
    assert alone.local
    assert not home.data.exists()
    assert (home.user / "cleanplate" / CHAIN_FILE).is_file()
    service = chosen(service_signer(settings.read()))
    assert chosen(command_signer(settings.read())).chain_pem == service.chain_pem != alone.chain_pem
    assert service.name == "Cleanplate on this machine"


def test_a_command_signs_even_if_nothing_can_be_stored(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert chosen(command_signer(settings.read())).local
    monkeypatch.setenv("CLEANPLATE_DATA_DIR", str(tmp_path / "file" / "data"))
    with pytest.raises(SettingsError, match="CLEANPLATE_C2PA__CERTIFICATE: not set"):
        service_signer(settings.read())
    assert not home.data.exists()


def test_signing_can_be_disabled(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.set(monkeypatch, enabled="false")
    assert service_signer(settings.read()) is command_signer(settings.read()) is None
    assert not home.data.exists()


def test_the_operators_certificate_signs(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = write_own(tmp_path, ec.generate_private_key(ec.SECP384R1()))
    home.set(monkeypatch, algorithm="es384", timestamp_url="http://time.example.com", **own)
    signer = chosen(service_signer(settings.read()))
    assert (signer.local, signer.algorithm, signer.timestamp_url) == (False, "es384", "http://time.example.com")
    assert "PRIVATE" not in signer.chain_pem
    assert "PRIVATE" not in repr(signer)
    assert not home.data.exists()


P256 = ec.generate_private_key(ec.SECP256R1())
WRONG = {
    "one of the two": ({"private_key": ""}, "PRIVATE_KEY: a certificate needs its private key"),
    "no such file": ({"certificate": "nowhere.pem"}, "CERTIFICATE: nowhere.pem cannot be read: no such file"),
    "a key for a certificate": ({"certificate": "key.pem"}, "CERTIFICATE: not a PEM chain"),
    "a certificate for a key": ({"private_key": "chain.pem"}, "PRIVATE_KEY: not an unencrypted private key"),
    "another algorithm": ({"algorithm": "ps256"}, "ALGORITHM: the private key cannot be used with ps256"),
    "another curve": ({"algorithm": "es512"}, "ALGORITHM: the private key cannot be used with es512"),
}


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
def test_inconsistent_settings_are_refused(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    home.set(monkeypatch, **write_own(tmp_path, P256) | values)
    with pytest.raises(SettingsError, match=f"CLEANPLATE_C2PA__{message}"):
        service_signer(settings.read())


def test_unusable_certificates_are_refused(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.set(monkeypatch, **write_own(tmp_path, P256, expired=True))
    with pytest.raises(SettingsError, match="CERTIFICATE: has expired"):
        service_signer(settings.read())
    write_own(tmp_path, P256, can_sign=False)
    with pytest.raises(SettingsError, match="CERTIFICATE: not a PEM chain whose first certificate may sign"):
        service_signer(settings.read())
    write_own(tmp_path, P256)
    other = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SettingsError, match="PRIVATE_KEY: does not match"):
        service_signer(settings.read())
    write_own(tmp_path, rsa.generate_private_key(65537, 1024))
    with pytest.raises(SettingsError, match="ALGORITHM"):
        service_signer(settings.read())
