"""`cleanplate inspect`: shows what a file carries, and what would become of it when its marks are removed."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from service import settings
from service.errors import RequestError
from service.media import head_of, suffix_of_head
from service.pipeline.io.encode import check_target
from service.pipeline.io.not_kept import Outcome, outcomes
from service.pipeline.io.probe import probe
from service.pipeline.report.report import video_entry
from service.pipeline.video import VideoInfo

HDR: Final = {16: "HDR (PQ)", 18: "HDR (HLG)"}  # by FFmpeg's number of the transfer

File = Annotated[Path, typer.Argument(metavar="FILE", help="A video or an image.")]
Target = Annotated[str | None, typer.Option("--to", metavar="SUFFIX", help="The format to clean it into. Default: its own.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def inspect(file: File, to: Target = None, as_json: Json = False) -> int:
    """Show what a file carries, and for each part whether a clean file has it too: kept, converted, or not kept, and why."""
    if not file.is_file():
        raise RequestError(f"{file.name}: no such file")
    info = probe(file, settings.read().limits)
    suffix = f".{to.lstrip('.')}" if to else suffix_of_head(head_of(file))
    check_target(info, suffix)
    found = outcomes(info, suffix)
    typer.echo(json.dumps(_entry(file, info, suffix, found), indent=2) if as_json else "\n".join(_lines(file, info, suffix, found)))
    return 0


def _entry(file: Path, info: VideoInfo, suffix: str, found: tuple[Outcome, ...]) -> dict[str, object]:
    """The file as JSON values."""
    video = video_entry(info, info.frames_estimate) | {
        "bytes": info.file_bytes,
        "bits_per_second": info.video_bit_rate,
        "bit_depth": info.pixel_format.bit_depth,
        "sample_aspect_ratio": str(info.sample_aspect_ratio) if info.sample_aspect_ratio else None,
        "colour": asdict(info.colour),
    }
    return {"input": file.name, "output_suffix": suffix, "video": video, "carries": [asdict(each) for each in found]}


def _lines(file: Path, info: VideoInfo, suffix: str, found: tuple[Outcome, ...]) -> Iterator[str]:
    yield f"{file.name}: {', '.join(_facts(info))}"
    yield f"cleaned into a {suffix} file:"
    yield f"  {'converted':<11}{'picture' if info.container == 'image' else 'main video stream'}: encoded anew, in the source's quality"
    for each in found:
        yield f"  {each.fate:<11}{each.what}{f': {each.reason}' if each.reason else ''}"


def _facts(info: VideoInfo) -> Iterator[str]:
    """What the file is, in a few words."""
    is_image = info.container == "image"
    yield info.codec if is_image else f"{info.container}, {info.codec}"
    yield f"{info.width}x{info.height}"
    yield f"{info.pixel_format.bit_depth} bit"
    if not is_image:
        yield f"{float(info.fps):.2f} fps"
        yield f"{info.duration_seconds:.2f} s"
        yield HDR.get(info.colour.transfer, "SDR")
    if info.interlaced:
        yield "interlaced"
    if info.orientation != 1:
        yield f"turned by {info.rotation_degrees} degrees{' and mirrored' if info.mirrored else ''}"
    yield f"{info.file_bytes / 2**20:.1f} MiB" if info.file_bytes >= 2**20 else f"{info.file_bytes / 2**10:.1f} KiB"
