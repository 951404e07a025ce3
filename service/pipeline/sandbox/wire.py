"""A video's description as JSON, for messages between a process and its child."""

from dataclasses import asdict
from fractions import Fraction
from typing import Any

from service.pipeline.video import ROTATIONS, Carried, Colour, Crop, Encoding, Hdr10, Part, PixelFormat, VideoInfo


def info_to_message(info: VideoInfo) -> dict[str, Any]:
    """The description as JSON values; fractions become text."""
    return {key: str(value) if isinstance(value, Fraction) else value for key, value in asdict(info).items()}


def info_from_message(message: dict[str, Any]) -> VideoInfo:
    """Inverse of `info_to_message`. Raises ValueError, KeyError or TypeError for anything else."""
    ratio = message["sample_aspect_ratio"]
    return VideoInfo(
        width=int(message["width"]),
        height=int(message["height"]),
        orientation=_orientation(message["orientation"]),
        pixel_format=_pixel_format(message["pixel_format"]),
        colour=_colour(message["colour"]),
        time_base=Fraction(message["time_base"]),
        fps=Fraction(message["fps"]),
        duration_seconds=float(message["duration_seconds"]),
        frames_estimate=int(message["frames_estimate"]),
        codec=str(message["codec"]),
        container=str(message["container"]),
        file_bytes=int(message["file_bytes"]),
        video_bit_rate=int(message["video_bit_rate"]),
        sample_aspect_ratio=None if ratio is None else Fraction(ratio),
        display_matrix=tuple(int(value) for value in message["display_matrix"]),
        end_pts=None if (end := message["end_pts"]) is None else int(end),
        begins_hidden=bool(message["begins_hidden"]),
        crop=None if (crop := message["crop"]) is None else Crop(*(int(crop[edge]) for edge in ("left", "top", "right", "bottom"))),
        interlaced=bool(message["interlaced"]),
        field_order=int(message["field_order"]),
        by_field=bool(message["by_field"]),
        decoded_chroma_shifts=(int(message["decoded_chroma_shifts"][0]), int(message["decoded_chroma_shifts"][1])),
        alpha=bool(message["alpha"]),
        captions=bool(message["captions"]),
        hdr10=Hdr10(*(tuple(map(int, message["hdr10"][name])) for name in ("mastering", "light"))),
        part=None if (part := message["part"]) is None else Part(float(part["first_seconds"]), float(part["seconds"])),
        encoding=None if (encoding := message["encoding"]) is None else Encoding(**encoding),
        carries=tuple(Carried(str(item["kind"]), str(item["codec"]), str(item["detail"])) for item in message["carries"]),
    )


def _orientation(value: object) -> int:
    if value not in ROTATIONS:
        raise ValueError("not an orientation")
    return int(str(value))


def _pixel_format(message: dict[str, Any]) -> PixelFormat:
    return PixelFormat(
        name=str(message["name"]),
        bit_depth=int(message["bit_depth"]),
        chroma_shift_x=int(message["chroma_shift_x"]),
        chroma_shift_y=int(message["chroma_shift_y"]),
    )


def _colour(message: dict[str, Any]) -> Colour:
    return Colour(
        full_range=bool(message["full_range"]),
        matrix=int(message["matrix"]),
        primaries=int(message["primaries"]),
        transfer=int(message["transfer"]),
    )
