"""The requests of `benchmarks.hostile` to what receives large files: many, large, slow, or at a wrong place."""

import json
from collections.abc import Callable, Iterator
from itertools import repeat

from benchmarks.attacks import DRIP_SECONDS, MIB, PART_BYTES, UPLOAD_BYTES, Attack, Target, bearer, head, post

RESUMABLE, TUS, PIECE = "/v1/uploads/resumable", "Tus-Resumable: 1.0.0", "application/offset+octet-stream"


def begun(size: int) -> Callable[[Target], Iterator[bytes]]:
    """A resumable upload that is never finished."""

    def parts(target: Target) -> Iterator[bytes]:
        yield head("POST", RESUMABLE, bearer(target), TUS, f"Upload-Length: {size}", length=0, kind=PIECE)

    return parts


def piece(offset: int, size: int, part: bytes) -> Callable[[Target], Iterator[bytes]]:
    """A piece of the half upload, which all connections send to: each takes over from the others."""

    def parts(target: Target) -> Iterator[bytes]:
        path = f"{RESUMABLE}/{target.upload_id}"
        yield head("PATCH", path, bearer(target), TUS, f"Upload-Offset: {offset}", length=size, kind=PIECE)
        yield from repeat(part, size // len(part))

    return parts


def direct(target: Target) -> Iterator[bytes]:
    """An upload to the bucket, on a service that has a folder."""
    return post("/v1/uploads", json.dumps({"name": "a.mp4", "bytes": UPLOAD_BYTES}).encode(), bearer(target))


def bucket(target: Target) -> Iterator[bytes]:
    """A test of a bucket that the account does not have."""
    return post("/v1/destination/test", b"", bearer(target))


UPLOAD_ATTACKS: tuple[Attack, ...] = (
    Attack("resumable uploads never sent", begun(UPLOAD_BYTES)),
    Attack("resumable upload too large", begun(2**62)),
    Attack("pieces at a wrong offset", piece(7, UPLOAD_BYTES, b"\0" * PART_BYTES)),
    Attack("pieces that stall", piece(0, MIB, b"\0"), DRIP_SECONDS),
    Attack("uploads to the bucket", direct),
    Attack("tests of a bucket", bucket),
)
