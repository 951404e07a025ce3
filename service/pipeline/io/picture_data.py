"""What a video's pictures carry beside their samples, as FFmpeg's decoder tells of the first of them."""

import struct
from collections.abc import Iterator
from typing import Final, cast

import av
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.stream import VideoStream

from service.pipeline.io.pixels import WIDENED_FORMATS
from service.pipeline.video import Carried

KINDS: Final = {  # of side data, by what they are called
    Type.MASTERING_DISPLAY_METADATA: "HDR10 mastering display",
    Type.CONTENT_LIGHT_LEVEL: "HDR10 light level",
    Type.DYNAMIC_HDR_PLUS: "HDR10+",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid",
    Type.DOVI_METADATA: "Dolby Vision",
    Type.DOVI_RPU_BUFFER: "Dolby Vision",
    Type.AMBIENT_VIEWING_ENVIRONMENT: "ambient viewing environment",
    Type.ICC_PROFILE: "ICC profile",
    Type.SPHERICAL: "360 degree projection",
    Type.AFD: "active format description",
    Type.S12M_TIMECODE: "time code in the pictures",
}
STEREO_TAG: Final = "stereo_mode"  # of Matroska's track; its muxer writes it from the tag
IN_TAG: Final = "tag"  # as the codec of a part: it is in the tags of the stream
LAYOUT: Final = "3D layout"
PLANE: Final = 4  # AVSphericalProjection: as any other camera's pictures
FLAT, UNPACKED = 0, 8  # AVStereo3DType: one view, and views that are not in one picture
ENCODERS_OWN: Final = (  # user data in which x264 and x265 say with which options they encoded
    bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef"),
    bytes.fromhex("2ca2de09b51747dbbb55a4fe7fc2fc4e"),
)


def parts_of_picture(first: av.VideoFrame, stream: VideoStream) -> tuple[Carried, ...]:
    """What the first picture of a stream carries."""
    side_data = cast(SideDataContainer, first.side_data)  # PyAV annotates one kind only
    found = [Carried(name) for kind, name in KINDS.items() if kind in side_data and not _says_nothing(kind, side_data)]
    found += _views(side_data, stream)
    if any(data.type is Type.SEI_UNREGISTERED and not bytes(data).startswith(ENCODERS_OWN) for data in side_data):
        found.append(Carried("user data in the pictures"))
    if first.format.name in WIDENED_FORMATS:
        found.append(Carried("pixel format", first.format.name))
    return tuple(dict.fromkeys(found))


def _says_nothing(kind: Type, side_data: SideDataContainer) -> bool:
    """Whether side data is that of any other video: seen on a plane, or of unknown brightness."""
    is_plane = kind is Type.SPHERICAL and _number(side_data, kind) == PLANE
    return is_plane or (kind is Type.CONTENT_LIGHT_LEVEL and not any(bytes(side_data[kind])))


def _number(side_data: SideDataContainer, kind: Type) -> int:
    """The first number of side data."""
    return cast(int, struct.unpack_from("i", bytes(side_data[kind]))[0])


def _views(side_data: SideDataContainer, stream: VideoStream) -> Iterator[Carried]:
    """How the views of both eyes lie in a picture, or that the other one is not in it at all."""
    if Type.STEREO3D not in side_data:
        return
    layout = _number(side_data, Type.STEREO3D)
    if layout == UNPACKED:
        yield Carried("second view")
    elif layout != FLAT:
        yield Carried(LAYOUT, IN_TAG if any(name.lower() == STEREO_TAG for name in stream.metadata) else "")
