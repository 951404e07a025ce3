"""What the matrix of formats found: each of these was lost without a word, or refused only after all the work."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import ExifTags, Image

from service.pipeline.io.not_kept import outcomes
from service.pipeline.io.probe import probe
from service.pipeline.video import Limits
from tests.formats.films import Film, Sound
from tests.formats.picture_cells import cells as picture_cells
from tests.video.clips import read_packets
from tests.video.test_carried_over import assert_refused_at_once
from tests.video.test_encode import transcode
from tests.video.test_still import picture, rewrite

LIMITS = Limits()


def said(source: Path, suffix: str) -> dict[str, str]:
    """What becomes of each part of a file, by what it is, without its details."""
    return {each.what.partition(" (")[0]: each.fate for each in outcomes(probe(source, LIMITS), suffix)}


def written(path: Path, film: Film) -> Path:
    film.write(path)
    return path


def tagged(path: Path, tags: Mapping[str, str], **changes: object) -> Path:
    return written(path, Film(configure=lambda target, _: target.metadata.update(tags), **changes))


# Tags


@pytest.mark.parametrize("name", ["target.mp4", "target.mov", "target.mkv"])
def test_the_titles_of_tracks_are_kept(tmp_path: Path, name: str) -> None:
    """MP4 and MOV are read with one name for a track's title, and written with another."""

    def title(_: OutputContainer, stream: VideoStream) -> None:
        stream.metadata["title"] = "Image"

    source = written(tmp_path / "source.mp4", Film(sounds=(Sound("aac", tags={"title": "Commentary"}),), configure=title))
    transcode(source, tmp_path / name)
    with av.open(str(tmp_path / name)) as target:
        titles = [stream.metadata.get("title", stream.metadata.get("name")) for stream in target.streams]
    assert titles == ["Image", "Commentary"]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_tags_of_any_name_are_kept_as_they_were_stored(tmp_path: Path, suffix: str) -> None:
    tags = {"my_key": "my value", "title": "A film"}
    source = tagged(tmp_path / f"source{suffix}", tags, muxer_options={"movflags": "use_metadata_tags"})
    transcode(source, target := tmp_path / f"target{suffix}")
    with av.open(str(target)) as result:
        assert tags.items() <= result.metadata.items()
    assert said(source, suffix)["tags"] == "kept"


def test_the_keys_of_a_phone_survive_matroska(tmp_path: Path) -> None:
    keys = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.location.ISO6709": "+48.2082+016.3738/"}
    transcode(tagged(tmp_path / "source.mkv", keys), tmp_path / "target.mp4")
    with av.open(str(tmp_path / "target.mp4")) as target:
        assert keys.items() <= target.metadata.items()


def test_tags_without_a_place_are_named(tmp_path: Path) -> None:
    info = probe(tagged(tmp_path / "source.mkv", {"title": "A film", "my_key": "my value"}), LIMITS)
    found = [(each.what, each.fate) for each in outcomes(info, ".mp4") if each.what.startswith("tags")]
    assert found == [("tags (title)", "kept"), ("tags (MY_KEY)", "not kept")]
    assert {each.fate for each in outcomes(info, ".webm") if each.what.startswith("tags")} == {"kept"}


def test_the_album_of_an_avi_is_kept(tmp_path: Path) -> None:
    source = tagged(tmp_path / "source.avi", {"album": "All", "title": "A film"}, codec="mpeg4")
    transcode(source, tmp_path / "target.avi")
    with av.open(str(source)) as before, av.open(str(tmp_path / "target.avi")) as after:
        assert after.metadata == before.metadata


# Pictures


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_which_field_comes_first_is_kept(tmp_path: Path, order: str) -> None:
    source = written(tmp_path / "source.mp4", Film(options={"flags": "+ildct+ilme", "x264-params": f"{order}=1"}))
    transcode(source, tmp_path / "target.mp4")
    orders = []
    for path in (source, tmp_path / "target.mp4"):
        with av.open(str(path)) as video:
            orders.append(video.streams.video[0].codec_context.field_order)
    assert orders == [2 if order == "tff" else 3] * 2


def test_an_avi_with_pictures_out_of_order_keeps_its_times(tmp_path: Path) -> None:
    """FFmpeg takes the places of the pictures in the file for their times."""
    source = written(tmp_path / "source.avi", Film(options={"bf": "3", "b_strategy": "0"}, pts=tuple(range(12))))
    transcode(source, tmp_path / "target.mkv")
    with av.open(str(tmp_path / "target.mkv")) as target:
        assert [frame.pts * frame.time_base for frame in target.decode(video=0)] == [Fraction(n, 25) for n in range(12)]


