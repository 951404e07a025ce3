"""The certificate and private key that sign the outputs. The key never enters the process that reads untrusted files."""

from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

Algorithm = Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

HASHES: Final[dict[str, hashes.HashAlgorithm]] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES: Final = {"es256": "secp256r1", "es384": "secp384r1", "es512": "secp521r1"}


@dataclass(frozen=True)
class Signer:
    """A certificate with its private key.

    chain_pem: the certificate and its issuers. timestamp_url: an RFC 3161 authority that confirms the time of each signature, or None.
    local: the chain was made on this machine for development; nobody else trusts it.
    """

    chain_pem: str = field(repr=False)
    key: PrivateKey = field(repr=False)
    algorithm: Algorithm = "es256"
    timestamp_url: str | None = None
    local: bool = False

    def sign(self, data: bytes) -> bytes:
        """Sign some bytes. The signature of an elliptic-curve key is in DER."""
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(data)
        digest = HASHES[self.algorithm[2:]]
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        return self.key.sign(data, ec.ECDSA(digest))

    @property
    def name(self) -> str:
        """The name of the certificate's subject."""
        subject = x509.load_pem_x509_certificate(self.chain_pem.encode()).subject
        names = subject.get_attributes_for_oid(NameOID.COMMON_NAME) or subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(names[0].value) if names else "unnamed"


def fits(key: PrivateKey, algorithm: Algorithm) -> bool:
    """Whether the algorithm can sign with this key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return algorithm == "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return algorithm.startswith("ps") and key.key_size >= 2048
    return key.curve.name == CURVES.get(algorithm)
