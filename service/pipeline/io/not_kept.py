"""What becomes of all that a probed file carries, when its marks are removed: kept, converted, or not kept, and why. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from service.pipeline.io.codec import coded_family, kept_in_pictures, muxer_of
from service.pipeline.io.picture_data import IN_TAG, LAYOUT
from service.pipeline.io.still import CODECS, format_of_suffix
from service.pipeline.io.streams import CLOSED_CAPTIONS, MOVIE_MUXERS, TELEMETRY, captions_become_text, fate_of
from service.pipeline.io.streams import Fate as StreamFate
from service.pipeline.io.tag_names import without_place
from service.pipeline.video import Carried, NotKept, VideoInfo

Fate = Literal["kept", "converted", "not kept"]

IN_OTHER_FORMATS: Final[dict[str, tuple[str, ...]]] = {  # metadata of images that not every format holds: which ones do
    "density": ("JPEG", "PNG"),
    "comment": ("JPEG",),
    "application metadata": ("JPEG",),
    "IPTC": ("JPEG",),
    "Photoshop data": ("JPEG",),
    "extended XMP": ("JPEG",),
    "text": ("PNG",),
    "raw profile": ("PNG",),
    "time of change": ("PNG",),
    "HDR tags": ("PNG",),
    "gamma": ("PNG",),
    "chromaticities": ("PNG",),
}
CREDENTIALS: Final = "Content Credentials"
STATES: Final = ("announces", "unreadable", "pictures", IN_TAG)  # that stand in the place of a codec
BEHIND: Final = "it is another picture in the same file, which may show the mark"
UNKNOWN: Final = "nobody can say whether it is still true of the new pixels"
OF_PICTURES: Final[dict[str, tuple[Fate, str]]] = {  # by kind, and kind and codec
    "gain map": ("not kept", f"{BEHIND}; the picture itself is kept as it is shown without HDR"),
    "depth map": ("not kept", BEHIND),
    "further picture": ("not kept", BEHIND),
    "film": ("not kept", "it is a video in the same file, which may show the mark; clean it as a file of its own"),
    "data behind the picture": ("not kept", UNKNOWN),
    "application data": ("not kept", UNKNOWN),
    "chunk": ("not kept", UNKNOWN),
    "small picture jpeg": ("converted", "made anew from the clean picture"),
    "small picture": ("not kept", "it shows the mark, and is no JPEG that can be made anew"),
    "XMP announces": ("converted", "it announces no pictures and films that are not kept"),
    "XMP unreadable": ("not kept", "it announces pictures or films that are not kept, and cannot be edited"),
    "extended XMP pictures": ("not kept", "it holds pictures, which still show the mark"),
    "palette": ("converted", "to RGB: a palette may lack the new colours"),
    "black and white": ("converted", "to grey: the new pixels are neither"),
    "raw profile pictures": ("not kept", "it holds a picture, which still shows the mark"),
}
NEW_PICTURES: Final = "new pictures are encoded without it"
STREAMS: Final = ("audio", "subtitle", "attachment", "cover", "data", "unknown")
LOST_STREAMS: Final = dict.fromkeys(("data", "unknown"), "no container takes over such a track")
OF_TRACKS: Final[dict[str, tuple[Fate, str]]] = {
    "cover": ("kept", "as it is, so it may show the mark"),
}
OF_NEW_PICTURES: Final[dict[str, tuple[Fate, str]]] = {  # only where pictures are encoded
    "video": ("not kept", "it still shows the mark, and only the first video stream is cleaned"),
    "Dolby Vision": ("not kept", f"{NEW_PICTURES}; the base layer is kept"),
    "HDR10+": ("not kept", f"{NEW_PICTURES}; the colours are kept"),
    "HDR Vivid": ("not kept", f"{NEW_PICTURES}; the colours are kept"),
    "HDR10 mastering display": ("not kept", NEW_PICTURES),
    "HDR10 light level": ("not kept", NEW_PICTURES),
    "closed captions": ("not kept", NEW_PICTURES),
    "ambient viewing environment": ("not kept", f"{NEW_PICTURES}; the colours are kept"),
    "ICC profile": ("not kept", f"{NEW_PICTURES}; what the pictures themselves say of their colours is kept"),
    "360 degree projection": ("not kept", f"{NEW_PICTURES}, so players show them flat"),
    "3D layout": ("not kept", f"{NEW_PICTURES}, so players show both views in one picture"),
    "second view": ("not kept", "only the first of both eyes' views is cleaned, and encoded"),
    "active format description": ("not kept", NEW_PICTURES),
    "time code in the pictures": ("not kept", NEW_PICTURES),
    "user data in the pictures": ("not kept", f"{NEW_PICTURES}; {UNKNOWN}"),
    "fields": ("converted", "all pictures are stored as interlaced ones, those without fields too"),
    "pixel format": ("converted", "to one that holds the same samples, and that encoders take"),
}
OF_BOXES: Final = ("360 degree metadata", "further boxes", "data behind the video")
PLACES: Final[dict[str, tuple[str, ...]]] = {  # by kind: the muxers that write it for a copied stream, beside its packets
    "ICC profile": MOVIE_MUXERS,
    "ambient viewing environment": MOVIE_MUXERS,
    "360 degree projection": ("mov", "matroska", "webm"),
    f"{LAYOUT} {IN_TAG}": ("mov", "matroska", "webm"),
    "second view": ("mov",),
}
KINDS_IN_CONTAINERS: Final = ("ICC profile", "ambient viewing environment", "360 degree projection")


@dataclass(frozen=True)
class Outcome:
    """What becomes of one thing that a file carries. reason: for people; empty for what is kept as it is."""

    what: str
    fate: Fate
    reason: str


def outcomes(info: VideoInfo, target_suffix: str, *, encoded: bool = True, spliced: bool = False) -> tuple[Outcome, ...]:
    """What becomes of all that a file carries. target_suffix: such as ".mp4". Raises RequestError for one that is not written.

    encoded: as always when a mark is removed; else the streams of a video move into another container. spliced: packets of the source
    stay between the new ones, and so does what the container says of them.
    """
    anew = (encoded and not (spliced and part.kind in KINDS_IN_CONTAINERS) for part in info.carries)
    of_parts = (each for part, is_new in zip(info.carries, anew, strict=True) for each in _of_part(part, info, target_suffix, is_new))
    return (*_of_pictures(info, target_suffix, encoded), *of_parts)


def _of_part(part: Carried, info: VideoInfo, target_suffix: str, encoded: bool) -> Iterator[Outcome]:
    """What becomes of a part; of tags those that have a place in the target, and those that have none."""
    if part.kind == "fields" and info.deinterlaced:
        return
    if part.kind != "tags":
        yield Outcome(name_of(part), *_fate(part, info, target_suffix, encoded))
        return
    names = part.detail.split(", ")
    lost = without_place(names, muxer_of(target_suffix), own_keys=part.codec == "keys")
    if kept := [name for name in names if name not in lost]:
        yield Outcome(f"tags ({', '.join(kept)})", "kept", "")
    if lost:
        yield Outcome(f"tags ({', '.join(lost)})", "not kept", f"{target_suffix} files have no place for them")


def _of_pictures(info: VideoInfo, target_suffix: str, encoded: bool) -> Iterator[Outcome]:
    """What becomes of the pictures themselves, where they are stored in another way than before."""
    if info.container == "image":
        before = next(name for name, codec in CODECS.items() if codec == info.codec)
        after = format_of_suffix(target_suffix)
    else:
        before, after = info.codec, coded_family(info.as_stored, target_suffix) if encoded else info.codec
    if after != before:
        yield Outcome(f"pictures ({before})", "converted", f"to {after}")
    if info.deinterlaced:
        yield Outcome("fields", "converted", "each picture shows the moment of its first field")


def not_kept(info: VideoInfo, target_suffix: str, *, encoded: bool = True, spliced: bool = False) -> tuple[NotKept, ...]:
    """What the result does not carry. Arguments and errors as of `outcomes`."""
    found = outcomes(info, target_suffix, encoded=encoded, spliced=spliced)
    return tuple(NotKept(each.what, each.reason) for each in found if each.fate == "not kept")


def name_of(part: Carried) -> str:
    """A part as people call it."""
    stream = {"video": "further video stream", "data": "data track", "unknown": "track of an unknown kind"}.get(part.kind, part.kind)
    details = ", ".join(filter(None, (part.codec if part.codec not in STATES else "", part.detail)))
    return f"{stream} ({details})" if details else stream


def _fate(part: Carried, info: VideoInfo, target_suffix: str, encoded: bool) -> tuple[Fate, str]:
    if part.kind == CREDENTIALS:
        return "converted", "the credentials of the result list them; without a signature they are not kept"
    if info.container != "image":
        return _fate_in_video(part, info, target_suffix, encoded)
    if part.kind == "gain map" and part.codec and format_of_suffix(target_suffix) == "JPEG":
        return "converted", "cleaned where the mark was, and filled there from its surroundings"
    if part.kind == "small picture" and format_of_suffix(target_suffix) == "AVIF":
        return "not kept", f"{target_suffix} files have no place for it"
    special = OF_PICTURES.get(f"{part.kind} {part.codec}".strip()) or OF_PICTURES.get(part.kind)
    if special is not None:
        return special
    holders, target = IN_OTHER_FORMATS.get(part.kind), format_of_suffix(target_suffix)
    if holders is None or target in holders:
        return "kept", ""
    return "not kept", f"{target_suffix} files have no place for it"


def _fate_in_video(part: Carried, info: VideoInfo, target_suffix: str, encoded: bool) -> tuple[Fate, str]:
    muxer = muxer_of(target_suffix)
    if part.kind in STREAMS:
        fate = fate_of(part, muxer)
        if fate is StreamFate.LOST:
            unknown = LOST_STREAMS.get(part.kind) if part.codec != TELEMETRY else f"{target_suffix} files have no such tracks"
            return "not kept", unknown or f"{target_suffix} files have no {part.kind}s"
        return ("converted", "its text; its layout may differ") if fate is StreamFate.CONVERTED else OF_TRACKS.get(part.kind, ("kept", ""))
    if part.kind in OF_BOXES:
        return "not kept", f"it is not copied: {UNKNOWN}"
    if encoded and part.kind in kept_in_pictures(info.as_stored, target_suffix):
        return "kept", ""
    if part.kind == LAYOUT and part.codec == IN_TAG and muxer in PLACES[f"{LAYOUT} {IN_TAG}"][1:]:
        return "kept", ""
    if encoded and part.kind == CLOSED_CAPTIONS and captions_become_text(info.as_stored, target_suffix):
        return "converted", "to a track of text, as the new pictures cannot hold them"
    if part.kind == "XMP" and muxer not in ("mp4", "mov"):
        return "not kept", f"{target_suffix} files have no place for it"
    if part.kind == "chapters" and muxer == "avi":
        return "not kept", f"{target_suffix} files have no chapters"
    if encoded:
        return OF_NEW_PICTURES.get(part.kind, ("kept", ""))
    places = PLACES.get(f"{part.kind} {part.codec}".strip(), (muxer,))
    return ("kept", "") if muxer in places else ("not kept", f"{target_suffix} files have no place for it")
