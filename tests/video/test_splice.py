"""Where no mark is, a video's own packets stay; new ones fit between them. PyAV's reading of both files is the oracle."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.inference import fake
from service.pipeline.io.avc import ParameterSets, sequence_parameters
from service.pipeline.io.decode import Excerpt, decode
from service.pipeline.io.groups import MIN_COPIED_FRAMES, Groups, ranges_of, read_groups
from service.pipeline.io.probe import probe
from service.pipeline.placement import Box
from service.pipeline.report.detection import Detection
from service.pipeline.report.report import Report
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.pipeline.video import Limits, Timeline
from tests.footage import placement
from tests.formats.in_process import in_process
from tests.video.clips import Spec, make_clip, picture_rgb, read_packets

WIDTH, HEIGHT = 64, 48
MARK = Box(16, 16, 32, 32)
NETWORKS = fake.networks()


@dataclass(frozen=True)
class Film:
    """What a clip is made of. steps: ticks from each picture to the next. cuts: where another scene begins."""

    frames: int = 48
    start: int = 0
    steps: Sequence[int] = (2,)
    cuts: Sequence[int] = ()
    suffix: str = ".mp4"
    time_base: Fraction = Fraction(1, 50)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    rotation_degrees: int = 0

    @property
    def pts(self) -> list[int]:
        steps = [self.steps[index % len(self.steps)] for index in range(self.frames - 1)]
        return list(accumulate(steps, initial=self.start))

    def write(self, path: Path) -> Path:
        with av.open(str(path), "w", options={"video_track_timescale": str(self.time_base.denominator)}) as target:
            stream = target.add_stream(self.codec, rate=Fraction(25), options={"threads": "1", **self.options})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, self.pixel_format
            stream.time_base = stream.codec_context.time_base = self.time_base
            if self.rotation_degrees:
                stream.set_display_rotation(self.rotation_degrees)
            for index, pts in enumerate(self.pts):
                scene = sum(cut <= index for cut in self.cuts)
                picture = np.roll(picture_rgb(WIDTH, HEIGHT, index), 17 * scene, 0) ^ np.uint8(255 * (scene % 2))
                frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=self.pixel_format)
                frame.pts, frame.time_base = pts, self.time_base
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
        return path


@dataclass(frozen=True)
class Packet:
    pts: int
    dts: int | None
    duration: int
    content: bytes = field(repr=False)


def packets_of(path: Path) -> list[Packet]:
    with av.open(str(path)) as source:
        return [Packet(p.pts, p.dts, p.duration, bytes(p)) for p in source.demux(source.streams.video[0]) if p.size]


def pictures_of(path: Path, threads: str = "1") -> list[tuple[int, NDArray[np.uint8]]]:
    """(pts, samples) of all pictures; raises where a decoder finds the least fault."""
    with av.open(str(path), options={"err_detect": "explode", "threads": threads}) as source:
        return [(frame.pts, frame.to_ndarray()) for frame in source.decode(video=0)]


def cleaned(source: Path, target: Path, *intervals: tuple[int, int], copy: bool = True) -> Report:
    """The source without a mark that is there in these intervals of frames, both ends included."""
    info = probe(source, Limits())
    with decode(source, info, Limits()) as frames:
        timeline = Timeline([frame.pts for frame in frames], info.time_base)
    marks = tuple(placement(first, last, MARK) for first, last in intervals)
    detection = Detection(marks, timeline, (info.width, info.height))
    return clean(source, target, Request(detect=False), NETWORKS, detection=detection, copy=copy)


def check(source: Path, target: Path, report: Report, *intervals: tuple[int, int]) -> None:
    """What is copied is bit-equal as packets and as pictures; all times are the source's; the mark is gone; no decoder finds a fault."""
    before, after = packets_of(source), packets_of(target)
    if report.copied_frames and source.suffix == target.suffix != ".mkv":  # which says when a packet is decoded
        assert [(packet.dts, packet.duration) for packet in after] == [(packet.dts, packet.duration) for packet in before]
    assert sum(one.content == other.content for one, other in zip(before, after, strict=True)) == report.copied_frames
    shown, now = pictures_of(source), pictures_of(target)
    assert [pts for pts, _ in now] == [pts for pts, _ in shown]
    own = {packet.pts for packet, other in zip(before, after, strict=True) if packet.content == other.content}
    for index, ((pts, one), (_, other)) in enumerate(zip(shown, now, strict=True)):
        marked = any(first <= index <= last for first, last in intervals)
        assert not (marked and pts in own)
        assert (one == other).all() or pts not in own


