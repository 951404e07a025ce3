"""A video whose pictures are interlaced from the middle on, as where a broadcast changes from a film to the news."""

from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from tests.video.clips import picture_rgb


def mixed(path: Path, codec: str) -> Path:
    """Six progressive pictures, then six interlaced ones."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        target.start_encoding()
        for fields in (False, True):
            for packet in _packets(codec, "+ildct+ilme" if fields else "", 6 * fields):
                packet.stream = stream
                target.mux(packet)
    return path


def _packets(codec: str, flags: str, first: int) -> list["av.Packet[av.VideoStream]"]:
    """Six pictures, encoded by themselves."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base, encoder.framerate = 64, 48, "yuv420p", Fraction(1, 25), Fraction(25)
    encoder.options = {"bf": "0"} | ({"flags": flags} if flags else {})
    made = []
    for index in range(first, first + 6):
        frame = av.VideoFrame.from_ndarray(picture_rgb(64, 48, index), "rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, 25)
        made += encoder.encode(frame)
    made += encoder.encode(None)
    for pts, packet in enumerate(made, first):
        packet.pts = packet.dts = pts
    return made
