"""An object in an S3-compatible bucket that arrives in pieces, through any process: parts of a multipart upload, and a tail.

It has the methods of `HalfFile`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from service.disk import naming_full_disks
from service.outside.multipart import Multipart
from service.outside.storage import Storage

PART_BYTES: Final = 8 * 2**20
TAIL_TYPE: Final = "application/octet-stream"


class HalfObject:
    """An object that grows. What has arrived and is not in the bucket yet is in a temporary file."""

    def __init__(self, multipart: Multipart, storage: Storage, key: str, upload_id: str, whole_bytes: int, file: BinaryIO) -> None:
        self._multipart, self._storage, self._file = multipart, storage, file
        self._key, self._upload_id, self._whole_bytes = key, upload_id, whole_bytes
        parts = multipart.parts(key, upload_id) or {}
        self._number = len(parts)
        self._sent_bytes = sum(size_bytes for size_bytes, _ in parts.values())
        self._waiting_bytes = 0  # in the file
        self._verified_bytes: int | None = None  # of them, while a piece with a checksum arrives
        self._stored_tail = self._tail_key
        if self._storage.stat(self._stored_tail) is not None:
            self.append(self._storage.get_bytes(self._stored_tail))

    @classmethod
    @contextmanager
    def opened(cls, multipart: Multipart, storage: Storage, key: str, upload_id: str, whole_bytes: int) -> Iterator["HalfObject"]:
        """The object; in the bucket at the end of the block."""
        with naming_full_disks(), TemporaryFile() as file:
            half = cls(multipart, storage, key, upload_id, whole_bytes, file)
            before_bytes = half.arrived_bytes
            try:
                yield half
            finally:
                half.discard_unverified()
                if half.arrived_bytes != before_bytes:
                    half._store_rest()

    @property
    def arrived_bytes(self) -> int:
        """How much has arrived."""
        return self._sent_bytes + self._waiting_bytes

    def append(self, data: bytes) -> None:
        """Write more."""
        self._file.write(data)
        self._waiting_bytes += len(data)
        self._send_whole_parts()

    def begin_unverified(self) -> None:
        """What follows counts only after `verified`."""
        self._verified_bytes = self._waiting_bytes

    def verified(self) -> None:
        """What was written since `begin_unverified` stays."""
        self._verified_bytes = None
        self._send_whole_parts()

    def discard_unverified(self) -> None:
        """Remove what was written since `begin_unverified`, if anything."""
        if self._verified_bytes is not None:
            self._waiting_bytes, self._verified_bytes = self._verified_bytes, None
            self._file.seek(self._waiting_bytes)
            self._file.truncate()

    @property
    def _tail_key(self) -> str:
        """Of what follows the parts. Its name says what it follows: one that is left from before counts no more."""
        return f"{self._key.rpartition('/')[0]}/tail/{self._sent_bytes}"

    def _send_whole_parts(self) -> None:
        if self._verified_bytes is not None or self._waiting_bytes < PART_BYTES:
            return
        self._file.seek(0)
        while self._waiting_bytes >= PART_BYTES:
            self._send(self._file.read(PART_BYTES))
        rest = self._file.read()
        self._file.seek(0)
        self._file.truncate()
        self._file.write(rest)

    def _send(self, part: bytes) -> None:
        self._multipart.put(self._key, self._upload_id, self._number + 1, part)
        self._number += 1
        self._sent_bytes += len(part)
        self._waiting_bytes -= len(part)

    def _store_rest(self) -> None:
        """The last part, or what is too small for one."""
        self._file.seek(0)
        rest = self._file.read(self._waiting_bytes)
        if rest and self.arrived_bytes == self._whole_bytes:
            self._send(rest)
        elif rest:
            self._storage.put_bytes(self._tail_key, rest, TAIL_TYPE)
        if self._stored_tail != self._tail_key:
            self._storage.delete(self._stored_tail)
