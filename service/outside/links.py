"""Signed, expiring links to stored files: to our `/files`, or, for a week at most, to a bucket that signs its own."""

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode

from service.errors import KeyInvalid, SignatureExpired
from service.outside.storage import PRESIGNED_SECONDS, Storage, check_key, is_key

ARCHIVE: Final = "archive"  # no key of a file begins so
OVERLAP_SECONDS: Final = 3600  # at most, in which a link and the next one are both valid


class Links:
    """Creates and verifies links. `public_url`: how clients reach this service; `secret`: shared by all its processes."""

    def __init__(self, public_url: str, secret: bytes, storage: Storage, clock: Callable[[], float] = time.time) -> None:
        self._base = f"{public_url.rstrip('/')}/files/"
        self._secret = secret
        self._storage = storage
        self._clock = clock

    def url(self, key: str, seconds: float, filename: str | None = None) -> str:
        """A link to a key, valid for `seconds`. Browsers save our links as `filename`, and a bucket's under the last part of the key."""
        if seconds <= PRESIGNED_SECONDS and (presigned := self._storage.presign(key, seconds)):
            return presigned
        return self._signed(check_key(key), int(self._clock() + seconds), filename)

    def lasting(self, key: str, seconds: int, since_seconds: float, filename: str | None = None) -> str:
        """A link to our `/files` that is always the same text, for a key that exists since then (seconds since 1970).

        It is valid for `seconds` from then. Shortly before it expires the next one takes its place.
        """
        period_seconds = max(1, seconds - min(seconds // 10, OVERLAP_SECONDS))
        periods = max(0, int(self._clock() - since_seconds) // period_seconds)
        return self._signed(check_key(key), int(since_seconds) + periods * period_seconds + seconds, filename)

    def archive(self, account_id: int, job_ids: Sequence[str], seconds: float) -> str:
        """A link to an archive of the results of these jobs of an account, valid for `seconds`."""
        expires, text = int(self._clock() + seconds), ",".join(job_ids)
        query = {"jobs": text, "account": str(account_id), "expires": str(expires)}
        query["signature"] = self._signature(f"{ARCHIVE}/{account_id}", expires, text)
        return f"{self._base.removesuffix('files/')}{ARCHIVE}?{urlencode(query)}"

    def verify_archive(self, account_id: int, job_ids: Sequence[str], expires: int, signature: str) -> None:
        """Raise like `verify` unless this service signed exactly this link to an archive."""
        self.verify(f"{ARCHIVE}/{account_id}", expires, signature, ",".join(job_ids))

    def verify(self, key: str, expires: int, signature: str, filename: str | None = None) -> None:
        """Raise KeyInvalid unless this service signed exactly this, and SignatureExpired if the link has expired."""
        ours = self._signature(key, expires, filename)
        if not (hmac.compare_digest(ours.encode(), signature.encode()) and is_key(key)):
            raise KeyInvalid("the link's signature is wrong")
        if expires <= self._clock():
            raise SignatureExpired("the link has expired")

    def key_of(self, url: str) -> str | None:
        """The key that one of our links points to; None for any other URL, and for a forged or expired link."""
        if not url.startswith(self._base):
            return self._storage.key_of_presigned_url(url)
        key, _, query = url.removeprefix(self._base).partition("?")
        parameters = dict(parse_qsl(query))
        try:
            self.verify(key, int(parameters["expires"]), parameters["signature"], parameters.get("filename"))
        except (KeyError, ValueError, KeyInvalid, SignatureExpired):
            return None
        return key

    def _signed(self, key: str, expires: int, filename: str | None) -> str:
        query = {"expires": str(expires), "signature": self._signature(key, expires, filename)}
        return f"{self._base}{key}?{urlencode(query | ({'filename': filename} if filename else {}))}"

    def _signature(self, key: str, expires: int, filename: str | None) -> str:
        text = f"{key}\n{expires}\n{filename or ''}"  # no key contains a newline, so two different links never sign the same text
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
