"""Parses JSON of strangers: depth and tokens are limited before anything is built from it, and long strings are files."""

import json
import re
import secrets
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final, Self

from service.api.base64_file import EscapedBase64Decoder
from service.api.body import PLAIN_BYTES
from service.errors import ParameterError, TooLarge

MAX_TOKENS: Final = 10_000  # strings, commas and opening brackets; a job with a hundred boxes has 1,500
LONG_BYTES: Final = 64 * 2**10  # a longer string is a file as base64
MAX_FILES: Final = 4
STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)  # up to its closing quote, to the end, or to an escape that is cut off there
OPENING, CLOSING, COMMA = b"[{", b"]}", b","
NOT_STRUCTURE: Final = bytes(set(range(256)) - set(OPENING + CLOSING + COMMA))


class JsonReader:
    """Reads a JSON object in parts: `feed` each, then `finish`. Close it when its files are no longer needed.

    `max_file_bytes`: of a file that is sent as base64, in a string; None where none is expected, so that all strings are text.
    `max_bytes`: of the text besides the files.
    """

    def __init__(
        self, max_depth: int, max_file_bytes: int | None = None, max_bytes: int = PLAIN_BYTES, max_tokens: int = MAX_TOKENS
    ) -> None:
        self._max_depth = max_depth
        self._max_file_bytes = max_file_bytes
        self._max_bytes = max_bytes
        self._max_tokens = max_tokens
        self._text = bytearray()  # without the files
        self._depth = 0
        self._tokens = 0
        self._string_start: int | None = None  # of the string that is being read, in `_text`
        self._cut_off = b""  # an escape's backslash at the end of the last part
        self._file: EscapedBase64Decoder | None = None  # that the string is decoded into
        self._files: dict[str, BinaryIO] = {}  # by what stands for it in `_text`
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def feed(self, data: bytes) -> None:
        """Read the next part. Raises ParameterError, TooLarge."""
        data, self._cut_off = self._cut_off + data, b""
        position = 0
        while position < len(data):
            position = self._structure(data, position) if self._string_start is None else self._string(data, position)
        if len(self._text) > self._max_bytes:
            raise TooLarge(f"the body has more than {self._max_bytes // 2**20} MiB besides its files, which is the limit")

    def finish(self) -> dict[str, Any]:
        """The object. A file is an open one, at its start. Raises ParameterError."""
        try:
            data = json.loads(self._text.decode("utf-8-sig"))  # other encodings would hide structure from the limits
        except ValueError:
            raise ParameterError("the body is not JSON") from None
        if not isinstance(data, dict):
            raise ParameterError("the body is not a JSON object")
        return {name: self._files.get(value, value) if isinstance(value, str) else value for name, value in data.items()}

    def _structure(self, data: bytes, start: int) -> int:
        """Read up to a string; return the position after its opening quote."""
        end = data.find(b'"', start) + 1 or len(data)
        for character in data[start:end].translate(None, NOT_STRUCTURE):
            self._depth += (character in OPENING) - (character in CLOSING)
            self._count_tokens(character not in CLOSING)
            if self._depth > self._max_depth:
                raise ParameterError(f"the body is nested deeper than {self._max_depth} levels")
            if self._depth < 0:
                raise ParameterError("the body is not JSON")
        self._text += data[start:end]
        if data[end - 1 : end] == b'"':
            self._count_tokens(1)
            self._string_start = len(self._text)
        return end

    def _string(self, data: bytes, start: int) -> int:
        """Read up to a string's end; return the position after its closing quote."""
        assert self._string_start is not None
        end = _end_of_string(data, start)
        if self._file is None:
            self._text += data[start:end]
            if self._max_file_bytes is not None and len(self._text) - self._string_start > LONG_BYTES:
                self._begin_file()
        else:
            self._file.feed(data[start:end])
        if data[end : end + 1] == b"\\":
            self._cut_off = b"\\"
        elif end < len(data):
            self._end_string()
        return end + 1

    def _begin_file(self) -> None:
        """Decode this string into a file from now on."""
        if len(self._files) == MAX_FILES:
            raise ParameterError(f"the body has more than {MAX_FILES} files")
        assert self._max_file_bytes is not None
        file = self._closing.enter_context(TemporaryFile())  # noqa: SIM115  # the reader closes it
        self._file = EscapedBase64Decoder(file, self._max_file_bytes)
        self._file.feed(bytes(self._text[self._string_start :]))
        del self._text[self._string_start :]

    def _end_string(self) -> None:
        if self._file is not None:
            self._file.finish()
            name = secrets.token_hex()  # so that no other string stands for the file
            self._files[name] = self._file.file
            self._text += name.encode()
            self._file = None
        self._text += b'"'
        self._string_start = None

    def _count_tokens(self, count: int) -> None:
        self._tokens += count
        if self._tokens > self._max_tokens:
            raise ParameterError(f"the body has more than {self._max_tokens} parts")


def _end_of_string(data: bytes, start: int) -> int:
    """The position of the closing quote, of an escape that is cut off, or the end."""
    quote = data.find(b'"', start)
    end = quote if quote >= 0 else len(data)
    if data.find(b"\\", start, end) < 0:
        return end
    match = STRING.match(data, start)
    assert match is not None
    return match.end()


def parse_object(text: bytes | str, max_depth: int, max_bytes: int = PLAIN_BYTES, max_tokens: int = MAX_TOKENS) -> dict[str, Any]:
    """Parse a JSON object nested at most `max_depth` levels. Raises ParameterError, TooLarge."""
    with JsonReader(max_depth, max_bytes=max_bytes, max_tokens=max_tokens) as reader:
        reader.feed(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return reader.finish()
