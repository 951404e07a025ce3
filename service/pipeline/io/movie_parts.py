"""What an MP4 or MOV carries in boxes of its own, beside tracks and tags: XMP, credentials, and what makers of cameras put there.

FFmpeg reads past the boxes that it does not know, and writes none of them.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from service.pipeline.io.boxes import boxes, read_at
from service.pipeline.io.xmp import XMP_UUID
from service.pipeline.video import Carried

MAX_LISTED: Final = 20  # boxes
LOOKED_AT_BYTES: Final = 2**16  # behind the last box: zeros are filling
CREDENTIALS_UUID: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # type of the box, from the C2PA specification
SPHERICAL_UUID: Final = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")  # of a track whose pictures are spheres, in Google's first way
KINDS: Final = {XMP_UUID: "XMP", CREDENTIALS_UUID: "Content Credentials", SPHERICAL_UUID: "360 degree metadata"}
UUID_BYTES: Final = 16
FOLDERS: Final = (b"moov", b"trak")
USER_DATA: Final = b"udta"
OF_FILE: Final = frozenset(b"ftyp styp moov moof mdat mfra sidx ssix prft emsg pdin free skip wide uuid udta".split())
OF_MOVIE: Final = frozenset(b"mvhd trak mvex iods meta udta uuid free skip wide cmov ctab rmra prfl clip tkhd edts mdia tref".split())
OF_TRACK: Final = frozenset(b"tapt load imap matt txas meco mere".split())
OF_USER_DATA: Final = frozenset(  # tags that FFmpeg reads, and where a player's window was
    b"meta name titl auth perf gnre albm cprt dscp kywd yrrc rtng clsf loci manu modl @PRM @PRQ XMP_ chpl kind tsel hnti hinf ludt uuid "
    b"free skip WLOC LOOP SelO AllF".split()
) | {b"ptv "}
TEXT: Final = b"\xa9"  # how the names of QuickTime's tags begin


def movie_parts_of(path: Path, container: str) -> tuple[Carried, ...]:
    """The boxes of an MP4 or MOV that are not tracks, tags or what the muxer writes; nothing for other containers."""
    if container not in ("mp4", "mov"):
        return ()
    with path.open("rb") as file:
        size_bytes = path.stat().st_size
        found = list(islice(_unusual(file, 0, size_bytes, OF_FILE), MAX_LISTED))
        end = max((stop for _, _, stop in boxes(file, 0, size_bytes)), default=size_bytes)
        has_more = bool(read_at(file, end, LOOKED_AT_BYTES).strip(b"\0"))
    known = [Carried(kind) for _, kind in found if kind]
    names = dict.fromkeys(_printable(name) for name, kind in found if not kind)
    further = [Carried("further boxes", detail=", ".join(names))] if names else []
    behind = [Carried("data behind the video", detail=f"{size_bytes - end} bytes")] if has_more else []
    return tuple(dict.fromkeys([*known, *further, *behind]))


def _unusual(file: BinaryIO, start: int, stop: int, usual: frozenset[bytes]) -> Iterator[tuple[bytes, str]]:
    """Name and kind, if it has one, of each box between two offsets that is not usual there, and of those in the folders among them."""
    for name, first, last in boxes(file, start, stop):
        if name == b"uuid":
            yield name, KINDS.get(read_at(file, first, UUID_BYTES), "")
        elif name in FOLDERS:
            yield from _unusual(file, first, last, OF_MOVIE | OF_TRACK)
        elif name == USER_DATA:
            yield from _unusual(file, first, last, OF_USER_DATA)
        elif name not in usual and not name.startswith(TEXT):
            yield name, ""


def _printable(name: bytes) -> str:
    text = name.decode("latin-1")
    return text if text.isascii() and text.isprintable() else name.hex()
