"""The command from file to file with the shipped networks, checked as a user would."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import ROOT, Command

Picture = NDArray[np.uint8]

WIDTH, HEIGHT, FRAMES, FPS = 256, 144, 36, 24
LEFT, TOP, RIGHT, BOTTOM = 168, 16, 232, 40  # the box of the mark
BOX = "160,8,240,48"
OPACITY = 0.7


def scene(index: int) -> Picture:
    """A soft drifting texture, so that the scene moves behind a static mark. (HEIGHT, WIDTH, 3) uint8."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    columns = columns + 2.0 * index
    waves = [
        np.sin(columns / 9 + rows / 17) + np.sin(rows / 7),
        np.cos(columns / 13 - rows / 11) + np.sin(columns / 29),
        np.sin((columns + rows) / 19) + np.cos(rows / 23),
    ]
    return np.clip(110 + 35 * np.stack(waves, axis=-1), 0, 255).astype(np.uint8)


def mark() -> NDArray[np.float64]:
    """(HEIGHT, WIDTH) opacity: a disc with bars next to it, like a logo with letters."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    disc = (rows - (TOP + 12)) ** 2 + (columns - (LEFT + 12)) ** 2 <= 11**2
    inside = (rows >= TOP + 3) & (rows < BOTTOM - 3) & (columns >= LEFT + 28) & (columns < RIGHT)
    bars = inside & ((columns - LEFT) % 9 < 4)
    return OPACITY * (disc | bars)


def marked(index: int) -> Picture:
    alpha = mark()[:, :, None]
    return np.rint(scene(index) * (1 - alpha) + 255 * alpha).astype(np.uint8)


def write_clip(path: Path, pictures: list[Picture], sound: bool = True) -> Path:
    """An H.264 video with a sine tone."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18", "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        tone = container.add_stream("aac", rate=48000) if sound else None
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        if tone is not None:
            seconds = np.arange(48000 * len(pictures) // FPS) / 48000
            wave = np.tile((0.2 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32), (2, 1))
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
            container.mux(tone.encode(frame))
            container.mux(tone.encode(None))
    return path


def read_clip(path: Path) -> list[Picture]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def stamps(path: Path) -> list[Fraction]:
    with av.open(path) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(**{kind: 0}) if packet.size]


def psnr(one: list[Picture], other: list[Picture], where: NDArray[np.bool_]) -> float:
    """PSNR in dB over the pixels of `where` in all pictures."""
    error = np.mean([np.mean((a[where].astype(float) - b[where].astype(float)) ** 2) for a, b in zip(one, other, strict=True)])
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "marked.mp4", [marked(index) for index in range(FRAMES)])


@pytest.fixture(scope="module")
def boxed(clip: Path, cleanplate: Command) -> Path:
    """The folder of one run with a box, a report and debug pictures."""
    folder = clip.parent / "boxed"
    arguments = ["clean", clip, "-o", folder / "clean.mp4", "--box", BOX, "--report", folder / "report.json", "--debug", folder / "debug"]
    done = cleanplate(*arguments, CLEANPLATE_DEVICE="cpu")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"marked.mp4: mark removed, placements: 1 ({folder / 'clean.mp4'}, ")
    assert done.stdout.count("\n") == 1  # all of it on a terminal
    return folder


def test_the_mark_in_the_box_is_gone(clip: Path, boxed: Path) -> None:
    truth, hole = [scene(index) for index in range(FRAMES)], mark() > 0.05
    before, after = psnr(read_clip(clip), truth, hole), psnr(read_clip(boxed / "clean.mp4"), truth, hole)
    assert after >= before + 10


def test_the_rest_of_the_picture_keeps_its_quality(clip: Path, boxed: Path) -> None:
    far = np.ones((HEIGHT, WIDTH), bool)
    far[0:60, 140:WIDTH] = False
    assert psnr(read_clip(boxed / "clean.mp4"), read_clip(clip), far) > 38


def test_timing_and_sound_are_unchanged(clip: Path, boxed: Path) -> None:
    assert stamps(boxed / "clean.mp4") == stamps(clip)
    assert packets(boxed / "clean.mp4", "audio") == packets(clip, "audio") != []


