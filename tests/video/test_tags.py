"""Files with very many tags: a decoder never reads them, a copy keeps them, and beyond a limit they are refused."""

from pathlib import Path

import av
import pytest

from service.errors import UnsupportedFormat
from service.pipeline.io.container import open_source
from service.pipeline.io.mute import mute
from service.pipeline.io.probe import probe
from service.pipeline.io.tags import MAX_TAGS, find_tags
from service.pipeline.video import Limits
from tests.video.clips import Spec, make_clip

TAGS = {f"KEY{index}": f"value {index} ".ljust(40, "x") for index in range(2_000)}


def tagged(path: Path, tags: dict[str, str]) -> Path:
    """A clip with sound and these tags."""
    codec, audio = ("mpeg4", "mp3") if path.suffix == ".avi" else ("libx264", "aac")
    plain = make_clip(path.with_stem("plain"), Spec(codec=codec, audio=audio, pts=range(5)))
    options = {"movflags": "use_metadata_tags"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(plain)) as source, av.open(str(path), "w", options=options) as target:
        copies = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        target.metadata.update(tags)
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                target.mux(packet)
    return path


def packets(path: Path, container: str, *, with_tags: bool) -> tuple[int, list[tuple[int, int | None, bytes]]]:
    """The number of tags that FFmpeg sees, and all packets."""
    source = open_source(path, container, with_tags=with_tags)
    found = [(packet.stream_index, packet.pts, bytes(packet)) for packet in source.demux() if packet.size]
    count = len(source.metadata)
    source.close()
    return count, found


@pytest.mark.parametrize(("name", "tags"), [("a.mp4", TAGS), ("a.mov", TAGS), ("a.mkv", TAGS), ("a.avi", {"title": "x" * 70_000})])
def test_many_tags_are_hidden_from_a_decoder_and_nothing_else_is(tmp_path: Path, name: str, tags: dict[str, str]) -> None:
    path = tagged(tmp_path / name, tags)
    container = name.removeprefix("a.")
    assert find_tags(path, container).are_many
    shown, everything = packets(path, container, with_tags=True)
    hidden, same = packets(path, container, with_tags=False)
    assert shown >= len(tags)
    assert hidden <= 4  # what the container's own header states
    assert same == everything
    assert probe(path, Limits()).frames_estimate == 5


def test_many_tags_are_kept(tmp_path: Path) -> None:
    mute(tagged(tmp_path / "source.mkv", TAGS), target := tmp_path / "target.mkv")
    with av.open(str(target)) as written:
        assert TAGS.items() <= written.metadata.items()


def test_a_few_tags_stay_where_they_are(tmp_path: Path) -> None:
    path = tagged(tmp_path / "a.mkv", {"title": "A title"})
    assert not find_tags(path, "mkv").are_many
    assert packets(path, "mkv", with_tags=False) == packets(path, "mkv", with_tags=True)


def test_too_many_tags_are_refused_before_they_are_read(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "plain.mp4").read_bytes()
    inner = b"".join(box(b"----", b"") for _ in range(MAX_TAGS + 1))
    tags = box(b"udta", box(b"meta", bytes(4) + box(b"hdlr", bytes(25)) + box(b"ilst", inner)))
    at = data.index(b"moov") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    (path := tmp_path / "many.mp4").write_bytes(data[:at] + box(b"moov", data[at + 8 : at + size] + tags) + data[at + size :])
    with pytest.raises(UnsupportedFormat, match=f"more than {MAX_TAGS} tags"):
        probe(path, Limits())


def box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content
