"""Aidge's two request signatures. Pure.

    v1  HMAC-SHA256(secret, api name + every parameter's name and value, sorted by name + a JSON body, if there is one)
    v2  HMAC-SHA256(secret, secret + timestamp)

Both in upper-case hexadecimal. v2 signs neither the path nor the parameters; HTTPS and the timestamp's window protect it.
v1 does not sign where a name ends and its value begins, so whoever sees a request can move text from one to the next.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final

from service.errors import KeyInvalid, KeyMissing, SignatureExpired

REQUIRED: Final = ("app_key", "timestamp", "sign")
CREDENTIALS: Final = (*REQUIRED, "sign_method", "sign_ver")
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # of a parameter
METHODS: Final = frozenset({"", "sha256", "hmac-sha256"})  # of `sign_method`


class SignatureInvalid(KeyInvalid):
    """The signature was not made with the signer's secret."""


def sign_v1(secret: bytes, api_name: str, parameters: Mapping[str, str], body: bytes = b"", with_empty: bool = False) -> str:
    """The signature over the parameters of an API such as `/ai/video/removal`, and over a JSON body.

    `with_empty`: as those of the vendor's SDKs do that also sign the names of empty parameters.
    """
    signed = sorted((name, value) for name, value in parameters.items() if (value or with_empty) and name != "sign")
    return _digest(secret, (api_name + "".join(name + value for name, value in signed)).encode("utf-8", "surrogatepass") + body)


def sign_v2(secret: bytes, timestamp: str) -> str:
    """The signature over the timestamp alone."""
    return _digest(secret, secret + timestamp.encode())


def credentials_in(body: Mapping[str, object]) -> dict[str, str]:
    """The credentials that a JSON body holds, as text. Only version 2 can be there: version 1 would have to sign itself."""
    return {name: str(body[name]) for name in CREDENTIALS if isinstance(body.get(name), (str, int))}


def check_present(parameters: Mapping[str, str]) -> None:
    """Raise KeyMissing, naming the first parameter that a signed request lacks."""
    for name in REQUIRED:
        if not parameters.get(name):
            raise KeyMissing(f"{name} is required")


def check_time(timestamp: str, now_ms: int, window_seconds: float) -> None:
    """Raise SignatureExpired unless `timestamp`, in milliseconds, is within the window before or after now."""
    digits = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 20
    if not digits or abs(int(timestamp) - now_ms) > 1000 * window_seconds:
        raise SignatureExpired(f"timestamp must be milliseconds since 1970, at most {window_seconds:g} s from now")


def check_signature(secret: bytes, api_name: str, parameters: Mapping[str, str], body: bytes = b"") -> None:
    """Raise SignatureInvalid unless `sign` is correct for the version in `sign_ver`, by default v1.

    `body`: of JSON; v1 must cover it, v2 does not.
    """
    version = parameters.get("sign_ver", "").lower()
    if version not in ("", "v1", "v2") or parameters.get("sign_method", "").lower() not in METHODS:
        raise SignatureInvalid("sign_method must be sha256, and sign_ver v2 or absent")
    if version == "v2":
        _compare([sign_v2(secret, parameters["timestamp"])], parameters["sign"], "the signature is wrong")
        return
    if not all(map(NAME.fullmatch, parameters)):  # with a slash in front, a name could continue the name of the API
        raise SignatureInvalid("a parameter's name is invalid")
    unsigned = "; version 1 must also sign the JSON body" if body else ""
    expected = [sign_v1(secret, api_name, parameters, body, with_empty) for with_empty in (False, True)]
    _compare(expected, parameters["sign"], f"the signature is wrong{unsigned}")


def _compare(expected: Sequence[str], sign: str, message: str) -> None:
    sent = sign.upper().encode("utf-8", "surrogatepass")
    if not any(hmac.compare_digest(each.encode(), sent) for each in expected):
        raise SignatureInvalid(message)


def _digest(secret: bytes, message: bytes) -> str:
    return hmac.digest(secret, message, "sha256").hex().upper()
