"""A plain transcode with the service's encoder settings: the cost of encoding again, in quality and time."""

from pathlib import Path

import av

from benchmarks.media import is_photo
from service.pipeline.io import still
from service.pipeline.io.codec import encoder_options, muxer_of
from service.pipeline.io.mux import add_encoded_stream, open_target, start_encoders
from service.pipeline.io.probe import probe
from service.pipeline.video import Limits


def transcode(source: Path, target: Path) -> int:
    """Decode and encode a video or a photo; return the number of frames."""
    if is_photo(source):
        still.write(target, still.read(source), source, target.name)
        return 1
    info = probe(source, Limits())
    frames = 0
    with av.open(str(source)) as reader, open_target(target, muxer_of(target.suffix), info.time_base) as writer:
        decoded = reader.streams.video[0]
        decoded.thread_type = "AUTO"
        encoded = add_encoded_stream(writer, info, encoder_options(info, target.suffix), decoded)
        start_encoders(writer)
        for frame in reader.decode(decoded):
            frame.pict_type = 0  # let the encoder choose instead of repeating the source's picture types
            writer.mux(encoded.encode(frame))
            frames += 1
        writer.mux(encoded.encode(None))
    return frames
