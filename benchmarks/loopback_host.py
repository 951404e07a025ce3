"""An HTTP host on loopback that serves source files and records callbacks.

with loopback_host() as host:
    host.url + "/7/marked.mp4"      # the last part of the path selects a file, see `files`; any other is a 404
    host.url + "/flaky/7"           # the first callback to this path is answered 503, later ones 200; other paths always 200
    host.posts("/flaky/7")          # the received bodies
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
MARK = np.s_[20:36, 20:60]  # white, which the fake networks detect as a mark
FRAMES = {"marked.mp4": 25, "longer.mp4": 400}
SAMPLE = ROOT / "samples" / "marked.mp4"  # served as sample.mp4: four seconds of 720p with a realistic mark
TYPES = {".mp4": "video/mp4", ".png": "image/png"}


class LoopbackHost(ThreadingHTTPServer):
    """The host; created by `loopback_host()`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._posts: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def posts(self, path: str) -> list[dict[str, Any]]:
        """The bodies POSTed to a path, in order of arrival."""
        with self._lock:
            return list(self._posts.get(path, []))

    def take(self, path: str, body: dict[str, Any]) -> int:
        """Record a callback and return the status of the answer."""
        with self._lock:
            bodies = self._posts.setdefault(path, [])
            bodies.append(body)
            return 503 if path.startswith("/flaky/") and len(bodies) == 1 else 200

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors: clients may be killed during a request."""


@contextmanager
def loopback_host() -> Iterator[LoopbackHost]:
    """A running host, for the length of a block."""
    host = LoopbackHost()
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
    """The served files by name: two videos and a picture, each with a white box, and the sample."""
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
    """(H, W, 3) uint8: slow waves with the mark."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [127 + 100 * np.sin(x / 17 + index / 9 + k) * np.cos(y / 15 - k) for k in range(3)]
    picture = np.stack(waves, axis=-1).astype(np.uint8)
    picture[MARK] = 255
    return picture


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackHost

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
        """Log nothing."""
