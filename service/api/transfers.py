"""What becomes of an upload that arrived in pieces: its checksum is verified, its bytes decide its type, and it is stored."""

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from service.api.facade import AppContext
from service.api.problems import ChecksumMismatch, UploadIncomplete
from service.api.upload import plain_name, upload_suffix
from service.errors import ParameterError, TooLarge
from service.jobs.names import file_name
from service.jobs.transfers import Transfer
from service.media import HEAD_BYTES, head_of
from service.outside.storage import content_type_of

READ_BYTES: Final = 2**20
TAIL: Final = "/tail/"  # in the key of a piece that is no part
UNNAMED: Final = "upload"


def begin(account_id: int, name: str, size_bytes: int, sha256: str | None, context: AppContext, part_bytes: int | None = None) -> Transfer:
    """A new transfer. Raises ParameterError, TooLarge, QueueFull, QuotaExceeded, StorageFull."""
    if size_bytes == 0:
        raise ParameterError("the file is empty")
    most_bytes = context.options.upload_bytes
    if size_bytes > most_bytes:
        raise TooLarge(f"the file has {size_bytes} bytes; the limit is {most_bytes}")
    shown = file_name(name) or UNNAMED
    return context.transfers.begin(account_id, shown, _path(shown, PurePosixPath(shown).suffix), size_bytes, sha256, part_bytes)


def finish(transfer: Transfer, context: AppContext) -> Transfer:
    """Store the file, all of which has arrived. Raises ChecksumMismatch, after which nothing of it is left, and UnknownJob."""
    if context.transfers.multipart is not None:
        return _finish_object(transfer, context)
    path = context.transfers.path(transfer)
    _verify(transfer, _parts_of(path), context)
    key = f"{transfer.folder}/{_path(transfer.name, upload_suffix(head_of(path), transfer.name))}"
    context.storage.adopt_file(key, path, content_type_of(key))
    return context.transfers.finish(transfer, key)


def _finish_object(transfer: Transfer, context: AppContext) -> Transfer:
    """Have the bucket put the parts together; before a crash it may have done so already. Raises UploadIncomplete too."""
    multipart, storage = context.transfers.multipart, context.storage
    assert multipart is not None
    if parts := context.transfers.parts(transfer):
        assert transfer.multipart_id is not None
        multipart.complete(transfer.part_key, transfer.multipart_id, {number: tag for number, (_, tag) in parts.items()})
    key = next((key for key in storage.list_under(transfer.folder) if TAIL not in key), transfer.part_key)
    stored = storage.stat(key)
    if stored is None or stored.bytes != transfer.bytes:
        raise UploadIncomplete(f"{stored.bytes if stored else 0} of {transfer.bytes} bytes have arrived")
    _verify(transfer, storage.read(key), context)
    head = b"".join(storage.read(key, 0, HEAD_BYTES))
    right_key = f"{transfer.folder}/{_path(transfer.name, upload_suffix(head, transfer.name))}"
    if right_key != key:
        storage.rename(key, right_key)
    return context.transfers.finish(transfer, right_key)


def _verify(transfer: Transfer, parts: Iterable[bytes], context: AppContext) -> None:
    if transfer.sha256 is None:
        return
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    if digest.hexdigest() != transfer.sha256:
        context.transfers.delete(transfer)
        raise ChecksumMismatch("the file that arrived does not have the announced sha256; it was deleted: send it again")


def _parts_of(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            yield part


def _path(name: str, suffix: str) -> str:
    """A file's name as a part of a key."""
    plain_suffix = plain_name(suffix)
    return (plain_name(PurePosixPath(name).stem) or UNNAMED) + (f".{plain_suffix}" if plain_suffix else "")
