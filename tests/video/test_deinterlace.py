"""Interlaced pictures are deinterlaced when that is asked for: each shows one moment, at the time of its frame."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph
from av.sidedata.sidedata import Type

from service.inference import fake
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.remove.fields import weaving
from service.pipeline.request import Request
from service.pipeline.run import Progress, clean, detect
from service.pipeline.video import Encoding, Frame, Limits, Part
from service.timed_box import parse_box
from tests.formats.films import Film
from tests.formats.video_cells import captioned
from tests.video.clips import read_times

NETWORKS = fake.networks()
UNMARKED = Request(detect=False)
BOX = Request(detect=False, boxes=(parse_box("8,8,24,24"),))
DEINTERLACED = Encoding(deinterlace=True)
WIDTH, HEIGHT, FRAMES = 96, 64, 10
SPEED = 6  # pixels per frame, so that the fields are half as far apart


def moment(at: float) -> np.ndarray:
    """A bright bar on its way over a grey ramp, (h, w) uint8."""
    picture = np.tile(np.linspace(60, 120, WIDTH), (HEIGHT, 1))
    left = 10 + SPEED * at
    picture[:, round(left) : round(left) + 16] = 230
    return picture.astype(np.uint8)


def woven(index: int, *, bottom_first: bool) -> np.ndarray:
    """Two moments in alternate lines."""
    picture = moment(index + 0.5 * bottom_first)
    picture[1::2] = moment(index + 0.5 * (not bottom_first))[1::2]
    return picture


def interlaced_clip(path: Path, *, codec: str = "libx264", bottom_first: bool = False, frames: int = FRAMES, flagged: bool = True) -> Path:
    options = {"flags": "+ildct+ilme"} if flagged else {}
    if codec == "libx264":
        options |= {"qp": "4", "bf": "2"}
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.field_order = 3 if bottom_first else 2
        for index in range(frames):
            luma = woven(index, bottom_first=bottom_first)
            frame = av.VideoFrame.from_ndarray(np.vstack([luma, np.full((HEIGHT // 2, WIDTH), 128, np.uint8)]), "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            target.mux(stream.encode(with_fields(frame, "bff" if bottom_first else "tff") if flagged else frame))
        target.mux(stream.encode(None))
    return path


def with_fields(frame: av.VideoFrame, order: str) -> av.VideoFrame:
    """The frame, which says that it is interlaced. PyAV has no other way to set that."""
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add("setfield", f"mode={order}"), graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.vpull()


def lumas(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as source:
        return [frame.to_ndarray()[:HEIGHT].astype(float) for frame in source.decode(video=0)]


def is_flagged(path: Path) -> bool:
    with av.open(str(path)) as source:
        return any(frame.interlaced_frame for frame in source.decode(video=0)) or source.streams.video[0].codec_context.field_order > 1


def combing(picture: np.ndarray) -> float:
    """How much lines differ from the mean of those above and below them."""
    return float(np.abs(picture[1:-1] - (picture[:-2] + picture[2:]) / 2).mean())


@pytest.mark.parametrize("bottom_first", [False, True], ids=["top field first", "bottom field first"])
def test_each_picture_shows_the_moment_of_its_first_field(tmp_path: Path, bottom_first: bool) -> None:
    source, target = interlaced_clip(tmp_path / "source.mp4", bottom_first=bottom_first), tmp_path / "target.mp4"
    report = clean(source, target, UNMARKED, NETWORKS, encoding=DEINTERLACED)
    assert is_flagged(source)
    assert not is_flagged(target)
    assert not report.info.interlaced
    assert read_times(target) == read_times(source)
    for index, (before, after) in enumerate(zip(lumas(source), lumas(target), strict=True)):
        assert combing(before) > 4 * combing(after)
        at_first, at_second = (np.abs(after - moment(index + part)).mean() for part in (0.0, 0.5))
        assert at_first < at_second / 2, index


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", None), (".mkv", "hevc")])
def test_deinterlaced_pictures_go_where_interlaced_ones_cannot(tmp_path: Path, suffix: str, codec: str | None) -> None:
    source, target = interlaced_clip(tmp_path / "source.mp4"), tmp_path / f"target{suffix}"
    clean(source, target, BOX, NETWORKS, encoding=Encoding(codec=codec, deinterlace=True))
    assert len(lumas(target)) == FRAMES
    assert not is_flagged(target)


def test_fields_that_only_the_container_knows_of(tmp_path: Path) -> None:
    source = interlaced_clip(tmp_path / "source.mkv", flagged=False)
    assert probe(source, Limits()).interlaced
    clean(source, target := tmp_path / "target.mkv", UNMARKED, NETWORKS, encoding=DEINTERLACED)
    assert all(combing(before) > 4 * combing(after) for before, after in zip(lumas(source), lumas(target), strict=True))


@pytest.mark.parametrize("frames", [1, 2])
def test_few_pictures(tmp_path: Path, frames: int) -> None:
    source, target = interlaced_clip(tmp_path / "source.mp4", frames=frames), tmp_path / "target.mp4"
    clean(source, target, UNMARKED, NETWORKS, encoding=DEINTERLACED)
    assert read_times(target) == read_times(source)


def test_a_part_is_deinterlaced_like_the_whole(tmp_path: Path) -> None:
    source = interlaced_clip(tmp_path / "source.mp4")
    clean(source, whole := tmp_path / "whole.mp4", UNMARKED, NETWORKS, encoding=DEINTERLACED)
    clean(source, part := tmp_path / "part.mp4", UNMARKED, NETWORKS, encoding=DEINTERLACED, part=Part(0.12, 0.2))
    for of_whole, of_part in zip(lumas(whole)[3:8], lumas(part), strict=True):
        assert np.abs(of_whole - of_part).mean() < 2


def test_a_progressive_video_is_left_as_it_is(tmp_path: Path) -> None:
    Film().write(source := tmp_path / "source.mp4")
    clean(source, target := tmp_path / "target.mp4", UNMARKED, NETWORKS, encoding=DEINTERLACED)
    assert target.read_bytes() == source.read_bytes()


def captions(path: Path) -> list[bytes]:
    with av.open(str(path)) as video:
        return [bytes(frame.side_data[Type.A53_CC]) for frame in video.decode(video=0)]


def test_captions_survive(tmp_path: Path) -> None:
    """They are in the frames, which the filter replaces."""
    film = Film(packet=partial(captioned, "libx264"), options={"bf": "0", "flags": "+ildct+ilme"})
    film.write(source := tmp_path / "source.mp4")
    clean(source, target := tmp_path / "target.mp4", UNMARKED, NETWORKS, encoding=DEINTERLACED)
    assert captions(target) == captions(source)


@pytest.mark.parametrize("bottom_first", [False, True], ids=["top field first", "bottom field first"])
def test_pictures_of_both_fields_are_woven_into_what_was_decoded(tmp_path: Path, bottom_first: bool) -> None:
    """So nothing changes outside a mark, which is removed from a picture of each field."""
    source = interlaced_clip(tmp_path / "source.mkv", bottom_first=bottom_first)
    info = probe(source, Limits())
    assert info.in_fields
    assert info.bottom_first == bottom_first
    woven: list[Frame] = []
    watch = weaving(lambda marked, _: woven.append(marked), bottom_first=bottom_first)
    with decode(source, info.in_fields, Limits()) as pictures:
        for index, picture in enumerate(pictures):
            assert combing(picture.planes[0].astype(float)) < 2
            at_own, at_other = (np.abs(picture.planes[0] - moment((index + shift) / 2).astype(float)).mean() for shift in (0, 1))
            assert at_own < at_other / 2, index
            watch(picture, picture)
    with decode(source, info, Limits()) as frames:
        for frame, again in zip(frames, woven, strict=True):
            assert (again.index, again.pts) == (frame.index, frame.pts)
            assert all(np.array_equal(*planes) for planes in zip(frame.planes, again.planes, strict=True))


def test_a_mark_is_removed_from_both_fields(tmp_path: Path) -> None:
    source, target = interlaced_clip(tmp_path / "source.mp4"), tmp_path / "target.mp4"
    seen: list[Progress] = []
    report = clean(source, target, BOX, NETWORKS, on_progress=seen.append)
    assert report.frames == FRAMES
    assert (seen[-1].done_frames, seen[-1].total_frames) == (FRAMES, FRAMES)
    assert is_flagged(target)
    assert read_times(target) == read_times(source)
    for before, after in zip(lumas(source), lumas(target), strict=True):
        changed = np.abs(after - before)
        assert (changed[8:24, 8:24].reshape(8, 2, 16).mean(axis=(0, 2)) > 5).all()  # in the lines of each field
        assert changed[32:].mean() < 2


def test_marks_are_found_in_deinterlaced_pictures(tmp_path: Path) -> None:
    report = detect(interlaced_clip(tmp_path / "source.mp4"), BOX, NETWORKS, encoding=DEINTERLACED)
    assert report.info.deinterlaced
    assert report.frames == FRAMES
