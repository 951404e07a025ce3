"""The signer of Content Credentials: the configured certificate, or a local development chain created on first use."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from service.errors import SettingsError
from service.pipeline.provenance.signer import PrivateKey, Signer, fits
from service.settings import ContentCredentials, Settings

log = logging.getLogger(__name__)

CHAIN_FILE: Final = "development-signer.pem"
VALID: Final = timedelta(days=3650)
CLOCK_SKEW: Final = timedelta(days=1)
C2PA_SIGNING: Final = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
USES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def service_signer(settings: Settings) -> Signer | None:
    """The signer for a service's outputs; None if Content Credentials are disabled. Raises SettingsError."""
    return _signer(settings.c2pa, lambda: development_chain(settings.data_dir))


def command_signer(settings: Settings) -> Signer | None:
    """The signer for a command's outputs: the service's if there is a data folder, else one in this user's home. Raises SettingsError."""
    return _signer(settings.c2pa, lambda: _command_chain(settings.data_dir))


def _command_chain(service_folder: Path) -> str:
    """The service's development chain, or this user's. If neither can be stored, a new chain for this command only."""
    for folder in (service_folder if service_folder.is_dir() else None, _user_folder()):
        if folder is not None:
            with suppress(SettingsError):
                return development_chain(folder)
    return new_chain()


def _user_folder() -> Path | None:
    try:
        return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "cleanplate"
    except RuntimeError:  # this user has no home folder
        return None


def _signer(chosen: ContentCredentials, development: Callable[[], str]) -> Signer | None:
    """The configured signer, or one with a development chain, which `development` returns as PEM."""
    if not chosen.enabled:
        return None
    if (chosen.certificate is None) != (chosen.private_key is None):
        missing = "PRIVATE_KEY" if chosen.private_key is None else "CERTIFICATE"
        raise SettingsError(f"CLEANPLATE_C2PA__{missing}: a certificate needs its private key, and a key its certificate")
    if chosen.certificate is not None and chosen.private_key is not None:
        chain, key = (_read_text(path, name) for path, name in ((chosen.certificate, "CERTIFICATE"), (chosen.private_key, "PRIVATE_KEY")))
        return _operator_signer(chain, key, chosen)
    pem = development()
    log.info("outputs are signed with a local development certificate, which nobody else trusts; CLEANPLATE_C2PA__CERTIFICATE sets another")
    key_pem, end_marker, chain_pem = pem.partition("-----END PRIVATE KEY-----\n")
    return Signer(chain_pem, _parse_key(key_pem + end_marker), timestamp_url=chosen.timestamp_url, local=True)


def development_chain(folder: Path) -> str:
    """The folder's private key, certificate and root as PEM, created if missing. Processes that start together get the same one."""
    path = folder / CHAIN_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, new_chain())
        return path.read_text("ascii")
    except OSError as error:
        reason = (error.strerror or "unknown").lower()
        raise SettingsError(
            f"CLEANPLATE_C2PA__CERTIFICATE: not set, and a development certificate cannot be stored in {folder.name}: {reason}"
        ) from None


def _write_once(path: Path, text: str) -> None:
    """Create the file complete and private to this user; keep it if another process created it first."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as file:  # created with mode 0600
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)


def new_chain() -> str:
    """A new private key, its certificate and the root that signed it, as PEM. The root's own key is discarded."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, name = _x509_name("Cleanplate development root"), _x509_name("Cleanplate on this machine")
    root = _certificate_builder(root_name, root_key, root_name, root_key, is_root=True)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, C2PA_SIGNING])
    leaf = _certificate_builder(name, key, root_name, root_key, is_root=False).add_extension(usage, critical=False)
    certificates = [unsigned.sign(root_key, SHA256()).public_bytes(Encoding.PEM) for unsigned in (leaf, root)]
    return b"".join((key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), *certificates)).decode()


def _certificate_builder(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, issuer_key: ec.EllipticCurvePrivateKey, *, is_root: bool
) -> x509.CertificateBuilder:
    """A certificate with the extensions that C2PA requires: key usage, basic constraints, and the identifiers of both keys."""
    now = datetime.now(UTC)
    uses = ("key_cert_sign", "crl_sign") if is_root else ("digital_signature",)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{use: use in uses for use in USES}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _x509_name(common_name: str) -> x509.Name:
    names = ((NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATION_NAME, "Local development, not trusted"))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in names])


def _operator_signer(chain_pem: str, key_pem: str, chosen: ContentCredentials) -> Signer:
    """The configured signer. Raises SettingsError for a pair that would fail with the first job."""
    key = _parse_key(key_pem)
    try:
        first = x509.load_pem_x509_certificates(chain_pem.encode())[0]
        usable = bool(first.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (ValueError, x509.ExtensionNotFound):
        raise SettingsError("CLEANPLATE_C2PA__CERTIFICATE: not a PEM chain whose first certificate may sign (extended key usage)") from None
    if not usable or first.public_key() != key.public_key():
        raise SettingsError("CLEANPLATE_C2PA__PRIVATE_KEY: does not match the first certificate in the chain")
    if not first.not_valid_before_utc <= datetime.now(UTC) <= first.not_valid_after_utc:
        raise SettingsError("CLEANPLATE_C2PA__CERTIFICATE: has expired or is not valid yet")
    if not fits(key, chosen.algorithm):
        raise SettingsError(f"CLEANPLATE_C2PA__ALGORITHM: the private key cannot be used with {chosen.algorithm}")
    return Signer(chain_pem, key, chosen.algorithm, chosen.timestamp_url)


def _parse_key(pem: str) -> PrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError("CLEANPLATE_C2PA__PRIVATE_KEY: not an unencrypted private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise SettingsError("CLEANPLATE_C2PA__PRIVATE_KEY: this kind of key cannot sign Content Credentials")
    return key


def _read_text(path: Path, name: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "not a text file").lower()
        raise SettingsError(f"CLEANPLATE_C2PA__{name}: {path.name} cannot be read: {reason}") from None
