"""Files sent as base64 text, in either alphabet, with or without padding, line breaks or a `data:` header. Decoded in linear time."""

import binascii
import json
from typing import BinaryIO, Final

from service.errors import ParameterError, TooLarge

URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
SPACES: Final = b" \t\r\n\v\f"
MAX_HEADER_BYTES: Final = 200  # of `data:image/png;base64,`
ESCAPE_BYTES: Final = 6  # of `\u002b`, the longest escape in JSON


class Base64Decoder:
    """Decodes base64 text, part by part, into a file of at most `max_bytes`. Raises ParameterError and TooLarge."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self.file = file
        self._max_bytes = max_bytes
        self._written_bytes = 0
        self._start: bytes | None = b""  # of the text, while it may be a header
        self._rest = b""  # digits that do not make whole bytes yet
        self._padded = False

    def feed(self, text: bytes) -> None:
        """Decode the next part."""
        if self._start is not None:
            text = self._start + text
            if len(text) <= MAX_HEADER_BYTES:
                self._start = text
                return
            text, self._start = _without_header(text), None
        self._decode(text)

    def finish(self) -> None:
        """Decode what is left; the file is at its start then."""
        if self._start is not None:
            self._decode(_without_header(self._start))
        self._write(self._rest + b"=" * (-len(self._rest) % 4))
        self.file.seek(0)

    def _decode(self, text: bytes) -> None:
        digits, padding, more = text.translate(URL_SAFE, SPACES).partition(b"=")
        if (self._padded and digits) or more.strip(b"="):
            raise _malformed()
        self._padded = self._padded or bool(padding)
        digits = self._rest + digits
        whole = len(digits) - len(digits) % 4
        self._rest = digits[whole:]
        self._write(digits[:whole])

    def _write(self, digits: bytes) -> None:
        self._written_bytes += len(digits) // 4 * 3
        if self._written_bytes > self._max_bytes + 2:  # known before decoding, but for the padding
            raise TooLarge(f"the file has more than {self._max_bytes / 2**20:g} MiB, which is the limit")
        try:
            self.file.write(binascii.a2b_base64(digits, strict_mode=True))
        except binascii.Error:
            raise _malformed() from None


class EscapedBase64Decoder(Base64Decoder):
    """The same for the inside of a JSON string, in which `/`, `+`, `=` and line breaks may be escaped."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        super().__init__(file, max_bytes)
        self._escape = b""  # unfinished, at the end of the last part

    def feed(self, text: bytes) -> None:
        text, self._escape = self._escape + text, b""
        last = text.rfind(b"\\", -ESCAPE_BYTES + 1)
        if last >= 0:
            text, self._escape = text[:last], text[last:]
        super().feed(_unescaped(text))

    def finish(self) -> None:
        super().feed(_unescaped(self._escape))
        super().finish()


def _unescaped(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    try:
        plain: str = json.loads(b'"%s"' % text, strict=False)
        return plain.encode("ascii")
    except ValueError:
        raise _malformed() from None


def _without_header(text: bytes) -> bytes:
    return text.partition(b",")[2] if text.startswith(b"data:") and b"," in text[:MAX_HEADER_BYTES] else text


def _malformed() -> ParameterError:
    return ParameterError("a file in the body is not base64")
