"""What cleaning changes besides the mark, for each codec and depth: PSNR outside it beside that of a plain transcode, and the file's size.

python -m benchmarks.fidelity [--clip samples/marked.mp4] [--frames 120] [--height 360] [--cell h264-8]

The clip is encoded by each codec at a usual quality, as a person's file would be. That file is cleaned in a box, and transcoded with the
same encoder settings. The networks are fake: what they put into the box is of no interest here. Exits with 1 if a cell misses the goal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import av
import numpy as np
import typer

from benchmarks.machine import RESULTS, ROOT, stamp
from benchmarks.media import Picture, read_clip
from benchmarks.results import append
from benchmarks.transcode import transcode
from service.inference import fake
from service.pipeline.io.decode import decode
from service.pipeline.io.mux import start_encoders
from service.pipeline.io.probe import probe
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.pipeline.video import Frame, Limits
from service.timed_box import TimedBox

BOX: Final = TimedBox(0.7, 0.05, 0.95, 0.25)  # what is removed, in fractions of the picture
MARGIN_PIXELS: Final = 12  # around it, which an encoder may change along with it
MOST_LOST_DB: Final = 0.1  # against the plain transcode
SIZES: Final = (0.7, 1.3)  # of the result, as shares of a source of the same codec


@dataclass(frozen=True)
class Cell:
    """A kind of source: a codec by FFmpeg's encoder, at a quality that people use. lossy: whether its size says what its pictures need."""

    name: str
    encoder: str
    pixel_format: str
    suffix: str
    options: Mapping[str, str] = field(default_factory=dict)
    lossy: bool = True


QUIET: Final = {"x265-params": "log-level=none"}
CELLS: Final = (
    Cell("h264-8", "libx264", "yuv420p", ".mp4", {"crf": "21"}),
    Cell("h264-10", "libx264", "yuv420p10le", ".mp4", {"crf": "21"}),
    Cell("hevc-8", "libx265", "yuv420p", ".mp4", {"crf": "23", **QUIET}),
    Cell("hevc-10", "libx265", "yuv420p10le", ".mp4", {"crf": "23", **QUIET}),
    Cell("hevc-12", "libx265", "yuv420p12le", ".mp4", {"crf": "23", **QUIET}),
    Cell("vp8-8", "libvpx", "yuv420p", ".webm", {"crf": "8", "b": "8M", "cpu-used": "4"}),
    Cell("vp9-8", "libvpx-vp9", "yuv420p", ".webm", {"crf": "28", "b": "0", "cpu-used": "4"}),
    Cell("av1-8", "libsvtav1", "yuv420p", ".mp4", {"crf": "28", "preset": "8"}),
    Cell("av1-10", "libsvtav1", "yuv420p10le", ".mp4", {"crf": "28", "preset": "8"}),
    Cell("mpeg4-8", "mpeg4", "yuv420p", ".avi", {"qmin": "3", "qmax": "3", "b": "20M"}),
    Cell("mjpeg-8", "mjpeg", "yuvj420p", ".avi", {"qmin": "3", "qmax": "3"}, lossy=False),
    Cell("prores-10", "prores_ks", "yuv422p10le", ".mov", lossy=False),
    Cell("ffv1-8", "ffv1", "yuv420p", ".mkv", lossy=False),
    Cell("ffv1-10", "ffv1", "yuv422p10le", ".mkv", lossy=False),
)


@dataclass(frozen=True)
class Figures:
    """Of one cell: PSNR in dB farther than MARGIN_PIXELS from the box, of the result and of a transcode; their bytes by the source's."""

    cell: str
    outside_db: float
    plain_outside_db: float
    size: float
    plain_size: float
    same_codec: bool

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        is_near = self.outside_db >= self.plain_outside_db - MOST_LOST_DB
        return is_near and (not self.same_codec or SIZES[0] <= self.size <= SIZES[1])

    def __str__(self) -> str:
        outside = f"outside {self.outside_db:6.2f} dB, of a transcode {self.plain_outside_db:6.2f} dB"
        size = f"size {self.size:5.2f} of the source's, of a transcode {self.plain_size:5.2f}"
        return f"{self.cell:<10} {outside}; {size}{'' if self.holds else '  MISSED'}"


