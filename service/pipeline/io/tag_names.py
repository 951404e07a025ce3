"""Which tags of a whole file each container has a place for, and under which names. FFmpeg drops the others without a word."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from service.pipeline.io.boxes import boxes, read_at

MUXERS_OWN: Final = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "software"})  # the muxer writes its own
MAKER_KEYS: Final = "com."  # how the keys of phones and cameras begin, such as com.apple.quicktime.make
KEYED: Final = ("mp4", "mov")  # muxers that can store tags under any name
OWN_KEYS: Final = b"mdta"  # the handler of the box in which MP4 and MOV store tags under any name
MOVIE: Final = ("creation_time", "location", "location-eng", "timecode")
MP4: Final = (
    *("title", "artist", "album", "album_artist", "composer", "date", "comment", "genre", "copyright", "grouping", "lyrics"),
    *("description", "synopsis", "show", "episode_id", "network", "keywords", "episode_sort", "season_number", "media_type", "hd_video"),
    *("gapless_playback", "compilation", "track", "disc"),
)
MOV: Final = ("title", "artist", "author", "album", "date", "comment", "genre", "copyright", "make", "model")
AVI: Final = ("title", "artist", "album", "date", "comment", "genre", "copyright", "track", "language", "encoded_by", "timecode")
PLACES: Final[Mapping[str, frozenset[str]]] = {  # by muxer: all that it writes; Matroska and WebM write any name
    "mp4": frozenset((*MOVIE, *MP4)),
    "mov": frozenset((*MOVIE, *MOV)),
    "3gp": frozenset(MOVIE),
    "3g2": frozenset(MOVIE),
    "avi": frozenset(AVI),
}
LANGUAGE: Final = re.compile(r"-[a-z]{3}$")  # at the end of a tag's name
READ_AS: Final[Mapping[str, str]] = {"product": "album"}  # FFmpeg reads the album of an AVI under a name that it does not write


def written(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a source under the names that a muxer knows, without those that it writes itself."""
    kept = {name: value for name, value in tags.items() if name not in MUXERS_OWN}
    return {_known(name): value for name, value in kept.items()}


def without_place(names: Iterable[str], muxer: str, *, own_keys: bool) -> list[str]:
    """The tags that a file of this muxer does not hold. own_keys: as `has_own_keys` says of the source."""
    if muxer not in PLACES or (own_keys and muxer in KEYED):
        return []
    stored = {name: _known(name).lower() for name in names}
    return [name for name, known in stored.items() if known not in PLACES[muxer] and not _repeats(known, stored.values(), PLACES[muxer])]


def _repeats(name: str, names: Collection[str], held: Collection[str]) -> bool:
    """Whether a tag is one that is held, with its language. FFmpeg reads a text of QuickTime under both names; of several, one is held."""
    base = LANGUAGE.sub("", name)
    return base != name and base in held and sum(LANGUAGE.sub("", each) == base for each in names) == 2


def has_own_keys(path: Path, container: str, tags: Mapping[str, str]) -> bool:
    """Whether an MP4 or MOV made from this source stores all tags under their own names: as the source does, or has keys of a maker."""
    if any(name.lower().startswith(MAKER_KEYS) for name in tags):
        return True
    if container not in ("mp4", "mov"):
        return False
    with path.open("rb") as file:
        return any(_stores_keys(file, start, stop) for name, start, stop in boxes(file, 0, path.stat().st_size) if name == b"moov")


def _stores_keys(file: BinaryIO, start: int, stop: int) -> bool:
    """Whether the box of a movie has tags under their own names: Apple puts them into it, FFmpeg into its user data."""
    parts = list(boxes(file, start, stop))
    parts += [inner for name, *place in parts if name == b"udta" for inner in boxes(file, *place)]
    folders = (first for name, first, _ in parts if name == b"meta")
    handlers = (first + (16 if read_at(file, first + 4, 4) == b"hdlr" else 20) for first in folders)  # QuickTime has no version before it
    return any(read_at(file, at, 4) == OWN_KEYS for at in handlers)


def _known(name: str) -> str:
    """A tag's name as muxers know it. Matroska stores the keys of makers in capitals."""
    if name.isupper() and name.lower().startswith(MAKER_KEYS):
        return name.lower().replace("iso6709", "ISO6709")
    return READ_AS.get(name.lower(), name)
