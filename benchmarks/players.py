"""Whether browsers play and seek our results: a page that they open plays each file, seeks in it, and reports what it saw.

python -m benchmarks.players [--browser chromium --browser firefox-esr]

Sources of every codec that browsers play are cleaned in a box. Each picture has a shade of its own, so that the page knows what it sees. No
driver is needed: the page sends its report to the server that it came from. Exits with 1 if a browser fails on a file.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import av
import numpy as np
import typer
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from service.inference import fake
from service.pipeline.io.mux import start_encoders
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.timed_box import TimedBox

WIDTH, HEIGHT, FPS, FRAMES = 128, 96, 25, 50
BOX: Final = TimedBox(8, 8, 40, 32)
DARKEST, SHADES_PER_PICTURE = 40, 3  # of 255: the shade of the first picture, and how much brighter each further one is
FILES: Final = (  # name, encoder of pictures, encoder of sound
    ("h264.mp4", "libx264", "aac"),
    ("vp9.mp4", "libvpx-vp9", "libopus"),
    ("av1.mp4", "libsvtav1", "libopus"),
    ("vp8.webm", "libvpx", "libopus"),
    ("vp9.webm", "libvpx-vp9", "libopus"),
    ("av1.webm", "libsvtav1", "libopus"),
)
FAST: Final = {"libvpx": {"cpu-used": "8", "deadline": "realtime"}, "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"}}
SAMPLE_RATE: Final = 48_000
TYPES: Final = {".html": "text/html", ".mp4": "video/mp4", ".webm": "video/webm"}
PAGE: Final = """<!doctype html><meta charset="utf-8"><title>players</title><body><script>
const happens = (video, name) => new Promise((done, fail) => {
  video.addEventListener(name, done, {once: true});
  video.addEventListener("error", () => fail(new Error(video.error ? video.error.message : "error")), {once: true});
});
const presented = (video) => new Promise((done) => {
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(done);
  else requestAnimationFrame(() => requestAnimationFrame(done));
});
const shade = (video) => {
  const canvas = Object.assign(document.createElement("canvas"), {width: video.videoWidth, height: video.videoHeight});
  const drawn = canvas.getContext("2d");
  drawn.drawImage(video, 0, 0);
  return drawn.getImageData(video.videoWidth - 8, video.videoHeight - 8, 1, 1).data[1];
};
const look = async (name) => {
  const video = Object.assign(document.createElement("video"), {muted: true, playsInline: true, src: name});
  document.body.append(video);
  const seen = {name, seeks: []};
  try {
    await happens(video, "loadeddata");
    Object.assign(seen, {seconds: video.duration, width: video.videoWidth, height: video.videoHeight});
    const ended = happens(video, "ended");
    await video.play();
    await ended;
    seen.played = video.currentTime;
    for (const seconds of [1.22, 0.42, 1.82]) {
      const sought = [happens(video, "seeked"), presented(video)]; // it may be sought before its picture is there to draw
      video.currentTime = seconds;
      await Promise.all(sought);
      seen.seeks.push([seconds, video.currentTime, shade(video)]);
    }
  } catch (error) {
    seen.error = String(error);
  }
  video.remove();
  return seen;
};
window.report = (async () => {
  const found = [];
  for (const name of NAMES) found.push(await look(name));
  await fetch("report", {method: "POST", body: JSON.stringify(found)});
  return found;
})();
</script>"""
COMMANDS: Final = {  # by browser: how it opens a page without a window; {profile}: an empty folder
    "chromium": ("--headless", "--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required", "--user-data-dir={profile}"),
    "firefox-esr": ("--headless", "--no-remote", "--profile", "{profile}"),
}
PREFERENCES: Final = 'user_pref("media.autoplay.default", 0);\nuser_pref("datareporting.policy.dataSubmissionEnabled", false);\n'


def main(
    browser: Annotated[list[str] | None, typer.Option(help="Which browsers; by default those that are installed.")] = None,
    timeout_seconds: Annotated[float, typer.Option(help="How long to wait for a browser's report.")] = 300,
) -> None:
    """Let each browser play all results, and print what it could not."""
    chosen = browser or [name for name in COMMANDS if shutil.which(name)]
    failed = False
    with TemporaryDirectory() as name:
        results = make_results(Path(name))
        for each in chosen:
            seen = report_of(each, results, timeout_seconds)
            for file in seen:
                typer.echo(f"{each}: {file['name']}: {'; '.join(found := list(faults(file))) or 'plays and seeks'}")
                failed = failed or bool(found)
    raise typer.Exit(1 if failed or not chosen else 0)


def make_results(folder: Path) -> list[Path]:
    """Cleaned files of each kind, in a folder."""
    results = []
    for name, encoder, sound in FILES:
        source, result = folder / f"source-{name}", folder / name
        write_source(source, encoder, sound)
        clean(source, result, Request(detect=False, boxes=(BOX,)), fake.networks())
        results.append(result)
    return results


def write_source(path: Path, encoder: str, sound: str) -> None:
    """Two seconds whose pictures grow brighter, with a tone."""
    with av.open(str(path), "w") as target:
        pictures = target.add_stream(encoder, rate=FPS, options=FAST.get(encoder, {}))
        assert isinstance(pictures, VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        track = target.add_stream(sound, rate=SAMPLE_RATE, layout="stereo")
        assert isinstance(track, AudioStream)
        start_encoders(target)
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), shade_of(index), np.uint8), "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            target.mux(pictures.encode(frame))
        target.mux(pictures.encode(None))
        target.mux(_tone(track))


def _tone(track: AudioStream) -> Iterator["av.Packet[AudioStream]"]:
    """The packets of a tone as long as the pictures."""
    times = np.arange(SAMPLE_RATE * FRAMES // FPS) / SAMPLE_RATE
    samples = np.repeat((0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)[None], 2, axis=0)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    fifo = av.AudioFifo()
    fifo.write(frame)
    for piece in fifo.read_many(track.codec_context.frame_size or 960, partial=True):
        yield from track.encode(piece)
    yield from track.encode(None)


def shade_of(index: int) -> int:
    """The grey of a picture, of 255."""
    return DARKEST + SHADES_PER_PICTURE * index


def faults(seen: dict[str, Any]) -> Iterator[str]:
    """What a page's report on one file says against it."""
    if "error" in seen:
        yield str(seen["error"])
        return
    if (seen["width"], seen["height"]) != (WIDTH, HEIGHT):
        yield f"it is {seen['width']}x{seen['height']}"
    for what, seconds in (("lasts", seen["seconds"]), ("played until", seen["played"])):
        if abs(seconds - FRAMES / FPS) > 0.1:
            yield f"it {what} {seconds:.2f} s"
    for asked, reached, shade in seen["seeks"]:
        if abs(reached - asked) > 0.02 or abs(shade - shade_of(int(asked * FPS))) > 2 * SHADES_PER_PICTURE:
            yield f"at {asked} s it shows {reached:.2f} s, picture {(shade - DARKEST) / SHADES_PER_PICTURE:.1f}"