def test_the_report_describes_the_run(boxed: Path) -> None:
    (report,) = json.loads((boxed / "report.json").read_text())["files"]
    assert (report["input"], report["output"], report["mark_found"]) == ("marked.mp4", "clean.mp4", True)
    assert report["video"]["frames"] == FRAMES
    assert [step["name"] for step in report["steps"]] == ["locate", "measure", "bound", "remove"]
    assert report["frames_per_second"] > 0
    assert report["versions"]
    first, last = (report["placements"][index][name] for index, name in ((0, "first_frame"), (-1, "last_frame")))
    assert (first, last) == (0, FRAMES - 1)
    assert str(boxed.parent) not in (boxed / "report.json").read_text()


def test_an_impossible_report_is_refused_before_cleaning(clip: Path, cleanplate: Command, tmp_path: Path) -> None:
    done = cleanplate("clean", clip, "-o", tmp_path / "out.mp4", "--report", tmp_path / "report.txt")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == []


def test_only_the_debug_pictures_are_written(boxed: Path) -> None:
    for name in ("contact_sheet.png", "before_after.png"):
        with Image.open(boxed / "debug" / name) as picture:
            assert picture.width > 200
    assert sorted(path.name for path in boxed.iterdir()) == ["clean.mp4", "debug", "report.json"]


def test_a_box_for_some_seconds_changes_only_those(clip: Path, cleanplate: Command, tmp_path: Path) -> None:
    """The mark stays outside the requested time; frame 12 is at 0.5 seconds."""
    done = cleanplate("clean", clip, "-o", tmp_path / "out.mp4", "--box", f"{BOX}@0.5-1", "--report", tmp_path / "report.json")
    assert (done.returncode, done.stderr) == (0, "")
    (report,) = json.loads((tmp_path / "report.json").read_text())["files"]
    marked_frames = {frame for placement in report["placements"] for frame in range(placement["first_frame"], placement["last_frame"] + 1)}
    assert marked_frames == set(range(12, 25))
    source, result, hole = read_clip(clip), read_clip(tmp_path / "out.mp4"), mark() > 0.05
    assert psnr(result[:12], source[:12], hole) > 34
    assert psnr(result[25:], source[25:], hole) > 34
    assert psnr(result[12:25], source[12:25], hole) < 20


def test_a_mask_image_says_what_to_remove(clip: Path, cleanplate: Command, tmp_path: Path) -> None:
    Image.fromarray(np.where(mark() > 0.05, 255, 0).astype(np.uint8)).save(tmp_path / "mask.png")
    report = tmp_path / "report.html"
    done = cleanplate("clean", clip, "-o", tmp_path / "out.mp4", "--mask", tmp_path / "mask.png", "--report", report)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Marks removed from {FRAMES} of {FRAMES} frames, in 1 interval." in report.read_text()
    truth, hole = [scene(index) for index in range(FRAMES)], mark() > 0.05
    assert psnr(read_clip(tmp_path / "out.mp4"), truth, hole) >= psnr(read_clip(clip), truth, hole) + 10


def test_a_mask_of_another_shape_is_refused(clip: Path, cleanplate: Command, tmp_path: Path) -> None:
    Image.new("L", (33, 77), 255).save(tmp_path / "mask.png")
    done = cleanplate("clean", clip, "-o", tmp_path / "out.mp4", "--mask", tmp_path / "mask.png")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "out.mp4").exists()


def test_a_box_outside_the_picture_is_refused(clip: Path, cleanplate: Command, tmp_path: Path) -> None:
    done = cleanplate("clean", clip, "-o", tmp_path / "out.mp4", "--box", "300,10,400,20")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"outside the picture of {WIDTH}x{HEIGHT}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_image_is_cleaned_and_its_other_pixels_are_the_same(cleanplate: Command, tmp_path: Path) -> None:
    Image.fromarray(marked(0)).save(tmp_path / "in.png")
    done = cleanplate("clean", tmp_path / "in.png", "-o", tmp_path / "out.png", "--box", BOX, "--report", tmp_path / "report.png")
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(tmp_path / "report.png") as sheet:
        assert sheet.width > 4 * WIDTH
    with Image.open(tmp_path / "out.png") as opened:
        result = np.asarray(opened.convert("RGB"))
    left, top, right, bottom = map(int, BOX.split(","))
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[top:bottom, left:right] = False
    assert (result[outside] == marked(0)[outside]).all()
    assert (result != marked(0)).any()


def test_without_a_mark_the_streams_are_copied(cleanplate: Command, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "plain.mp4", [scene(index) for index in range(FRAMES)])
    done = cleanplate("clean", source, "-o", tmp_path / "out.mp4", "--report", tmp_path / "report.json")
    assert (done.returncode, done.stderr) == (0, "")
    (report,) = json.loads((tmp_path / "report.json").read_text())["files"]
    assert (report["mark_found"], report["placements"]) == (False, [])
    assert packets(tmp_path / "out.mp4", "video") == packets(source, "video")


