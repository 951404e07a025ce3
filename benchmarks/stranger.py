"""A stranger's host on loopback: files to be fetched, and a receiver of callbacks that remembers all it was told.

with stranger() as host:
    host.url + "/7/marked.mp4"      # the last part of the path says which file: see `files`; any other is a 404
    host.url + "/moody/7"           # the first callback there is answered 503, the next 200; elsewhere 200 at once
    host.posts("/moody/7")          # the bodies that came
"""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import ROOT
from benchmarks.media import Picture, Timing, write_video

WIDTH, HEIGHT = 128, 96
MARK = np.s_[20:36, 20:60]  # white, which the stand-ins of the networks take for a mark
FRAMES = {"marked.mp4": 25, "longer.mp4": 100}
SAMPLE = ROOT / "samples" / "marked.mp4"  # as sample.mp4: four seconds of 720p with a real mark
TYPES = {".mp4": "video/mp4", ".png": "image/png"}


class Stranger(ThreadingHTTPServer):
    """See the module; made by `stranger()`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._posts: dict[str, list[dict[str, Any]]] = {}
        self._turn = threading.Lock()

    def posts(self, path: str) -> list[dict[str, Any]]:
        """What was POSTed to a path, in the order of arrival."""
        with self._turn:
            return list(self._posts.get(path, []))

    def take(self, path: str, body: dict[str, Any]) -> int:
        """Remember a callback; the status that answers it."""
        with self._turn:
            told = self._posts.setdefault(path, [])
            told.append(body)
            return 503 if path.startswith("/moody/") and len(told) == 1 else 200

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asks may be killed in the middle of it."""


@contextmanager
def stranger() -> Iterator[Stranger]:
    """The host, for the length of a block."""
    host = Stranger()
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        host.server_close()
        thread.join()


@cache
def files() -> dict[str, bytes]:
    """The files by name: two videos and a picture, each with a white box on it, and the sample."""
    made = io.BytesIO()
    Image.fromarray(_picture(0)).save(made, "png")
    found = {"picture.png": made.getvalue(), "sample.mp4": SAMPLE.read_bytes()}
    with TemporaryDirectory() as folder:
        for name, frames in FRAMES.items():
            path = Path(folder) / name
            write_video(path, map(_picture, range(frames)), (WIDTH, HEIGHT), Timing(range(frames), Fraction(1, 25), Fraction(25)))
            found[name] = path.read_bytes()
    return found


def _picture(index: int) -> Picture:
    """(H, W, 3) uint8: slow waves, and the mark."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [127 + 100 * np.sin(x / 17 + index / 9 + k) * np.cos(y / 15 - k) for k in range(3)]
    picture = np.stack(waves, axis=-1).astype(np.uint8)
    picture[MARK] = 255
    return picture


class _Handler(BaseHTTPRequestHandler):
    server: Stranger

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        data = files().get(name)
        self._answer(200 if data is not None else 404, data or b"", TYPES.get(Path(name).suffix, "text/plain"))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(self.server.take(self.path, body), b"{}", "application/json")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""