def test_another_codec_or_pixel_format_is_said(tmp_path: Path) -> None:
    grey = written(tmp_path / "source.mkv", Film("ffv1", "gray"))
    assert said(grey, ".mkv") == {"pictures": "converted", "pixel format": "converted"}
    (found,) = outcomes(probe(written(tmp_path / "b.mov", Film("prores_ks", "yuv422p10le")), LIMITS), ".mov")
    assert (found.what, found.reason) == ("pictures (prores)", "to h264")
    assert said(written(tmp_path / "c.mp4", Film()), ".mp4") == {}


def test_dv_is_shown_with_its_bottom_field_first(tmp_path: Path) -> None:
    transcode(written(tmp_path / "source.avi", Film("dvvideo", pts=(0, 1))), tmp_path / "target.avi")
    with av.open(str(tmp_path / "target.avi")) as target:
        assert target.streams.video[0].codec_context.field_order == 3


# Sound


def test_an_avi_cannot_take_over_times(tmp_path: Path) -> None:
    assert_refused_at_once(written(tmp_path / "source.mkv", Film()), tmp_path / "target.avi", "when each picture is shown")


@pytest.mark.parametrize("codec", ["libopus", "flac"])
def test_sound_that_only_mp4_holds_is_refused_before_the_work(tmp_path: Path, codec: str) -> None:
    source = written(tmp_path / "source.mp4", Film(sounds=(Sound(codec),)))
    assert_refused_at_once(source, tmp_path / "target.mov", "cannot hold the source's audio stream")


def test_sound_without_named_loudspeakers_goes_into_mp4(tmp_path: Path) -> None:
    source = written(tmp_path / "source.mkv", Film(sounds=(Sound("pcm_s16le"),)))
    transcode(source, tmp_path / "target.mp4")
    with av.open(str(tmp_path / "target.mp4")) as target:
        assert target.streams.audio[0].codec_context.layout.name == "stereo"


def test_the_last_sound_of_an_avi_is_kept(tmp_path: Path) -> None:
    source = written(tmp_path / "source.avi", Film("mpeg4", sounds=(Sound("flac"),)))
    transcode(source, tmp_path / "target.mp4")
    contents = [[content for content, _ in read_packets(path, "audio")] for path in (source, tmp_path / "target.mp4")]
    assert contents[0] == contents[1]


# Images


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav"])
def test_sound_in_blocks_keeps_its_pace_in_avi(tmp_path: Path, codec: str) -> None:
    """Its muxer tells the length of a block from a bit rate that encoders state wrongly."""
    Film("mpeg4", sounds=(Sound(codec),), pts=tuple(range(60))).write(source := tmp_path / "a.avi")
    transcode(source, target := tmp_path / "b.avi")
    before, after = sound_times(source), sound_times(target)
    assert len(before) == len(after) > 10
    assert max(abs(one - other) for one, other in zip(before, after, strict=True)) < Fraction(1, 1000)


def sound_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as source:
        return [packet.pts * packet.time_base for packet in source.demux(audio=0) if packet.size]


def test_a_webp_that_is_stored_turned_stays_so_in_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "Maker"
    picture().save(tmp_path / "source.webp", exif=exif)
    rewrite(tmp_path / "source.webp", tmp_path / "target.jpg")
    with Image.open(tmp_path / "target.jpg") as target:
        assert dict(target.getexif()) == dict(exif)


@pytest.mark.parametrize("what", ["gamma", "chromaticities"])
def test_colours_that_only_a_png_defines_are_named(tmp_path: Path, what: str) -> None:
    cell = next(cell for cell in picture_cells() if cell.place[1:] == (what, "png"))
    cell.make(source := tmp_path / "source.png")
    assert said(source, ".png")[what] == "kept"
    assert said(source, ".webp") == {"pictures": "converted", what: "not kept"}


def test_another_format_of_an_image_is_said(tmp_path: Path) -> None:
    picture().save(tmp_path / "source.png")
    assert said(tmp_path / "source.png", ".png") == {}
    (found,) = outcomes(probe(tmp_path / "source.png", LIMITS), ".jpg")
    assert (found.what, found.fate, found.reason) == ("pictures (PNG)", "converted", "to JPEG")
