"""Links to stored files, signed and good for a while. A bucket signs its own, for a week at most; all others lead to our `/files`."""

import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from service.errors import KeyInvalid, SignatureExpired
from service.outside.storage import PRESIGNED_SECONDS, Storage, checked, is_key


class Links:
    """Makes links and knows its own again. `public_url` is how clients reach this service, `secret` is shared by all its processes."""

    def __init__(self, public_url: str, secret: bytes, storage: Storage, clock: Callable[[], float] = time.time) -> None:
        self._base = f"{public_url.rstrip('/')}/files/"
        self._secret = secret
        self._storage = storage
        self._clock = clock

    def url(self, key: str, seconds: float, filename: str | None = None) -> str:
        """A link to a key, good for `seconds`. A browser saves it as `filename`; a bucket's link always by the last part of its key."""
        if seconds <= PRESIGNED_SECONDS and (presigned := self._storage.presign(key, seconds)):
            return presigned
        return self._signed(checked(key), int(self._clock() + seconds), filename)

    def verify(self, key: str, expires: int, signature: str, filename: str | None = None) -> None:
        """Raise `KeyInvalid` unless this service signed just this, `SignatureExpired` if its time is over."""
        ours = self._signature(key, expires, filename)
        if not (hmac.compare_digest(ours.encode(), signature.encode()) and is_key(key)):
            raise KeyInvalid("the link's signature does not fit")
        if expires <= self._clock():
            raise SignatureExpired("the link has expired")

    def key_of(self, url: str) -> str | None:
        """The key that a link of ours leads to; None for any other URL, and for a link that is forged or has expired."""
        if not url.startswith(self._base):
            return self._storage.key_presigned(url)
        key, _, query = url.removeprefix(self._base).partition("?")
        told = dict(parse_qsl(query))
        try:
            self.verify(key, int(told["expires"]), told["signature"], told.get("filename"))
        except (KeyError, ValueError, KeyInvalid, SignatureExpired):
            return None
        return key

    def _signed(self, key: str, expires: int, filename: str | None) -> str:
        told = {"expires": str(expires), "signature": self._signature(key, expires, filename)}
        return f"{self._base}{key}?{urlencode(told | ({'filename': filename} if filename else {}))}"

    def _signature(self, key: str, expires: int, filename: str | None) -> str:
        text = f"{key}\n{expires}\n{filename or ''}"  # no key has a newline, so two different links never sign the same text
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
