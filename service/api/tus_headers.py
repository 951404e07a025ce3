"""The headers of tus 1.0.0, the protocol for resumable uploads: https://tus.io/protocols/resumable-upload"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from service.errors import ParameterError, ParameterMissing

if TYPE_CHECKING:
    from hashlib import _Hash

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,checksum,expiration,termination"
ALGORITHMS: Final = ("sha1", "sha256")
PIECE: Final = "application/offset+octet-stream"
DIGITS: Final = 19  # of a number of bytes
METADATA_PAIRS: Final = 16
SHA256_DIGITS: Final = 64


def number(headers: Mapping[str, str], name: str) -> int:
    """A header's number of bytes. Raises ParameterMissing, ParameterError."""
    text = headers.get(name)
    if text is None:
        raise ParameterMissing(f"the header {name} is required")
    if not (text.isascii() and text.isdecimal() and len(text) <= DIGITS):
        raise ParameterError(f"the header {name} must be a number of bytes")
    return int(text)


@dataclass(frozen=True)
class Metadata:
    """What a client says of a file: its name, and the SHA-256 of the whole file, hexadecimal."""

    name: str
    sha256: str | None

    @classmethod
    def of(cls, text: str) -> Self:
        """Of `Upload-Metadata`: `filename BASE64,sha256 BASE64`. Other pairs are ignored. Raises ParameterError."""
        pairs: dict[str, str] = {}
        for pair in text.split(",", METADATA_PAIRS) if text.strip() else ():
            name, _, value = pair.strip().partition(" ")
            pairs[name] = _decoded(value.strip())
        return cls(pairs.get("filename") or pairs.get("name") or "", checked_sha256(pairs.get("sha256")))


@dataclass(frozen=True)
class Checksum:
    """The checksum of a piece, as announced."""

    algorithm: str
    digest: bytes

    @classmethod
    def of(cls, text: str) -> Self:
        """Of `Upload-Checksum`: `sha1 BASE64`. Raises ParameterError."""
        algorithm, _, value = text.strip().partition(" ")
        if algorithm not in ALGORITHMS:
            raise ParameterError(f"the algorithm of Upload-Checksum must be one of {', '.join(ALGORITHMS)}")
        try:
            return cls(algorithm, base64.b64decode(value, validate=True))
        except ValueError:
            raise ParameterError("Upload-Checksum is not base64") from None

    def hash(self) -> "_Hash":
        return hashlib.new(self.algorithm, usedforsecurity=False)


def checked_sha256(text: str | None) -> str | None:
    """The SHA-256 in lower case. Raises ParameterError for another text."""
    if not text:
        return None
    try:
        is_right = len(bytes.fromhex(text)) * 2 == SHA256_DIGITS == len(text)
    except ValueError:
        is_right = False
    if not is_right:
        raise ParameterError(f"sha256 must be {SHA256_DIGITS} hexadecimal digits")
    return text.lower()


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:
        raise ParameterError("a value of Upload-Metadata is not base64 of UTF-8") from None