@st.composite
def films(draw: st.DrawFn) -> Film:
    frames = draw(st.integers(2, 60))
    keyint = draw(st.integers(1, 30))
    x264 = {
        "keyint": keyint,
        "min-keyint": draw(st.integers(1, max(1, keyint // 2))),
        "open-gop": draw(st.integers(0, 1)),
        "bframes": draw(st.integers(0, 4)),
        "b-pyramid": draw(st.sampled_from(["none", "strict", "normal"])),
        "b-adapt": draw(st.integers(0, 2)),
        "ref": draw(st.integers(1, 4)),
        "scenecut": draw(st.sampled_from([0, 40])),
    }
    return Film(
        frames,
        start=draw(st.integers(0, 7)),
        steps=draw(st.lists(st.integers(1, 5), min_size=1, max_size=8)),
        cuts=draw(st.lists(st.integers(1, frames), max_size=3)),
        suffix=draw(st.sampled_from([".mp4", ".mov", ".mkv"])),
        time_base=Fraction(1, 1000),
        options={
            "preset": "ultrafast",
            "profile": draw(st.sampled_from(["baseline", "main", "high"])),
            "x264-params": ":".join(f"{name}={value}" for name, value in x264.items()),
        },
    )


@settings(max_examples=25, deadline=None)
@given(films(), st.data())
def test_whatever_the_groups_of_pictures_copies_are_exact_and_joins_are_clean(film: Film, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, film.frames - 1))
    interval = first, data.draw(st.integers(first, film.frames - 1))
    with TemporaryDirectory() as folder, in_process():
        source, target = film.write(Path(folder) / f"source{film.suffix}"), Path(folder) / f"target{film.suffix}"
        check(source, target, cleaned(source, target, interval), interval)


CLOSED = {"preset": "ultrafast", "x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=2:b-adapt=0"}


@pytest.mark.parametrize(
    "film",
    [
        Film(options=CLOSED),
        Film(options=CLOSED, suffix=".mov", steps=(1, 3, 2), start=5),
        Film(options=CLOSED, suffix=".mkv", time_base=Fraction(1, 1000), steps=(33, 33, 34)),
        Film(options=CLOSED, rotation_degrees=90),
        Film(options=CLOSED | {"profile": "high10"}, pixel_format="yuv420p10le"),
        Film(options=CLOSED | {"profile": "high444"}, pixel_format="yuv444p"),
        Film(options=CLOSED | {"profile": "baseline", "x264-params": "keyint=12:min-keyint=12:scenecut=0"}),
        Film(options=CLOSED | {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "pc"}),
        Film(options=CLOSED | {"x264-params": CLOSED["x264-params"] + ":sar=4/3:sps-id=1"}),
        Film(options=CLOSED | {"x264-params": CLOSED["x264-params"] + ":repeat-headers=1:aud=1:slices=3"}),
    ],
    ids=["mp4", "mov", "mkv", "turned", "10 bits", "4:4:4", "baseline", "colours", "aspect", "in band"],
)
def test_only_what_belongs_to_the_mark_is_encoded(film: Film, tmp_path: Path) -> None:
    """From the last picture before the mark at which the source can be left, to the next one at which it can be entered."""
    source, target = film.write(tmp_path / f"source{film.suffix}"), tmp_path / f"target{film.suffix}"
    with in_process():
        report = cleaned(source, target, (15, 20))
        check(source, target, report, (15, 20))
        again = cleaned(target, tmp_path / f"again{film.suffix}", (40, 41))
    assert film.frames - 12 <= report.copied_frames <= film.frames - 9
    assert again.copied_frames == 0 or len(packets_of(tmp_path / f"again{film.suffix}")) == film.frames


def test_a_spliced_file_is_like_the_source_in_all_else(tmp_path: Path) -> None:
    """Through the processes of a real run, with sound, into another container and back."""
    spec = Spec(pts=range(48), audio="aac", rotation_degrees=180, options=tuple(CLOSED.items()), colour=(1, 1, 1, 1), aspect=Fraction(4, 3))
    source, target = make_clip(tmp_path / "source.mp4", spec), tmp_path / "target.mkv"
    assert cleaned(source, target, (0, 3), (30, 31)).copied_frames >= 18
    sound, kept = (read_packets(path, "audio") for path in (source, target))
    assert [content for content, _ in kept] == [content for content, _ in sound]
    shifts = {round(float(time - original), 2) for (_, original), (_, time) in zip(sound, kept, strict=True)}
    assert len(shifts) == 1
    before, after = (probe(path, Limits()) for path in (source, target))
    same = ("width", "height", "orientation", "pixel_format", "colour", "fps", "codec", "sample_aspect_ratio", "interlaced")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]


@pytest.mark.parametrize(
    ("film", "target"),
    [
        (Film(options=CLOSED | {"x264-params": CLOSED["x264-params"] + ":nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900"}), ".mp4"),
        (
            Film(options=CLOSED | {"x264-params": "keyint=12:open-gop=1:bframes=2:b-adapt=0:scenecut=0:min-keyint=1:intra-refresh=1"}),
            ".mp4",
        ),
        (Film(options=CLOSED | {"x264-params": CLOSED["x264-params"] + ":fake-interlaced=1"}), ".mp4"),
        (Film(codec="libx265", options={"x265-params": "log-level=none:keyint=12"}), ".mp4"),
        (Film(codec="mpeg4", options={"g": "12"}), ".mp4"),
        (Film(codec="libvpx-vp9", suffix=".webm", time_base=Fraction(1, 1000), steps=(40,), options={"g": "12"}), ".webm"),
        (Film(options=CLOSED), ".3gp"),
    ],
    ids=["buffer", "no entry", "fields", "hevc", "mpeg4", "vp9", "3gp"],
)
def test_where_it_is_not_proven_everything_is_encoded(film: Film, target: str, tmp_path: Path) -> None:
    source, target_path = film.write(tmp_path / f"source{film.suffix}"), tmp_path / f"target{target}"
    with in_process():
        report = cleaned(source, target_path, (0, 20))
    assert report.copied_frames == 0
    assert [pts for pts, _ in pictures_of(target_path)] == [pts for pts, _ in pictures_of(source)]


def test_nothing_is_copied_where_that_is_not_wanted(tmp_path: Path) -> None:
    source = Film(options=CLOSED).write(tmp_path / "source.mp4")
    with in_process():
        assert cleaned(source, tmp_path / "one.mp4", (15, 20), copy=False).copied_frames == 0
        assert cleaned(source, tmp_path / "two.mp4", (0, 47)).copied_frames == 0


@pytest.mark.parametrize(
    "film",
    [
        Film(options=CLOSED, steps=(1, 2)),
        Film(codec="libx265", options={"x265-params": "log-level=none:keyint=12:min-keyint=12:open-gop=0"}),
        Film(codec="libvpx-vp9", suffix=".webm", time_base=Fraction(1, 1000), steps=(40,), options={"g": "12", "cpu-used": "8"}),
    ],
    ids=["h264", "hevc", "vp9"],
)
@settings(max_examples=5, deadline=None)
@given(wanted=st.sets(st.integers(0, 47), min_size=1))
def test_a_frame_is_the_same_whether_all_are_decoded_or_few(film: Film, wanted: set[int]) -> None:
    with TemporaryDirectory() as folder, in_process():
        path = film.write(Path(folder) / f"source{film.suffix}")
        info = probe(path, Limits())
        with decode(path, info, Limits()) as frames:
            whole = list(frames)
        groups = read_groups(path, info, Limits(), Timeline([frame.pts for frame in whole], info.time_base), None)
        assert groups is not None
        assert len(groups.begins) >= 4
        packets = groups.decoded_for(wanted)
        assert sum(map(len, packets)) < film.frames or max(wanted) - min(wanted) > 20
        with decode(path, info, Limits(), Excerpt(ranges_of(sorted(wanted)), packets)) as frames:
            found = list(frames)
    assert [frame.index for frame in found] == sorted(wanted)
    for frame in found:
        assert frame.pts == whole[frame.index].pts
        for plane, same in zip(frame.planes, whole[frame.index].planes, strict=True):
            np.testing.assert_array_equal(plane, same)


def test_another_timeline_has_no_groups(tmp_path: Path) -> None:
    """What was decoded is not what the packets say: nothing can be said about them."""
    path = Film(options=CLOSED).write(tmp_path / "source.mp4")
    info = probe(path, Limits())
    assert read_groups(path, info, Limits(), Timeline(range(48), info.time_base), ".mp4") is None


GROUPS = st.sets(st.integers(1, 79)).flatmap(
    lambda breaks: st.sets(st.sampled_from(sorted(breaks | {0}))).map(
        lambda begins: Groups(tuple(sorted(begins | {0})), tuple(sorted(breaks | {0})), 80)
    )
)


@given(GROUPS, st.lists(st.tuples(st.integers(0, 79), st.integers(0, 79)).map(lambda ends: (min(ends), max(ends))), min_size=1, max_size=5))
def test_stretches_begin_and_end_where_they_may(groups: Groups, intervals: list[tuple[int, int]]) -> None:
    stretches = groups.encoded_for(intervals)
    encoded = {frame for stretch in stretches for frame in stretch}
    assert all(set(range(first, last + 1)) <= encoded for first, last in intervals)
    assert all(stretch.start in groups.breaks and stretch.stop in (*groups.begins, 80) for stretch in stretches)
    assert all(after.start - before.stop >= MIN_COPIED_FRAMES for before, after in pairwise(stretches))
    wanted = {first for first, _ in intervals}
    decoded = groups.decoded_for(wanted)
    assert wanted <= {packet for part in decoded for packet in part}
    assert all(part.start in groups.begins and part.stop in (*groups.breaks, 80) for part in decoded)


@pytest.mark.parametrize(
    "film", [Film(), Film(options={"profile": "baseline"}), Film(pixel_format="yuv422p10le")], ids=["high", "base", "422"]
)
def test_parameter_sets_are_written_as_they_were_read(film: Film, tmp_path: Path) -> None:
    with av.open(str(film.write(tmp_path / "source.mp4"))) as source:
        context = source.streams.video[0].codec_context
        sets = ParameterSets.of_record(context.extradata)
        assert sets.record() == context.extradata
        said = sequence_parameters(sets.sequence[0])
        assert [16 * side for side in said.size] == [WIDTH, HEIGHT]
        assert (said.profile, said.level) == (context.extradata[1], context.extradata[3])
        assert sets.free_id() == 1
    for cut in range(len(context.extradata)):
        with suppress(ValueError):
            ParameterSets.of_record(context.extradata[:cut])