def test_one_bad_input_does_not_stop_the_others(clip: Path, cleanplate: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    report = tmp_path / "report.json"
    done = cleanplate("clean", tmp_path / "bad.mp4", clip, "-o", tmp_path / "out", "--box", BOX, "--report", report)
    assert done.returncode == 3
    assert done.stderr.startswith("cleanplate: bad.mp4: ")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["marked.mp4"]
    bad, good = json.loads(report.read_text())["files"]
    assert (bad["input"], bad["error"]) == ("bad.mp4", "NotMedia")
    assert good["mark_found"]


def bad_file(kind: str, clip: Path, path: Path) -> Path:
    whole = clip.read_bytes()
    contents = {
        "empty": b"",
        "text": b"not a video at all\n" * 99,
        "truncated": whole[: len(whole) // 2],
        "noise": whole[:64] + b"\xa5" * 4000,
    }
    path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "noise"])
def test_an_invalid_file_gives_one_line_exit_3_and_no_output(kind: str, clip: Path, cleanplate: Command, tmp_path: Path) -> None:
    done = cleanplate("clean", bad_file(kind, clip, tmp_path / "bad.mp4"), "-o", tmp_path / "out.mp4", "--box", BOX)
    assert done.returncode == 3
    assert done.stderr.startswith("cleanplate: bad.mp4: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.mp4"]


@pytest.mark.parametrize(("variable", "value", "code"), [("WEIGHTS", "elsewhere", 5), ("PRECISION", "fp64", 2)])
def test_the_configured_networks_are_used(clip: Path, cleanplate: Command, tmp_path: Path, variable: str, value: str, code: int) -> None:
    done = cleanplate("clean", clip, "-o", tmp_path / "out.mp4", **{f"CLEANPLATE_{variable}": value})
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_audio_file_has_no_video_stream(clip: Path, cleanplate: Command, tmp_path: Path) -> None:
    with av.open(clip) as source, av.open(tmp_path / "tone.mp4", "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    done = cleanplate("clean", tmp_path / "tone.mp4", "-o", tmp_path / "out.mp4")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "no video stream" in done.stderr.lower()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [("DURATION_SECONDS", "1", "1 s"), ("LONG_SIDE_PIXELS", "200", "200"), ("SHORT_SIDE_PIXELS", "100", "100"), ("FILE_BYTES", "1000", "")],
)
def test_the_error_names_the_limit(clip: Path, cleanplate: Command, tmp_path: Path, variable: str, value: str, message: str) -> None:
    limits = {f"CLEANPLATE_LIMITS__{variable}": value}
    done = cleanplate("clean", clip, "-o", tmp_path / "out.mp4", **limits)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_no_partial_file(tmp_path: Path) -> None:
    """On a terminal, where the progress bar shows that the last step has started."""
    long = write_clip(tmp_path / "long.mp4", [marked(index) for index in range(10 * FRAMES)], sound=False)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "service", "clean", str(long), "-o", str(tmp_path / "out" / "long.mp4"), "--box", BOX]
    environment = os.environ | {"COLUMNS": "120", "TERM": "xterm"}
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # tests run in the background inherit an ignored SIGINT
    )
    os.close(theirs)
    shown = read_until(ours, b"remove")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the whole process group
    shown += read_until(ours, None)
    assert process.wait(timeout=60) == 130, shown.decode(errors="replace")
    assert b" fps" in shown
    assert b"Traceback" not in shown
    assert list((tmp_path / "out").iterdir()) == []


def read_until(terminal: int, text: bytes | None) -> bytes:
    """The terminal's output up to `text`, or to its end."""
    shown = b""
    while text is None or text not in shown:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other end was closed, which ends a terminal
            break
        if not piece:
            break
        shown += piece
    return shown


@pytest.mark.slow
def test_the_bundled_sample_is_cleaned_by_detection(cleanplate: Command, tmp_path: Path) -> None:
    source = tmp_path / "marked.mp4"
    shutil.copy(ROOT / "samples" / "marked.mp4", source)
    done = cleanplate("clean", source, "-o", tmp_path / "clean.mp4", "--report", tmp_path / "report.json")
    assert (done.returncode, done.stderr) == (0, "")
    (report,) = json.loads((tmp_path / "report.json").read_text())["files"]
    assert report["mark_found"]
    assert stamps(tmp_path / "clean.mp4") == stamps(source)