def main(
    clip: Annotated[Path, typer.Option(help="What the sources show.")] = ROOT / "samples" / "marked.mp4",
    frames: Annotated[int, typer.Option(help="How many pictures of it.")] = 120,
    height: Annotated[int, typer.Option(help="Their short side, in pixels.")] = 360,
    cell: Annotated[list[str] | None, typer.Option(help="Only these cells.")] = None,
) -> None:
    """Measure the cells, print a line for each, and append it to the results."""
    read, stamped = read_clip(clip, frames, height), stamp()
    all_hold = True
    for each in (each for each in CELLS if not cell or each.name in cell):
        with TemporaryDirectory() as folder:
            figures = measure(each, read.pictures, read.timing.fps, Path(folder))
        typer.echo(figures)
        append(RESULTS / "fidelity.jsonl", {"clip": clip.name, "height": height, "cell": each.name}, asdict(figures), stamped)
        all_hold = all_hold and figures.holds
    raise typer.Exit(0 if all_hold else 1)


def measure(cell: Cell, pictures: Sequence[Picture], fps: Fraction, folder: Path) -> Figures:
    """Clean a source of this kind, (H, W, 3) uint8 pictures, and transcode it."""
    source, target, plain = (folder / f"{name}{cell.suffix}" for name in ("source", "target", "plain"))
    write(source, cell, pictures, fps)
    report = clean(source, target, Request(detect=False, boxes=(BOX,)), fake.networks())
    transcode(source, plain)
    before, after, transcoded = (list(planes_outside(path)) for path in (source, target, plain))
    peak = (1 << report.info.pixel_format.bit_depth) - 1
    sizes = [path.stat().st_size / source.stat().st_size for path in (target, plain)]
    same = cell.lossy and probe(target, Limits()).codec == report.info.codec
    return Figures(cell.name, *(round(psnr(before, other, peak), 3) for other in (after, transcoded)), *(round(x, 3) for x in sizes), same)


def write(path: Path, cell: Cell, pictures: Sequence[Picture], fps: Fraction) -> None:
    """Encode pictures as a source of this kind."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream(cell.encoder, rate=fps, options=dict(cell.options))
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], cell.pixel_format
        start_encoders(target)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(format=cell.pixel_format)
            frame.pts, frame.time_base = index, 1 / fps
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def planes_outside(path: Path) -> Iterator[np.ndarray]:
    """The samples of each picture that are far enough from the box, (n,) float32."""
    info = probe(path, Limits())
    with decode(path, info, Limits()) as frames:
        for frame in frames:
            yield np.concatenate([plane[_is_outside(plane.shape, frame)].astype(np.float32) for plane in frame.planes])


def _is_outside(shape: tuple[int, ...], frame: Frame) -> np.ndarray:
    height, width = shape
    margin_x, margin_y = (MARGIN_PIXELS / size for size in frame.planes[0].shape[::-1])
    x, y = (np.arange(width) + 0.5) / width, ((np.arange(height) + 0.5) / height)[:, None]
    x1, y1, x2, y2 = BOX.corners
    return (x < x1 - margin_x) | (x > x2 + margin_x) | (y < y1 - margin_y) | (y > y2 + margin_y)


def psnr(before: Sequence[np.ndarray], after: Sequence[np.ndarray], peak: int) -> float:
    """Over all samples of all pictures, at most 99 dB. Raises ValueError for different numbers of pictures."""
    error = float(np.mean([np.square(one - other).mean() for one, other in zip(before, after, strict=True)]))
    return min(99.0, 10 * float(np.log10(peak**2 / max(error, 1e-9))))


if __name__ == "__main__":
    typer.run(main)
