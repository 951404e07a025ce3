"""The service from the outside, as a client of the kie API uses it: start, submit with a callback, poll, download, stop.

    python samples/demo.py FOLDER

Needs the command `cleanplate` beside this interpreter. Everything listens on this machine alone.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

SAMPLES = Path(__file__).resolve().parent
SAMPLE = "marked.mp4"


def main(folder: Path) -> None:
    """Clean the sample through the service; the result is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    called_back = threading.Event()
    with hosting(_Samples) as samples, hosting(_receiver(called_back)) as receiver, service() as (address, key):
        say(f"the service listens on {address}")
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
            task = create(client, f"{samples}/{SAMPLE}", f"{receiver}/done")
            record = follow(client, task)
            if record["state"] != "success":
                sys.exit(f"the task failed: {record['failMsg']}")
            clean = json.loads(record["resultJson"])["resultUrls"][0]
            (folder / "clean.mp4").write_bytes(client.get(clean).raise_for_status().content)
            credits = client.get("/api/v1/chat/credit").json()["data"]
        if not called_back.wait(20):
            sys.exit("the callback did not come")
        say(f"cleaned in {record['costTime'] / 1000:.0f} s, called back, {credits} credits are left")
    say(f"the clean video is {folder / 'clean.mp4'}, the marked one {SAMPLES / SAMPLE}")


def create(client: httpx.Client, video_url: str, callback_url: str) -> str:
    """Create a task as the vendor's documentation does; its id."""
    body = {"model": "sora-watermark-remover", "callBackUrl": callback_url, "input": {"video_url": video_url}}
    answer = client.post("/api/v1/jobs/createTask", json=body).json()
    if answer["code"] != 200:
        sys.exit(f"the task was refused: {answer['msg']}")
    say(f"created {answer['data']['taskId']}")
    return str(answer["data"]["taskId"])


def follow(client: httpx.Client, task: str) -> dict[str, Any]:
    """Ask for the task every second until it has ended; the record."""
    told = ""
    while True:
        record: dict[str, Any] = client.get("/api/v1/jobs/recordInfo", params={"taskId": task}).json()["data"]
        words = f"{record['state']}, {record['progress']} %"
        if words != told:
            say(words)
        if record["state"] in ("success", "fail"):
            return record
        told = words
        time.sleep(1)


@contextmanager
def service() -> Iterator[tuple[str, str]]:
    """The service on a free port, with an empty data folder; its address and the first account's key."""
    key = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "DATA_DIR": folder,
            "PORT": "0",
            "BOOTSTRAP_KEY": key,
            "FETCH_ALLOW": "127.0.0.1",
            "LOG_LEVEL": "error",
            "LOG_FORMAT": "text",
        }
        command = [str(Path(sys.executable).parent / "cleanplate"), "serve"]
        environment = os.environ | {f"CLEANPLATE_{name}": value for name, value in settings.items()}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            yield _address(process), key
        finally:
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[str]) -> str:
    """Where the service says that it listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("listening on "):
            return line.removeprefix("listening on ").strip()
    sys.exit("the service did not start")


@contextmanager
def hosting(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A small web server on a free port; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Samples(SimpleHTTPRequestHandler):
    """Serves this folder."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, directory=str(SAMPLES))

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def _receiver(called_back: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Receiver(BaseHTTPRequestHandler):
        """Takes the callback."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            say(f"callback: {body['msg']}")
            called_back.set()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    return Receiver


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
