"""Receives request bodies: counted while they arrive, at a least speed, in bounded memory."""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from anyio import CapacityLimiter
from fastapi import Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.api.body_pace import LEAST_BYTES_PER_SECOND, BodyPace
from service.api.capacity import Capacity, in_thread
from service.disk import CHECK_BYTES, DiskGuard
from service.errors import ParameterError, TooLarge

PLAIN_BYTES: Final = 2**20  # of a body without a file
KEYLESS_BYTES: Final = 64 * 2**10  # of a body that holds the key, and is read before it is known whose it is
GZIP_NAMES: Final = ("gzip", "x-gzip")
GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS
PIECE_BYTES: Final = 2**16  # of a decompressed body
BATCH_BYTES: Final = 2**18  # are parsed at once
SPOOL_BYTES: Final = 64 * 2**10  # of a file are kept in memory, the rest on disk
MAX_FIELDS: Final = 100  # of a form
MAX_FIELDS_BESIDE_FILES: Final = 20
FIELD_BYTES: Final = 64 * 2**10  # of a field beside files


class BodyTooSlow(ParameterError):
    """The body arrived too slowly."""


class EncodingUnsupported(ParameterError):
    """The body is compressed in another way than gzip."""


async def parts(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body in parts, decompressed.

    Raises TooLarge as soon as it exceeds the limit or says that it will, BodyTooSlow, EncodingUnsupported, ParameterError for a damaged
    gzip body, ClientDisconnect.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    received = _received_parts(request, max_bytes)
    if encoding in ("", "identity"):
        async for part in received:
            yield part
        return
    if encoding not in GZIP_NAMES:
        raise EncodingUnsupported("the body's encoding must be gzip or identity")
    gunzip, decoded_bytes = Gunzip(), 0
    async for part in received:
        for piece in gunzip.pieces(part):
            decoded_bytes += len(piece)
            if decoded_bytes > max_bytes:
                raise too_large(max_bytes)
            yield piece
    gunzip.finish()


class Gunzip:
    """Decompresses gzip data in bounded pieces, as a thousandth of their size can hold them. Raises ParameterError for other data."""

    def __init__(self) -> None:
        self._data = zlib.decompressobj(GZIP_FORMAT)
        self._is_empty = True

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """What the next part of the data decompresses to, in pieces of at most PIECE_BYTES."""
        self._is_empty = self._is_empty and not part
        piece = b""
        while part or (len(piece) == PIECE_BYTES and not self._data.eof):
            if self._data.eof:  # not even more gzip data, of which each byte would take us a thousand times as long
                raise ParameterError("the gzip body goes on after its end")
            try:
                piece = self._data.decompress(part, PIECE_BYTES)
            except zlib.error:
                raise ParameterError("the body is not gzip") from None
            yield piece
            part = self._data.unused_data or self._data.unconsumed_tail

    def finish(self) -> None:
        """Raise ParameterError if the data ends early."""
        if not (self._is_empty or self._data.eof):
            raise ParameterError("the gzip body ends early")


async def _received_parts(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body in parts, as sent."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise too_large(max_bytes)
    pace, stream = BodyPace(), request.stream()
    while True:
        try:
            part = await pace.wait_for(anext(stream))
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise BodyTooSlow(f"the body arrives at less than {LEAST_BYTES_PER_SECOND // 2**10} KiB per second") from None
        pace.received_bytes += len(part)
        if pace.received_bytes > max_bytes:
            raise too_large(max_bytes)
        yield part


async def spooled_parts(request: Request, max_bytes: int, disk: DiskGuard) -> AsyncGenerator[bytes, None]:
    """The parts of a body whose files go to temporary files: all bytes that requests write to disk pass here, after the key was checked.

    Raises StorageFull as soon as the disk has no room for them.
    """
    unchecked_bytes = CHECK_BYTES
    async for part in parts(request, max_bytes):
        unchecked_bytes += len(part)
        if unchecked_bytes > CHECK_BYTES:
            disk.require()
            unchecked_bytes = 0
        yield part


async def batches(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same bytes in parts of at least BATCH_BYTES, but for the last."""
    batch = bytearray()
    async for part in stream:
        batch += part
        if len(batch) >= BATCH_BYTES:
            yield bytes(batch)
            batch.clear()
    yield bytes(batch)


async def read_body(request: Request, capacity: Capacity, max_bytes: int) -> bytes:
    """The whole body. Raises Busy, and like `parts`."""
    body = bytearray()
    with capacity.buffer.held() as held:
        async for part in parts(request, max_bytes):
            body += part
            held.grow(len(body))
    return bytes(body)


@asynccontextmanager
async def read_form(
    request: Request,
    capacity: Capacity,
    max_bytes: int,
    max_files: int = 1,
    max_fields: int = MAX_FIELDS_BESIDE_FILES,
    max_field_bytes: int = FIELD_BYTES,
) -> AsyncIterator[FormData]:
    """The fields and files of a multipart form of at most `max_bytes` in total. Raises ParameterError, and like `spooled_parts`."""
    kind, _, options = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise ParameterError("the body is not multipart/form-data")
    parser = _FormParser(
        _without_charset(options),
        batches(spooled_parts(request, max_bytes, capacity.disk)),
        max_files=max_files,
        max_fields=max_fields,
        max_part_size=max_field_bytes,
    )
    parser.spooling = capacity.spooling
    try:
        form = await parser.parse()
    except MultiPartException:
        raise ParameterError("the multipart/form-data body is malformed") from None
    try:
        yield form
    finally:
        await form.close()


class _FormParser(MultiPartParser):
    """Starlette's parser; but files are written in threads of their own, and sooner to disk."""

    spool_max_size = SPOOL_BYTES
    spooling: CapacityLimiter

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if (file := self._current_part.file) is not None:
            self._current_part.file = _SpooledFile(file, self.spooling)


class _SpooledFile(UploadFile):
    """A file of a form that is written in a limiter's threads."""

    def __init__(self, file: UploadFile, spooling: CapacityLimiter) -> None:
        super().__init__(file.file, size=file.size, filename=file.filename, headers=file.headers)
        self._spooling = spooling

    async def write(self, data: bytes) -> None:
        await in_thread(self._spooling, self.file.write, data)


def _without_charset(options: str) -> Headers:
    """A form's type without its charset: some of Python's codecs take quadratic time or raise other errors."""
    kept = [option for option in options.split(";") if option.partition("=")[0].strip().lower() != "charset"]
    return Headers({"content-type": ";".join(["multipart/form-data", *kept])})


def too_large(max_bytes: int) -> TooLarge:
    """The error for a body of more bytes than this."""
    return TooLarge(f"the request has more than {_size(max_bytes)}, which is the limit")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:g} MiB" if size_bytes >= 2**20 else f"{size_bytes / 2**10:g} KiB"
