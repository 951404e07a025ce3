"""Receives the pieces of resumable uploads: one request at a time for each, all that arrived kept when its connection is lost."""

import math
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing, asynccontextmanager
from typing import Final

from anyio import CancelScope, CapacityLimiter, Event, current_time
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.api import transfers
from service.api.body import spooled_parts
from service.api.capacity import in_thread
from service.api.facade import AppContext
from service.api.problems import ChecksumMismatch, OffsetConflict
from service.api.tus_headers import Checksum
from service.errors import UnknownJob
from service.jobs.half_file import HalfFile, UploadInUse
from service.jobs.half_object import HalfObject
from service.jobs.transfers import Transfer

WRITE_BYTES: Final = 2**18  # are written at once
WRITERS: Final = 8  # threads, which no other request waits for: a bucket may be slow
SILENT_SECONDS: Final = 60.0  # then a sender is taken for gone


class Turns:
    """One request at a time for each upload. A newer one takes over: the older one's connection is most likely dead. For one event loop."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[CancelScope, Event]] = {}

    @asynccontextmanager
    async def one(self, transfer_id: str) -> AsyncIterator[CancelScope]:
        """A block that UploadInUse ends when another request wants the upload, or at the deadline of its scope, which it may set."""
        while (other := self._running.get(transfer_id)) is not None:
            other[0].cancel()
            await other[1].wait()
        ended = Event()
        with CancelScope() as scope:
            self._running[transfer_id] = (scope, ended)
            try:
                yield scope
            finally:
                del self._running[transfer_id]
                ended.set()
        if scope.cancelled_caught:
            raise UploadInUse("the sender was silent for too long, or another request goes on with the upload")


@asynccontextmanager
async def _undisturbed() -> AsyncIterator[None]:
    """A block that ends soon, which others wait for."""
    with CancelScope(shield=True):
        yield


class Receiver:
    """Receives pieces, and finishes uploads that are whole."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._turns = Turns()
        self._writers = CapacityLimiter(WRITERS)

    async def look(self, account_id: int, transfer_id: str) -> tuple[Transfer, int]:
        """The upload, and how much of it has arrived; one that is whole is finished. A request that adds to it is ended.

        Raises UnknownJob, UploadInUse, and as `transfers.finish`.
        """
        async with self._turns.one(transfer_id), _undisturbed():
            transfer = await run_in_threadpool(self._find, account_id, transfer_id)
            if transfer.is_finished:
                return transfer, transfer.bytes
            return await self._finished(transfer, await in_thread(self._writers, self._size, transfer))

    async def receive(
        self, account_id: int, transfer_id: str, request: Request, offset: int, checksum: Checksum | None
    ) -> tuple[Transfer, int]:
        """Add the request's body; return the upload, and how much of it has arrived. Raises OffsetConflict, ChecksumMismatch, TooLarge,
        BodyTooSlow, ClientDisconnect, and as `look`. But for a piece with a checksum, what came before an error stays.
        """
        async with self._turns.one(transfer_id) as turn:
            transfer = await run_in_threadpool(self._find, account_id, transfer_id)
            if transfer.is_finished:
                _require_offset(offset, transfer.bytes)
                return transfer, transfer.bytes
            with self._context.uploads.one(account_id):
                received_bytes = await self._add(transfer, request, offset, checksum, turn)
            transfer = await run_in_threadpool(self._context.transfers.extend, transfer)
            return await self._finished(transfer, received_bytes)

    async def _add(self, transfer: Transfer, request: Request, offset: int, checksum: Checksum | None, turn: CancelScope) -> int:
        stack = ExitStack()
        try:
            half = await in_thread(self._writers, stack.enter_context, self._context.transfers.opened(transfer))
            _require_offset(offset, half.arrived_bytes)
            piece = _Piece(half, checksum)
            batch = bytearray()
            try:
                async with aclosing(spooled_parts(request, transfer.bytes - offset, self._context.capacity.disk)) as stream:
                    async for part in stream:
                        turn.deadline = current_time() + SILENT_SECONDS
                        batch += part
                        if len(batch) >= WRITE_BYTES:
                            await in_thread(self._writers, piece.write, bytes(batch))
                            batch.clear()
            finally:
                with CancelScope(shield=True):
                    await in_thread(self._writers, piece.write, bytes(batch))
            turn.deadline = math.inf
            piece.verify()
            return half.arrived_bytes
        finally:
            with CancelScope(shield=True):
                await in_thread(self._writers, stack.close)

    async def _finished(self, transfer: Transfer, received_bytes: int) -> tuple[Transfer, int]:
        if received_bytes == transfer.bytes:
            transfer = await in_thread(self._context.capacity.storing, transfers.finish, transfer, self._context)
        return transfer, received_bytes

    def _find(self, account_id: int, transfer_id: str) -> Transfer:
        transfer = self._context.transfers.find(account_id, transfer_id)
        if transfer.part_bytes is not None:
            raise UnknownJob("this upload goes straight to the bucket")
        return transfer

    def _size(self, transfer: Transfer) -> int:
        with self._context.transfers.opened(transfer) as half:
            return half.arrived_bytes


class _Piece:
    """A piece as it is written."""

    def __init__(self, half: "HalfFile | HalfObject", checksum: Checksum | None) -> None:
        self._half = half
        self._checksum = checksum
        self._hash = checksum.hash() if checksum else None
        if checksum:
            half.begin_unverified()

    def write(self, data: bytes) -> None:
        if self._hash:
            self._hash.update(data)
        self._half.append(data)

    def verify(self) -> None:
        """Keep it. Raises ChecksumMismatch."""
        if self._hash is None or self._checksum is None:
            return
        if self._hash.digest() != self._checksum.digest:
            raise ChecksumMismatch("the piece does not have the announced checksum; it was discarded: send it again")
        self._half.verified()


def _require_offset(offset: int, received_bytes: int) -> None:
    if offset != received_bytes:
        raise OffsetConflict(f"Upload-Offset is {offset}, but {received_bytes} bytes have arrived")
