"""A remote host on loopback with real sockets, which behaves as a test needs.

    with host() as there:
        url = there.serve("/video.mp4", data)                   # also: redirect, cut_off, trickle, never_answer, hold, say
        there.serve("/gone.mp4", b"", status=404)
        there.callback("/done", 500, 200)                       # one status per POST, the last one repeats
        first, second = there.wait_for_posts(2)                 # every request is recorded, answered or not
        there.share_json(POST_ID, video_url=url, prompt="...")  # and share_page; `there.url` is the resolver's base_url

Each method that adds a path returns its URL. The service must be allowed to connect: `EgressPolicy.parse("127.0.0.0/8")`.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any, Literal

POST_ID = "s_0123456789abcdef0123456789abcdef"
PATIENCE_SECONDS = 20.0  # only a failing test waits this long

Respond = Callable[["_Handler"], None]


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that the host has received."""

    method: str
    path: str
    headers: Message
    body: bytes


class Host:
    """The host; created by `host()`. See the module's docstring."""

    def __init__(self, address: str, port: int, tls: SSLContext | None) -> None:
        self._responses: dict[str, Respond] = {}
        self._asked: list[ReceivedRequest] = []
        self._arrival = threading.Condition()
        self.closing = threading.Event()
        self._server = _Server((address, port), self)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_port
        self.url = f"{'https' if tls else 'http'}://{address}:{self.port}"

    # Adding paths.

    def serve(
        self, path: str, body: bytes, *, status: int = 200, content_type: str = "video/mp4", headers: dict[str, str] | None = None
    ) -> str:
        """Send the body at once, with its length."""
        return self._add(path, lambda handler: handler.answer(status, body, {"Content-Type": content_type, **(headers or {})}))

    def serve_unmeasured(self, path: str, body: bytes) -> str:
        """Send the body without its length; it ends with the connection."""
        return self.say(path, b"HTTP/1.0 200 OK\r\nContent-Type: video/mp4\r\n\r\n" + body)

    def redirect(self, path: str, to: str, status: int = 302) -> str:
        return self._add(path, lambda handler: handler.answer(status, b"", {"Location": to}))

    def cut_off(self, path: str, body: bytes, missing_bytes: int = 1) -> str:
        """Announce more bytes than are sent."""
        return self.say(path, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + missing_bytes) + body)

    def say(self, path: str, words: bytes) -> str:
        """Send exactly these bytes, HTTP or not, and close the connection."""
        return self._add(path, lambda handler: handler.send(words))

    def never_answer(self, path: str) -> str:
        """Accept the request and stay silent until the host closes."""
        return self._add(path, lambda _: self._wait_for_end())

    def trickle(self, path: str, start: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n", pause_seconds: float = 0.02) -> str:
        """Send `start`, then a byte now and then, for ever; with an incomplete `start` the headers never end."""

        def act(handler: _Handler) -> None:
            handler.send(start)
            while not self.closing.wait(pause_seconds):
                handler.send(b"x")

        return self._add(path, act)

    def hold(self, path: str, body: bytes) -> threading.Event:
        """Send half of the body, and the other half when the event is set."""
        release = threading.Event()

        def act(handler: _Handler) -> None:
            handler.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[: len(body) // 2])
            while not (release.wait(0.02) or self.closing.is_set()):
                pass
            handler.send(body[len(body) // 2 :])

        self._add(path, act)
        return release

    def callback(self, path: str, *statuses: int) -> str:
        """A receiver of callbacks that returns these statuses in turn and repeats the last; by default 200."""
        left = list(statuses or (200,))
        return self._add(path, lambda handler: handler.answer(left.pop(0) if len(left) > 1 else left[0], b"{}", {}))

    # Share links.

    def share_json(
        self,
        post_id: str,
        *,
        video_url: str | None,
        prompt: str = "a cat",
        thumbnail_url: str | None = None,
        place: Literal["source_wm", "downloadable_url", "source"] = "source_wm",
    ) -> str:
        """The JSON endpoint's response for a post, with the video's URL in one of the places where it has been seen."""
        encodings = {"thumbnail": {"path": thumbnail_url}, "source_wm": None, place: {"path": video_url}}
        attachment = {"encodings": encodings, "downloadable_url": video_url if place == "downloadable_url" else None}
        body = json.dumps({"post": {"id": post_id, "text": prompt, "attachments": [attachment]}})
        return self.serve(f"/backend/project_y/post/{post_id}", body.encode(), content_type="application/json")

    def share_page(
        self,
        post_id: str,
        *,
        video_url: str,
        prompt: str = "a cat",
        thumbnail_url: str = "",
        place: Literal["inline", "nested", "og"] = "inline",
    ) -> str:
        """A post's page with the video's URL in its script, in a string within its script, or in a tag."""
        data = json.dumps({"downloadable_url": video_url}).replace("/", "\\/").replace("&", "\\u0026")
        video = {
            "inline": f"<script>window.__data = {data};</script>",
            "nested": f"<script>self.__next_f.push([1, {json.dumps('1:' + data)}])</script>",
            "og": f'<meta property="og:video" content="{escape(video_url)}"/>',
        }[place]
        tags = f'<meta property="og:title" content="{escape(prompt)}"><meta property="og:image" content="{escape(thumbnail_url)}">'
        page = f"<!doctype html><html><head><title>Sora</title>{tags}{video}</head><body>...</body></html>"
        return self.serve(f"/p/{post_id}", page.encode(), content_type="text/html; charset=utf-8")

    # Received requests.

    @property
    def asked(self) -> list[ReceivedRequest]:
        """All requests so far, in order of arrival."""
        with self._arrival:
            return list(self._asked)

    @property
    def posts(self) -> list[ReceivedRequest]:
        return [asked for asked in self.asked if asked.method == "POST"]

    def wait_for_posts(self, count: int, path: str | None = None, patience_seconds: float = PATIENCE_SECONDS) -> list[ReceivedRequest]:
        """Wait for this many POSTs (to a path) and return them. Raises AssertionError if they do not arrive."""
        found: list[ReceivedRequest] = []

        def enough() -> bool:
            found[:] = [asked for asked in self._asked if asked.method == "POST" and path in (None, asked.path)]
            return len(found) >= count

        with self._arrival:
            assert self._arrival.wait_for(enough, patience_seconds), f"{len(found)} of {count} callbacks came"
        return found

    def requests(self, path: str) -> int:
        """How many requests for this path have come."""
        with self._arrival:
            return sum(asked.path == path for asked in self._asked)

    def record(self, asked: ReceivedRequest) -> Respond | None:
        """Record a request; return how to respond to it."""
        with self._arrival:
            self._asked.append(asked)
            self._arrival.notify_all()
        return self._responses.get(asked.path.partition("?")[0])

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def _add(self, path: str, act: Respond) -> str:
        self._responses[path] = act
        return self.url + path

    def _wait_for_end(self) -> None:
        self.closing.wait()


@contextmanager
def host(address: str = "127.0.0.1", port: int = 0, tls: SSLContext | None = None) -> Iterator[Host]:
    """Run a host during the block, by default on a free port."""
    there = Host(address, port, tls)
    thread = threading.Thread(target=there.run, name="fixture host")
    thread.start()
    try:
        yield there
    finally:
        there.close()
        thread.join()


def eventually(condition: Callable[[], bool], patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until a condition holds, by polling."""
    end = time.monotonic() + patience_seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        pause.wait(0.01)


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], there: Host) -> None:
        super().__init__(address, _Handler)
        self.there = there

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect, as many tests do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        act = self.server.there.record(ReceivedRequest(self.command, self.path, self.headers, body))
        self.close_connection = True
        if act:
            act(self)
        else:
            self.answer(404, b"nothing here", {})

    do_POST = do_GET

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.send(body)

    def send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
