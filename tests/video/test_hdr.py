"""HDR comes out as it went in: depth, colour tags and chunks. The oracle is what PyAV and the file itself state."""

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from service.pipeline.io.probe import probe
from service.pipeline.video import Colour, Limits
from tests.video.clips import Spec, make_clip, picture_rgb, read_first_frame
from tests.video.test_encode import X265, transcode
from tests.video.test_still import rewrite

LIMITED, BT_2020, PQ, HLG = 1, 9, 16, 18  # FFmpeg's integers


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize(
    ("source", "target", "codec", "options"),
    [
        ("source.mp4", "target.mp4", "libx265", X265),
        ("source.mkv", "target.mkv", "libsvtav1", (("preset", "12"),)),
        ("source.webm", "target.webm", "libsvtav1", (("preset", "12"),)),
    ],
)
def test_hdr_video_stays_hdr(
    tmp_path: Path, source: str, target: str, codec: str, options: tuple[tuple[str, str], ...], transfer: int
) -> None:
    tags = (LIMITED, BT_2020, BT_2020, transfer)
    clip = make_clip(tmp_path / source, Spec(codec=codec, pixel_format="yuv420p10le", options=options, colour=tags, pts=range(3)))
    info = transcode(clip, tmp_path / target)
    written = probe(tmp_path / target, Limits())
    assert info.colour == written.colour == Colour(full_range=False, matrix=BT_2020, primaries=BT_2020, transfer=transfer)
    assert info.pixel_format == written.pixel_format
    frame = read_first_frame(tmp_path / target)
    assert (frame.format.name, frame.color_trc, frame.color_primaries) == ("yuv420p10le", transfer, BT_2020)


def test_hdr_chunks_of_a_png_are_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    Image.fromarray(picture_rgb(49, 37, 2)).save(source)
    data, cicp = source.read_bytes(), bytes([BT_2020, PQ, 0, 1])
    chunk = struct.pack(">I", len(cicp)) + b"cICP" + cicp + struct.pack(">I", zlib.crc32(b"cICP" + cicp))
    first_data = data.index(b"IDAT") - 4
    source.write_bytes(data[:first_data] + chunk + data[first_data:])
    rewrite(source, target, grey=0.2)
    assert target.read_bytes().count(chunk) == 1
    assert target.read_bytes().index(chunk) < target.read_bytes().index(b"IDAT")