def report_of(browser: str, results: Sequence[Path], timeout_seconds: float) -> list[dict[str, Any]]:
    """What a browser saw of the files. Raises TimeoutError if it does not say in time."""
    with served(results) as site, TemporaryDirectory() as profile:
        (Path(profile) / "user.js").write_text(PREFERENCES)
        arguments = [part.format(profile=profile) for part in COMMANDS[browser]]
        with subprocess.Popen([browser, *arguments, site.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                return site.report(timeout_seconds)
            finally:
                process.terminate()


@dataclass
class Site:
    """The page, at `url`, and what it reported."""

    url: str
    arrived: threading.Event = field(default_factory=threading.Event)
    found: list[dict[str, Any]] = field(default_factory=list)

    def report(self, timeout_seconds: float) -> list[dict[str, Any]]:
        """What the page reported. Raises TimeoutError."""
        if not self.arrived.wait(timeout_seconds):
            raise TimeoutError("the page did not report")
        return self.found


@contextmanager
def served(results: Sequence[Path]) -> Iterator[Site]:
    """The page and the files on loopback, for the length of the block. Parts of files are served too: players ask for them to seek."""
    files = {f"/{path.name}": path.read_bytes() for path in results}
    files["/page.html"] = PAGE.replace("NAMES", json.dumps([path.name for path in results])).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _send(self, files.get(self.path))

        def do_POST(self) -> None:
            site.found[:] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            _send(self, b"")
            site.arrived.set()

        def log_message(self, format: str, *args: object) -> None:
            """Not into the output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Site(f"http://127.0.0.1:{server.server_address[1]}/page.html")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()


def _send(request: BaseHTTPRequestHandler, data: bytes | None) -> None:
    """A file, or the part of it that is asked for; None: there is none."""
    if data is None:
        request.send_error(HTTPStatus.NOT_FOUND)
        return
    first, last = 0, len(data) - 1
    wanted = request.headers.get("Range", "")
    if wanted:
        begin, _, end = wanted.removeprefix("bytes=").partition("-")
        first, last = int(begin), min(last, int(end) if end else last)
    request.send_response(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK)
    request.send_header("Content-Type", TYPES.get(Path(request.path).suffix, "text/plain"))
    request.send_header("Accept-Ranges", "bytes")
    if wanted:
        request.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
    request.send_header("Content-Length", str(last + 1 - first))
    request.end_headers()
    request.wfile.write(data[first : last + 1])


if __name__ == "__main__":
    typer.run(main)
